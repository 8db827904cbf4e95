//! Chunk indexes kept as arrays: fixed for datasets that cannot grow, extensible for one
//! dimension without end.

use super::bytes::Cursor;
use super::file::{File, verify};
use crate::checkpoint::error::{Fault, Parse};

/// Largest entry: address, size, mask.
const MAX_ENTRY: u64 = 8 + 8 + 4;
/// Takes the number and the bytes of an array's entry.
type Visit<'a> = dyn FnMut(u64, &[u8]) -> Parse<()> + 'a;

/// What both kinds of array begin with.
struct Shape {
    entry: u64,
    /// Entries of a page.
    page: u64,
    /// Bytes before a data block's page bitmap or entries.
    prefix: u64,
}

fn client(c: &mut Cursor, filtered: bool) -> Parse<()> {
    c.version(&[0])?;
    if c.u8()? == u8::from(filtered) {
        return Ok(());
    }
    Err(Fault::corrupt(
        "a chunk index for filtered chunks where there are none, or the reverse",
    ))
}

fn impossible() -> Fault {
    Fault::corrupt("a chunk index of impossible sizes")
}

/// Passes each entry of a fixed array.
pub fn fixed(file: &File, address: u64, filtered: bool, visit: &mut Visit) -> Parse<()> {
    const WHAT: &str = "a fixed array";
    let len = 12 + file.length_size + file.offset_size;
    let head = file.checked_block(WHAT, address, len as u64)?;
    let mut c = Cursor::new(WHAT, &head);
    c.expect(b"FAHD")?;
    client(&mut c, filtered)?;
    let entry = u64::from(c.u8()?);
    let page_bits = u32::from(c.u8()?);
    let count = file.length(&mut c)?;
    if entry > MAX_ENTRY || entry < file.offset_size as u64 || page_bits > 32 {
        return Err(impossible());
    }
    let Some(block) = file.address_if_any(&mut c)? else {
        return Ok(());
    };
    let shape = Shape {
        entry,
        page: 1 << page_bits,
        prefix: 6 + file.offset_size as u64,
    };
    data_block(file, b"FADB", block, (0, count), &shape, None, visit)
}

/// Passes the entries of a data block: from number `first` on, `count` of them.
///
/// `pages`: which pages were written, where that is noted outside the block.
fn data_block(
    file: &File,
    magic: &[u8; 4],
    address: u64,
    (first, count): (u64, u64),
    shape: &Shape,
    pages: Option<&[u8]>,
    visit: &mut Visit,
) -> Parse<()> {
    const WHAT: &str = "a chunk index";
    let entries_len = |n: u64| n.checked_mul(shape.entry).ok_or_else(impossible);
    if count <= shape.page {
        let len = shape.prefix + entries_len(count)? + 4;
        let bytes = file.checked_block(WHAT, address, len)?;
        let mut c = Cursor::new(WHAT, &bytes);
        c.expect(magic)?;
        c.skip(shape.prefix as usize - 4)?;
        return entries(&mut c, first, count, shape, visit);
    }
    let own_bitmap = if pages.is_some() {
        0
    } else {
        count.div_ceil(shape.page).div_ceil(8)
    };
    let head_len = shape.prefix + own_bitmap + 4;
    let head = file.checked_block(WHAT, address, head_len)?;
    let mut c = Cursor::new(WHAT, &head);
    c.expect(magic)?;
    c.skip(shape.prefix as usize - 4)?;
    let bitmap = match pages {
        Some(pages) => pages,
        None => c.take(own_bitmap as usize)?,
    };
    let page_len = entries_len(shape.page)? + 4;
    for (page, start) in (0..count).step_by(shape.page as usize).enumerate() {
        let written = bitmap.get(page / 8).is_some_and(|b| b & (0x80 >> (page % 8)) != 0);
        if !written {
            file.charge(WHAT, 0)?;
            continue;
        }
        let n = shape.page.min(count - start);
        let at = (page as u64).checked_mul(page_len);
        let at = at.and_then(|at| at.checked_add(address)?.checked_add(head_len));
        let len = entries_len(n)? + 4;
        let bytes = file.block(WHAT, at.ok_or_else(impossible)?, len)?;
        verify(WHAT, &bytes)?;
        let mut c = Cursor::new(WHAT, &bytes);
        entries(&mut c, first + start, n, shape, visit)?;
    }
    Ok(())
}

fn entries(c: &mut Cursor, first: u64, count: u64, shape: &Shape, visit: &mut Visit) -> Parse<()> {
    for number in first..first + count {
        visit(number, c.take(shape.entry as usize)?)?;
    }
    Ok(())
}

/// The sizes of an extensible array.
struct Extensible {
    /// Entries in the index block itself.
    in_index: u64,
    /// Entries of the smallest data block.
    smallest: u64,
    /// Data blocks that the index block points to.
    direct: u64,
    /// Super blocks whose data blocks the index block points to.
    direct_supers: u64,
    /// Super blocks in all.
    supers: u64,
    /// Bytes of an entry's number.
    number_width: usize,
    /// Entries that were ever set.
    used: u64,
    index_block: Option<u64>,
    shape: Shape,
}

