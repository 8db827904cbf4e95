//! Layout messages: where a dataset's bytes are.

use super::bytes::Cursor;
use super::file::File;
use super::header::Message;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

/// Where the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In the header itself, at a position of the source.
    Compact { position: u64, len: u64 },
    /// In one piece; `None`: never written.
    Contiguous { address: Option<u64> },
    Chunked(Chunked),
}

/// A grid of chunks, found through an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunked {
    /// Elements of a chunk per dimension.
    pub chunk: Vec<u64>,
    /// Bytes of an element.
    pub element: u64,
    pub index: Index,
    /// Of the index; `None`: no chunk was ever written.
    pub address: Option<u64>,
    /// Chunks that reach over the dataset's edge are not filtered.
    pub edges_unfiltered: bool,
}

/// How chunks are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    TreeV1,
    /// One chunk; bytes and filter mask when it is filtered.
    Single(Option<(u64, u32)>),
    /// All chunks one after another, none filtered.
    Implicit,
    FixedArray,
    ExtensibleArray,
    TreeV2,
}

impl Layout {
    pub fn parse(file: &File, message: &Message) -> Parse<Self> {
        let mut c = Cursor::new("a layout message", &message.data);
        match c.version(&[1, 2, 3, 4, 5])? {
            1 | 2 => old(file, &mut c, message.position),
            version => new(file, &mut c, message.position, version),
        }
    }
}

fn old(file: &File, c: &mut Cursor, position: u64) -> Parse<Layout> {
    let rank = usize::from(c.u8()?);
    let class = c.u8()?;
    c.skip(5)?;
    let address = match class {
        0 => None,
        _ => file.address_if_any(c)?,
    };
    let sizes = u32s(c, rank)?;
    match class {
        0 => {
            let len = u64::from(c.u32()?);
            compact(c, position, len)
        }
        1 => Ok(Layout::Contiguous { address }),
        2 => chunked(sizes, Index::TreeV1, address, false),
        other => Err(unknown(other)),
    }
}

fn new(file: &File, c: &mut Cursor, position: u64, version: u8) -> Parse<Layout> {
    match c.u8()? {
        0 => {
            let len = u64::from(c.u16()?);
            compact(c, position, len)
        }
        1 => {
            let address = file.address_if_any(c)?;
            Ok(Layout::Contiguous { address })
        }
        2 if version == 3 => {
            let rank = usize::from(c.u8()?);
            let address = file.address_if_any(c)?;
            chunked(u32s(c, rank)?, Index::TreeV1, address, false)
        }
        2 => indexed(file, c),
        3 => Err(Fault::hostile(
            "a virtual HDF5 dataset: its numbers are in other files; \
             write it again with its data inside",
        )),
        other => Err(unknown(other)),
    }
}

fn unknown(class: u8) -> Fault {
    Fault::unsupported(format!("an HDF5 layout of class {class}"))
}

fn compact(c: &mut Cursor, position: u64, len: u64) -> Parse<Layout> {
    let start = c.position() as u64;
    c.skip(len as usize)?;
    Ok(Layout::Compact {
        position: position + start,
        len,
    })
}

fn u32s(c: &mut Cursor, count: usize) -> Parse<Vec<u64>> {
    (0..count).map(|_| c.u32().map(u64::from)).collect()
}

fn indexed(file: &File, c: &mut Cursor) -> Parse<Layout> {
    let flags = c.u8()?;
    let rank = usize::from(c.u8()?);
    let width = usize::from(c.u8()?);
    if !(1..=8).contains(&width) {
        return Err(Fault::corrupt(format!("chunk sizes of {width} bytes")));
    }
    let sizes = (0..rank).map(|_| c.uint(width)).collect::<Parse<_>>()?;
    let index = match c.u8()? {
        1 if flags & 2 != 0 => Index::Single(Some((file.length(c)?, c.u32()?))),
        1 => Index::Single(None),
        2 => Index::Implicit,
        // What follows is repeated in the index itself.
        3 => {
            c.skip(1)?;
            Index::FixedArray
        }
        4 => {
            c.skip(5)?;
            Index::ExtensibleArray
        }
        5 => {
            c.skip(6)?;
            Index::TreeV2
        }
        other => {
            return Err(Fault::unsupported(format!(
                "an HDF5 chunk index of kind {other}"
            )));
        }
    };
    let address = file.address_if_any(c)?;
    chunked(sizes, index, address, flags & 1 != 0)
}

fn chunked(
    mut sizes: Vec<u64>,
    index: Index,
    address: Option<u64>,
    edges_unfiltered: bool,
) -> Parse<Layout> {
    if sizes.len() > limits::MAX_DIMS + 1 || sizes.contains(&0) {
        return Err(Fault::corrupt(format!("chunks of the shape {sizes:?}")));
    }
    // The last size is that of an element in bytes.
    let element = sizes.pop();
    let element = element.ok_or_else(|| Fault::corrupt("chunks of no dimensions"))?;
    Ok(Layout::Chunked(Chunked {
        chunk: sizes,
        element,
        index,
        address,
        edges_unfiltered,
    }))
}
