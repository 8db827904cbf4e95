//! Writes HDF5 files that every h5py reads: one dataset per tensor, right below the root.
//!
//! The oldest form of the format (superblock 0, a symbol table, contiguous data), after the
//! "HDF5 File Format Specification Version 3.0". All addresses are known before the first byte
//! is written, so that the file is written from front to back.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::hdf5_types::datatype;
use super::{Entry, Feed, Output};
use crate::checkpoint::error::{Fault, Parse};

/// Names of a leaf and children of an inner node of the tree: twice these.
const LEAF_K: usize = 64;
const NODE_K: usize = 64;
/// HDF5's own limit.
const MAX_RANK: usize = 32;

const SUPERBLOCK: u64 = 96;
const ROOT_HEADER: u64 = 16 + 8 + 16;
const LEAF: u64 = 8 + 2 * LEAF_K as u64 * 40;
const NODE: u64 = 24 + 2 * NODE_K as u64 * 8 + (2 * NODE_K as u64 + 1) * 8;
const HEAP: u64 = 32;
/// Data begin at multiples of this, so that a memory map of them is aligned.
const ALIGNMENT: u64 = 8;
/// "No address".
const NONE: u64 = u64::MAX;

/// Writes `tensors`, each as the dataset of its name.
pub fn write(out: &mut File, tensors: &[Entry], feed: &mut Feed) -> Parse<()> {
    let plan = Plan::new(tensors)?;
    let mut out = BufWriter::with_capacity(1 << 18, out);
    plan.superblock(&mut out)?;
    plan.tree(&mut out)?;
    plan.leaves(&mut out)?;
    plan.heap(&mut out, tensors)?;
    for (entry, place) in tensors.iter().zip(&plan.places) {
        out.write_all(&object_header(entry, place.data)?)?;
    }
    for (index, entry) in tensors.iter().enumerate() {
        let mut output = Output::new(&mut out, entry.bytes());
        feed(index, &mut |piece| output.push(piece))?;
        output.finish()?;
        let padding = entry.bytes().next_multiple_of(ALIGNMENT) - entry.bytes();
        out.write_all(&[0; ALIGNMENT as usize][..padding as usize])?;
    }
    out.flush()?;
    Ok(())
}

/// Where everything of one tensor goes.
struct Place {
    /// Of its name in the heap.
    name: u64,
    header: u64,
    data: u64,
}

struct Plan {
    places: Vec<Place>,
    /// Tensors by name, as the tree wants them.
    sorted: Vec<usize>,
    /// Nodes of each level of the tree, the lowest first.
    levels: Vec<u64>,
    leaves: u64,
    heap: u64,
    heap_bytes: u64,
    end: u64,
}

impl Plan {
    fn new(tensors: &[Entry]) -> Parse<Self> {
        let mut sorted: Vec<usize> = (0..tensors.len()).collect();
        sorted.sort_by_key(|&index| tensors[index].name.as_bytes());
        let same = |pair: &&[usize]| tensors[pair[0]].name == tensors[pair[1]].name;
        if let Some(pair) = sorted.windows(2).find(same) {
            let name = &tensors[pair[0]].name;
            return Err(Fault::unsupported(format!("two tensors are called {name:?}")));
        }
        let mut levels = vec![tensors.len().div_ceil(2 * LEAF_K).div_ceil(2 * NODE_K).max(1) as u64];
        while let Some(&below) = levels.last().filter(|&&below| below > 1) {
            levels.push(below.div_ceil(2 * NODE_K as u64));
        }
        let leaves = SUPERBLOCK + ROOT_HEADER + levels.iter().sum::<u64>() * NODE;
        let leaf_count = tensors.len().div_ceil(2 * LEAF_K) as u64;
        let heap = leaves + leaf_count * LEAF;
        let mut plan = Self {
            places: Vec::with_capacity(tensors.len()),
            sorted,
            levels,
            leaves,
            heap,
            // The empty name, which is the tree's first key.
            heap_bytes: 8,
            end: 0,
        };
        plan.place(tensors)?;
        Ok(plan)
    }

