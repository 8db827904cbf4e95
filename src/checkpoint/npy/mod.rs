//! One `.npy` array: header and values, sizes checked before anything is allocated.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

use std::io::{self, Read};

use half::f16;

/// Longest header read, bytes; numpy itself refuses longer ones from untrusted files.
const MAX_HEADER: usize = 10_000;
/// numpy's own limit on dimensions.
const MAX_DIMS: usize = 64;
/// Values are read in pieces, so that a file which lies about its size costs no memory.
const PIECE: usize = 1 << 20;

/// Why an array cannot be read; the file and member are named by [`super::npz::NpzError`].
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    #[error("not a .npy array: expected the bytes \\x93NUMPY at its start")]
    Magic,
    #[error(".npy format version {0}.{1} is not supported; expected 1.0, 2.0 or 3.0")]
    Version(u8, u8),
    #[error(".npy header of {0} bytes; expected at most {MAX_HEADER}")]
    HeaderSize(usize),
    #[error("bad .npy header: {0}")]
    Header(String),
    #[error("values of type {0:?} are not supported; expected one of <f2 <f4 <f8 <i4 <i8 |u1 |b1")]
    Type(String),
    #[error("the header claims {claimed} bytes of values, but {available} bytes follow it")]
    Size { claimed: u64, available: u64 },
    #[error("the array would take {claimed} bytes; at most {limit} are read")]
    TooLarge { claimed: u64, limit: u64 },
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
}

/// The values of an array, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

/// An array of any number of dimensions (none: one value).
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

impl Array {
    /// All values as `f32`, whatever they are stored as (`f64` and integers are rounded).
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::F16(v) => v.iter().map(|x| x.to_f32()).collect(),
            Values::F32(v) => v.clone(),
            Values::F64(v) => v.iter().map(|&x| x as f32).collect(),
            Values::I32(v) => v.iter().map(|&x| x as f32).collect(),
            Values::I64(v) => v.iter().map(|&x| x as f32).collect(),
            Values::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Values::Bool(v) => v.iter().map(|&x| f32::from(u8::from(x))).collect(),
        }
    }

    /// All values as `f64`, whatever they are stored as (large `i64` are rounded).
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.values {
            Values::F16(v) => v.iter().map(|x| x.to_f64()).collect(),
            Values::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::F64(v) => v.clone(),
            Values::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Values::U8(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Values::Bool(v) => v.iter().map(|&x| f64::from(u8::from(x))).collect(),
        }
    }
}

/// Reads one array from `reader`, which holds `available` bytes in all.
///
/// `limit` bounds the bytes of the values. Column-major (Fortran) arrays come back row-major.
pub fn read(reader: &mut impl Read, available: u64, limit: u64) -> Result<Array, NpyError> {
    let (header, used) = read_header(reader)?;
    let width = header.kind.width();
    let claimed = header
        .shape
        .iter()
        .try_fold(width as u64, |n, &d| n.checked_mul(d as u64))
        .ok_or_else(|| NpyError::Header(format!("shape {:?} overflows", header.shape)))?;
    let left = available.saturating_sub(used as u64);
    if claimed != left {
        return Err(NpyError::Size {
            claimed,
            available: left,
        });
    }
    if claimed > limit {
        return Err(NpyError::TooLarge { claimed, limit });
    }
    let bytes = read_exactly(reader, claimed)?;
    // A zip member's checksum is compared only when its end is seen.
    if reader.read(&mut [0])? != 0 {
        return Err(NpyError::Size {
            claimed,
            available: left + 1,
        });
    }
    let bytes = if header.fortran {
        row_major(&bytes, &header.shape, width)
    } else {
        bytes
    };
    Ok(Array {
        values: header.kind.decode(bytes),
        shape: header.shape,
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    F16,
    F32,
    F64,
    I32,
    I64,
    U8,
    Bool,
}

impl Kind {
    fn parse(descr: &str) -> Option<Self> {
        Some(match descr {
            "<f2" => Self::F16,
            "<f4" => Self::F32,
            "<f8" => Self::F64,
            "<i4" => Self::I32,
            "<i8" => Self::I64,
            "|u1" | "<u1" => Self::U8,
            "|b1" | "<b1" => Self::Bool,
            _ => return None,
        })
    }

    fn width(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::U8 | Self::Bool => 1,
        }
    }

    fn decode(self, bytes: Vec<u8>) -> Values {
        fn each<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
            let (values, _) = bytes.as_chunks::<N>();
            values.iter().map(|&v| f(v)).collect()
        }
        match self {
            Self::F16 => Values::F16(each(&bytes, f16::from_le_bytes)),
            Self::F32 => Values::F32(each(&bytes, f32::from_le_bytes)),
            Self::F64 => Values::F64(each(&bytes, f64::from_le_bytes)),
            Self::I32 => Values::I32(each(&bytes, i32::from_le_bytes)),
            Self::I64 => Values::I64(each(&bytes, i64::from_le_bytes)),
            Self::U8 => Values::U8(bytes),
            Self::Bool => Values::Bool(bytes.iter().map(|&b| b != 0).collect()),
        }
    }
}

