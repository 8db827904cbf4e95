//! B-trees: the old ones of groups and chunks, the new ones of any records.

use std::collections::HashSet;

use super::bytes::{Cursor, width};
use super::file::File;
use crate::checkpoint::error::{Fault, Parse};

/// Deepest new tree; the library's own splits at every level.
const MAX_LEVELS: u16 = 32;
/// Largest node of a new tree; the library's default is 512 or 2048.
const MAX_NODE: u64 = 1 << 20;

/// Passes each leaf's key and child address of an old tree to `visit`, in order.
///
/// `kind`: 0 for groups, 1 for chunks; `key_len`: bytes of a key.
pub fn walk_old(
    file: &File,
    address: u64,
    kind: u8,
    key_len: usize,
    visit: &mut dyn FnMut(&[u8], u64) -> Parse<()>,
) -> Parse<()> {
    let mut seen = HashSet::new();
    // Addresses still to be visited, the next one last, each with the level it must have.
    let mut stack = vec![(address, None)];
    while let Some((address, level)) = stack.pop() {
        if !seen.insert(address) {
            return Err(Fault::hostile("an HDF5 tree that meets itself"));
        }
        let node = OldNode::read(file, address, kind, key_len)?;
        if level.is_some_and(|level| level != node.level) {
            return Err(Fault::corrupt("an HDF5 tree whose levels do not descend"));
        }
        if node.level == 0 {
            for (key, child) in &node.children {
                visit(key, *child)?;
            }
        } else {
            let below = Some(node.level - 1);
            let children = node.children.iter().rev();
            stack.extend(children.map(|(_, child)| (*child, below)));
        }
    }
    Ok(())
}

struct OldNode {
    level: u8,
    children: Vec<(Vec<u8>, u64)>,
}

impl OldNode {
    fn read(file: &File, address: u64, kind: u8, key_len: usize) -> Parse<Self> {
        const WHAT: &str = "a B-tree node";
        let head_len = 8 + 2 * file.offset_size as u64;
        let head = file.block(WHAT, address, head_len)?;
        let mut c = Cursor::new(WHAT, &head);
        c.expect(b"TREE")?;
        if c.u8()? != kind {
            return Err(Fault::corrupt("an HDF5 tree of another kind than its owner"));
        }
        let level = c.u8()?;
        let count = usize::from(c.u16()?);
        let body_len = count * (key_len + file.offset_size);
        let start = address.saturating_add(head_len);
        let body = file.block(WHAT, start, body_len as u64)?;
        let mut c = Cursor::new(WHAT, &body);
        let children = (0..count)
            .map(|_| Ok((c.take(key_len)?.to_vec(), file.address(&mut c)?)))
            .collect::<Parse<_>>()?;
        Ok(Self { level, children })
    }
}

/// A new tree, opened.
pub struct NewTree<'a> {
    file: &'a File,
    kind: u8,
    node_size: u64,
    record_len: usize,
    depth: u16,
    root: Option<u64>,
    root_records: u64,
    pub records: u64,
}

impl<'a> NewTree<'a> {
    /// Opens the tree at `address`, which must be of one of `kinds`.
    pub fn open(file: &'a File, address: u64, kinds: &[u8]) -> Parse<Self> {
        const WHAT: &str = "a B-tree header";
        let len = 22 + file.offset_size + file.length_size;
        let head = file.checked_block(WHAT, address, len as u64)?;
        let mut c = Cursor::new(WHAT, &head);
        c.expect(b"BTHD")?;
        c.version(&[0])?;
        let kind = c.u8()?;
        let node_size = u64::from(c.u32()?);
        let record_len = usize::from(c.u16()?);
        let depth = c.u16()?;
        c.skip(2)?;
        let root = file.address_if_any(&mut c)?;
        let root_records = u64::from(c.u16()?);
        let records = file.length(&mut c)?;
        if !kinds.contains(&kind) {
            return Err(Fault::corrupt(format!(
                "an HDF5 tree of kind {kind} instead of {kinds:?}"
            )));
        }
        if depth > MAX_LEVELS || node_size > MAX_NODE || node_size < 16 || record_len == 0 {
            return Err(Fault::corrupt(format!(
                "an HDF5 tree {depth} levels deep of nodes of {node_size} bytes and records of {record_len}"
            )));
        }
        Ok(Self {
            file,
            kind,
            node_size,
            record_len,
            depth,
            root,
            root_records,
            records,
        })
    }

