//! A storage saved inside a pickle: bytes that are a legacy (non-zip) torch file of their own.
//!
//! Source: PyTorch 1.0 to 2.11, `torch/storage.py` (`__reduce__`) and `torch/serialization.py`
//! (`_legacy_save`): five pickles (magic number, version, system, the storage, its keys), then
//! per key the number of elements and the bytes.

use std::sync::Arc;

use super::super::blob::{Blob, Encoding};
use super::super::error::{Fault, Parse};
use super::super::source::{Source, read_vec};
use super::machine::parse;
use super::storage::{PersistentId, Storage, persistent_id};
use super::value::Value;

/// `torch.serialization.MAGIC_NUMBER`, two's complement, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// `torch.serialization.PROTOCOL_VERSION`
const VERSION: i64 = 1001;
/// The pickles before the values take a few hundred bytes.
const HEAD: u64 = 64 << 10;

/// What stands before the values.
struct Head {
    id: PersistentId,
    /// Where the values begin.
    end: u64,
}

/// The storage in `stored` bytes from `offset` on, spelt as `encoding` says.
pub fn storage(source: &Source, offset: u64, stored: u64, encoding: Encoding) -> Parse<Storage> {
    let text = read_vec(source.as_ref(), offset, stored.min(HEAD) as usize)?;
    let head = head(&text, text.len() as u64 == stored, encoding)?;
    let size = head.id.elements.checked_mul(head.id.dtype.size() as u64);
    let size = size.ok_or_else(|| Fault::hostile("its number of elements overflows"))?;
    let skipped = spelt_length(&text, head.end, encoding)?;
    let rest = stored - skipped;
    let fits = match encoding {
        Encoding::Raw => size <= rest,
        _ => size <= rest && rest / 10 <= size,
    };
    if !fits {
        return Err(Fault::corrupt(format!(
            "{} elements of {} are claimed where {rest} bytes are left",
            head.id.elements, head.id.dtype
        )));
    }
    let stored = if encoding == Encoding::Raw {
        size
    } else {
        rest
    };
    Ok(Storage {
        blob: Blob::encoded(source, offset + skipped, stored, size, encoding)?,
        dtype: head.id.dtype,
        elements: head.id.elements,
        // Every machine writes them so, whatever it says of itself.
        big_endian: false,
    })
}

/// `whole`: nothing follows `text`.
fn head(text: &[u8], whole: bool, encoding: Encoding) -> Parse<Head> {
    let mut bytes = Vec::new();
    match encoding.decoder() {
        None => bytes.extend_from_slice(text),
        // What is cut in two at the end of the piece is not part of the head.
        Some(decode) => _ = decode(text, whole, &mut bytes)?,
    }
    let bytes: Source = Arc::new(bytes);
    let end = bytes.len();
    let magic = parse(&bytes, 0, end)?;
    if magic.big(magic.root) != Some(&MAGIC) {
        return Err(Fault::unsupported(
            "not a storage as torch writes it into pickles (its magic number is missing)",
        ));
    }
    let version = parse(&bytes, magic.end, end)?;
    if version.int(version.root) != Some(VERSION) {
        let message = format!("a version of torch's format that is not {VERSION}");
        return Err(Fault::unsupported(message));
    }
    let system = parse(&bytes, version.end, end)?;
    let main = parse(&bytes, system.end, end)?;
    let keys = parse(&bytes, main.end, end)?;
    let Value::Persistent(id) = main.value(main.root) else {
        return Err(Fault::unsupported(
            "a file of torch inside a pickle that is no storage",
        ));
    };
    let id = persistent_id(&main, *id)?;
    if id.view.is_some() || keys.items(keys.root).is_none_or(|keys| keys.len() != 1) {
        return Err(Fault::unsupported("a storage that is part of another one"));
    }
    let count = read_vec(bytes.as_ref(), keys.end, 8)?;
    if count != id.elements.to_le_bytes() {
        return Err(Fault::corrupt(
            "a storage whose number of elements is not the one written before its values",
        ));
    }
    Ok(Head {
        id,
        end: keys.end + 8,
    })
}

/// Bytes of `text` that spell its first `decoded` bytes.
fn spelt_length(text: &[u8], decoded: u64, encoding: Encoding) -> Parse<u64> {
    let mut at = 0_usize;
    for _ in 0..decoded {
        let rest = text.get(at..).unwrap_or_default();
        at += match (encoding, rest) {
            (Encoding::Latin1, [0xc0..=0xff, ..]) => 2,
            (Encoding::RawUnicode, [b'\\', b'u', ..]) => 6,
            (Encoding::RawUnicode, [b'\\', b'U', ..]) => 10,
            (Encoding::Escaped, [b'\\', b'x', ..]) => 4,
            (Encoding::Escaped, [b'\\', ..]) => 2,
            _ => 1,
        };
    }
    if at > text.len() {
        return Err(Fault::corrupt("a storage that ends before its values"));
    }
    Ok(at as u64)
}
