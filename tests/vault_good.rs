//! Opens every file of the good corpus and compares names, types, shapes, bytes and what lies
//! beside the weights with what Python read in the same file (`tests/checkpoints/generate.py`).
//! Beside them what is no file at all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod vault;

use std::path::Path;
use std::thread;
use std::time::Duration;

use pose4d::checkpoint::error::Kind;
use pose4d::checkpoint::inspect;
use pose4d::checkpoint::open;
use vault::compare::compare;
use vault::corpus::Corpus;
use vault::known;

/// The bar of the issue; the corpus is larger.
const LEAST: usize = 1_000;

#[test]
fn every_good_file_reads_as_in_python() {
    let corpus = Corpus::unpack("good");
    assert!(corpus.cases.len() >= LEAST, "{} cases", corpus.cases.len());
    let mut wrong = Vec::new();
    for (name, facts) in &corpus.cases {
        let complaints = match open::open(corpus.path(name)) {
            Ok(checkpoint) => compare(&checkpoint, facts),
            Err(error) => vec![error.message],
        };
        if !complaints.is_empty() {
            wrong.push(format!("{name}: {}", complaints.join("; ")));
        }
    }
    let gone = known::drop_known(&mut wrong, known::GOOD);
    assert!(
        gone.is_empty(),
        "no longer different, take off the list: {gone:?}"
    );
    assert!(
        wrong.is_empty(),
        "{} of {} files read differently:\n{}",
        wrong.len(),
        corpus.cases.len(),
        wrong.join("\n")
    );
}

/// A pipe that nobody writes to: opening it must not wait for ever.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.pt");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()));
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn({
        let path = path.clone();
        move || tell.send(inspect::inspect(&path, true, &mut |_, _| true).err())
    });
    let error = told
        .recv_timeout(Duration::from_secs(5))
        .expect("opening a pipe waits for ever")
        .expect("a pipe is no checkpoint");
    assert!(error.to_string().contains("pipe.pt"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_said_to_be_missing() {
    let error = inspect::inspect(Path::new("/no/such/file.pt"), true, &mut |_, _| true).err();
    assert_eq!(error.unwrap().kind, Kind::NotFound);
}
