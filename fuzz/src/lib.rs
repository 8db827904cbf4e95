//! The checkpoint readers, compiled on their own, and what the fuzzer does with them.

#[path = "../../src/checkpoint/mod.rs"]
pub mod checkpoint;
pub mod targets;
