//! Dense bytes of a sparse matrix: values put at their places.

use half::{bf16, f16};

use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::super::limits::PIECE;
use super::super::tensor::{Sink, Tensor, TensorBytes};

/// Largest dense matrix made, bytes: it is made in memory.
const MAX_DENSE: u64 = 256 << 20;
/// Most values of a sparse matrix.
const MAX_VALUES: u64 = 32 << 20;

/// Where the values of a sparse matrix go.
pub enum Places {
    /// Per row (or column) where its values begin, and their columns (rows).
    Compressed {
        pointers: Tensor,
        indices: Tensor,
        by_column: bool,
    },
    /// Per dimension one array of indices.
    Coordinates(Vec<Tensor>),
    /// One matrix of indices: dimensions x values.
    Stacked(Tensor),
}

/// A sparse matrix.
pub struct Dense {
    shape: Vec<u64>,
    values: Tensor,
    places: Places,
    /// Dimensions that the places count; further ones are dense blocks of each value.
    sparse_dims: usize,
}

impl Dense {
    pub fn new(shape: Vec<u64>, values: Tensor, places: Places) -> Parse<Self> {
        let sparse_dims = match &places {
            Places::Compressed { .. } => 2,
            Places::Coordinates(arrays) => arrays.len(),
            Places::Stacked(indices) => match *indices.shape {
                [dims, _] => dims as usize,
                _ => return Err(Fault::corrupt("its indices are no matrix")),
            },
        };
        let block = shape.get(sparse_dims..);
        let fits = block.is_some_and(|block| values.shape.get(1..) == Some(block));
        if !fits {
            return Err(Fault::corrupt(format!(
                "values {:?} and {sparse_dims} lists of indices for the shape {shape:?}",
                values.shape
            )));
        }
        let dense = Self {
            shape,
            values,
            places,
            sparse_dims,
        };
        let (count, bytes) = (dense.count(), dense.bytes()?);
        if bytes > MAX_DENSE || count > MAX_VALUES {
            return Err(Fault::unsupported(format!(
                "a sparse matrix of {count} values that would take {bytes} bytes when dense"
            )));
        }
        Ok(dense)
    }

    /// Number of values.
    fn count(&self) -> u64 {
        self.values.shape.first().copied().unwrap_or(0)
    }

    /// Bytes when dense.
    fn bytes(&self) -> Parse<u64> {
        let whole = Tensor {
            shape: self.shape.clone(),
            ..self.values.clone()
        };
        whole.bytes()
    }

    /// Bytes of the arrays it is made of.
    pub fn stored(&self) -> Parse<u64> {
        let indices: Vec<&Tensor> = match &self.places {
            Places::Compressed {
                pointers, indices, ..
            } => vec![pointers, indices],
            Places::Coordinates(arrays) => arrays.iter().collect(),
            Places::Stacked(indices) => vec![indices],
        };
        let mut total = self.values.bytes()?;
        for tensor in indices {
            total = total.saturating_add(tensor.bytes()?);
        }
        Ok(total)
    }

    /// Reads the places, to see that they are inside the matrix.
    pub fn check(&self) -> Parse<()> {
        self.values.check()?;
        self.places().map(|_| ())
    }

    fn sparse_shape(&self) -> &[u64] {
        self.shape.get(..self.sparse_dims).unwrap_or_default()
    }

    /// Per value, its place in row-major order of the sparse dimensions.
    fn places(&self) -> Parse<Vec<u64>> {
        let shape = self.sparse_shape();
        let count = self.count() as usize;
        let columns = match &self.places {
            Places::Compressed {
                pointers,
                indices,
                by_column,
            } => {
                let &[rows, columns] = shape else {
                    return Err(Fault::corrupt("a matrix that has not two dimensions"));
                };
                let major = if *by_column { columns } else { rows };
                let majors = expand(&integers(pointers)?, major, count)?;
                let minors = integers(indices)?;
                match by_column {
                    true => vec![minors, majors],
                    false => vec![majors, minors],
                }
            }
            Places::Coordinates(arrays) => arrays.iter().map(integers).collect::<Parse<_>>()?,
            Places::Stacked(indices) if count == 0 => {
                integers(indices)?;
                Vec::new()
            }
            Places::Stacked(indices) => {
                let all = integers(indices)?;
                all.chunks(count).map(<[i64]>::to_vec).collect()
            }
        };
        if columns.iter().any(|column| column.len() != count) {
            return Err(Fault::corrupt(format!(
                "{count} values, but not as many indices"
            )));
        }
        let mut places = vec![0_u64; count];
        for (column, &size) in columns.iter().zip(shape) {
            for (place, &index) in places.iter_mut().zip(column) {
                let index = u64::try_from(index).ok().filter(|&index| index < size);
                let index = index.ok_or_else(|| {
                    Fault::corrupt(format!("an index outside the shape {:?}", self.shape))
                })?;
                *place = *place * size + index;
            }
        }
        Ok(places)
    }
}

