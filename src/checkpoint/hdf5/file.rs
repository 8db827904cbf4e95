//! An HDF5 file: superblock, addresses, and metadata read within a budget.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::bytes::{Cursor, checksum};
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::source::{Source, read_vec};

pub const MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Metadata of no more than this is read before the file's size is asked about.
const FREE_METADATA: u64 = 16 << 20;
/// Metadata is read piece by piece, some of it twice (a shared heap, an alias); never many times.
const METADATA_TIMES: u64 = 4;
/// Longest block of metadata: a heap or a node of an index.
const MAX_BLOCK: u64 = 64 << 20;
/// Metadata lies close together, so that one read serves many blocks.
const PAGE: u64 = 16 << 10;
/// Pages kept.
const PAGES: usize = 256;

/// Where things are and how wide the file's numbers are.
pub struct File {
    pub source: Source,
    /// Bytes of the user's before the superblock; every address counts from here.
    pub base: u64,
    /// Bytes of an address.
    pub offset_size: usize,
    /// Bytes of a length.
    pub length_size: usize,
    pub root: Root,
    /// Bytes of metadata that may still be read.
    budget: AtomicU64,
    pages: Mutex<Pages>,
}

/// The root group.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    /// Of its object header.
    pub address: u64,
}

/// The stretches of the file read last, by their number.
#[derive(Default)]
struct Pages {
    held: HashMap<u64, Vec<u8>>,
    order: VecDeque<u64>,
}

impl Pages {
    fn get(&mut self, source: &Source, number: u64) -> Parse<&[u8]> {
        if !self.held.contains_key(&number) {
            if self.order.len() >= PAGES
                && let Some(oldest) = self.order.pop_front()
            {
                self.held.remove(&oldest);
            }
            let start = number * PAGE;
            let len = source.len().saturating_sub(start).min(PAGE);
            let bytes = read_vec(source.as_ref(), start, len as usize)?;
            self.held.insert(number, bytes);
            self.order.push_back(number);
        }
        Ok(self.held.get(&number).map_or(&[], Vec::as_slice))
    }

    /// Collects `start..end` from the pages it lies in.
    fn read(&mut self, source: &Source, start: u64, end: u64) -> Parse<Vec<u8>> {
        let mut bytes = Vec::with_capacity((end - start) as usize);
        let mut at = start;
        while at < end {
            let page = self.get(source, at / PAGE)?;
            let from = (at % PAGE) as usize;
            let to = (from as u64 + end - at).min(PAGE) as usize;
            bytes.extend_from_slice(&page[from..to]);
            at += (to - from) as u64;
        }
        Ok(bytes)
    }
}

impl File {
    pub fn open(source: &Source) -> Parse<Self> {
        let base = find(source)?.ok_or_else(|| {
            Fault::corrupt("no HDF5 signature; the file is of another format or damaged")
        })?;
        let len = source.len();
        let head = read_vec(source.as_ref(), base, (len - base).min(128) as usize)?;
        let mut c = Cursor::new("the HDF5 superblock", &head);
        c.skip(MAGIC.len())?;
        let (offset_size, length_size, end, root) = match c.version(&[0, 1, 2, 3])? {
            version @ (0 | 1) => old_superblock(&mut c, version)?,
            _ => new_superblock(&mut c, &head)?,
        };
        if end > len {
            return Err(Fault::corrupt(format!(
                "the file has {len} bytes of {end}; it was cut off"
            )));
        }
        Ok(Self {
            source: source.clone(),
            base,
            offset_size,
            length_size,
            root: Root { address: root },
            budget: AtomicU64::new(budget(len)),
            pages: Mutex::default(),
        })
    }

    /// The same file with a fresh budget, for one tensor.
    pub fn again(&self) -> Self {
        Self {
            source: self.source.clone(),
            base: self.base,
            offset_size: self.offset_size,
            length_size: self.length_size,
            root: self.root,
            budget: AtomicU64::new(budget(self.source.len())),
            pages: Mutex::default(),
        }
    }

    /// Reads a block of metadata.
    pub fn block(&self, what: &'static str, address: u64, len: u64) -> Parse<Vec<u8>> {
        let start = self.position(what, address, len)?;
        if len > MAX_BLOCK {
            return Err(Fault::hostile(format!(
                "{what} of {len} bytes; at most {MAX_BLOCK} are read"
            )));
        }
        self.charge(what, len)?;
        if len > PAGE {
            return Ok(read_vec(self.source.as_ref(), start, len as usize)?);
        }
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.read(&self.source, start, start + len)
    }

