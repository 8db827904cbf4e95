//! PyTorch's zip files: a pickle, and a member per storage.
//!
//! Written by `torch.save` since PyTorch 1.6 (`torch/serialization.py`,
//! `caffe2/serialize/inline_container.cc`, v2.11).

use std::collections::HashSet;
use std::sync::Arc;

use super::blob::{Blob, Encoding};
use super::checkpoint::Contents;
use super::error::{Fault, Parse};
use super::pickle;
use super::pickle::storage::{PersistentId, Storage, Storages};
use super::pickle::value::Pickle;
use super::source::Source;
use super::zip::Archive;

const PICKLE: &str = "data.pkl";
/// Longest compressed pickle, unpacked; archives zipped again by hand have one.
const MAX_PACKED_PICKLE: u64 = 16 << 20;
/// Records beside the pickles are a few bytes.
const MAX_RECORD: u64 = 64;
/// Newest version of the container that PyTorch itself reads.
const MAX_VERSION: u64 = 10;
/// Members that no tensor uses: TorchScript's code comes to some hundreds.
const MAX_UNUSED: usize = 4096;

/// Whether an archive with members of these names is one of PyTorch's.
pub fn looks_like<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.rsplit('/').next() == Some(PICKLE))
}

pub fn read(source: &Source) -> Parse<Contents> {
    let archive = TorchArchive::open(source)?;
    let contents = archive.contents(PICKLE, "data/")?;
    archive.check_unused()?;
    Ok(contents)
}

/// An archive of PyTorch's: where its records are, and in which byte order.
pub struct TorchArchive {
    archive: Archive,
    /// Folder all records are in, with its slash; empty when they are at the top.
    root: String,
    big_endian: bool,
    /// False where the writer left out the checksums.
    checked: bool,
}

impl TorchArchive {
    pub fn open(source: &Source) -> Parse<Self> {
        let archive = Archive::open(source)?;
        let root = root(&archive)?;
        check_cases(&archive)?;
        let mut torch = Self {
            checked: !archive.has_no_checksums(),
            archive,
            root,
            big_endian: false,
        };
        torch.big_endian = match torch.small_record("byteorder")?.as_deref() {
            None | Some(b"little") => false,
            Some(b"big") => true,
            Some(other) => {
                let text = String::from_utf8_lossy(other);
                return Err(Fault::corrupt(format!(
                    "the byte order is {text:?}; expected little or big"
                )));
            }
        };
        torch.check_version()?;
        Ok(torch)
    }

    pub fn has(&self, record: &str) -> bool {
        self.archive.contains(&format!("{}{record}", self.root))
    }

    /// Whether any record is in this folder.
    pub fn has_folder(&self, folder: &str) -> bool {
        let start = format!("{}{folder}/", self.root);
        self.archive.names().any(|name| name.starts_with(&start))
    }

    /// The tensors and values of one of the archive's pickles; its storages are in `folder`.
    pub fn contents(&self, record: &str, folder: &str) -> Parse<Contents> {
        let (pickle, source) = self.pickle(record)?;
        let storages = Members {
            archive: self,
            folder,
        };
        pickle::contents(&pickle, &source, Some(&storages))
    }

    /// Parses a pickle where it is, or from memory when it is compressed.
    pub fn pickle(&self, record: &str) -> Parse<(Pickle, Source)> {
        let place = |fault: Fault| fault.within(record);
        let blob = self
            .record(record)?
            .ok_or_else(|| Fault::corrupt(format!("the archive has no {record}; it is damaged")))?;
        let parse = |source: Source, start: u64, len: u64| {
            let pickle = pickle::parse(&source, start, start + len)?;
            let behind = (start + len).saturating_sub(pickle.end);
            if behind != 0 {
                return Err(Fault::hostile(format!(
                    "{behind} bytes stand behind the pickle's end"
                )));
            }
            Ok((pickle, source))
        };
        if blob.encoding == Encoding::Raw {
            // A damaged pickle should be called damaged, not hostile.
            blob.stream(0, blob.len, &mut |_| Ok(())).map_err(place)?;
            return parse(blob.source, blob.offset, blob.len).map_err(place);
        }
        let bytes = blob.read(MAX_PACKED_PICKLE).map_err(place)?;
        parse(Arc::new(bytes), 0, blob.len).map_err(place)
    }

