//! Datatype messages: which of our element types, if any, a dataset's elements are.

use super::bytes::{Cursor, width};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

/// Deepest nesting of types that is followed: an array of compounds of numbers.
const MAX_NESTING: usize = 8;

/// What an element is.
#[derive(Clone, Debug, PartialEq)]
pub enum Class {
    Number {
        dtype: DType,
        big_endian: bool,
    },
    /// Text of a fixed number of bytes.
    Text,
    /// Text of any length, in the global heap.
    VariableText,
    /// A small array of numbers in each element; `shape` is added to the dataset's.
    Array {
        dtype: DType,
        big_endian: bool,
        shape: Vec<u64>,
    },
    /// Anything else, by a name for messages.
    Other(String),
}

impl Class {
    /// What it is, for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Number { dtype, .. } => dtype.name().to_owned(),
            Self::Array { dtype, shape, .. } => format!("{dtype} arrays of shape {shape:?}"),
            Self::Text | Self::VariableText => "HDF5 text".to_owned(),
            Self::Other(name) => name.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Datatype {
    pub class: Class,
    /// Bytes of one element in the file.
    pub size: u64,
}

impl Datatype {
    pub fn parse(message: &[u8]) -> Parse<Self> {
        one(&mut Cursor::new("an HDF5 datatype", message), 0)
    }
}

fn one(c: &mut Cursor, nesting: usize) -> Parse<Datatype> {
    if nesting > MAX_NESTING {
        return Err(Fault::hostile(format!(
            "HDF5 datatypes nested deeper than {MAX_NESTING}"
        )));
    }
    let head = c.u8()?;
    let (class, version) = (head & 15, head >> 4);
    if !(1..=5).contains(&version) {
        return Err(Fault::unsupported(format!(
            "an HDF5 datatype of version {version}"
        )));
    }
    let bits = c.uint(3)? as u32;
    let size = u64::from(c.u32()?);
    if size == 0 {
        return Err(Fault::corrupt("an HDF5 datatype of no bytes"));
    }
    let class = match class {
        0 => fixed_point(c, bits, size)?,
        1 => float(c, bits, size)?,
        2 => other("time"),
        3 => Class::Text,
        4 => bitfield(c, bits, size)?,
        5 => other("opaque bytes"),
        6 => compound(c, version, bits, size, nesting)?,
        7 => other("references"),
        8 => enumeration(c, version, bits, nesting)?,
        9 if bits & 15 == 1 => Class::VariableText,
        9 => other("variable-length sequences"),
        10 => array(c, version, nesting)?,
        11 => complex(c, size, nesting)?,
        class => other(&format!("class {class}")),
    };
    Ok(Datatype { class, size })
}

fn other(what: &str) -> Class {
    Class::Other(format!("HDF5 {what}"))
}

fn number(dtype: DType, bits: u32) -> Class {
    Class::Number {
        dtype,
        big_endian: bits & 1 == 1,
    }
}

fn fixed_point(c: &mut Cursor, bits: u32, size: u64) -> Parse<Class> {
    let (offset, precision) = (c.u16()?, c.u16()?);
    let dtype = match (size, bits & 8 != 0) {
        (1, false) => DType::U8,
        (1, true) => DType::I8,
        (2, false) => DType::U16,
        (2, true) => DType::I16,
        (4, false) => DType::U32,
        (4, true) => DType::I32,
        (8, false) => DType::U64,
        (8, true) => DType::I64,
        _ => return Ok(other(&format!("integers of {size} bytes"))),
    };
    if offset != 0 || u64::from(precision) != 8 * size {
        return Ok(other(&format!("integers of {precision} bits in {size} bytes")));
    }
    Ok(number(dtype, bits))
}

fn float(c: &mut Cursor, bits: u32, size: u64) -> Parse<Class> {
    let (offset, precision) = (c.u16()?, c.u16()?);
    let layout = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    let bias = c.u32()?;
    let sign = (bits >> 8) & 0xff;
    // Exponent's position and width, mantissa's position and width, exponent's bias.
    let dtype = match (size, layout, bias) {
        (8, (52, 11, 0, 52), 1023) => DType::F64,
        (4, (23, 8, 0, 23), 127) => DType::F32,
        (2, (10, 5, 0, 10), 15) => DType::F16,
        (2, (7, 8, 0, 7), 127) => DType::BF16,
        (1, (3, 4, 0, 3), 7) => DType::F8E4M3,
        (1, (2, 5, 0, 2), 15) => DType::F8E5M2,
        _ => return Ok(other(&format!("floats of {precision} bits in {size} bytes"))),
    };
    let implied_leading_one = (bits >> 4) & 3 == 2;
    let vax = bits & 0x40 != 0;
    let whole = offset == 0 && u64::from(precision) == 8 * size && u64::from(sign) + 1 == 8 * size;
    if vax || !whole || !implied_leading_one {
        return Ok(other("floats of a layout of their own"));
    }
    Ok(number(dtype, bits))
}

/// PyTables' booleans; h5py reads them as unsigned integers, and so do we.
fn bitfield(c: &mut Cursor, bits: u32, size: u64) -> Parse<Class> {
    match fixed_point(c, bits & 1, size)? {
        Class::Other(_) => Ok(other("bit fields")),
        class => Ok(class),
    }
}

/// h5py stores complex numbers as a compound of `r` and `i`.
fn compound(c: &mut Cursor, version: u8, bits: u32, size: u64, nesting: usize) -> Parse<Class> {
    let record = || Ok(other("compound records"));
    if bits & 0xffff != 2 {
        return record();
    }
    let mut parts = Vec::new();
    for _ in 0..2 {
        let name = member_name(c, version)?;
        let offset = if version < 3 {
            u64::from(c.u32()?)
        } else {
            c.uint(width(size))?
        };
        if version == 1 {
            // Rank, permutation and sizes of an array within the member.
            if c.u8()? != 0 {
                return record();
            }
            c.skip(3 + 4 + 4 + 16)?;
        }
        parts.push((name, offset, one(c, nesting + 1)?));
    }
    let [(r, 0, real), (i, half, imaginary)] = parts.as_slice() else {
        return record();
    };
    let paired = *r == b"r" && *i == b"i" && real == imaginary;
    if !paired || *half != real.size || size != 2 * real.size {
        return record();
    }
    Ok(pair(real).unwrap_or_else(|| other("compound records")))
}

/// The complex type of which `part` is the real one.
fn pair(part: &Datatype) -> Option<Class> {
    let Class::Number { dtype, big_endian } = part.class else {
        return None;
    };
    let dtype = match dtype {
        DType::F32 => DType::C64,
        DType::F64 => DType::C128,
        _ => return None,
    };
    Some(Class::Number { dtype, big_endian })
}

/// The complex class of HDF5 2.0.
fn complex(c: &mut Cursor, size: u64, nesting: usize) -> Parse<Class> {
    let part = one(c, nesting + 1)?;
    let class = pair(&part).filter(|_| size == 2 * part.size);
    Ok(class.unwrap_or_else(|| other("complex numbers of a type of their own")))
}

/// Names are padded to eight bytes up to version 2.
fn member_name<'a>(c: &mut Cursor<'a>, version: u8) -> Parse<&'a [u8]> {
    let name = c.text()?;
    if version < 3 {
        c.skip((name.len() + 1).next_multiple_of(8) - name.len() - 1)?;
    }
    Ok(name)
}