struct Header {
    kind: Kind,
    fortran: bool,
    shape: Vec<usize>,
}

/// The header, and the bytes it took with everything before it.
fn read_header(reader: &mut impl Read) -> Result<(Header, usize), NpyError> {
    let mut start = [0u8; 8];
    reader.read_exact(&mut start).map_err(|_| NpyError::Magic)?;
    let [magic @ .., major, minor] = start;
    if &magic != b"\x93NUMPY" {
        return Err(NpyError::Magic);
    }
    let (length, prefix) = match (major, minor) {
        (1, 0) => {
            let mut n = [0u8; 2];
            reader.read_exact(&mut n)?;
            (u16::from_le_bytes(n) as usize, 10)
        }
        (2 | 3, 0) => {
            let mut n = [0u8; 4];
            reader.read_exact(&mut n)?;
            (u32::from_le_bytes(n) as usize, 12)
        }
        _ => return Err(NpyError::Version(major, minor)),
    };
    if length > MAX_HEADER {
        return Err(NpyError::HeaderSize(length));
    }
    let text = read_exactly(reader, length as u64)?;
    let text = String::from_utf8(text).map_err(|_| NpyError::Header("not text".into()))?;
    Ok((parse_header(&text)?, prefix + length))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, keys in any order.
fn parse_header(text: &str) -> Result<Header, NpyError> {
    let bad = |what: &str| NpyError::Header(format!("{what} in {text:?}"));
    let mut rest = text
        .trim()
        .strip_prefix('{')
        .and_then(|t| t.strip_suffix('}'))
        .ok_or_else(|| bad("no dictionary"))?
        .trim();
    let (mut kind, mut fortran, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(|| bad("no quoted key"))?;
        let value = after
            .trim_start()
            .strip_prefix(':')
            .ok_or_else(|| bad("no colon"))?;
        let value = value.trim_start();
        let after = match key {
            "descr" => {
                let (name, after) = quoted(value)
                    .ok_or_else(|| NpyError::Type(value.chars().take(80).collect()))?;
                kind = Some(Kind::parse(name).ok_or_else(|| NpyError::Type(name.into()))?);
                after
            }
            "fortran_order" => {
                let (flag, after) = [("True", true), ("False", false)]
                    .iter()
                    .find_map(|(word, flag)| Some((*flag, value.strip_prefix(word)?)))
                    .ok_or_else(|| bad("fortran_order is neither True nor False"))?;
                fortran = Some(flag);
                after
            }
            "shape" => {
                let (dims, after) = value
                    .strip_prefix('(')
                    .and_then(|v| v.split_once(')'))
                    .ok_or_else(|| bad("no tuple as shape"))?;
                shape = Some(parse_shape(dims).ok_or_else(|| bad("bad shape"))?);
                after
            }
            _ => return Err(bad("unknown key")),
        };
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.is_empty() => rest,
            None => return Err(bad("no comma between entries")),
        };
    }
    match (kind, fortran, shape) {
        (Some(kind), Some(fortran), Some(shape)) => Ok(Header {
            kind,
            fortran,
            shape,
        }),
        _ => Err(bad("descr, fortran_order or shape missing")),
    }
}

/// A string in single or double quotes at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.get(1..)?.split_once(quote)
}

fn parse_shape(dims: &str) -> Option<Vec<usize>> {
    let dims = dims.trim();
    let dims = dims.strip_suffix(',').unwrap_or(dims);
    if dims.is_empty() {
        return Some(Vec::new());
    }
    let shape: Vec<usize> = dims
        .split(',')
        .map(|d| d.trim().parse().ok())
        .collect::<Option<_>>()?;
    (shape.len() <= MAX_DIMS).then_some(shape)
}

/// Exactly `n` bytes; memory grows with what really arrives.
fn read_exactly(reader: &mut impl Read, n: u64) -> Result<Vec<u8>, NpyError> {
    let mut bytes = Vec::with_capacity((n as usize).min(PIECE));
    reader.take(n).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != n {
        return Err(NpyError::Size {
            claimed: n,
            available: bytes.len() as u64,
        });
    }
    Ok(bytes)
}

/// Reorders a column-major array of items of `width` bytes.
fn row_major(bytes: &[u8], shape: &[usize], width: usize) -> Vec<u8> {
    let mut index = vec![0usize; shape.len()];
    let mut out = Vec::with_capacity(bytes.len());
    while out.len() < bytes.len() {
        // In column-major order the first dimension runs fastest.
        let at = shape
            .iter()
            .zip(&index)
            .rev()
            .fold(0, |at, (&d, &i)| at * d + i)
            * width;
        out.extend_from_slice(bytes.get(at..at + width).unwrap_or_default());
        for (i, &d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    out
}

#[cfg(test)]
#[path = "npy_tests.rs"]
mod tests;
