//! Chunk indexes: from a dataset's layout to where each of its chunks lies.

use super::bytes::Cursor;
use super::chunk_arrays;
use super::file::File;
use super::grid::Grid;
use super::layout::{Chunked, Index};
use super::tree::{self, NewTree};
use crate::checkpoint::error::{Fault, Parse};

/// Trees of chunks: as they are, and filtered.
const PLAIN_CHUNKS: u8 = 10;
const FILTERED_CHUNKS: u8 = 11;

/// A stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its number in the grid.
    pub number: u64,
    pub address: u64,
    /// Bytes in the file.
    pub stored: u64,
    /// Filters that were left out.
    pub mask: u32,
}

/// All stored chunks by number; those that were never written are missing.
pub fn chunks(file: &File, layout: &Chunked, grid: &Grid, filtered: bool) -> Parse<Vec<Chunk>> {
    let mut found = Found {
        file,
        grid,
        filtered,
        chunks: Vec::new(),
    };
    if let Some(address) = layout.address {
        collect(&mut found, &layout.index, address)?;
    }
    let mut chunks = found.chunks;
    chunks.sort_unstable_by_key(|chunk| chunk.number);
    if chunks.windows(2).any(|pair| pair[0].number == pair[1].number) {
        return Err(Fault::corrupt("two chunks at one place of a dataset"));
    }
    Ok(chunks)
}

fn collect(found: &mut Found, index: &Index, address: u64) -> Parse<()> {
    match index {
        Index::TreeV1 => tree_v1(found, address),
        Index::Single(filtered) => {
            let (stored, mask) = filtered.unwrap_or((found.grid.chunk_bytes(), 0));
            found.add(Some(0), address, stored, mask)
        }
        Index::Implicit => implicit(found, address),
        Index::FixedArray => {
            let (file, filtered) = (found.file, found.filtered);
            chunk_arrays::fixed(file, address, filtered, &mut |index, entry| {
                found.entry(index, entry)
            })
        }
        Index::ExtensibleArray => {
            let (file, filtered) = (found.file, found.filtered);
            chunk_arrays::extensible(file, address, filtered, &mut |index, entry| {
                found.entry(index, entry)
            })
        }
        Index::TreeV2 => tree_v2(found, address),
    }
}

struct Found<'a> {
    file: &'a File,
    grid: &'a Grid,
    filtered: bool,
    chunks: Vec<Chunk>,
}

impl Found<'_> {
    /// Notes a chunk; those outside the dataset (it shrank) are passed over.
    fn add(&mut self, number: Option<u64>, address: u64, stored: u64, mask: u32) -> Parse<()> {
        let Some(number) = number.filter(|&number| number < self.grid.total()) else {
            return Ok(());
        };
        if !self.filtered && stored != self.grid.chunk_bytes() {
            return Err(Fault::corrupt(format!(
                "a chunk of {stored} bytes instead of {}",
                self.grid.chunk_bytes()
            )));
        }
        self.file.position("a chunk", address, stored)?;
        if self.chunks.len() as u64 >= self.grid.total() {
            return Err(Fault::corrupt(format!(
                "more than the {} chunks a dataset is cut into",
                self.grid.total()
            )));
        }
        self.chunks.push(Chunk {
            number,
            address,
            stored,
            mask,
        });
        Ok(())
    }

    /// An element of an array: address, and for filtered chunks size and mask.
    fn entry(&mut self, index: u64, entry: &[u8]) -> Parse<()> {
        let mut c = Cursor::new("a chunk's entry", entry);
        let Some(address) = self.file.address_if_any(&mut c)? else {
            return Ok(());
        };
        let (stored, mask) = self.size_and_mask(&mut c, 0)?;
        self.add(self.grid.from_index(index), address, stored, mask)
    }

    /// Size and mask, when there are any; `after`: bytes of the record behind them.
    fn size_and_mask(&self, c: &mut Cursor, after: usize) -> Parse<(u64, u32)> {
        if !self.filtered {
            return Ok((self.grid.chunk_bytes(), 0));
        }
        match c.left().checked_sub(4 + after) {
            Some(width @ 1..=8) => Ok((c.uint(width)?, c.u32()?)),
            _ => Err(Fault::corrupt("a chunk's entry of an impossible size")),
        }
    }
}

fn tree_v1(found: &mut Found, address: u64) -> Parse<()> {
    let (file, grid) = (found.file, found.grid);
    let rank = grid.outer_chunk().len();
    let key_len = 8 + 8 * (rank + 1);
    tree::walk_old(file, address, 1, key_len, &mut |key, child| {
        let mut c = Cursor::new("a chunk's key", key);
        let (stored, mask) = (u64::from(c.u32()?), c.u32()?);
        let mut place = Vec::with_capacity(rank);
        for &chunk in grid.outer_chunk() {
            let offset = c.uint(8)?;
            if offset % chunk != 0 {
                return Err(Fault::corrupt(format!(
                    "a chunk at {offset}, which is no multiple of its size {chunk}"
                )));
            }
            place.push(offset / chunk);
        }
        found.add(grid.number(&place), child, stored, mask)
    })
}

fn tree_v2(found: &mut Found, address: u64) -> Parse<()> {
    let (file, grid) = (found.file, found.grid);
    let kind = if found.filtered { FILTERED_CHUNKS } else { PLAIN_CHUNKS };
    let tree = NewTree::open(file, address, &[kind])?;
    tree.walk(&mut |record| {
        let mut c = Cursor::new("a chunk's record", record);
        let address = file.address(&mut c)?;
        let (stored, mask) = found.size_and_mask(&mut c, 8 * grid.outer_chunk().len())?;
        let place = grid.outer_chunk().iter().map(|_| c.uint(8));
        let place = place.collect::<Parse<Vec<_>>>()?;
        found.add(grid.number(&place), address, stored, mask)
    })
}

fn implicit(found: &mut Found, address: u64) -> Parse<()> {
    let bytes = found.grid.chunk_bytes();
    for number in 0..found.grid.total() {
        let index = found.grid.to_index(number);
        let offset = index.checked_mul(bytes).and_then(|n| n.checked_add(address));
        let address = offset.ok_or_else(|| Fault::corrupt("chunks past the end of the file"))?;
        found.add(Some(number), address, bytes, 0)?;
    }
    Ok(())
}