    fn record(&self, record: &str) -> Parse<Option<Blob>> {
        let name = format!("{}{record}", self.root);
        let Some(blob) = self.archive.blob(&name).transpose()? else {
            return Ok(None);
        };
        let crc = blob.crc.filter(|_| self.checked);
        Ok(Some(Blob { crc, ..blob }))
    }

    fn small_record(&self, record: &str) -> Parse<Option<Vec<u8>>> {
        let blob = self.record(record)?;
        let read = |blob: Blob| blob.read(MAX_RECORD).map_err(|fault| fault.within(record));
        blob.map(read).transpose()
    }

    fn check_version(&self) -> Parse<()> {
        let record = match self.small_record("version")? {
            Some(record) => Some(record),
            None => self.small_record(".data/version")?,
        };
        let Some(record) = record else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(&record);
        match text.trim().parse::<u64>() {
            Ok(version) if (1..=MAX_VERSION).contains(&version) => Ok(()),
            Ok(version) => Err(Fault::unsupported(format!(
                "version {version} of PyTorch's container; expected 1 to {MAX_VERSION}"
            ))),
            Err(_) => Err(Fault::corrupt(format!(
                "the container's version is {text:?}"
            ))),
        }
    }

    /// Refuses an archive stuffed with members that nothing refers to.
    pub fn check_unused(&self) -> Parse<()> {
        let storages = |name: &&str| {
            let record = name.strip_prefix(&self.root).unwrap_or(name);
            record.starts_with("data/") || record.starts_with("constants/")
        };
        let others = self.archive.names().filter(|name| !storages(name)).count();
        if others > MAX_UNUSED {
            return Err(Fault::hostile(format!(
                "{others} members that PyTorch does not write; at most {MAX_UNUSED} are let pass"
            )));
        }
        Ok(())
    }
}

/// The folder the records are in: that of the one `data.pkl`.
fn root(archive: &Archive) -> Parse<String> {
    let roots: Vec<&str> = archive
        .names()
        .filter_map(|name| name.strip_suffix(PICKLE))
        .filter(|root| root.is_empty() || root.ends_with('/'))
        .collect();
    match roots.as_slice() {
        [root] => Ok((*root).to_owned()),
        [] => Err(Fault::corrupt("a PyTorch archive without data.pkl")),
        [first, second, ..] => Err(Fault::hostile(format!(
            "two pickles, {first}{PICKLE} and {second}{PICKLE}, claim to be the checkpoint"
        ))),
    }
}

/// PyTorch's own reader finds members without regard to case.
fn check_cases(archive: &Archive) -> Parse<()> {
    let mut seen = HashSet::new();
    for name in archive.names() {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(Fault::hostile(format!(
                "two members are called {name:?} but for the case of their letters"
            )));
        }
    }
    Ok(())
}

/// The members that are storages.
struct Members<'a> {
    archive: &'a TorchArchive,
    folder: &'a str,
}

impl Storages for Members<'_> {
    fn storage(&self, id: &PersistentId) -> Parse<Storage> {
        let name = format!("{}{}", self.folder, id.key);
        let blob = self.archive.record(&name)?.ok_or_else(|| {
            Fault::corrupt(format!(
                "the archive has no {name}, a storage of {} elements",
                id.elements
            ))
        })?;
        check_size(id, blob.len)?;
        Ok(Storage {
            blob,
            dtype: id.dtype,
            elements: id.elements,
            big_endian: self.archive.big_endian,
        })
    }
}

/// Fault when a storage is not as long as the pickle says.
pub fn check_size(id: &PersistentId, bytes: u64) -> Parse<()> {
    if id.elements.checked_mul(id.dtype.size() as u64) == Some(bytes) {
        return Ok(());
    }
    Err(Fault::corrupt(format!(
        "storage {:?} holds {bytes} bytes; {} elements of {} are claimed",
        id.key, id.elements, id.dtype
    )))
}

#[cfg(test)]
#[path = "torch_zip_tests.rs"]
mod tests;
