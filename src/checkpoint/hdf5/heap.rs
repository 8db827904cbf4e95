//! Heaps: names of old groups (local), links and attributes of new ones (fractal), text (global).

use super::bytes::{Cursor, width};
use super::file::File;
use crate::checkpoint::error::{Fault, Parse};

/// Longest object that is read from a heap.
const MAX_OBJECT: u64 = 1 << 20;
/// Largest table of child blocks in a fractal heap's indirect block.
const MAX_CHILDREN: u64 = 1 << 16;
/// Deepest tree of indirect blocks: each is at least twice as large as its children.
const MAX_INDIRECT: usize = 64;

/// The names of an old-style group.
pub struct LocalHeap {
    data: Vec<u8>,
}

impl LocalHeap {
    pub fn read(file: &File, address: u64) -> Parse<Self> {
        let len = 8 + 2 * file.length_size + file.offset_size;
        let head = file.block("a local heap", address, len as u64)?;
        let mut c = Cursor::new("a local heap", &head);
        c.expect(b"HEAP")?;
        c.version(&[0])?;
        c.skip(3)?;
        let size = file.length(&mut c)?;
        file.length(&mut c)?;
        let data = file.block("a local heap's names", file.address(&mut c)?, size)?;
        Ok(Self { data })
    }

    pub fn text(&self, offset: u64) -> Parse<&[u8]> {
        let rest = usize::try_from(offset).ok();
        let rest = rest.and_then(|offset| self.data.get(offset..));
        let rest = rest.ok_or_else(|| {
            Fault::corrupt(format!(
                "a name at {offset} of a heap of {} bytes",
                self.data.len()
            ))
        })?;
        Cursor::new("a local heap's names", rest).text()
    }
}

/// A heap of objects of any size, addressed by ids.
pub struct FractalHeap<'a> {
    file: &'a File,
    id_len: usize,
    /// Bytes of an object's offset and length in its id.
    offset_width: usize,
    length_width: usize,
    max_tiny: u16,
    table_width: u64,
    first_block: u64,
    max_direct: u64,
    root: Option<u64>,
    /// Rows of the root block; 0: it is a direct block.
    root_rows: u64,
}

impl<'a> FractalHeap<'a> {
    pub fn read(file: &'a File, address: u64) -> Parse<Self> {
        let len = 22 + 12 * file.length_size + 3 * file.offset_size + 4;
        let head = file.block("a fractal heap", address, len as u64)?;
        let mut c = Cursor::new("a fractal heap", &head);
        c.expect(b"FRHP")?;
        c.version(&[0])?;
        let id_len = usize::from(c.u16()?);
        if c.u16()? != 0 {
            return Err(Fault::unsupported("a compressed heap of links or attributes"));
        }
        super::file::verify("a fractal heap", &head)?;
        c.skip(1)?;
        let max_managed = u64::from(c.u32()?);
        // Huge objects' next id and tree; free space and its manager; sizes and counts of
        // managed, huge and tiny objects.
        c.skip(2 * (file.length_size + file.offset_size) + 8 * file.length_size)?;
        let table_width = u64::from(c.u16()?);
        let first_block = file.length(&mut c)?;
        let max_direct = file.length(&mut c)?;
        let max_bits = usize::from(c.u16()?);
        c.skip(2)?;
        let root = file.address_if_any(&mut c)?;
        let root_rows = u64::from(c.u16()?);
        let sane = table_width.is_power_of_two()
            && first_block.is_power_of_two()
            && max_direct.is_power_of_two()
            && first_block <= max_direct
            && max_direct <= 1 << 32
            && (1..=64).contains(&max_bits)
            && table_width * root_rows <= MAX_CHILDREN;
        if !sane {
            return Err(Fault::corrupt("a fractal heap of impossible sizes"));
        }
        Ok(Self {
            file,
            id_len,
            offset_width: max_bits.div_ceil(8),
            length_width: width(max_direct).min(width(max_managed)),
            max_tiny: if id_len <= 17 { 16 } else { 4096 },
            table_width,
            first_block,
            max_direct,
            root,
            root_rows,
        })
    }

    /// Bytes of an id.
    pub fn id_len(&self) -> usize {
        self.id_len
    }

    /// The object of an id; `None` for one that is stored apart because of its size.
    pub fn object(&self, id: &[u8]) -> Parse<Option<Vec<u8>>> {
        let mut c = Cursor::new("a heap id", id);
        let flags = c.u8()?;
        match (flags >> 4) & 3 {
            0 => {
                let offset = c.uint(self.offset_width)?;
                let len = c.uint(self.length_width)?;
                self.managed(offset, len).map(Some)
            }
            1 => Ok(None),
            2 => {
                let len = if self.max_tiny <= 16 {
                    usize::from(flags & 15) + 1
                } else {
                    (usize::from(flags & 15) << 8 | usize::from(c.u8()?)) + 1
                };
                Ok(Some(c.take(len)?.to_vec()))
            }
            _ => Err(Fault::corrupt("a heap id of a kind that does not exist")),
        }
    }

