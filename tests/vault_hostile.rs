//! Opens every file of the hostile corpus and reads every tensor in it: a clear error, in under a
//! second and 64 MB each, whatever the file claims (`tests/checkpoints/generate.py`).
//!
//! A file that is only odd may be read or refused (`"expect": "survives"`), within the same bounds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod vault;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use pose4d::checkpoint::error::{CheckpointError, Kind};
use pose4d::checkpoint::inspect;
use serde_json::{Value, json};
use vault::corpus::Corpus;
use vault::memory::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bars of the issue; the corpus is larger.
const LEAST: usize = 400;
const MEMORY: usize = 64 << 20;
const TIME: Duration = Duration::from_secs(1);
/// A thread of Node's pool on a small platform has no more.
const STACK: usize = 512 << 10;
/// Longer than this, a message explains nothing.
const MESSAGE: usize = 2_000;

/// What became of a file.
struct Outcome {
    /// `None` when the file was read to its end.
    error: Option<CheckpointError>,
    time: Duration,
    memory: usize,
}

/// One test, so that nothing else runs in the process whose memory is measured.
#[test]
fn every_hostile_file_is_refused_within_bounds() {
    let corpus = Corpus::unpack("hostile");
    let refused = |facts: &&Value| facts["expect"] == "refused";
    assert!(corpus.cases.values().filter(refused).count() >= LEAST);
    let mut wrong = Vec::new();
    let only = std::env::var("VAULT_CASE").unwrap_or_default();
    for (name, facts) in &corpus.cases {
        if name.contains(&only) {
            judge(name, &corpus.grow(name), facts, &mut wrong);
            fs::remove_file(corpus.path(name)).unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, path, facts) in made_here(folder.path()) {
        if name.contains(&only) {
            judge(name, &path, &facts, &mut wrong);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} complaints about {} files:\n{}",
        wrong.len(),
        corpus.cases.len(),
        wrong.join("\n")
    );
}

fn judge(name: &str, path: &Path, facts: &Value, wrong: &mut Vec<String>) {
    let Some(mut outcome) = attempt(name, path) else {
        wrong.push(format!("{name}: panicked"));
        return;
    };
    // The machine may have been busy: what is slow is slow five times, with a rest between.
    for _ in 0..4 {
        if outcome.time > TIME {
            thread::sleep(TIME);
            outcome = attempt(name, path).unwrap_or(outcome);
        }
    }
    if outcome.time > TIME {
        wrong.push(format!("{name}: took {:.1?}", outcome.time));
    }
    if outcome.memory > MEMORY {
        wrong.push(format!("{name}: took {} MB", outcome.memory >> 20));
    }
    match &outcome.error {
        None if facts["expect"] == "refused" => wrong.push(format!("{name}: was read")),
        None => {}
        Some(error) => wrong.extend(
            unclear(path, error, facts)
                .map(|why| format!("{name}: {why}: {:?} {}", error.kind, short(&error.message))),
        ),
    }
}

/// Opens and reads everything, on a thread of its own; `None` when that panicked.
fn attempt(name: &str, path: &Path) -> Option<Outcome> {
    let path = path.to_path_buf();
    let before = memory::reset();
    let resident = memory::kernel("VmRSS");
    let start = Instant::now();
    let worker = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || inspect::inspect(&path, true, &mut |_, _| true).err())
        .unwrap();
    let error = worker.join().ok()?;
    let time = start.elapsed();
    let resident = match (memory::kernel("VmHWM"), resident) {
        (Some(most), Some(before)) => most.saturating_sub(before),
        _ => 0,
    };
    Some(Outcome {
        error,
        time,
        memory: memory::peak_since(before).max(resident),
    })
}

/// Why an error helps nobody; `None` when it is as it should be.
fn unclear(path: &Path, error: &CheckpointError, facts: &Value) -> Option<String> {
    let text = error.to_string();
    let kind = format!("{:?}", error.kind);
    let kinds = facts["kinds"].as_array();
    let expected = match kinds {
        Some(kinds) => kinds.iter().any(|k| *k == kind.as_str()),
        None => !matches!(error.kind, Kind::NotFound | Kind::Missing | Kind::Cancelled),
    };
    if !expected {
        return Some(format!("kind {kind} instead of {}", facts["kinds"]));
    }
    if !text.contains(&*path.file_name().unwrap().to_string_lossy()) {
        return Some("the message does not name the file".into());
    }
    if error.message.trim().len() < 10 || text.len() > MESSAGE {
        return Some(format!("a message of {} bytes", text.len()));
    }
    let says = facts["says"].as_array().into_iter().flatten();
    let missing = says.filter_map(Value::as_str).find(|s| !text.contains(s))?;
    Some(format!("the message does not say {missing:?}"))
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Files that no archive can hold, or only at length.
fn made_here(folder: &Path) -> Vec<(&'static str, PathBuf, Value)> {
    let refused = || json!({ "expect": "refused" });
    let survives = || json!({ "expect": "survives" });
    let file = |name: &str, data: Vec<u8>| {
        let path = folder.join(name);
        fs::write(&path, data).unwrap();
        path
    };
    vec![
        (
            "million-tensors.safetensors",
            file("million-tensors.safetensors", million_tensors()),
            refused(),
        ),
        (
            "65000-members.npz",
            file("65000-members.npz", members(65_000, "x", ".txt")),
            survives(),
        ),
        (
            "300000-members.npz",
            file("300000-members.npz", members(300_000, "x", ".txt")),
            survives(),
        ),
        (
            "long-names.npz",
            file(
                "long-names.npz",
                members(2_000, &"n".repeat(60_000), ".npy"),
            ),
            refused(),
        ),
        ("folder", folder.to_path_buf(), refused()),
    ]
}

fn million_tensors() -> Vec<u8> {
    let mut header = b"{".to_vec();
    for index in 0..1_000_000 {
        let comma = if index == 0 { "" } else { "," };
        write!(
            header,
            r#"{comma}"w{index}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#
        )
        .unwrap();
    }
    header.push(b'}');
    let mut data = (header.len() as u64).to_le_bytes().to_vec();
    data.append(&mut header);
    data
}

/// A zip archive of empty members.
fn members(count: usize, stem: &str, ending: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for index in 0..count {
        zip.start_file(format!("{stem}{index}{ending}"), options)
            .unwrap();
    }
    zip.finish().unwrap().into_inner()
}
