//! `.safetensors` files, read strictly.
//!
//! Format: <https://github.com/huggingface/safetensors#format>: a length, a JSON header, and the
//! tensors' bytes without hole or overlap.

mod header;

use serde_json::Value;

use super::blob::Blob;
use super::checkpoint::Contents;
use super::dtype::DType;
use super::error::{Fault, Parse};
use super::source::{Source, read_vec};
use super::tensor::{Data, Tensor, View};
use header::{Header, Info};

/// The format's own limit on the header's length.
const FORMAT_MAX_HEADER: u64 = 100_000_000;
/// Longest header read: real ones take some 100 bytes for each of a few thousand tensors.
const MAX_HEADER: u64 = 10 << 20;

/// A length that fits a file of `size` bytes, then a JSON object.
pub fn looks_like(head: &[u8], size: u64) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else {
        return false;
    };
    u64::from_le_bytes(*length) <= size && rest.first() == Some(&b'{')
}

pub fn read(source: &Source) -> Parse<Contents> {
    let (header, data) = header_bytes(source)?;
    let Header { tensors, metadata } =
        serde_json::from_slice(&header).map_err(|error| json_fault(&error))?;
    let mut contents = Contents::default();
    let mut spans = Vec::with_capacity(tensors.len());
    for (name, info) in tensors {
        let place = |fault: Fault| fault.within(format_args!("tensor {name:?}"));
        spans.push((info.start, info.end));
        let tensor = tensor(info, source, data).map_err(place)?;
        contents.tensors.insert(name.into_owned(), tensor);
    }
    check_layout(spans, source.len() - data)?;
    for (key, value) in metadata {
        contents.values.insert(key, Value::from(value));
    }
    Ok(contents)
}

/// The header's text, and where the tensors' bytes begin.
fn header_bytes(source: &Source) -> Parse<(Vec<u8>, u64)> {
    let size = source.len();
    let length = read_vec(source.as_ref(), 0, 8)
        .map_err(|_| Fault::corrupt(format!("{size} bytes are too few for a safetensors file")))?;
    let length = length
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if length > FORMAT_MAX_HEADER {
        return Err(Fault::hostile(format!(
            "the safetensors header claims {length} bytes; the format allows {FORMAT_MAX_HEADER}"
        )));
    }
    if length > size - 8 {
        return Err(Fault::corrupt(format!(
            "the safetensors header claims {length} bytes in a file of {size}; it is cut off or damaged"
        )));
    }
    if length > MAX_HEADER {
        return Err(Fault::hostile(format!(
            "a safetensors header of {length} bytes; at most {MAX_HEADER} are read"
        )));
    }
    let header = read_vec(source.as_ref(), 8, length as usize)?;
    if header.first() != Some(&b'{') {
        return Err(Fault::corrupt(
            "the safetensors header does not begin with '{'",
        ));
    }
    Ok((header, 8 + length))
}

fn json_fault(error: &serde_json::Error) -> Fault {
    let message = format!("the safetensors header: {error}");
    match error.is_data() {
        true => Fault::hostile(message),
        false => Fault::corrupt(message),
    }
}

fn tensor(info: Info, source: &Source, data: u64) -> Parse<Tensor> {
    let dtype = dtype(&info.dtype)?;
    let len = info.end.checked_sub(info.start).ok_or_else(|| {
        Fault::corrupt(format!(
            "ends at {} before it begins at {}",
            info.end, info.start
        ))
    })?;
    let start = data
        .checked_add(info.start)
        .ok_or_else(|| Fault::hostile(format!("the offset {} overflows", info.start)))?;
    let tensor = Tensor {
        dtype,
        shape: info.shape,
        data: Data::View(View::whole(Blob::raw(source, start, len)?)),
    };
    let expected = tensor.bytes()?;
    if expected != len {
        return Err(Fault::corrupt(format!(
            "{dtype} {:?} takes {expected} bytes, its offsets say {len}",
            tensor.shape
        )));
    }
    Ok(tensor)
}

/// The names of <https://docs.rs/safetensors/latest/safetensors/tensor/enum.Dtype.html>.
const DTYPES: [(&str, DType); 16] = [
    ("BOOL", DType::Bool),
    ("U8", DType::U8),
    ("I8", DType::I8),
    ("U16", DType::U16),
    ("I16", DType::I16),
    ("U32", DType::U32),
    ("I32", DType::I32),
    ("U64", DType::U64),
    ("I64", DType::I64),
    ("F8_E4M3", DType::F8E4M3),
    ("F8_E5M2", DType::F8E5M2),
    ("F16", DType::F16),
    ("BF16", DType::BF16),
    ("F32", DType::F32),
    ("F64", DType::F64),
    ("C64", DType::C64),
];

fn dtype(name: &str) -> Parse<DType> {
    let known = DTYPES.iter().find(|(own, _)| *own == name);
    known
        .map(|(_, dtype)| *dtype)
        .ok_or_else(|| Fault::unsupported(format!("elements of type {name:.40?}")))
}

/// The format's name of a type; it has none for [`DType::C128`].
pub fn dtype_name(dtype: DType) -> Option<&'static str> {
    let known = DTYPES.iter().find(|(_, own)| *own == dtype);
    known.map(|(name, _)| *name)
}

/// The tensors must fill the data exactly.
fn check_layout(mut spans: Vec<(u64, u64)>, size: u64) -> Parse<()> {
    spans.sort_unstable();
    let mut at = 0;
    for (start, end) in spans {
        if start < at {
            return Err(Fault::hostile(format!(
                "two tensors overlap at byte {start}"
            )));
        }
        if start > at {
            let hole = start - at;
            return Err(Fault::hostile(format!(
                "{hole} bytes at {at} belong to no tensor"
            )));
        }
        at = end;
    }
    if at != size {
        return Err(Fault::corrupt(format!(
            "the tensors end at byte {at} and the data at {size}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
