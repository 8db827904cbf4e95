//! The values of a `.npy` array as tensors, record fields included.

use std::sync::Arc;

use super::layout::{Field, Kind, Layout};
use crate::checkpoint::blob::{Blob, Encoding};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;
use crate::checkpoint::source::Source;
use crate::checkpoint::tensor::{Data, Sink, Tensor, TensorBytes, View};

/// Takes a record's fields: tensors by dotted name, and what is no number by its layout.
pub type Visit<'a> = dyn FnMut(String, Result<Tensor, &Layout>) -> Parse<()> + 'a;

/// An array in a file or in a member of an archive.
pub struct Array {
    /// Header and values.
    pub blob: Blob,
    /// The bytes before the values.
    pub head: Vec<u8>,
    pub shape: Vec<u64>,
    pub fortran: bool,
    /// Bytes of an item.
    pub item: u64,
}

impl Array {
    /// The array as one tensor of numbers.
    pub fn tensor(&self, dtype: DType, big_endian: bool) -> Parse<Tensor> {
        let strides = self.fortran.then(|| column_major(&self.shape));
        let data = match self.blob.encoding {
            Encoding::Raw => Data::View(View {
                storage: self.values()?,
                offset: 0,
                strides,
                big_endian,
            }),
            _ => Data::Special(Arc::new(self.slice(dtype, 0, &[], big_endian))),
        };
        Ok(Tensor {
            dtype,
            shape: self.shape.clone(),
            data,
        })
    }

    /// The numbers among a record's fields, by dotted name; `visit` sees the others too.
    pub fn fields(&self, name: &str, fields: &[Field], base: u64, visit: &mut Visit) -> Parse<()> {
        for field in fields {
            let name = format!("{name}.{}", field.name);
            let offset = base.saturating_add(field.offset);
            match &field.layout.kind {
                Kind::Number(dtype) => {
                    let slice = self.slice(*dtype, offset, &field.shape, field.layout.big_endian);
                    let tensor = Tensor {
                        dtype: *dtype,
                        shape: slice.shape.clone(),
                        data: Data::Special(Arc::new(slice)),
                    };
                    visit(name, Ok(tensor))?;
                }
                Kind::Record(inner) if field.shape.is_empty() => {
                    self.fields(&name, inner, offset, visit)?;
                }
                _ => visit(name, Err(&field.layout))?,
            }
        }
        Ok(())
    }

    /// The values as a blob of their own, whose checksum follows from the whole one's.
    fn values(&self) -> Parse<Blob> {
        let head = self.head.len() as u64;
        let len = self.blob.len.saturating_sub(head);
        let values = Blob::raw(&self.blob.source, self.blob.offset + head, len)?;
        let crc = self.blob.crc.map(|whole| {
            // The checksum of A then B is that of A moved on by B's length, xor that of B.
            let mut moved = crc32fast::Hasher::new();
            moved.update(&self.head);
            moved.combine(&crc32fast::Hasher::new_with_initial_len(0, len));
            whole ^ moved.finalize()
        });
        Ok(Blob { crc, ..values })
    }

    fn slice(&self, dtype: DType, offset: u64, inner: &[u64], big_endian: bool) -> Slice {
        let count: u64 = inner.iter().product();
        let strides = self.fortran.then(|| {
            let outer = column_major(&self.shape);
            let outer = outer.into_iter().map(|s| s.saturating_mul(count));
            outer.chain(row_major(inner)).collect()
        });
        Slice {
            blob: self.blob.clone(),
            head: self.head.len() as u64,
            item: self.item,
            offset,
            width: count.saturating_mul(dtype.size() as u64),
            dtype,
            shape: self.shape.iter().chain(inner).copied().collect(),
            strides,
            big_endian,
        }
    }
}

/// The same `width` bytes of each item, from a run that must be read from its beginning.
struct Slice {
    blob: Blob,
    head: u64,
    item: u64,
    offset: u64,
    width: u64,
    dtype: DType,
    shape: Vec<u64>,
    strides: Option<Vec<u64>>,
    big_endian: bool,
}

impl TensorBytes for Slice {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        if self.strides.is_none() && !self.big_endian {
            return self.pick(sink);
        }
        let mut bytes = Vec::new();
        self.pick(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        let len = bytes.len() as u64;
        let source: Source = Arc::new(bytes);
        let view = View {
            storage: Blob::raw(&source, 0, len)?,
            offset: 0,
            strides: self.strides.clone(),
            big_endian: self.big_endian,
        };
        let tensor = Tensor {
            dtype: self.dtype,
            shape: self.shape.clone(),
            data: Data::View(view),
        };
        tensor.stream(sink)
    }
}

impl Slice {
    /// Passes on the bytes of the slice in the file's order.
    fn pick(&self, sink: &mut Sink) -> Parse<()> {
        let (mut skip, whole) = (self.head, self.item == self.width);
        let mut at = 0_u64;
        let mut picked = Vec::new();
        self.blob.stream(0, self.blob.len, &mut |piece| {
            let skipped = skip.min(piece.len() as u64);
            skip -= skipped;
            let piece = piece.get(skipped as usize..).unwrap_or_default();
            if whole {
                return sink(piece);
            }
            picked.clear();
            let mut rest = piece;
            while !rest.is_empty() {
                let (inside, step) = self.step(at);
                let n = step.min(rest.len() as u64);
                let (run, after) = rest.split_at(n as usize);
                if inside {
                    picked.extend_from_slice(run);
                }
                rest = after;
                at = (at + n) % self.item;
            }
            sink(&picked)
        })
    }

    /// Whether byte `at` of an item is in the slice, and for how many bytes that holds.
    fn step(&self, at: u64) -> (bool, u64) {
        let end = self.offset + self.width;
        if at < self.offset {
            (false, self.offset - at)
        } else if at < end {
            (true, end - at)
        } else {
            (false, self.item - at)
        }
    }
}

/// Fault when the values do not fill the rest of the file exactly.
pub fn check_size(shape: &[u64], item: u64, available: u64) -> Parse<()> {
    let count = limits::elements(shape)?;
    let claimed = count
        .checked_mul(item)
        .ok_or_else(|| Fault::hostile(format!("the shape {shape:?} overflows")))?;
    if claimed != available {
        return Err(Fault::corrupt(format!(
            "the header claims {claimed} bytes of values, but {available} bytes follow it"
        )));
    }
    Ok(())
}

/// Elements from one index to the next, the first dimension running fastest.
pub fn column_major(shape: &[u64]) -> Vec<u64> {
    let mut next = 1_u64;
    let step = |&d: &u64| {
        let own = next;
        next = next.saturating_mul(d.max(1));
        own
    };
    shape.iter().map(step).collect()
}

/// Elements from one index to the next, the last dimension running fastest.
pub fn row_major(shape: &[u64]) -> Vec<u64> {
    let mut next = 1_u64;
    let step = |&d: &u64| {
        let own = next;
        next = next.saturating_mul(d.max(1));
        own
    };
    let mut strides: Vec<u64> = shape.iter().rev().map(step).collect();
    strides.reverse();
    strides
}
