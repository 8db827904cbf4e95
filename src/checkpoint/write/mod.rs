//! Writers: named tensors → file, one tensor at a time.
//!
//! Each format's `write(out, tensors, feed)` asks `feed` for the bytes of one tensor after
//! another, so that memory never holds more than a piece.

use super::dtype::DType;
use super::error::Parse;
use super::tensor::Sink;

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<u64>,
}

/// Streams the bytes of the tensor at an index: row-major, little-endian, exactly its size.
pub type Feed<'a> = dyn FnMut(usize, &mut Sink) -> Parse<()> + 'a;

impl Entry {
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Bytes of the tensor; the reader has checked that they fit.
    pub fn bytes(&self) -> u64 {
        self.elements().saturating_mul(self.dtype.size() as u64)
    }
}