    /// Reads a block whose last four bytes are the checksum of the others, which are returned.
    pub fn checked_block(&self, what: &'static str, address: u64, len: u64) -> Parse<Vec<u8>> {
        let mut bytes = self.block(what, address, len)?;
        verify(what, &bytes)?;
        bytes.truncate(bytes.len() - 4);
        Ok(bytes)
    }

    /// Takes `n` from what may still be read (or worked through).
    pub fn charge(&self, what: &str, n: u64) -> Parse<()> {
        // Every block costs something, also an empty one, so that no loop is free.
        let n = n.max(16);
        let take = |left: u64| left.checked_sub(n);
        self.budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map(|_| ())
            .map_err(|_| {
                Fault::hostile(format!(
                    "the metadata of this HDF5 file is read over and over ({what}); it refers to itself"
                ))
            })
    }

    /// An address as a position in the source. A fault when the stretch is not inside it.
    pub fn position(&self, what: &str, address: u64, len: u64) -> Parse<u64> {
        let start = self.base.checked_add(address);
        let end = start.and_then(|start| start.checked_add(len));
        match (start, end) {
            (Some(start), Some(end)) if end <= self.source.len() => Ok(start),
            _ => Err(Fault::corrupt(format!(
                "{what} at {address} ({len} bytes) reaches past the end of the file at {}",
                self.source.len()
            ))),
        }
    }

    pub fn address(&self, c: &mut Cursor) -> Parse<u64> {
        c.uint(self.offset_size)
    }

    pub fn length(&self, c: &mut Cursor) -> Parse<u64> {
        c.uint(self.length_size)
    }

    /// An address; `None` where all its bits are set: nothing was ever written.
    pub fn address_if_any(&self, c: &mut Cursor) -> Parse<Option<u64>> {
        let address = self.address(c)?;
        Ok((address != u64::MAX >> (64 - 8 * self.offset_size)).then_some(address))
    }
}

fn budget(len: u64) -> u64 {
    len.saturating_mul(METADATA_TIMES).saturating_add(FREE_METADATA)
}

/// Where the superblock is: at 0, or after a block of the user's of 512, 1024, … bytes.
pub fn find(source: &Source) -> Parse<Option<u64>> {
    let mut start = 0_u64;
    while start.saturating_add(MAGIC.len() as u64) <= source.len() {
        if read_vec(source.as_ref(), start, MAGIC.len())? == MAGIC {
            return Ok(Some(start));
        }
        start = if start == 0 { 512 } else { start * 2 };
    }
    Ok(None)
}

type Superblock = (usize, usize, u64, u64);

fn old_superblock(c: &mut Cursor, version: u8) -> Parse<Superblock> {
    // Versions of the free space, the root group and the shared messages, all 0 to this day.
    c.skip(4)?;
    let (offset_size, length_size) = sizes(c)?;
    // Reserved; the trees' node sizes; flags. Version 1 adds the chunk tree's node size.
    c.skip(1 + 4 + 4 + if version == 1 { 4 } else { 0 })?;
    // Base address and free space.
    c.skip(2 * offset_size)?;
    let end = c.uint(offset_size)?;
    // Driver information; the name of the root group.
    c.skip(2 * offset_size)?;
    Ok((offset_size, length_size, end, c.uint(offset_size)?))
}

fn new_superblock(c: &mut Cursor, head: &[u8]) -> Parse<Superblock> {
    let (offset_size, length_size) = sizes(c)?;
    // Flags, base address, extension.
    c.skip(1 + 2 * offset_size)?;
    let end = c.uint(offset_size)?;
    let root = c.uint(offset_size)?;
    let whole = head.get(..c.position() + 4);
    verify("the HDF5 superblock", whole.unwrap_or_default())?;
    Ok((offset_size, length_size, end, root))
}

fn sizes(c: &mut Cursor) -> Parse<(usize, usize)> {
    let (offset, length) = (c.u8()?, c.u8()?);
    if matches!(offset, 2 | 4 | 8) && matches!(length, 2 | 4 | 8) {
        return Ok((usize::from(offset), usize::from(length)));
    }
    Err(Fault::unsupported(format!(
        "HDF5 addresses of {offset} and lengths of {length} bytes; 2, 4 and 8 are read"
    )))
}

/// Checks the checksum in the last four bytes.
pub fn verify(what: &str, bytes: &[u8]) -> Parse<()> {
    let Some((data, stored)) = bytes.split_last_chunk::<4>() else {
        return Err(Fault::corrupt(format!("{what} is cut off")));
    };
    let (found, stored) = (checksum(data), u32::from_le_bytes(*stored));
    if found == stored {
        return Ok(());
    }
    Err(Fault::corrupt(format!(
        "{what} has the checksum {found:08x} instead of {stored:08x}: its bytes were damaged"
    )))
}