    fn managed(&self, offset: u64, len: u64) -> Parse<Vec<u8>> {
        if len > MAX_OBJECT {
            return Err(Fault::hostile(format!("a heap object of {len} bytes")));
        }
        let (address, start, size) = self.direct_block(offset)?;
        let inside = offset - start;
        if inside.checked_add(len).is_none_or(|end| end > size) {
            return Err(Fault::corrupt("a heap object that reaches out of its block"));
        }
        let at = address.checked_add(inside).ok_or_else(|| self.lost(offset))?;
        self.file.block("a heap object", at, len)
    }

    /// Address, first offset and size of the direct block that holds `offset`.
    fn direct_block(&self, offset: u64) -> Parse<(u64, u64, u64)> {
        let mut block = self.root.ok_or_else(|| self.lost(offset))?;
        if self.root_rows == 0 {
            return Ok((block, 0, self.first_block));
        }
        let (mut start, mut rows) = (0, self.root_rows);
        for _ in 0..MAX_INDIRECT {
            let (row, column, size, first) = self.slot(offset - start)?;
            if row >= rows {
                return Err(self.lost(offset));
            }
            let child = self.child(block, row * self.table_width + column, offset)?;
            start += first;
            if size <= self.max_direct {
                return Ok((child, start, size));
            }
            block = child;
            rows = self.rows_of(size).ok_or_else(|| self.lost(offset))?;
        }
        Err(self.lost(offset))
    }

    /// Row, column, size and first offset of the block that holds `offset` of an indirect block.
    fn slot(&self, offset: u64) -> Parse<(u64, u64, u64, u64)> {
        let row_bytes = self.first_block.checked_mul(self.table_width);
        let row_bytes = row_bytes.ok_or_else(|| self.lost(offset))?;
        if offset < row_bytes {
            let column = offset / self.first_block;
            return Ok((0, column, self.first_block, column * self.first_block));
        }
        // Rows 0 and 1 hold blocks of the first size; from then on it doubles with each row.
        let row = u64::from((offset / row_bytes).ilog2()) + 1;
        let size = self.first_block.checked_shl(row as u32 - 1);
        let row_start = row_bytes.checked_shl(row as u32 - 1);
        match (size, row_start) {
            (Some(size), Some(row_start)) if size > 0 && row_start <= offset => {
                let column = (offset - row_start) / size;
                Ok((row, column, size, row_start + column * size))
            }
            _ => Err(self.lost(offset)),
        }
    }

    /// Rows of an indirect block of `size` bytes in all.
    fn rows_of(&self, size: u64) -> Option<u64> {
        let first_row = self.first_block.checked_mul(self.table_width)?;
        (size >= first_row).then(|| u64::from(size.ilog2() - first_row.ilog2()) + 1)
    }

    /// The address of a child of the indirect block at `address`.
    fn child(&self, address: u64, index: u64, offset: u64) -> Parse<u64> {
        let width = self.file.offset_size as u64;
        // Signature, version, heap's address, the block's own offset.
        let before = 5 + width + self.offset_width as u64;
        let head = self.file.block("a heap's indirect block", address, before)?;
        Cursor::new("a heap's indirect block", &head).expect(b"FHIB")?;
        let at = address.checked_add(before + index * width);
        let at = at.ok_or_else(|| self.lost(offset))?;
        let bytes = self.file.block("a heap's indirect block", at, width)?;
        let mut c = Cursor::new("a heap's indirect block", &bytes);
        let child = self.file.address_if_any(&mut c)?;
        child.ok_or_else(|| self.lost(offset))
    }

    fn lost(&self, offset: u64) -> Fault {
        Fault::corrupt(format!("no block of the heap holds the offset {offset}"))
    }
}

/// A collection of the global heap: text of any length.
pub struct Collection {
    bytes: Vec<u8>,
}

impl Collection {
    pub fn read(file: &File, address: u64) -> Parse<Self> {
        let len = 8 + file.length_size;
        let head = file.block("a global heap", address, len as u64)?;
        let mut c = Cursor::new("a global heap", &head);
        c.expect(b"GCOL")?;
        c.version(&[1])?;
        c.skip(3)?;
        let size = file.length(&mut c)?;
        if size > MAX_OBJECT {
            return Err(Fault::hostile(format!(
                "a global heap of {size} bytes; at most {MAX_OBJECT} are read"
            )));
        }
        let bytes = file.block("a global heap", address, size)?;
        Ok(Self { bytes })
    }

    /// The object of an index, 1 or more.
    pub fn object(&self, index: u32, length_size: usize) -> Parse<&[u8]> {
        let mut c = Cursor::new("a global heap", &self.bytes);
        c.skip(8 + length_size)?;
        while c.left() >= 8 + length_size {
            let found = u32::from(c.u16()?);
            c.skip(6)?;
            let len = c.uint(length_size)?;
            if found == 0 {
                break;
            }
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let data = c.take(len)?;
            if found == index {
                return Ok(data);
            }
            c.align(8)?;
        }
        Err(Fault::corrupt(format!("no object {index} in a global heap")))
    }
}