/// Booleans are an enumeration of FALSE and TRUE; any other is read as its numbers, as h5py does.
fn enumeration(c: &mut Cursor, version: u8, bits: u32, nesting: usize) -> Parse<Class> {
    let base = one(c, nesting + 1)?;
    let count = bits & 0xffff;
    let names = (0..count)
        .map(|_| member_name(c, version))
        .collect::<Parse<Vec<_>>>()?;
    let is_bool = base.size == 1
        && names == [b"FALSE".as_slice(), b"TRUE"]
        && c.take(2).is_ok_and(|values| values == [0, 1]);
    Ok(match base.class {
        Class::Number { .. } if is_bool => number(DType::Bool, 0),
        Class::Number { .. } => base.class,
        _ => other("enumerations of what is not a number"),
    })
}

fn array(c: &mut Cursor, version: u8, nesting: usize) -> Parse<Class> {
    let rank = usize::from(c.u8()?);
    if rank > limits::MAX_DIMS {
        return Err(Fault::hostile(format!(
            "an array datatype of {rank} dimensions; at most {} are read",
            limits::MAX_DIMS
        )));
    }
    if version < 3 {
        c.skip(3)?;
    }
    let sizes = (0..rank).map(|_| c.u32().map(u64::from));
    let mut shape: Vec<u64> = sizes.collect::<Parse<_>>()?;
    if version < 3 {
        // The dimensions' order, which was never used.
        c.skip(4 * rank)?;
    }
    let base = one(c, nesting + 1)?;
    let (dtype, big_endian) = match base.class {
        Class::Number { dtype, big_endian } => (dtype, big_endian),
        Class::Array {
            dtype,
            big_endian,
            shape: inner,
        } => {
            shape.extend(inner);
            (dtype, big_endian)
        }
        _ => return Ok(other("arrays of what is not a number")),
    };
    limits::elements(&shape)?;
    Ok(Class::Array {
        dtype,
        big_endian,
        shape,
    })
}
