//! What the tests of the vault share: the committed corpora, unpacked, comparisons with what Python
//! read, and readings of memory.
#![allow(dead_code, reason = "each test uses a part")]

pub mod compare;
pub mod corpus;
pub mod memory;
