//! What the tests of the vault share: the committed corpora, unpacked, and readings of memory.

pub mod corpus;
pub mod memory;
