//! Groups, old and new: the links they hold, in the order h5py lists them.

use super::bytes::Cursor;
use super::file::File;
use super::header::{Header, kind};
use super::heap::{FractalHeap, LocalHeap};
use super::tree::{self, NewTree};
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

/// Trees of link names and of links in the order of their making.
const LINKS_BY_NAME: u8 = 5;

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The object header at an address.
    Hard(u64),
    /// A path in this file.
    Soft(String),
    /// A path in another file.
    External,
    /// A kind of link of some program's own.
    User(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    pub target: Target,
    order: Option<u64>,
}

/// The links of a group; `None` for an object that is no group.
pub fn links(file: &File, header: &Header) -> Parse<Option<Vec<Link>>> {
    let mut found = Vec::new();
    let mut tracked = false;
    if let Some(message) = header.find(kind::SYMBOL_TABLE) {
        symbol_table(file, &message.data, &mut found)?;
    } else {
        let info = header.find(kind::LINK_INFO);
        let compact = || header.messages.iter().filter(|m| m.kind == kind::LINK);
        if info.is_none() && compact().next().is_none() {
            return Ok(None);
        }
        for message in compact() {
            push(&mut found, link(file, &message.data)?)?;
        }
        if let Some(info) = info {
            tracked = dense(file, &info.data, &mut found)?;
        }
    }
    if tracked && found.iter().all(|link| link.order.is_some()) {
        found.sort_by_key(|link| link.order);
    } else {
        found.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    }
    Ok(Some(found))
}

fn push(found: &mut Vec<Link>, link: Link) -> Parse<()> {
    if found.len() >= limits::MAX_TENSORS {
        return Err(Fault::hostile(format!(
            "an HDF5 group of more than {} links",
            limits::MAX_TENSORS
        )));
    }
    found.push(link);
    Ok(())
}

fn text(what: &str, bytes: &[u8]) -> Parse<String> {
    if bytes.len() > limits::MAX_NAME {
        return Err(Fault::hostile(format!(
            "{what} of {} bytes; at most {} are read",
            bytes.len(),
            limits::MAX_NAME
        )));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Fault::corrupt(format!(
            "{what} is not UTF-8: {:?}",
            String::from_utf8_lossy(bytes)
        ))),
    }
}

/// The name of a link: what a path is made of.
fn name(bytes: &[u8]) -> Parse<String> {
    let name = text("the name of an HDF5 link", bytes)?;
    if name.is_empty() || name == "." || name.contains(['/', '\0']) {
        return Err(Fault::corrupt(format!("an HDF5 link called {name:?}")));
    }
    Ok(name)
}

/// The tree, nodes and heap of a group as HDF5 wrote it before 1.8.
fn symbol_table(file: &File, message: &[u8], found: &mut Vec<Link>) -> Parse<()> {
    let mut c = Cursor::new("a symbol table message", message);
    let tree = file.address(&mut c)?;
    let heap = LocalHeap::read(file, file.address(&mut c)?)?;
    tree::walk_old(file, tree, 0, file.length_size, &mut |_, child| {
        symbols(file, child, &heap, found)
    })
}

fn symbols(file: &File, address: u64, heap: &LocalHeap, found: &mut Vec<Link>) -> Parse<()> {
    const WHAT: &str = "a symbol table node";
    let head = file.block(WHAT, address, 8)?;
    let mut c = Cursor::new(WHAT, &head);
    c.expect(b"SNOD")?;
    c.version(&[1])?;
    c.skip(1)?;
    let count = usize::from(c.u16()?);
    let entry_len = 2 * file.offset_size + 24;
    let start = address.saturating_add(8);
    let body = file.block(WHAT, start, (count * entry_len) as u64)?;
    let mut c = Cursor::new(WHAT, &body);
    for _ in 0..count {
        let name = name(heap.text(file.address(&mut c)?)?)?;
        let header = file.address(&mut c)?;
        let cached = c.u32()?;
        c.skip(4)?;
        let mut scratch = Cursor::new(WHAT, c.take(16)?);
        let target = if cached == 2 {
            let path = heap.text(u64::from(scratch.u32()?))?;
            Target::Soft(text("the path of an HDF5 link", path)?)
        } else {
            Target::Hard(header)
        };
        let order = None;
        push(
            found,
            Link {
                name,
                target,
                order,
            },
        )?;
    }
    Ok(())
}

fn link(file: &File, message: &[u8]) -> Parse<Link> {
    let mut c = Cursor::new("a link message", message);
    c.version(&[1])?;
    let flags = c.u8()?;
    let target = if flags & 8 == 0 { 0 } else { c.u8()? };
    let order = match flags & 4 {
        0 => None,
        _ => Some(c.uint(8)?),
    };
    if flags & 16 != 0 {
        // The character set: ASCII or UTF-8, of which the first is part.
        c.skip(1)?;
    }
    let len = c.uint(1 << (flags & 3))?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let name = name(c.take(len)?)?;
    let target = match target {
        0 => Target::Hard(file.address(&mut c)?),
        1 => {
            let len = usize::from(c.u16()?);
            Target::Soft(text("the path of an HDF5 link", c.take(len)?)?)
        }
        64 => Target::External,
        other => Target::User(other),
    };
    Ok(Link {
        name,
        target,
        order,
    })
}

/// Links kept in a heap; true when the group tracks the order of their making.
fn dense(file: &File, message: &[u8], found: &mut Vec<Link>) -> Parse<bool> {
    let mut c = Cursor::new("a link info message", message);
    c.version(&[0])?;
    let flags = c.u8()?;
    let tracked = flags & 1 != 0;
    if tracked {
        c.skip(8)?;
    }
    let heap = file.address_if_any(&mut c)?;
    let tree = file.address_if_any(&mut c)?;
    let (Some(heap), Some(tree)) = (heap, tree) else {
        return Ok(tracked);
    };
    let heap = FractalHeap::read(file, heap)?;
    let tree = NewTree::open(file, tree, &[LINKS_BY_NAME])?;
    tree.walk(&mut |record| {
        let mut c = Cursor::new("a link record", record);
        c.skip(4)?;
        let object = heap.object(c.take(heap.id_len())?)?;
        let object = object.ok_or_else(|| {
            Fault::hostile("the name of an HDF5 link is longer than a block of its heap")
        })?;
        push(found, link(file, &object)?)
    })?;
    Ok(tracked)
}