    fn place(&mut self, tensors: &[Entry]) -> Parse<()> {
        for entry in tensors {
            check_name(&entry.name)?;
            self.places.push(Place {
                name: self.heap_bytes,
                header: 0,
                data: NONE,
            });
            self.heap_bytes += (entry.name.len() as u64 + 1).next_multiple_of(8);
        }
        let mut at = self.heap + HEAP + self.heap_bytes;
        for (entry, place) in tensors.iter().zip(&mut self.places) {
            place.header = at;
            at += object_header(entry, NONE)?.len() as u64;
        }
        for (entry, place) in tensors.iter().zip(&mut self.places) {
            let bytes = entry.bytes();
            if bytes > 0 {
                place.data = at;
            }
            let padded = bytes.checked_next_multiple_of(ALIGNMENT);
            let next = padded.and_then(|padded| at.checked_add(padded));
            at = next.filter(|&next| next < NONE / 2).ok_or_else(|| {
                Fault::unsupported("more bytes of tensors than a file can hold")
            })?;
        }
        self.end = at;
        Ok(())
    }

    fn superblock(&self, out: &mut impl Write) -> Parse<()> {
        let mut b = Bytes::default();
        b.0.extend(b"\x89HDF\r\n\x1a\n");
        // Versions of the superblock and its parts; bytes of addresses and lengths.
        b.0.extend([0, 0, 0, 0, 0, 8, 8, 0]);
        b.u16(LEAF_K as u16).u16(NODE_K as u16).u32(0);
        // Base, free space, end, driver information.
        b.u64(0).u64(NONE).u64(self.end).u64(NONE);
        let (tree, heap) = (self.root(), self.heap);
        // The root group: its name, its header, and a copy of where its tree and names are.
        b.u64(0).u64(SUPERBLOCK).u32(1).u32(0).u64(tree).u64(heap);
        // Its header: one message, the symbol table.
        b.u16(1).u16(1).u32(1).u32(24).u32(0);
        b.message(0x11, &[tree.to_le_bytes(), heap.to_le_bytes()].concat());
        out.write_all(&b.0)?;
        Ok(())
    }

    /// Address of the tree's root: the last node.
    fn root(&self) -> u64 {
        SUPERBLOCK + ROOT_HEADER + (self.levels.iter().sum::<u64>() - 1) * NODE
    }

    /// Writes the nodes, level by level.
    fn tree(&self, out: &mut impl Write) -> Parse<()> {
        let mut level_start = SUPERBLOCK + ROOT_HEADER;
        // Where the children are, how large and how many they are, and names below each.
        let mut below = (self.leaves, LEAF, self.places.len().div_ceil(2 * LEAF_K));
        let mut names = 2 * LEAF_K;
        for (level, &count) in self.levels.iter().enumerate() {
            for number in 0..count {
                let node = self.node(level, number, (level_start, count), below, names);
                out.write_all(&node)?;
            }
            below = (level_start, NODE, count as usize);
            level_start += count * NODE;
            names *= 2 * NODE_K;
        }
        Ok(())
    }

    fn node(
        &self,
        level: usize,
        number: u64,
        (level_start, count): (u64, u64),
        (children, child_len, child_count): (u64, u64, usize),
        names: usize,
    ) -> Vec<u8> {
        let first = number as usize * 2 * NODE_K;
        let used = (child_count - first.min(child_count)).min(2 * NODE_K);
        let sibling = |number: Option<u64>| match number {
            Some(number) if number < count => level_start + number * NODE,
            _ => NONE,
        };
        let mut b = Bytes::default();
        b.0.extend(b"TREE\0");
        b.0.push(level as u8);
        b.u16(used as u16);
        b.u64(sibling(number.checked_sub(1))).u64(sibling(Some(number + 1)));
        // The key before a child is below all its names, the key after it is its last name.
        let last_name = |child: usize| {
            let last = (child * names).min(self.sorted.len());
            last.checked_sub(1).map_or(0, |last| self.places[self.sorted[last]].name)
        };
        b.u64(last_name(first));
        for child in first..first + used {
            b.u64(children + child as u64 * child_len);
            b.u64(last_name(child + 1));
        }
        b.0.resize(NODE as usize, 0);
        b.0
    }

