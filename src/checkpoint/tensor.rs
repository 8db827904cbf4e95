//! One tensor in a file: type, shape, and its bytes on demand.

use std::sync::Arc;

use super::blob::Blob;
pub use super::blob::Sink;
use super::dtype::DType;
use super::error::{Fault, Parse};
use super::limits;

/// Bytes that only their format's reader can produce (chunked HDF5, values computed at opening).
pub trait TensorBytes: Send + Sync {
    /// Passes all bytes to `sink`: row-major, little-endian, exactly the tensor's size.
    fn stream(&self, sink: &mut Sink) -> Parse<()>;
}

/// Where a tensor's bytes are.
#[derive(Clone)]
pub enum Data {
    /// A run of elements in a storage.
    View(View),
    Special(Arc<dyn TensorBytes>),
}

/// Elements of a storage at regular steps.
#[derive(Clone)]
pub struct View {
    pub storage: Blob,
    /// First element, in elements from the storage's start.
    pub offset: u64,
    /// Elements from one index to the next, per dimension; `None`: row-major without gaps.
    pub strides: Option<Vec<u64>>,
    pub big_endian: bool,
}

/// A tensor: everything but its bytes is in memory.
#[derive(Clone)]
pub struct Tensor {
    pub dtype: DType,
    pub shape: Vec<u64>,
    pub data: Data,
}

/// A stretch of the file that holds a tensor just as memory would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub len: u64,
}

impl View {
    /// The whole storage, row-major.
    pub fn whole(storage: Blob) -> Self {
        Self {
            storage,
            offset: 0,
            strides: None,
            big_endian: false,
        }
    }
}

impl Tensor {
    pub fn elements(&self) -> Parse<u64> {
        limits::elements(&self.shape)
    }

    /// Bytes of the tensor in memory.
    pub fn bytes(&self) -> Parse<u64> {
        let size = self.dtype.size() as u64;
        self.elements()?
            .checked_mul(size)
            .ok_or_else(|| Fault::hostile(format!("the shape {:?} overflows", self.shape)))
    }

    /// Refuses a tensor that reaches outside its storage or repeats it out of proportion.
    pub fn check(&self) -> Parse<()> {
        let bytes = self.bytes()?;
        let Data::View(view) = &self.data else {
            return Ok(());
        };
        let (_, end) = self.span(view)?;
        if end > view.storage.len {
            return Err(Fault::corrupt(format!(
                "{} {:?} at element {} with strides {:?} reaches byte {end} of a storage of {}",
                self.dtype, self.shape, view.offset, view.strides, view.storage.len
            )));
        }
        limits::check_expansion(view.storage.len, bytes)
    }

    /// First and last byte (exclusive) of the storage that the view touches.
    fn span(&self, view: &View) -> Parse<(u64, u64)> {
        let size = self.dtype.size() as u128;
        let last = match &view.strides {
            _ if self.shape.contains(&0) => None,
            None => Some(u128::from(self.elements()?) - 1),
            Some(strides) if strides.len() != self.shape.len() => {
                return Err(Fault::corrupt(format!(
                    "{} strides for {} dimensions",
                    strides.len(),
                    self.shape.len()
                )));
            }
            Some(strides) => Some(
                self.shape
                    .iter()
                    .zip(strides)
                    .map(|(&d, &s)| u128::from(d - 1) * u128::from(s))
                    .fold(0, u128::saturating_add),
            ),
        };
        let first = u128::from(view.offset) * size;
        let end = last.map_or(first, |last| {
            first.saturating_add(last.saturating_add(1).saturating_mul(size))
        });
        let narrow = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        Ok((narrow(first), narrow(end)))
    }

    /// Where the file holds the tensor just as memory would, if it does.
    pub fn extent(&self) -> Option<Extent> {
        let Data::View(view) = &self.data else {
            return None;
        };
        if !self.is_plain(view) {
            return None;
        }
        let start = view.offset.checked_mul(self.dtype.size() as u64)?;
        let (offset, len) = view.storage.extent(start, self.bytes().ok()?)?;
        Some(Extent { offset, len })
    }

    /// Row-major, without gaps, little-endian.
    fn is_plain(&self, view: &View) -> bool {
        let swapped = view.big_endian && self.dtype.word() > 1;
        !swapped
            && view
                .strides
                .as_deref()
                .is_none_or(|s| is_row_major(&self.shape, s))
    }

    /// Passes all bytes to `sink`: row-major, little-endian.
    pub fn stream(&self, sink: &mut Sink) -> Parse<()> {
        let view = match &self.data {
            Data::Special(bytes) => return bytes.stream(sink),
            Data::View(view) => view,
        };
        self.check()?;
        let (start, end) = self.span(view)?;
        if self.is_plain(view) {
            return view.storage.stream(start, end - start, sink);
        }
        let mut span = Vec::with_capacity((end - start) as usize);
        view.storage.stream(start, end - start, &mut |piece| {
            span.extend_from_slice(piece);
            Ok(())
        })?;
        if view.big_endian {
            swap_bytes(&mut span, self.dtype.word());
        }
        self.gather(view, &span, sink)
    }

    /// Collects the elements of a strided view in row-major order.
    fn gather(&self, view: &View, span: &[u8], sink: &mut Sink) -> Parse<()> {
        let strides = match &view.strides {
            Some(strides) if !is_row_major(&self.shape, strides) => strides,
            _ => return sink(span),
        };
        if self.shape.contains(&0) {
            return Ok(());
        }
        let size = self.dtype.size();
        let mut out = Vec::with_capacity((self.bytes()? as usize).min(limits::PIECE));
        let mut index = vec![0_u64; self.shape.len()];
        let mut at = 0_u64;
        loop {
            let start = at as usize * size;
            out.extend_from_slice(&span[start..start + size]);
            if out.len() + size > limits::PIECE {
                sink(&out)?;
                out.clear();
            }
            if !step(&mut index, &self.shape, strides, &mut at) {
                return sink(&out);
            }
        }
    }

    /// All bytes, row-major, little-endian.
    pub fn read(&self) -> Parse<Vec<u8>> {
        self.check()?;
        let mut bytes = Vec::with_capacity(self.bytes()? as usize);
        self.stream(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }
}

/// Moves to the next index in row-major order; false after the last one.
fn step(index: &mut [u64], shape: &[u64], strides: &[u64], at: &mut u64) -> bool {
    for axis in (0..shape.len()).rev() {
        index[axis] += 1;
        *at += strides[axis];
        if index[axis] < shape[axis] {
            return true;
        }
        *at -= strides[axis] * shape[axis];
        index[axis] = 0;
    }
    false
}

fn is_row_major(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1_u64;
    for (&d, &s) in shape.iter().zip(strides).rev() {
        // The stride of a dimension of one element is never used.
        if d > 1 && s != expected {
            return false;
        }
        expected = expected.saturating_mul(d.max(1));
    }
    true
}

fn swap_bytes(bytes: &mut [u8], word: usize) {
    for word in bytes.chunks_exact_mut(word) {
        word.reverse();
    }
}