    pub fn kind(&self) -> u8 {
        self.kind
    }

    pub fn record_len(&self) -> usize {
        self.record_len
    }

    /// Passes each record to `visit`; those of inner nodes before those of their children.
    pub fn walk(&self, visit: &mut dyn FnMut(&[u8]) -> Parse<()>) -> Parse<()> {
        let Some(root) = self.root else {
            return Ok(());
        };
        let widths = self.widths()?;
        let mut seen = HashSet::new();
        let mut stack = vec![(root, self.root_records, self.depth)];
        while let Some((address, count, level)) = stack.pop() {
            if !seen.insert(address) {
                return Err(Fault::hostile("an HDF5 tree that meets itself"));
            }
            self.node(address, count, level, &widths, &mut stack, visit)?;
        }
        Ok(())
    }

    fn node(
        &self,
        address: u64,
        count: u64,
        level: u16,
        widths: &Widths,
        stack: &mut Vec<(u64, u64, u16)>,
        visit: &mut dyn FnMut(&[u8]) -> Parse<()>,
    ) -> Parse<()> {
        const WHAT: &str = "a B-tree node";
        let total_width = match usize::from(level) {
            0 | 1 => 0,
            level => widths.totals[level - 1],
        };
        let pointer = self.file.offset_size + widths.count + total_width;
        let pointers = if level == 0 { 0 } else { (count + 1) * pointer as u64 };
        let used = 6 + count * self.record_len as u64 + pointers;
        if used + 4 > self.node_size {
            return Err(Fault::corrupt(format!(
                "a B-tree node of {count} records in {} bytes",
                self.node_size
            )));
        }
        let bytes = self.file.checked_block(WHAT, address, used + 4)?;
        let mut c = Cursor::new(WHAT, &bytes);
        c.expect(if level == 0 { b"BTLF" } else { b"BTIN" })?;
        c.version(&[0])?;
        if c.u8()? != self.kind {
            return Err(Fault::corrupt("an HDF5 tree with a node of another kind"));
        }
        for _ in 0..count {
            visit(c.take(self.record_len)?)?;
        }
        if level > 0 {
            for _ in 0..=count {
                let child = self.file.address(&mut c)?;
                let records = c.uint(widths.count)?;
                c.skip(total_width)?;
                stack.push((child, records, level - 1));
            }
        }
        Ok(())
    }

    /// How many bytes the counts in child pointers take: as many as the largest needs.
    fn widths(&self) -> Parse<Widths> {
        let record = self.record_len as u64;
        let room = self.node_size - 10;
        let mut most = room / record;
        let count = width(most);
        let mut total = most;
        let mut totals = vec![0];
        for level in 1..=usize::from(self.depth) {
            let below = if level == 1 { 0 } else { totals[level - 1] };
            let pointer = (self.file.offset_size + count + below) as u64;
            most = room.saturating_sub(pointer) / (record + pointer);
            total = (most + 1).saturating_mul(total).saturating_add(most);
            totals.push(width(total));
        }
        if most == 0 {
            return Err(Fault::corrupt("an HDF5 tree whose nodes hold no record"));
        }
        Ok(Widths { count, totals })
    }
}

struct Widths {
    /// Of a child's own number of records.
    count: usize,
    /// Of the number of records below a child, by the child's level.
    totals: Vec<usize>,
}
