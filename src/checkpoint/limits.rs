//! The bounds every reader keeps, whatever a file claims.

use super::error::{Fault, Parse};

/// Streams are read and written in pieces of this many bytes.
pub const PIECE: usize = 1 << 20;
/// Most tensors (and nodes on the way to them) of one file.
pub const MAX_TENSORS: usize = 1 << 17;
/// Deepest nesting of containers.
pub const MAX_DEPTH: usize = 64;
/// Longest name of a tensor, bytes.
pub const MAX_NAME: usize = 4096;
/// Most dimensions of a tensor; numpy's own limit.
pub const MAX_DIMS: usize = 64;
/// What may unpack from little: up to here no questions are asked.
const FREE_EXPANSION: u64 = 16 << 20;
/// Real weights hardly compress; a body model of mostly zeros reaches about 70.
const MAX_EXPANSION: u64 = 200;

/// Refuses what would grow out of proportion: compressed data, views that repeat their bytes.
///
/// `stored` bytes are in the file and turn into `expanded`.
pub fn check_expansion(stored: u64, expanded: u64) -> Parse<()> {
    if expanded <= FREE_EXPANSION || expanded <= stored.saturating_mul(MAX_EXPANSION) {
        return Ok(());
    }
    Err(Fault::hostile(format!(
        "{stored} bytes claim to unpack to {expanded}; at most {MAX_EXPANSION} times as many are read"
    )))
}

/// Elements of a shape, or a fault when it is out of bounds or overflows.
pub fn elements(shape: &[u64]) -> Parse<u64> {
    if shape.len() > MAX_DIMS {
        let dims = shape.len();
        return Err(Fault::hostile(format!(
            "a tensor of {dims} dimensions; at most {MAX_DIMS} are read"
        )));
    }
    // A zero anywhere makes the product zero, but the other sizes must still be possible ones.
    let product = |n: u64, &d: &u64| n.checked_mul(d.max(1));
    shape
        .iter()
        .try_fold(1_u64, product)
        .filter(|&n| n <= i64::MAX as u64)
        .map(|n| if shape.contains(&0) { 0 } else { n })
        .ok_or_else(|| Fault::hostile(format!("the shape {shape:?} overflows")))
}

/// Refuses names whose bytes together are out of proportion to a file's: one long name that
/// many tensors share, or that is put before many others.
pub fn check_names(stored: u64, names: u64) -> Parse<()> {
    if names <= FREE_EXPANSION || names <= stored.saturating_mul(4) {
        return Ok(());
    }
    Err(Fault::hostile(format!(
        "{names} bytes of names in a file of {stored}"
    )))
}
