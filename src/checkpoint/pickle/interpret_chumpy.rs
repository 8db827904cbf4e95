//! chumpy's arrays, which the original SMPL files hold: the numbers, without the graph of derivatives.
//!
//! Source: chumpy 0.70, `chumpy/ch.py` (`Ch.x`) and `chumpy/reordering.py` (`Select`, `Reshape`).

use std::sync::Arc;

use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::super::limits::{self, PIECE};
use super::super::tensor::{Data, Sink, Tensor, TensorBytes};
use super::interpret::{Made, Meaning, Reader, Step};
use super::value::{Global, Id};

/// Largest array that is selected from or to, bytes: it is held in memory.
const MAX_BYTES: u64 = 128 << 20;
/// Indices are read at opening up to this many bytes, to see that they are inside the array.
const MAX_CHECK: u64 = 8 << 20;

impl<'a> Reader<'a> {
    pub(super) fn chumpy(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let Global { module, name } = made.global;
        match (module.as_str(), name.as_str()) {
            ("chumpy.ch" | "chumpy", "Ch") => Ok(match self.field(made, "x")? {
                Some(x) => Step::Like(x),
                None => Step::opaque(made.global),
            }),
            ("chumpy.reordering", "Select") => {
                let place = |fault: Fault| fault.within(made.global);
                self.select(made).map_err(place)
            }
            ("chumpy.reordering", "Reshape") => {
                let place = |fault: Fault| fault.within(made.global);
                self.reshape(made).map_err(place)
            }
            _ => Ok(Step::opaque(made.global)),
        }
    }

    /// `a.ravel()[idxs].reshape(preferred_shape)`
    fn select(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let (Some(from), Some(indices)) = (self.operand(made, "a")?, self.operand(made, "idxs")?)
        else {
            return Ok(Step::opaque(made.global));
        };
        let shape = match self.field(made, "preferred_shape")? {
            Some(shape) => self.new_shape(shape, indices.elements()?)?,
            None => indices.shape.clone(),
        };
        let bytes = indices.elements()?.saturating_mul(from.dtype.size() as u64);
        if bytes > MAX_BYTES || from.bytes()? > MAX_BYTES {
            return Err(Fault::unsupported(format!("a selection of {bytes} bytes")));
        }
        limits::check_expansion(indices.bytes()?, bytes)?;
        let selection = Selection { from, indices };
        selection.from.check()?;
        let read = selection.indices.bytes()?;
        if read <= MAX_CHECK && self.may_check(read) {
            selection.places()?;
        }
        Ok(Step::Is(Meaning::Tensor(Tensor {
            dtype: selection.from.dtype,
            shape,
            data: Data::Special(Arc::new(selection)),
        })))
    }

    /// `a.reshape(newshape)`
    fn reshape(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let (Some(from), Some(shape)) = (self.operand(made, "a")?, self.field(made, "newshape")?)
        else {
            return Ok(Step::opaque(made.global));
        };
        let shape = self.new_shape(shape, from.elements()?)?;
        Ok(Step::Is(Meaning::Tensor(Tensor {
            dtype: from.dtype,
            shape,
            data: Data::Special(Arc::new(Reshaped(from))),
        })))
    }

    fn operand(&self, made: Made<'a>, name: &str) -> Parse<Option<Tensor>> {
        let Some(id) = self.field(made, name)? else {
            return Ok(None);
        };
        Ok(match self.meaning(id)? {
            Meaning::Tensor(tensor) => Some(tensor),
            _ => None,
        })
    }

    /// A shape in which one size may be -1, for `elements` elements.
    fn new_shape(&self, id: Id, elements: u64) -> Parse<Vec<u64>> {
        let bad = || {
            Fault::corrupt(format!(
                "a new shape that does not hold {elements} elements"
            ))
        };
        let single = [id];
        let sizes = self.pickle.items(id).unwrap_or(&single);
        let sizes: Option<Vec<i64>> = sizes.iter().map(|&size| self.pickle.int(size)).collect();
        let sizes = sizes.filter(|sizes| sizes.len() <= limits::MAX_DIMS);
        let sizes = sizes.ok_or_else(bad)?;
        let known: Vec<u64> = sizes
            .iter()
            .filter_map(|&size| u64::try_from(size).ok())
            .collect();
        let product = limits::elements(&known)?;
        let open = sizes.len() - known.len();
        let rest = match open {
            0 => 1,
            1 if product > 0 => elements / product,
            _ => return Err(bad()),
        };
        let negative_is_one = sizes.iter().all(|&size| size >= -1);
        if !negative_is_one || product.checked_mul(rest) != Some(elements) {
            return Err(bad());
        }
        let size = |&size: &i64| u64::try_from(size).unwrap_or(rest);
        Ok(sizes.iter().map(size).collect())
    }
}

/// Elements of an array in another order.
struct Selection {
    from: Tensor,
    indices: Tensor,
}

impl Selection {
    /// Indices from the start, checked.
    fn places(&self) -> Parse<Vec<u64>> {
        let bytes = self.indices.read()?;
        let indices: Vec<i64> = match self.indices.dtype {
            DType::I64 => words(&bytes, i64::from_le_bytes),
            DType::I32 => words(&bytes, |word| i32::from_le_bytes(word).into()),
            DType::U32 => words(&bytes, |word| u32::from_le_bytes(word).into()),
            other => return Err(Fault::unsupported(format!("indices of {other}"))),
        };
        let len = self.from.elements()? as i64;
        let place = |index: i64| {
            // As in Python, negative ones count from the end.
            let index = if index < 0 { index + len } else { index };
            u64::try_from(index)
                .ok()
                .filter(|_| index < len)
                .ok_or_else(|| Fault::corrupt(format!("an index outside its {len} elements")))
        };
        indices.into_iter().map(place).collect()
    }
}

impl TensorBytes for Selection {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        let size = self.from.dtype.size();
        let values = self.from.read()?;
        let mut out = Vec::with_capacity(PIECE);
        for place in self.places()? {
            let start = place as usize * size;
            out.extend_from_slice(values.get(start..start + size).unwrap_or_default());
            if out.len() + size > PIECE {
                sink(&out)?;
                out.clear();
            }
        }
        sink(&out)
    }
}

fn words<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> i64) -> Vec<i64> {
    let (words, _) = bytes.as_chunks::<N>();
    words.iter().map(|&word| read(word)).collect()
}

/// The same elements in the same order.
struct Reshaped(Tensor);

impl TensorBytes for Reshaped {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        self.0.stream(sink)
    }
}
