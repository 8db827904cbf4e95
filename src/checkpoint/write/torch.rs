//! Writes `.pt` files: a zip archive that `torch.load(weights_only=True)` reads.
//!
//! The pickle is what `torch.save` of a dictionary of contiguous tensors writes (protocol 2):
//! `torch/serialization.py` and `torch/_tensor.py` of v2.11.

use std::fs::File;
use std::io::BufWriter;

use super::zip::Archive;
use super::{Entry, Feed};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};

/// What archives are called inside when torch writes them to memory.
const ROOT: &str = "archive";

pub fn write(out: &mut File, tensors: &[Entry], feed: &mut Feed) -> Parse<()> {
    let mut archive = Archive::new(BufWriter::new(out));
    archive.add(&format!("{ROOT}/data.pkl"), &pickle(tensors)?)?;
    archive.add(&format!("{ROOT}/byteorder"), b"little")?;
    for (index, entry) in tensors.iter().enumerate() {
        let name = format!("{ROOT}/data/{index}");
        archive.stream(&name, entry.bytes(), &mut |sink| feed(index, sink))?;
    }
    archive.add(&format!("{ROOT}/version"), b"3\n")?;
    archive.finish()
}

/// `{name: tensor, …}`, the storage of each tensor called by its index.
fn pickle(tensors: &[Entry]) -> Parse<Vec<u8>> {
    let mut out = b"\x80\x02}(".to_vec();
    for (index, entry) in tensors.iter().enumerate() {
        text(&mut out, &entry.name)?;
        tensor(&mut out, index, entry)?;
    }
    out.extend(b"u.");
    Ok(out)
}

/// `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`; types without a storage
/// class of their own are rebuilt from bytes by `_rebuild_tensor_v3`, which also takes the type.
fn tensor(out: &mut Vec<u8>, index: usize, entry: &Entry) -> Parse<()> {
    let class = storage_class(entry.dtype);
    match class {
        Some(_) => out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n("),
        None => out.extend(b"ctorch._utils\n_rebuild_tensor_v3\n("),
    }
    out.push(b'(');
    text(out, "storage")?;
    match class {
        Some(class) => out.extend(format!("ctorch\n{class}\n").as_bytes()),
        None => out.extend(b"ctorch.storage\nUntypedStorage\n"),
    }
    text(out, &index.to_string())?;
    text(out, "cpu")?;
    int(
        out,
        if class.is_some() {
            entry.elements()
        } else {
            entry.bytes()
        },
    );
    out.extend(b"tQK\0");
    tuple(out, &entry.shape);
    tuple(out, &strides(&entry.shape));
    out.extend(b"\x89ccollections\nOrderedDict\n)R");
    if class.is_none() {
        out.extend(format!("ctorch\n{}\n", entry.dtype).as_bytes());
    }
    out.extend(b"tR");
    Ok(())
}

fn storage_class(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::Bool => "BoolStorage",
        DType::U8 => "ByteStorage",
        DType::I8 => "CharStorage",
        DType::I16 => "ShortStorage",
        DType::I32 => "IntStorage",
        DType::I64 => "LongStorage",
        DType::F16 => "HalfStorage",
        DType::BF16 => "BFloat16Storage",
        DType::F32 => "FloatStorage",
        DType::F64 => "DoubleStorage",
        DType::C64 => "ComplexFloatStorage",
        DType::C128 => "ComplexDoubleStorage",
        DType::U16 | DType::U32 | DType::U64 | DType::F8E4M3 | DType::F8E5M2 => return None,
    })
}

fn strides(shape: &[u64]) -> Vec<u64> {
    let mut next = 1_u64;
    let mut strides: Vec<u64> = shape
        .iter()
        .rev()
        .map(|&size| {
            let own = next;
            next = next.saturating_mul(size.max(1));
            own
        })
        .collect();
    strides.reverse();
    strides
}

fn text(out: &mut Vec<u8>, text: &str) -> Parse<()> {
    let len = u32::try_from(text.len())
        .map_err(|_| Fault::unsupported(format!("a name of {} bytes", text.len())))?;
    out.push(b'X');
    out.extend(len.to_le_bytes());
    out.extend(text.as_bytes());
    Ok(())
}

fn int(out: &mut Vec<u8>, value: u64) {
    if let Ok(byte) = u8::try_from(value) {
        out.extend([b'K', byte]);
    } else if let Ok(word) = i32::try_from(value) {
        out.push(b'J');
        out.extend(word.to_le_bytes());
    } else {
        // LONG1: two's complement, so the ninth byte keeps it positive.
        out.extend([0x8a, 9]);
        out.extend(value.to_le_bytes());
        out.push(0);
    }
}

fn tuple(out: &mut Vec<u8>, values: &[u64]) {
    if values.is_empty() {
        out.push(b')');
        return;
    }
    out.push(b'(');
    for &value in values {
        int(out, value);
    }
    out.push(b't');
}
