//! numpy's dtypes, as `.npy` headers describe them.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html> and the array
//! interface's type strings, <https://numpy.org/doc/stable/reference/arrays.interface.html>.

use super::literal::Literal;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

/// What one item of an array is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Number(DType),
    /// Characters of four bytes (`U`), zeros at the end left out.
    Unicode,
    /// Bytes (`S`), zeros at the end left out.
    Bytes,
    /// Anything of Python's: a pickle stands in place of the items.
    Object,
    Record(Vec<Field>),
    /// A type no tensor has, by numpy's name.
    Other(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub kind: Kind,
    /// Bytes of an item.
    pub size: u64,
    pub big_endian: bool,
}

/// A part of each item of a record array.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    /// Where it begins in the item.
    pub offset: u64,
    pub shape: Vec<u64>,
    pub layout: Layout,
}

impl Layout {
    pub fn parse(descr: &Literal) -> Parse<Self> {
        match descr {
            Literal::Str(text) => Self::simple(text),
            Literal::List(fields) => Self::record(fields),
            // A base type with a shape of its own, at the top.
            other => Err(Fault::unsupported(format!("values of type {other:?}"))),
        }
    }

    fn simple(text: &str) -> Parse<Self> {
        let unknown = || Fault::unsupported(format!("values of type {text:?}"));
        if let Some(dtype) = named(text) {
            return Ok(Self {
                kind: Kind::Number(dtype),
                size: dtype.size() as u64,
                big_endian: false,
            });
        }
        // `=` and no sign mean the writer's own order, which is little-endian nearly everywhere.
        let (order, rest) = match text.chars().next() {
            Some(order @ ('<' | '>' | '|' | '=')) => (order, text.get(1..).unwrap_or_default()),
            _ => ('=', text),
        };
        let mut chars = rest.chars();
        let code = chars.next().ok_or_else(unknown)?;
        let digits = chars.as_str();
        let digits = digits.split_once('[').map_or(digits, |(digits, _)| digits);
        let width: u64 = match digits {
            "" => 0,
            digits => digits.parse().map_err(|_| unknown())?,
        };
        let size = match code {
            'U' => width.checked_mul(4).ok_or_else(unknown)?,
            'O' => 8,
            _ => width,
        };
        Ok(Self {
            kind: kind(code, width).ok_or_else(unknown)?,
            size,
            big_endian: order == '>',
        })
    }

    fn record(fields: &[Literal]) -> Parse<Self> {
        let mut size = 0_u64;
        let mut parsed = Vec::with_capacity(fields.len());
        for field in fields {
            let mut field = Field::parse(field)?;
            let count = limits::elements(&field.shape)?;
            field.offset = size;
            size = count
                .checked_mul(field.layout.size)
                .and_then(|bytes| size.checked_add(bytes))
                .ok_or_else(|| Fault::hostile("the size of a record overflows"))?;
            // Unnamed fields are padding.
            if !field.name.is_empty() {
                parsed.push(field);
            }
        }
        Ok(Self {
            kind: Kind::Record(parsed),
            size,
            big_endian: false,
        })
    }

    /// numpy's own name for a type that is no number.
    pub fn class(&self) -> String {
        match &self.kind {
            Kind::Number(dtype) => format!("numpy.{dtype}"),
            Kind::Unicode => "numpy.str_".into(),
            Kind::Bytes => "numpy.bytes_".into(),
            Kind::Object => "numpy.object_".into(),
            Kind::Record(_) => "numpy.record".into(),
            Kind::Other(name) => name.clone(),
        }
    }
}

impl Field {
    /// Reads `('name', descr)` or `('name', descr, shape)`; the name may be `('title', 'name')`.
    fn parse(field: &Literal) -> Parse<Self> {
        let bad = || Fault::corrupt(format!("a record's field is {field:?}"));
        let Literal::Tuple(parts) = field else {
            return Err(bad());
        };
        let (name, descr, shape) = match parts.as_slice() {
            [name, descr] => (name, descr, Vec::new()),
            [name, descr, Literal::Int(n)] => {
                (name, descr, vec![u64::try_from(*n).map_err(|_| bad())?])
            }
            [name, descr, shape] => (name, descr, sizes(shape).ok_or_else(bad)?),
            _ => return Err(bad()),
        };
        let name = match name {
            Literal::Str(name) => name,
            Literal::Tuple(names) => match names.as_slice() {
                [_, Literal::Str(name)] => name,
                _ => return Err(bad()),
            },
            _ => return Err(bad()),
        };
        Ok(Self {
            name: name.clone(),
            offset: 0,
            shape,
            layout: Layout::parse(descr)?,
        })
    }
}

/// A tuple of sizes.
pub fn sizes(shape: &Literal) -> Option<Vec<u64>> {
    let Literal::Tuple(items) = shape else {
        return None;
    };
    items
        .iter()
        .map(|item| match item {
            Literal::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        })
        .collect()
}

/// A type by its name: numpy writes codes, but reads `float32` as well.
fn named(text: &str) -> Option<DType> {
    let ours = matches!(text, "bfloat16" | "fp16" | "bf16" | "fp32" | "fp64");
    DType::from_name(text).filter(|_| !ours && !text.starts_with("float8"))
}

fn kind(code: char, width: u64) -> Option<Kind> {
    let number = match (code, width) {
        ('b', 1) => DType::Bool,
        ('u', 1) => DType::U8,
        ('i', 1) => DType::I8,
        ('u', 2) => DType::U16,
        ('i', 2) => DType::I16,
        ('u', 4) => DType::U32,
        ('i', 4) => DType::I32,
        ('u', 8) => DType::U64,
        ('i', 8) => DType::I64,
        ('f', 2) => DType::F16,
        ('f', 4) => DType::F32,
        ('f', 8) => DType::F64,
        ('c', 8) => DType::C64,
        ('c', 16) => DType::C128,
        ('f', 10 | 12 | 16) => return Some(Kind::Other("numpy.longdouble".into())),
        ('c', 20 | 24 | 32) => return Some(Kind::Other("numpy.clongdouble".into())),
        ('M', 8) => return Some(Kind::Other("numpy.datetime64".into())),
        ('m', 8) => return Some(Kind::Other("numpy.timedelta64".into())),
        ('V', _) => return Some(Kind::Other("numpy.void".into())),
        ('U', _) => return Some(Kind::Unicode),
        ('S' | 'a', _) => return Some(Kind::Bytes),
        ('O', _) => return Some(Kind::Object),
        _ => return None,
    };
    Some(Kind::Number(number))
}
