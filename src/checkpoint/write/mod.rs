//! Writers: named tensors → file, one tensor at a time.
//!
//! Each format's `write(out, tensors, feed)` asks `feed` for the bytes of one tensor after
//! another, so that memory never holds more than a piece.

pub mod hdf5;
pub mod hdf5_types;
pub mod pickle;
pub mod safetensors;
pub mod torch;
pub mod zip;

use std::io::Write;

use super::dtype::DType;
use super::error::{Fault, Parse};
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

/// Passes a tensor's bytes on to a file, and sees that they are as many as announced.
pub struct Output<W> {
    out: W,
    left: u64,
}

impl<W: Write> Output<W> {
    pub fn new(out: W, len: u64) -> Self {
        Self { out, left: len }
    }

    pub fn push(&mut self, piece: &[u8]) -> Parse<()> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or_else(|| Fault::corrupt("more bytes than the shape says"))?;
        self.out.write_all(piece)?;
        Ok(())
    }

    pub fn finish(self) -> Parse<()> {
        match self.left {
            0 => Ok(()),
            left => Err(Fault::corrupt(format!(
                "{left} bytes fewer than the shape says"
            ))),
        }
    }
}
