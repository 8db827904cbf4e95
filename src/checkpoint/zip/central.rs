//! The central directory of a zip file: what it says of each member.
//!
//! Source: PKWARE APPNOTE 6.3.10, sections 4.3.12, 4.4 and 4.5.3.

use std::ops::Range;

use super::end::{self, End};
use super::fields::Fields;
use super::names;
use crate::checkpoint::blob::Encoding;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;
use crate::checkpoint::source::{ReadAt, read_vec};

const SIGNATURE: u32 = 0x0201_4b50;
/// A directory entry without name, extra fields and comment.
const ENTRY_SIZE: u64 = 46;
/// Longest directory read, bytes.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Most members: real archives hold some thousands.
const MAX_MEMBERS: u64 = 1 << 16;

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const PATCHED: u16 = 1 << 5;
const UTF8: u16 = 1 << 11;
/// Checksum and sizes follow the data.
pub const DESCRIPTOR: u16 = 1 << 3;
/// The flags in which a local header must agree.
pub const BINDING: u16 = ENCRYPTED | PATCHED | UTF8 | DESCRIPTOR;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// One member, as the directory describes it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    /// Where the name's bytes stand in the directory.
    pub raw_name: Range<usize>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    /// Bytes in the file.
    pub stored: u64,
    /// Bytes when unpacked.
    pub len: u64,
    /// Offset of the local header.
    pub header: u64,
}

impl Entry {
    pub fn encoding(&self) -> Encoding {
        match self.method {
            DEFLATED => Encoding::Deflate,
            _ => Encoding::Raw,
        }
    }
}

pub fn is_folder(name: &str) -> bool {
    name.ends_with('/')
}

/// The directory's bytes and its entries, in its order.
pub struct Directory {
    pub bytes: Vec<u8>,
    pub entries: Vec<Entry>,
    /// Where it begins in the file: the members end there.
    pub offset: u64,
}

/// Reads and checks the directory; local headers are not looked at.
pub fn read(source: &dyn ReadAt) -> Parse<Directory> {
    let End {
        entries: count,
        offset,
        size,
    } = end::find(source)?;
    if count > MAX_MEMBERS || size > MAX_DIRECTORY {
        return Err(Fault::hostile(format!(
            "a zip directory of {count} members in {size} bytes; at most {MAX_MEMBERS} in \
             {MAX_DIRECTORY} are read"
        )));
    }
    if count.saturating_mul(ENTRY_SIZE) > size {
        return Err(Fault::corrupt(format!(
            "a zip directory of {size} bytes cannot hold the {count} members it claims"
        )));
    }
    let bytes = read_vec(source, offset, size as usize)?;
    let mut entries = Vec::with_capacity(count as usize);
    let mut fields = Fields::new(&bytes);
    for _ in 0..count {
        entries.push(entry(&mut fields, bytes.len())?);
    }
    if fields.left() != 0 {
        return Err(Fault::hostile(format!(
            "{} bytes of the zip directory are beyond its {count} members",
            fields.left()
        )));
    }
    Ok(Directory {
        bytes,
        entries,
        offset,
    })
}

