//! The local headers of a zip file, checked against its directory in one pass.

use super::central::{self, DESCRIPTOR, Directory, Entry};
use super::fields::Fields;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::source::{ReadAt, read_vec};

const SIGNATURE: u32 = 0x0403_4b50;
/// A local header without name and extra fields.
const HEADER_SIZE: u64 = 30;
const DESCRIPTOR_SIGNATURE: u32 = 0x0807_4b50;
/// Headers closer together than this are read together.
const NEAR: u64 = 16 << 10;
const TOGETHER: u64 = 256 << 10;
const ALONE: u64 = 1 << 10;

/// Where each entry's data begins, in the directory's order.
///
/// Members must follow each other without gap or overlap from the file's start to the directory.
pub fn locate(source: &dyn ReadAt, directory: &Directory) -> Parse<Vec<u64>> {
    let Directory {
        bytes,
        entries,
        offset,
    } = directory;
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&index| entries[index].header);
    let mut data = vec![0; entries.len()];
    let mut window = Window::new(source);
    let mut expected = 0;
    for (nth, &index) in order.iter().enumerate() {
        let entry = &entries[index];
        let place = |fault: Fault| fault.within(format_args!("zip member {:?}", entry.name));
        if entry.header != expected {
            return Err(place(misplaced(entry.header, expected)));
        }
        let end = order
            .get(nth + 1)
            .map_or(*offset, |&next| entries[next].header);
        window.expect(end.saturating_sub(entry.header));
        let raw_name = bytes.get(entry.raw_name.clone()).unwrap_or_default();
        data[index] = check_header(&mut window, entry, raw_name).map_err(place)?;
        expected = check_end(&mut window, entry, data[index], end).map_err(place)?;
    }
    if expected != *offset {
        return Err(Fault::hostile(format!(
            "{} bytes before the zip directory belong to no member",
            offset.saturating_sub(expected)
        )));
    }
    Ok(data)
}

fn misplaced(found: u64, expected: u64) -> Fault {
    if found > expected {
        let hidden = found - expected;
        return Fault::hostile(format!("{hidden} bytes before it belong to no member"));
    }
    Fault::hostile("it overlaps the member before it")
}

/// Compares a local header with the directory; gives the offset of the data behind it.
fn check_header(window: &mut Window, entry: &Entry, raw_name: &[u8]) -> Parse<u64> {
    let fixed = window.get(entry.header, HEADER_SIZE)?;
    let mut fields = Fields::new(fixed);
    if fields.u32()? != SIGNATURE {
        return Err(Fault::corrupt("no local header where the directory says"));
    }
    fields.take(2)?;
    let flags = fields.u16()?;
    let method = fields.u16()?;
    fields.take(4)?;
    let crc = fields.u32()?;
    let mut stored = u64::from(fields.u32()?);
    let mut len = u64::from(fields.u32()?);
    let name_len = u64::from(fields.u16()?);
    let extra_len = u64::from(fields.u16()?);
    let name_at = entry.header + HEADER_SIZE;
    if (flags ^ entry.flags) & central::BINDING != 0 || method != entry.method {
        return Err(contradiction("flags or method"));
    }
    if window.get(name_at, name_len)? != raw_name {
        return Err(contradiction("names"));
    }
    if stored == u64::from(u32::MAX) || len == u64::from(u32::MAX) {
        let extra = window.get(name_at + name_len, extra_len)?;
        central::widen(extra, &mut [&mut len, &mut stored])?;
    }
    // What a descriptor tells after the data may be left out before it.
    let later = flags & DESCRIPTOR != 0;
    let same = |own: u64, other: u64| own == other || (later && own == 0);
    if !same(stored, entry.stored) || !same(len, entry.len) {
        return Err(contradiction("sizes"));
    }
    if !same(crc.into(), entry.crc.into()) {
        return Err(contradiction("checksums"));
    }
    Ok(name_at + name_len + extra_len)
}

fn contradiction(what: &str) -> Fault {
    Fault::hostile(format!(
        "its local header and the directory contradict each other: {what}"
    ))
}

/// Checks that the data, and the descriptor if there is one, end where the next member begins.
fn check_end(window: &mut Window, entry: &Entry, data: u64, end: u64) -> Parse<u64> {
    let room = data
        .checked_add(entry.stored)
        .and_then(|data_end| end.checked_sub(data_end));
    let Some(room) = room else {
        return Err(Fault::hostile(format!(
            "{} bytes at {data} reach past {end}, where what follows begins",
            entry.stored
        )));
    };
    if room == 0 {
        // Writers that announce a descriptor leave it out when there is nothing to describe.
        return match entry.flags & DESCRIPTOR != 0 && entry.stored > 0 {
            true => Err(Fault::corrupt("the descriptor behind its data is missing")),
            false => Ok(end),
        };
    }
    let (signed, wide) = match room {
        _ if entry.flags & DESCRIPTOR == 0 => return Ok(end - room),
        12 => (false, false),
        16 => (true, false),
        20 => (false, true),
        24 => (true, true),
        _ => {
            return Err(Fault::hostile(format!(
                "{room} bytes behind its data belong to no member"
            )));
        }
    };
    let mut fields = Fields::new(window.get(end - room, room)?);
    let good = !signed || fields.u32()? == DESCRIPTOR_SIGNATURE;
    let crc = fields.u32()?;
    let (stored, len) = match wide {
        true => (fields.u64()?, fields.u64()?),
        false => (fields.u32()?.into(), fields.u32()?.into()),
    };
    if !good || (crc, stored, len) != (entry.crc, entry.stored, entry.len) {
        return Err(Fault::hostile(
            "the descriptor behind its data contradicts the directory",
        ));
    }
    Ok(end)
}

/// Small reads served from larger ones: a thousand members cost a handful of system calls when
/// they are small, and one each when they are large.
struct Window<'a> {
    source: &'a dyn ReadAt,
    bytes: Vec<u8>,
    offset: u64,
    ahead: u64,
}

impl<'a> Window<'a> {
    fn new(source: &'a dyn ReadAt) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            offset: 0,
            ahead: ALONE,
        }
    }

    /// The next header comes after `distance` bytes.
    fn expect(&mut self, distance: u64) {
        self.ahead = if distance < NEAR { TOGETHER } else { ALONE };
    }

    fn get(&mut self, offset: u64, len: u64) -> Parse<&[u8]> {
        let size = self.source.len();
        let end = offset.checked_add(len).filter(|&end| end <= size);
        let end = end.ok_or_else(|| Fault::corrupt("reaches past the end of the file"))?;
        let held = self.offset + self.bytes.len() as u64;
        if offset < self.offset || end > held {
            let n = len.max(self.ahead).min(size - offset);
            self.bytes = read_vec(self.source, offset, n as usize)?;
            self.offset = offset;
        }
        let start = (offset - self.offset) as usize;
        Ok(self
            .bytes
            .get(start..start + len as usize)
            .unwrap_or_default())
    }
}