impl Extensible {
    fn read(file: &File, address: u64, filtered: bool) -> Parse<Self> {
        const WHAT: &str = "an extensible array";
        let len = 16 + 6 * file.length_size + file.offset_size;
        let head = file.checked_block(WHAT, address, len as u64)?;
        let mut c = Cursor::new(WHAT, &head);
        c.expect(b"EAHD")?;
        client(&mut c, filtered)?;
        let entry = u64::from(c.u8()?);
        let max_bits = u32::from(c.u8()?);
        let in_index = u64::from(c.u8()?);
        let smallest = u64::from(c.u8()?);
        let min_pointers = u64::from(c.u8()?);
        let page_bits = u32::from(c.u8()?);
        // Numbers and bytes of super blocks and data blocks.
        c.skip(4 * file.length_size)?;
        let used = file.length(&mut c)?;
        c.skip(file.length_size)?;
        let sane = (file.offset_size as u64..=MAX_ENTRY).contains(&entry)
            && (1..=64).contains(&max_bits)
            && smallest.is_power_of_two()
            && smallest.ilog2() <= max_bits
            && min_pointers.is_power_of_two()
            && page_bits <= 32;
        if !sane {
            return Err(impossible());
        }
        let supers = u64::from(1 + max_bits - smallest.ilog2());
        let direct_supers = u64::from(2 * min_pointers.ilog2());
        if direct_supers > supers {
            return Err(impossible());
        }
        let number_width = max_bits.div_ceil(8) as usize;
        Ok(Self {
            in_index,
            smallest,
            direct: 2 * (min_pointers - 1),
            direct_supers,
            supers,
            number_width,
            used,
            index_block: file.address_if_any(&mut c)?,
            shape: Shape {
                entry,
                page: 1 << page_bits,
                prefix: 6 + (file.offset_size + number_width) as u64,
            },
        })
    }

    /// Data blocks of a super block, and entries of each.
    fn super_block(&self, number: u64) -> Parse<(u64, u64)> {
        let blocks = 1_u64.checked_shl((number / 2) as u32);
        let entries = 1_u64.checked_shl(number.div_ceil(2) as u32);
        let entries = entries.and_then(|n| n.checked_mul(self.smallest));
        blocks.zip(entries).ok_or_else(impossible)
    }
}

/// Passes each entry of an extensible array.
pub fn extensible(file: &File, address: u64, filtered: bool, visit: &mut Visit) -> Parse<()> {
    const WHAT: &str = "an extensible array";
    let array = Extensible::read(file, address, filtered)?;
    let Some(index_block) = array.index_block else {
        return Ok(());
    };
    let width = file.offset_size as u64;
    let pointers = array.direct + array.supers - array.direct_supers;
    let prefix = 6 + width;
    let len = prefix + array.in_index * array.shape.entry + pointers * width + 4;
    let bytes = file.checked_block(WHAT, index_block, len)?;
    let mut c = Cursor::new(WHAT, &bytes);
    c.expect(b"EAIB")?;
    c.skip(prefix as usize - 4)?;
    entries(&mut c, 0, array.in_index, &array.shape, visit)?;

    let mut first = array.in_index;
    for number in 0..array.supers {
        if first >= array.used {
            break;
        }
        let (blocks, each) = array.super_block(number)?;
        if number < array.direct_supers {
            for _ in 0..blocks {
                if let Some(block) = file.address_if_any(&mut c)? {
                    data_block(file, b"EADB", block, (first, each), &array.shape, None, visit)?;
                }
                first = first.checked_add(each).ok_or_else(impossible)?;
            }
        } else {
            if let Some(block) = file.address_if_any(&mut c)? {
                super_block(file, block, &array, (first, blocks, each), visit)?;
            }
            let all = blocks.checked_mul(each);
            let next = all.and_then(|all| first.checked_add(all));
            first = next.ok_or_else(impossible)?;
        }
    }
    Ok(())
}

fn super_block(
    file: &File,
    address: u64,
    array: &Extensible,
    (mut first, blocks, each): (u64, u64, u64),
    visit: &mut Visit,
) -> Parse<()> {
    const WHAT: &str = "an extensible array";
    let prefix = 6 + (file.offset_size + array.number_width) as u64;
    let bitmap = if each > array.shape.page {
        (each / array.shape.page).div_ceil(8)
    } else {
        0
    };
    let per_block = bitmap.checked_add(file.offset_size as u64);
    let len = per_block.and_then(|n| n.checked_mul(blocks)?.checked_add(prefix + 4));
    let bytes = file.checked_block(WHAT, address, len.ok_or_else(impossible)?)?;
    let mut c = Cursor::new(WHAT, &bytes);
    c.expect(b"EASB")?;
    c.skip(prefix as usize - 4)?;
    let bitmaps = c.take((bitmap * blocks) as usize)?;
    for number in 0..blocks {
        let pages = &bitmaps[(number * bitmap) as usize..((number + 1) * bitmap) as usize];
        if let Some(block) = file.address_if_any(&mut c)? {
            let pages = Some(pages);
            data_block(file, b"EADB", block, (first, each), &array.shape, pages, visit)?;
        }
        first = first.checked_add(each).ok_or_else(impossible)?;
    }
    Ok(())
}
