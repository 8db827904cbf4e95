//! The checkpoint readers, compiled on their own, and what the fuzzer does with them.

#[path = "../../tests/vault/archive.rs"]
pub mod archive;
#[path = "../../src/checkpoint/mod.rs"]
pub mod checkpoint;
pub mod seeds;
pub mod targets;
