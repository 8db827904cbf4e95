//! Zip archives, read strictly: whatever two readers could take for different archives is refused.
//!
//! Stored and deflated members in one file, 32 and 64 bits, with and without data descriptors, as
//! PyTorch, Python's `zipfile` and numpy write them.

mod central;
mod end;
mod fields;
mod local;
mod names;

use indexmap::IndexMap;

use super::blob::{Blob, Encoding};
use super::error::{Fault, Parse};
use super::source::Source;

/// First bytes of a zip file: a local header, or the end record of an empty archive.
pub fn looks_like(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// The members' names from the directory alone, to tell what the archive is.
pub fn names(source: &Source) -> Parse<Vec<String>> {
    let directory = central::read(source.as_ref())?;
    Ok(directory.entries.into_iter().map(|e| e.name).collect())
}

/// An archive whose directory and local headers have been checked against each other.
pub struct Archive {
    source: Source,
    members: IndexMap<String, Member>,
}

struct Member {
    offset: u64,
    stored: u64,
    len: u64,
    encoding: Encoding,
    crc: u32,
}

impl Archive {
    pub fn open(source: &Source) -> Parse<Self> {
        let directory = central::read(source.as_ref())?;
        let data = local::locate(source.as_ref(), &directory)?;
        drop(directory.bytes);
        let mut members = IndexMap::with_capacity(data.len());
        for (entry, offset) in directory.entries.into_iter().zip(data) {
            let member = Member {
                offset,
                stored: entry.stored,
                len: entry.len,
                encoding: entry.encoding(),
                crc: entry.crc,
            };
            let (index, before) = members.insert_full(entry.name, member);
            if before.is_some() {
                let name = members.get_index(index).map_or("", |(name, _)| name);
                return Err(Fault::hostile(format!(
                    "two zip members are called {name:?}"
                )));
            }
        }
        members.retain(|name, _| !central::is_folder(name));
        Ok(Self {
            source: source.clone(),
            members,
        })
    }

    /// The members' names in the directory's order; folders are left out.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether the writer left out the checksums (`torch.serialization.set_crc32_options(False)`
    /// writes zeros): no archive with anything in it has none but zeros by chance.
    pub fn has_no_checksums(&self) -> bool {
        self.members.values().all(|member| member.crc == 0)
    }

    /// The bytes of a member, if there is one of this name.
    pub fn blob(&self, name: &str) -> Option<Parse<Blob>> {
        self.members.get(name).map(|member| self.blob_of(member))
    }

    /// All members, in the directory's order.
    pub fn blobs(&self) -> impl Iterator<Item = (&str, Parse<Blob>)> {
        let blob = |(name, member)| (String::as_str(name), self.blob_of(member));
        self.members.iter().map(blob)
    }

    fn blob_of(&self, member: &Member) -> Parse<Blob> {
        let blob = Blob::encoded(
            &self.source,
            member.offset,
            member.stored,
            member.len,
            member.encoding,
        )?;
        Ok(Blob {
            crc: Some(member.crc),
            ..blob
        })
    }
}

#[cfg(test)]
mod tests;
