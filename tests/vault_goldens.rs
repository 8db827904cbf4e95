//! Opens every file of the golden folder (`POSE4D_GOLDENS`, else the project's own fixtures) and
//! compares names, types, shapes and bytes with Python's.
//!
//! What Python finds is known for the files of case `a` by their hash
//! (`tests/checkpoints/goldens.json.gz`). Any other file is compared with the `keys.json` beside it
//! and, where `POSE4D_PEERS_PYTHON` names a Python with PyTorch, with what that reads now.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise; the summary is what it prints"
)]

mod vault;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use pose4d::checkpoint::inspect::hex;
use pose4d::checkpoint::open;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vault::compare::compare;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("vault_goldens: test");
        return ExitCode::SUCCESS;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = match std::env::var_os("POSE4D_GOLDENS") {
        Some(folder) => PathBuf::from(folder),
        None => root.join("tests/fixtures/goldens"),
    };
    let known = known(&root.join("tests/checkpoints/goldens.json.gz"));
    let (mut judged, mut failed, mut skipped) = (0, 0, 0);
    for path in files(&folder) {
        let shown = path.strip_prefix(&folder).unwrap_or(&path).display();
        let truths = truths(&path, &known);
        if truths.is_empty() {
            println!("skipped {shown}: nothing is known of it");
            skipped += 1;
            continue;
        }
        judged += 1;
        let complaints = match open::open(&path) {
            Ok(checkpoint) => truths
                .iter()
                .flat_map(|facts| compare(&checkpoint, facts))
                .collect(),
            Err(error) => vec![error.to_string()],
        };
        if !complaints.is_empty() {
            println!("FAILED {shown}: {}", complaints.join("; "));
            failed += 1;
        }
    }
    println!("{judged} judged, {failed} failed, {skipped} skipped");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Facts by the hash of the file they are about.
fn known(path: &Path) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every file of a format that the vault reads, in a folder and all below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    const EXTENSIONS: [&str; 11] = [
        "ckpt", "pt", "pth", "pkl", "gz", "npz", "npy", "yaml", "h5", "safetensors", "tar",
    ];
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            if path.is_dir() {
                open.push(path);
            } else if EXTENSIONS.contains(&extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Everything that is known of a file; not less than one, or it cannot be judged.
fn truths(path: &Path, known: &Value) -> Vec<Value> {
    let hash = hex(&Sha256::digest(fs::read(path).unwrap()));
    let mut found: Vec<Value> = known.get(hash).into_iter().cloned().collect();
    found.extend(keys(path));
    if found.is_empty() {
        found.extend(peer(path));
    }
    found.into_iter().map(unordered).collect()
}

/// The order of a dictionary's keys is Python's business where the facts are not.
fn unordered(mut facts: Value) -> Value {
    facts["unordered"] = json!(true);
    facts
}

/// Names, shapes and types as `keys.json` lists them, for the only checkpoint beside it.
fn keys(path: &Path) -> Option<Value> {
    let folder = path.parent()?;
    let stem = path.file_stem()?.to_str()?;
    let own = folder.join(format!("{stem}_keys.json"));
    let shared = folder.join("keys.json");
    let is_checkpoint = |path: &Path| {
        let extension = path.extension().and_then(|e| e.to_str());
        matches!(extension, Some("ckpt" | "pt" | "pth" | "pkl"))
    };
    let alone = files(folder).iter().filter(|p| is_checkpoint(p)).count() == 1;
    let list = if own.is_file() {
        own
    } else if shared.is_file() && is_checkpoint(path) && alone {
        shared
    } else {
        return None;
    };
    let list: Value = serde_json::from_slice(&fs::read(list).ok()?).ok()?;
    let names = list.as_object()?;
    let tensors: Vec<Value> = names
        .iter()
        .map(|(name, entry)| {
            let dtype = entry[1].as_str().unwrap_or("");
            json!([name, dtype.trim_start_matches("torch."), entry[0], null])
        })
        .collect();
    Some(json!({ "tensors": tensors, "below_root": true }))
}

/// What the Python that is named reads in the file now.
fn peer(path: &Path) -> Option<Value> {
    let python = std::env::var("POSE4D_PEERS_PYTHON").ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoints/truth.py");
    let python = python.split(':').next().unwrap_or_default();
    let output = Command::new(python).arg(script).arg(path).output().ok()?;
    let printed: Value = serde_json::from_slice(&output.stdout).ok()?;
    printed.as_object()?.values().next().cloned()
}