impl TensorBytes for Dense {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        let places = self.places()?;
        let values = self.values.read()?;
        let mut out = vec![0_u8; self.bytes()? as usize];
        let block = values.len() / places.len().max(1);
        let word = self.values.dtype.size();
        if block > 0 {
            for (value, place) in values.chunks_exact(block).zip(places) {
                let start = place as usize * block;
                if let Some(target) = out.get_mut(start..start + block) {
                    let words = target.chunks_exact_mut(word);
                    for (target, value) in words.zip(value.chunks_exact(word)) {
                        add(self.values.dtype, target, value);
                    }
                }
            }
        }
        out.chunks(PIECE).try_for_each(sink)
    }
}

/// Per value its row, from where the rows begin.
fn expand(pointers: &[i64], rows: u64, count: usize) -> Parse<Vec<i64>> {
    let bad = || Fault::corrupt("its indptr does not count its values");
    if pointers.len() as u64 != rows + 1 || pointers.first() != Some(&0) {
        return Err(bad());
    }
    let mut majors = Vec::with_capacity(count);
    for (row, pair) in pointers.windows(2).enumerate() {
        let &[start, end] = pair else { continue };
        let length = usize::try_from(end.saturating_sub(start)).map_err(|_| bad())?;
        if end > count as i64 || length > count - majors.len() {
            return Err(bad());
        }
        majors.resize(majors.len() + length, row as i64);
    }
    match majors.len() == count {
        true => Ok(majors),
        false => Err(bad()),
    }
}

/// An array of integers.
fn integers(tensor: &Tensor) -> Parse<Vec<i64>> {
    tensor.check()?;
    if tensor.elements()? > 8 * MAX_VALUES {
        return Err(Fault::unsupported("a sparse matrix of too many indices"));
    }
    let bytes = tensor.read()?;
    fn each<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> i64) -> Vec<i64> {
        let (words, _) = bytes.as_chunks::<N>();
        words.iter().map(|&word| read(word)).collect()
    }
    Ok(match tensor.dtype {
        DType::I64 => each(&bytes, i64::from_le_bytes),
        DType::I32 => each(&bytes, |word| i32::from_le_bytes(word).into()),
        DType::U32 => each(&bytes, |word| u32::from_le_bytes(word).into()),
        DType::I16 => each(&bytes, |word| i16::from_le_bytes(word).into()),
        DType::U16 => each(&bytes, |word| u16::from_le_bytes(word).into()),
        DType::U8 => each(&bytes, |[byte]| byte.into()),
        other => return Err(Fault::corrupt(format!("indices of {other}"))),
    })
}

/// `target += value`, both one element of `dtype`.
fn add(dtype: DType, target: &mut [u8], value: &[u8]) {
    fn with<const N: usize>(
        target: &mut [u8],
        value: &[u8],
        sum: impl Fn([u8; N], [u8; N]) -> [u8; N],
    ) {
        let (targets, _) = target.as_chunks_mut::<N>();
        let (values, _) = value.as_chunks::<N>();
        for (target, value) in targets.iter_mut().zip(values) {
            *target = sum(*target, *value);
        }
    }
    macro_rules! wrapping {
        ($kind:ty) => {
            with(target, value, |a, b| {
                <$kind>::from_le_bytes(a)
                    .wrapping_add(<$kind>::from_le_bytes(b))
                    .to_le_bytes()
            })
        };
    }
    macro_rules! floating {
        ($kind:ty) => {
            with(target, value, |a, b| {
                (<$kind>::from_le_bytes(a) + <$kind>::from_le_bytes(b)).to_le_bytes()
            })
        };
    }
    match dtype {
        DType::Bool | DType::F8E4M3 | DType::F8E5M2 => {
            with(target, value, |[a], [b]| [u8::from(a != 0 || b != 0)]);
        }
        DType::U8 | DType::I8 => wrapping!(u8),
        DType::U16 | DType::I16 => wrapping!(u16),
        DType::U32 | DType::I32 => wrapping!(u32),
        DType::U64 | DType::I64 => wrapping!(u64),
        DType::F16 => floating!(f16),
        DType::BF16 => floating!(bf16),
        DType::F32 | DType::C64 => floating!(f32),
        DType::F64 | DType::C128 => floating!(f64),
    }
}