    fn leaves(&self, out: &mut impl Write) -> Parse<()> {
        for names in self.sorted.chunks(2 * LEAF_K) {
            let mut b = Bytes::default();
            b.0.extend(b"SNOD\x01\0");
            b.u16(names.len() as u16);
            for &index in names {
                let place = &self.places[index];
                b.u64(place.name).u64(place.header);
                b.0.extend([0; 24]);
            }
            b.0.resize(LEAF as usize, 0);
            out.write_all(&b.0)?;
        }
        Ok(())
    }

    fn heap(&self, out: &mut impl Write, tensors: &[Entry]) -> Parse<()> {
        let mut b = Bytes::default();
        b.0.extend(b"HEAP\0\0\0\0");
        // No free space is marked by 1, which is no offset of a free block.
        b.u64(self.heap_bytes).u64(1).u64(self.heap + HEAP).u64(0);
        out.write_all(&b.0)?;
        for entry in tensors {
            let mut name = entry.name.clone().into_bytes();
            name.resize((name.len() + 1).next_multiple_of(8), 0);
            out.write_all(&name)?;
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Parse<()> {
    let what = if name.is_empty() || name == "." {
        "HDF5 has no such name"
    } else if name.contains('/') {
        "in HDF5 a '/' would make groups of it"
    } else if name.contains('\0') {
        "HDF5 ends names at a zero byte"
    } else {
        return Ok(());
    };
    Err(Fault::unsupported(format!(
        "the tensor {name:?}: {what}; write .safetensors, .pt or .pkl instead"
    )))
}

/// The header of a dataset whose data are at `data`.
fn object_header(entry: &Entry, data: u64) -> Parse<Vec<u8>> {
    let Entry { name, shape, dtype } = entry;
    let rank = shape.len();
    if rank > MAX_RANK {
        return Err(Fault::unsupported(format!(
            "the tensor {name:?} has {rank} dimensions; HDF5 takes {MAX_RANK}"
        )));
    }
    let mut space = Bytes(vec![1, rank as u8, 0, 0, 0, 0, 0, 0]);
    for &size in shape {
        space.u64(size);
    }
    let mut layout = Bytes(vec![3, 1]);
    layout.u64(data).u64(entry.bytes());

    let mut messages = Bytes::default();
    messages.message(0x01, &space.0);
    messages.message(0x03, &datatype(*dtype, name)?);
    // Fill value: the default one, should anything ever need it.
    messages.message(0x05, &[2, 2, 2, 1, 0, 0, 0, 0]);
    messages.message(0x08, &layout.0);
    let mut header = Bytes::default();
    header.u16(1).u16(4).u32(1);
    header.u32(messages.0.len() as u32).u32(0);
    header.0.extend(messages.0);
    Ok(header.0)
}

/// Little-endian fields one after another.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, n: u16) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn u32(&mut self, n: u32) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    fn u64(&mut self, n: u64) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    /// A message of an object header, filled up to a multiple of eight bytes.
    fn message(&mut self, kind: u16, data: &[u8]) {
        let len = data.len().next_multiple_of(8);
        self.u16(kind).u16(len as u16).u32(0);
        self.0.extend(data);
        self.0.resize(self.0.len() + len - data.len(), 0);
    }
}

#[cfg(test)]
#[path = "hdf5_tests.rs"]
mod tests;