fn entry(fields: &mut Fields, total: usize) -> Parse<Entry> {
    if fields.u32()? != SIGNATURE {
        return Err(Fault::corrupt(
            "the zip directory is damaged: no entry where one must be",
        ));
    }
    fields.take(4)?;
    let flags = fields.u16()?;
    let method = fields.u16()?;
    fields.take(4)?;
    let crc = fields.u32()?;
    let mut stored = u64::from(fields.u32()?);
    let mut len = u64::from(fields.u32()?);
    let name_len = usize::from(fields.u16()?);
    let extra_len = usize::from(fields.u16()?);
    let comment_len = usize::from(fields.u16()?);
    let disk = fields.u16()?;
    fields.take(2)?;
    let attributes = fields.u32()?;
    let mut header = u64::from(fields.u32()?);
    let name_at = total - fields.left();
    let raw = fields.take(name_len)?;
    let name = names::decode(raw, flags & UTF8 != 0)?;
    let extra = fields.take(extra_len)?;
    fields.take(comment_len)?;
    let place = |fault: Fault| fault.within(format_args!("zip member {name:?}"));
    widen(extra, &mut [&mut len, &mut stored, &mut header]).map_err(place)?;
    check_other_name(extra, &name).map_err(place)?;
    check_kind(flags, method, attributes).map_err(place)?;
    if disk != 0 && disk != u16::MAX {
        return Err(Fault::unsupported(
            "a zip archive in several parts; expected one file",
        ));
    }
    let entry = Entry {
        name,
        raw_name: name_at..name_at + name_len,
        flags,
        method,
        crc,
        stored,
        len,
        header,
    };
    check_sizes(&entry)
        .map_err(|fault| fault.within(format_args!("zip member {:?}", entry.name)))?;
    Ok(entry)
}

/// Replaces the values of all ones by those of the 64-bit extra field, in its order.
pub fn widen(extra: &[u8], values: &mut [&mut u64]) -> Parse<()> {
    let missing = values.iter().any(|v| **v == u64::from(u32::MAX));
    let Some(wide) = extra_field(extra, 1)? else {
        // A size of exactly 4 GiB - 1 needs the extra field too.
        return match missing {
            true => Err(Fault::corrupt("64-bit sizes are announced and not given")),
            false => Ok(()),
        };
    };
    let mut fields = Fields::new(wide);
    for value in values {
        if **value == u64::from(u32::MAX) {
            **value = fields.u64()?;
        }
    }
    Ok(())
}

/// The extra field with this id; a fault when there are two.
fn extra_field(extra: &[u8], wanted: u16) -> Parse<Option<&[u8]>> {
    let mut fields = Fields::new(extra);
    let mut found = None;
    // Writers that align data leave up to three bytes of padding.
    while fields.left() >= 4 {
        let id = fields.u16()?;
        let len = usize::from(fields.u16()?);
        let data = fields.take(len)?;
        if id == wanted && found.replace(data).is_some() {
            return Err(Fault::hostile(
                "two extra fields of one kind contradict each other",
            ));
        }
    }
    Ok(found)
}

/// Some readers believe the name in the "Unicode path" extra field instead.
fn check_other_name(extra: &[u8], name: &str) -> Parse<()> {
    match extra_field(extra, 0x7075)? {
        Some(data) if data.get(5..) != Some(name.as_bytes()) => {
            Err(Fault::hostile("an extra field gives it a second name"))
        }
        _ => Ok(()),
    }
}

fn check_kind(flags: u16, method: u16, attributes: u32) -> Parse<()> {
    if flags & ENCRYPTED != 0 {
        return Err(Fault::unsupported(
            "is encrypted; unpack it with its password first",
        ));
    }
    if flags & PATCHED != 0 || !matches!(method, STORED | DEFLATED) {
        return Err(Fault::unsupported(format!(
            "compression method {method}; expected stored (0) or deflated (8)"
        )));
    }
    // The upper half holds a Unix mode, or nothing.
    match attributes >> 28 {
        0 | 0x4 | 0x8 => Ok(()),
        0xa => Err(Fault::hostile("is a symbolic link")),
        kind => Err(Fault::hostile(format!(
            "is no regular file (type {kind:x})"
        ))),
    }
}

fn check_sizes(entry: &Entry) -> Parse<()> {
    let Entry { stored, len, .. } = *entry;
    if entry.method == STORED && stored != len {
        return Err(Fault::corrupt(format!(
            "is stored in {stored} bytes and claims {len}"
        )));
    }
    if is_folder(&entry.name) && len != 0 {
        return Err(Fault::corrupt(format!(
            "is a folder that holds {len} bytes"
        )));
    }
    limits::check_expansion(stored, len)
}
