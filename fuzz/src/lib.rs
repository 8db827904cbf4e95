//! The checkpoint readers, compiled on their own, and what the fuzzer does with them.

#[path = "../../tests/vault/archive.rs"]
pub mod archive;
#[path = "../../src/checkpoint/mod.rs"]
pub mod checkpoint;
pub mod seeds;
pub mod targets;

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, run)) = targets::TARGETS.iter().find(|(target, _)| *target == name) {
        run(data);
    }
}
