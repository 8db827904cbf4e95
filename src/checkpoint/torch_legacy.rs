//! PyTorch's files before zip: five pickles, then the storages.
//!
//! Written by `torch.save` before PyTorch 1.6 and, to this day, with
//! `_use_new_zipfile_serialization=False` (`_legacy_save` in `torch/serialization.py`, v2.11).

use std::collections::HashMap;

use super::blob::Blob;
use super::checkpoint::Contents;
use super::error::{Fault, Parse};
use super::pickle;
use super::pickle::storage::{self, PersistentId, Storage, StorageView, Storages};
use super::pickle::value::Pickle;
use super::source::{Source, read_vec};
use super::torch_zip::check_size;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;
/// Where in the file the magic number may stand: behind the opcodes of any protocol.
const MAGIC_WITHIN: usize = 24;

/// Whether a pickle with the magic number is at the start.
pub fn looks_like(head: &[u8]) -> bool {
    let mut places = head.windows(MAGIC.len()).take(MAGIC_WITHIN);
    head.first() == Some(&0x80) && places.any(|bytes| bytes == MAGIC)
}

/// Whether a tar archive with these members is PyTorch's format before 0.1.10.
pub fn is_tar<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let wanted = ["storages", "tensors", "pickle"];
    let found: Vec<&str> = names.take(16).collect();
    wanted.iter().all(|name| found.contains(name))
}

/// What to say of such an archive.
pub fn tar_fault() -> Fault {
    Fault::unsupported(
        "PyTorch's tar format of before 2017; load it with torch.load(…, weights_only=False) if you \
         trust it, and save it again with torch.save",
    )
}

pub fn read(source: &Source) -> Parse<Contents> {
    let (pickle, storages) = parse(source, 0, source.len())?;
    pickle::contents(&pickle, source, Some(&storages))
}

/// The object's pickle, and where its storages are.
fn parse(source: &Source, start: u64, end: u64) -> Parse<(Pickle, Raw)> {
    let magic = pickle::parse(source, start, end)?;
    if magic.big(magic.root) != Some(&MAGIC) {
        return Err(Fault::corrupt("no magic number of PyTorch's at the start"));
    }
    let protocol = pickle::parse(source, magic.end, end)?;
    if protocol.int(protocol.root) != Some(PROTOCOL) {
        return Err(Fault::unsupported(format!(
            "a legacy PyTorch file of a version other than {PROTOCOL}"
        )));
    }
    // It tells the byte order of the machine; the bytes are little-endian on every machine.
    let system = pickle::parse(source, protocol.end, end)?;
    let object = pickle::parse(source, system.end, end)?;
    let keys = pickle::parse(source, object.end, end)?;
    let storages = storages(source, &object, &keys, end)?;
    Ok((object, storages))
}

/// Finds the storages behind the pickles: elements (8 bytes) and bytes of each, in the order of
/// the list of keys.
fn storages(source: &Source, object: &Pickle, keys: &Pickle, end: u64) -> Parse<Raw> {
    let claims = claims(object)?;
    let list = keys
        .items(keys.root)
        .ok_or_else(|| Fault::corrupt("no list of storages behind the object"))?;
    let mut blobs = HashMap::with_capacity(list.len());
    let mut at = keys.end;
    for &key in list {
        let key = storage::key_of(keys, key)
            .ok_or_else(|| Fault::corrupt("a storage's key is neither text nor a number"))?;
        let claim = claims.get(&key).ok_or_else(|| {
            Fault::corrupt(format!("no tensor says what type storage {key:?} has"))
        })?;
        let place = |fault: Fault| fault.within(format_args!("storage {key:?}"));
        let blob = stored(source, claim, at, end).map_err(place)?;
        at = blob.offset + blob.len;
        if blobs.insert(key.clone(), blob).is_some() {
            return Err(Fault::hostile(format!("storage {key:?} is listed twice")));
        }
    }
    if at != end {
        return Err(Fault::corrupt(format!(
            "{} bytes stand behind the last storage",
            end - at
        )));
    }
    Ok(Raw { blobs })
}

/// One storage whose count stands at `at`.
fn stored(source: &Source, claim: &PersistentId, at: u64, end: u64) -> Parse<Blob> {
    let cut = || Fault::corrupt("the file ends before it; it is cut off");
    let data = at
        .checked_add(8)
        .filter(|&data| data <= end)
        .ok_or_else(cut)?;
    let count = read_vec(source.as_ref(), at, 8)?;
    let count = count
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let len = count
        .checked_mul(claim.dtype.size() as u64)
        .ok_or_else(cut)?;
    if data.checked_add(len).is_none_or(|last| last > end) {
        return Err(cut());
    }
    check_size(claim, len)?;
    Blob::raw(source, data, len)
}

/// What the object says of each storage where it first names it.
fn claims(object: &Pickle) -> Parse<HashMap<String, PersistentId>> {
    let mut claims = HashMap::new();
    for id in storage::persistent_ids(object) {
        let claim = storage::persistent_id(object, id)?;
        claims.entry(claim.key.clone()).or_insert(claim);
    }
    Ok(claims)
}

/// The storages of one file.
struct Raw {
    blobs: HashMap<String, Blob>,
}

impl Storages for Raw {
    fn storage(&self, id: &PersistentId) -> Parse<Storage> {
        let blob = self
            .blobs
            .get(&id.key)
            .ok_or_else(|| Fault::corrupt(format!("the file has no storage {:?}", id.key)))?;
        check_size(id, blob.len)?;
        let (blob, elements) = match &id.view {
            Some(view) => (part(blob, view, id)?, view.elements),
            None => (blob.clone(), id.elements),
        };
        Ok(Storage {
            blob,
            dtype: id.dtype,
            elements,
            big_endian: false,
        })
    }
}

/// The part of a storage that a view of it is.
fn part(blob: &Blob, view: &StorageView, id: &PersistentId) -> Parse<Blob> {
    let size = id.dtype.size() as u64;
    let span = view
        .offset
        .checked_mul(size)
        .zip(view.elements.checked_mul(size));
    let inside = span.and_then(|(start, len)| blob.extent(start, len));
    let (offset, len) = inside.ok_or_else(|| {
        Fault::corrupt(format!(
            "{} elements at {} reach outside storage {:?} of {}",
            view.elements, view.offset, id.key, id.elements
        ))
    })?;
    Blob::raw(&blob.source, offset, len)
}

#[cfg(test)]
#[path = "torch_legacy_tests.rs"]
mod tests;
