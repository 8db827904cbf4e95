//! Opens every file of the good corpus and compares names, types, shapes, bytes and what lies
//! beside the weights with what Python read in the same file (`tests/checkpoints/generate.py`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod vault;

use pose4d::checkpoint::open;
use vault::compare::compare;
use vault::corpus::Corpus;

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
    assert!(
        wrong.is_empty(),
        "{} of {} files read differently:\n{}",
        wrong.len(),
        corpus.cases.len(),
        wrong.join("\n")
    );
}
