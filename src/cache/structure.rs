//! Whether a file can be read and holds the model it should: by its tensors, not by its name.

use std::path::Path;

use crate::checkpoint::checkpoint::{Checkpoint, Format};
use crate::checkpoint::error::{CheckpointError, Kind};
use crate::checkpoint::open;

use super::body;
use super::ledger::Wrong;
use super::manifest::Entry;
use super::progress::{Progress, Watch};

/// What a look inside found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub wrong: Wrong,
    pub why: String,
    /// The caller ended the work: nothing was found.
    pub cancelled: bool,
}

impl Fault {
    pub fn new(wrong: Wrong, why: impl Into<String>) -> Self {
        Self {
            wrong,
            why: why.into(),
            cancelled: false,
        }
    }
}

impl From<CheckpointError> for Fault {
    fn from(error: CheckpointError) -> Self {
        let wrong = match error.kind {
            Kind::Corrupt => Wrong::Corrupt,
            Kind::Hostile => Wrong::Hostile,
            Kind::Missing | Kind::Format => Wrong::Different,
            Kind::NotFound | Kind::Io | Kind::Unsupported | Kind::Cancelled => Wrong::Unreadable,
        };
        Self {
            wrong,
            cancelled: error.kind == Kind::Cancelled,
            why: error.message,
        }
    }
}

/// Whether opening tells anything, and costs little: not for archives and packed assets.
pub fn can_open(entry: &Entry) -> bool {
    !matches!(entry.format.as_str(), "tar" | "data")
}

/// Opens `path` and checks that it is the model `entry` names. Reads no tensor's bytes.
pub fn check(path: &Path, entry: &Entry) -> Result<(), Fault> {
    let checkpoint = open::open(path)?;
    check_open(&checkpoint, entry)
}

fn check_open(checkpoint: &Checkpoint, entry: &Entry) -> Result<(), Fault> {
    let format = checkpoint.format();
    if entry.format == "yaml" {
        return expect_format(format, &[Format::Yaml]);
    }
    if entry.component == "smpl" {
        return body::check(checkpoint);
    }
    let holds = |key: &String| match key.strip_suffix('*') {
        Some(start) => checkpoint.names().any(|name| name.starts_with(start)),
        None => checkpoint.tensors().contains_key(key),
    };
    match entry.keys.iter().find(|key| !holds(key)) {
        None => Ok(()),
        Some(key) => {
            let some: Vec<_> = checkpoint.names().take(3).collect();
            let why = format!(
                "it has no tensor {key:?}, which {} has; it holds {} tensors, such as {}",
                entry.id,
                checkpoint.tensors().len(),
                some.join(", ")
            );
            Err(Fault::new(Wrong::Different, why))
        }
    }
}

fn expect_format(found: Format, expected: &[Format]) -> Result<(), Fault> {
    if expected.contains(&found) {
        return Ok(());
    }
    let why = format!("expected a file of the format {expected:?}, found {found:?}");
    Err(Fault::new(Wrong::Different, why))
}

/// As [`check`], and reads every tensor once, so that checksums inside the file are checked.
pub fn check_deeply(path: &Path, entry: &Entry, watch: Watch) -> Result<(), Fault> {
    let checkpoint = open::open(path)?;
    check_open(&checkpoint, entry)?;
    let tensors = || checkpoint.tensors().values();
    let total = tensors().filter_map(|tensor| tensor.bytes().ok()).sum();
    let mut loaded = 0;
    for (name, tensor) in checkpoint.tensors() {
        let read = tensor.stream(&mut |piece| {
            loaded += piece.len() as u64;
            let progress = Progress {
                phase: "read",
                model: &entry.id,
                file: &entry.file,
                loaded,
                total: Some(total),
            };
            if watch.step(&progress) {
                return Ok(());
            }
            Err(crate::checkpoint::error::Fault::new(
                Kind::Cancelled,
                "cancelled",
            ))
        });
        read.map_err(|fault| fault.within(format_args!("tensor {name:?}")).at(path))?;
    }
    Ok(())
}

/// Whether the container itself proves that its end is missing, whatever our readers think of it.
///
/// Only what a format states beyond doubt counts: a zip file's directory at its end, the length an
/// HDF5 or safetensors file states, the last opcode of a pickle, the end of a gzip stream.
pub fn is_cut_off(path: &Path) -> std::io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Ok(true);
    }
    let mut head = Vec::new();
    file.by_ref().take(64).read_to_end(&mut head)?;
    let tail_length = bytes.min(66_000);
    file.seek(SeekFrom::End(-i64::try_from(tail_length).unwrap_or(0)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(states_more(&head, &tail, bytes))
}

fn states_more(head: &[u8], tail: &[u8], bytes: u64) -> bool {
    let number = |at: usize| {
        let eight = head.get(at..at + 8).and_then(|b| b.try_into().ok());
        eight.map(u64::from_le_bytes)
    };
    if head.starts_with(b"PK\x03\x04") {
        return !tail.windows(4).any(|four| four == b"PK\x05\x06");
    }
    if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        // The end-of-file address: after the version-dependent part, with 8-byte offsets.
        let at = match head.get(8) {
            Some(0) => 40,
            Some(1) => 44,
            Some(2 | 3) => 28,
            _ => return false,
        };
        return number(at).is_some_and(|end| end != u64::MAX && end > bytes);
    }
    let is_pickle = head.first() == Some(&0x80) && matches!(head.get(1), Some(2..=5));
    // PyTorch's legacy files go on after their pickles; a plain pickle ends with STOP.
    if is_pickle && !head.windows(4).any(|four| four == [0x6c, 0xfc, 0x9c, 0x46]) {
        return tail.last() != Some(&b'.');
    }
    if head.get(8) == Some(&b'{') {
        return number(0).is_some_and(|header| header.saturating_add(8) > bytes);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_off(bytes: &[u8]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        is_cut_off(&path).unwrap()
    }

    #[test]
    fn only_what_a_container_states_counts_as_proof() {
        assert!(cut_off(b""));
        assert!(cut_off(b"PK\x03\x04 half of an archive"));
        assert!(!cut_off(b"PK\x03\x04 whole PK\x05\x06 with a comment"));
        assert!(cut_off(b"\x80\x04\x95half of a pickle"));
        assert!(!cut_off(b"\x80\x02}q\x00."));
        assert!(cut_off(b"\xff\0\0\0\0\0\0\0{\"a\":"));
        assert!(!cut_off(b"\x02\0\0\0\0\0\0\0{}"));
        let mut hdf5 = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0\x04\0\x10\0\0\0\0\0".to_vec();
        hdf5.extend([0; 16]);
        hdf5.extend(4096_u64.to_le_bytes());
        hdf5.resize(96, 0);
        assert!(cut_off(&hdf5));
        hdf5.resize(4096, 0);
        assert!(!cut_off(&hdf5));
        // What we do not know is never proven.
        assert!(!cut_off(b"something else entirely"));
        assert!(!cut_off(b"(dp0\nS'a'\np1\n"));
    }
}
