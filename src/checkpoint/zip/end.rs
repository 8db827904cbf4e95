//! The end record of a zip file: where its directory lies, in 32 and 64 bits.
//!
//! Source: PKWARE APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.

use super::fields::Fields;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::source::{ReadAt, read_vec};

const SIGNATURE: &[u8; 4] = b"PK\x05\x06";
/// The end record without its comment.
const SIZE: usize = 22;
const LOCATOR_SIGNATURE: u32 = 0x0706_4b50;
const LOCATOR_SIZE: u64 = 20;
const WIDE_SIGNATURE: u32 = 0x0606_4b50;
/// The 64-bit end record without extensible data.
const WIDE_SIZE: usize = 56;

/// Where the central directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub entries: u64,
    pub offset: u64,
    pub size: u64,
}

/// Finds the directory. It must end where the end records begin, and these where the file ends.
pub fn find(source: &dyn ReadAt) -> Parse<End> {
    let size = source.len();
    let tail_len = size.min((SIZE + usize::from(u16::MAX)) as u64) as usize;
    let tail_at = size - tail_len as u64;
    let tail = read_vec(source, tail_at, tail_len)?;
    let at = position(&tail)?;
    let record_at = tail_at + at as u64;
    let narrow = Narrow::parse(&tail[at..])?;
    let (end, directory_end) = match wide(source, record_at)? {
        Some((end, at)) => {
            narrow.check_against(&end)?;
            (end, at)
        }
        None => (narrow.end()?, record_at),
    };
    if end.offset.checked_add(end.size) != Some(directory_end) {
        return Err(Fault::corrupt(format!(
            "the zip directory ({} bytes at {}) does not end at {directory_end}, where its end record \
             begins: something was put before or between",
            end.size, end.offset
        )));
    }
    Ok(end)
}

/// Offset of the one end record whose comment ends with the file.
fn position(tail: &[u8]) -> Parse<usize> {
    let last = tail
        .windows(SIGNATURE.len())
        .rposition(|four| four == SIGNATURE)
        .ok_or_else(|| {
            Fault::corrupt(
                "no zip end record: the file is cut off, or something was appended to it",
            )
        })?;
    let fits = |at: usize| {
        let comment = tail.get(at + SIZE - 2..at + SIZE)?;
        let [low, high] = *comment.first_chunk()?;
        let len = usize::from(u16::from_le_bytes([low, high]));
        (at + SIZE + len == tail.len()).then_some(at)
    };
    if fits(last).is_none() {
        return Err(Fault::corrupt(
            "the zip end record is not at the end of the file: it is cut off, or something was appended",
        ));
    }
    // Readers differ in which of two they believe.
    let others = tail
        .windows(SIGNATURE.len())
        .take(last)
        .enumerate()
        .any(|(at, four)| four == SIGNATURE && fits(at).is_some());
    if others {
        return Err(Fault::hostile("two zip end records claim the same archive"));
    }
    Ok(last)
}

/// The 32-bit end record; fields of all ones point to the 64-bit one.
struct Narrow {
    disk: u16,
    directory_disk: u16,
    entries_here: u16,
    entries: u16,
    size: u32,
    offset: u32,
}

impl Narrow {
    fn parse(bytes: &[u8]) -> Parse<Self> {
        let mut fields = Fields::new(bytes);
        fields.u32()?;
        Ok(Self {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            entries_here: fields.u16()?,
            entries: fields.u16()?,
            size: fields.u32()?,
            offset: fields.u32()?,
        })
    }

    fn end(&self) -> Parse<End> {
        if self.disk != 0 || self.directory_disk != 0 || self.entries_here != self.entries {
            return Err(several_disks());
        }
        Ok(End {
            entries: self.entries.into(),
            offset: self.offset.into(),
            size: self.size.into(),
        })
    }

    fn check_against(&self, end: &End) -> Parse<()> {
        let half = |own: u16, other: u64| own == u16::MAX || u64::from(own) == other;
        let word = |own: u32, other: u64| own == u32::MAX || u64::from(own) == other;
        if !half(self.disk, 0) || !half(self.directory_disk, 0) {
            return Err(several_disks());
        }
        let same = half(self.entries_here, end.entries)
            && half(self.entries, end.entries)
            && word(self.size, end.size)
            && word(self.offset, end.offset);
        if !same {
            return Err(Fault::hostile(
                "the 32-bit and the 64-bit zip end records contradict each other",
            ));
        }
        Ok(())
    }
}

/// The 64-bit end record, if a locator stands before the 32-bit one, and where it begins.
fn wide(source: &dyn ReadAt, record_at: u64) -> Parse<Option<(End, u64)>> {
    let Some(locator_at) = record_at.checked_sub(LOCATOR_SIZE) else {
        return Ok(None);
    };
    let locator = read_vec(source, locator_at, LOCATOR_SIZE as usize)?;
    let mut fields = Fields::new(&locator);
    if fields.u32()? != LOCATOR_SIGNATURE {
        return Ok(None);
    }
    let disk = fields.u32()?;
    let at = fields.u64()?;
    let disks = fields.u32()?;
    if disk != 0 || disks > 1 {
        return Err(several_disks());
    }
    let misplaced = || Fault::corrupt("the 64-bit zip end record is not where its locator says");
    let room = locator_at.checked_sub(at).ok_or_else(misplaced)?;
    if room < WIDE_SIZE as u64 {
        return Err(misplaced());
    }
    let record = read_vec(source, at, WIDE_SIZE)?;
    let mut fields = Fields::new(&record);
    // The size counts what follows the first twelve bytes.
    if fields.u32()? != WIDE_SIGNATURE || fields.u64()?.checked_add(12) != Some(room) {
        return Err(misplaced());
    }
    fields.u32()?;
    let disks = (fields.u32()?, fields.u32()?);
    let entries_here = fields.u64()?;
    let entries = fields.u64()?;
    if disks != (0, 0) || entries_here != entries {
        return Err(several_disks());
    }
    let end = End {
        entries,
        size: fields.u64()?,
        offset: fields.u64()?,
    };
    Ok(Some((end, at)))
}

fn several_disks() -> Fault {
    Fault::unsupported("a zip archive in several parts; expected one file")
}
