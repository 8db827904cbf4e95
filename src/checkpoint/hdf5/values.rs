//! Small values as JSON: attributes and datasets of text.

use serde_json::Value;

use super::bytes::Cursor;
use super::datatype::{Class, Datatype};
use super::file::File;
use super::heap::Collection;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::Parse;
use crate::checkpoint::limits;

/// Most elements of a value; more is no setting.
const MAX_ELEMENTS: u64 = 1 << 16;
/// Longest value, bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// The value of `bytes`: a scalar, or nested lists of `shape`; `None` for types that have none.
pub fn value(
    file: &File,
    datatype: &Datatype,
    shape: &[u64],
    bytes: &[u8],
) -> Parse<Option<Value>> {
    let mut shape = shape.to_vec();
    let mut width = datatype.size;
    if let Class::Array { shape: inner, .. } = &datatype.class {
        width /= limits::elements(inner)?.max(1);
        shape.extend(inner);
    }
    let count = limits::elements(&shape)?;
    if count > MAX_ELEMENTS {
        return Ok(None);
    }
    let mut c = Cursor::new("an HDF5 value", bytes);
    let mut texts = Texts {
        file,
        collection: None,
    };
    let mut flat = Vec::new();
    for _ in 0..count {
        let element = c.take(width as usize)?;
        let value = match &datatype.class {
            Class::Number { dtype, big_endian }
            | Class::Array {
                dtype, big_endian, ..
            } => number(*dtype, *big_endian, element),
            Class::Text => Some(text(element)),
            Class::VariableText => Some(texts.read(element)?),
            Class::Other(_) => None,
        };
        let Some(value) = value else {
            return Ok(None);
        };
        flat.push(value);
    }
    Ok(Some(nest(flat, &shape)))
}

/// Lists within lists, from the innermost out.
fn nest(mut flat: Vec<Value>, shape: &[u64]) -> Value {
    if flat.is_empty() {
        return Value::Array(flat);
    }
    for &size in shape.iter().skip(1).rev() {
        let mut lists = Vec::new();
        let mut values = flat.into_iter();
        loop {
            let list: Vec<Value> = values.by_ref().take(size as usize).collect();
            if list.is_empty() {
                break;
            }
            lists.push(Value::Array(list));
        }
        flat = lists;
    }
    match shape {
        [] => flat.pop().unwrap_or(Value::Null),
        _ => Value::Array(flat),
    }
}

/// Text up to the padding.
fn text(bytes: &[u8]) -> Value {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into()
}

fn number(dtype: DType, big_endian: bool, bytes: &[u8]) -> Option<Value> {
    let mut bytes = bytes.to_vec();
    if big_endian {
        bytes.reverse();
    }
    let bits = bytes.iter().rev().try_fold(0_u64, |n, &b| {
        n.checked_mul(256).map(|n| n | u64::from(b))
    })?;
    Some(match dtype {
        DType::Bool => Value::Bool(bits != 0),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => bits.into(),
        DType::I8 => (bits as i8).into(),
        DType::I16 => (bits as i16).into(),
        DType::I32 => (bits as i32).into(),
        DType::I64 => (bits as i64).into(),
        DType::F16 => real(half::f16::from_bits(bits as u16).to_f64()),
        DType::BF16 => real(half::bf16::from_bits(bits as u16).to_f64()),
        DType::F32 => real(f64::from(f32::from_bits(bits as u32))),
        DType::F64 => real(f64::from_bits(bits)),
        DType::F8E4M3 | DType::F8E5M2 | DType::C64 | DType::C128 => return None,
    })
}

/// JSON has no word for what is not finite; Python's is kept as text.
fn real(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None => value.to_string().to_lowercase().into(),
    }
}

/// Reads text of any length; texts that follow each other lie in one collection.
struct Texts<'a> {
    file: &'a File,
    collection: Option<(u64, Collection)>,
}

impl Texts<'_> {
    fn read(&mut self, element: &[u8]) -> Parse<Value> {
        let mut c = Cursor::new("a reference to text", element);
        let len = c.u32()? as usize;
        let address = self.file.address(&mut c)?;
        let index = c.u32()?;
        if len == 0 || address == 0 {
            return Ok("".into());
        }
        if self.collection.as_ref().is_none_or(|(held, _)| *held != address) {
            self.collection = Some((address, Collection::read(self.file, address)?));
        }
        let Some((_, collection)) = &self.collection else {
            return Ok(Value::Null);
        };
        let bytes = collection.object(index, self.file.length_size)?;
        self.file.charge("text", bytes.len() as u64)?;
        Ok(text(bytes.get(..len).unwrap_or(bytes)))
    }
}
