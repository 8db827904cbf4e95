//! `.npz` archives: named arrays in a zip file, read one at a time.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::npy::{self, Array, NpyError};

/// No deflate stream unpacks to more than about 1032 times its size.
const MAX_RATIO: u64 = 1032;
/// Most bytes of one array read unless the caller says otherwise.
const DEFAULT_LIMIT: u64 = 4 << 30;

/// What is wrong with an archive or one of its members.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    #[error("{}: cannot open: {source}", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: not a readable .npz (zip) archive: {source}", path.display())]
    Archive { path: PathBuf, source: ZipError },
    #[error("{}: no array {member:?}; it holds {present}", path.display())]
    Missing {
        path: PathBuf,
        member: String,
        present: String,
    },
    #[error("{}: member {member:?} claims {claimed} bytes, more than its {packed} packed bytes can hold", path.display())]
    Bomb {
        path: PathBuf,
        member: String,
        claimed: u64,
        packed: u64,
    },
    #[error("{}: member {member:?}: {source}", path.display())]
    Member {
        path: PathBuf,
        member: String,
        source: NpyError,
    },
}

/// An open archive. Stored and deflated members are read; encrypted ones are refused.
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    limit: u64,
}

impl Npz {
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NpzError> {
        let path = path.as_ref().to_path_buf();
        let file = File::open(&path).map_err(|source| NpzError::Open {
            path: path.clone(),
            source,
        })?;
        let archive =
            ZipArchive::new(BufReader::new(file)).map_err(|source| NpzError::Archive {
                path: path.clone(),
                source,
            })?;
        Ok(Self {
            path,
            archive,
            limit: DEFAULT_LIMIT,
        })
    }

    /// Refuses arrays of more than `bytes`.
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// The arrays' names, without `.npy`.
    pub fn names(&self) -> Vec<String> {
        self.archive
            .file_names()
            .filter_map(|n| {
                n.ok()
                    .map(|n| n.strip_suffix(".npy").unwrap_or(&n).to_owned())
            })
            .collect()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.archive
            .index_for_name(&format!("{name}.npy"))
            .is_some()
    }

    /// Reads the array `name` (without `.npy`).
    pub fn read(&mut self, name: &str) -> Result<Array, NpzError> {
        let path = || self.path.clone();
        let index = self
            .archive
            .index_for_name(&format!("{name}.npy"))
            .ok_or_else(|| NpzError::Missing {
                path: path(),
                member: name.into(),
                present: self.names().join(", "),
            })?;
        let path = path();
        let mut member = self
            .archive
            .by_index(index)
            .map_err(|source| NpzError::Archive {
                path: path.clone(),
                source,
            })?;
        let (claimed, packed) = (member.size(), member.compressed_size());
        if claimed > packed.saturating_mul(MAX_RATIO).saturating_add(MAX_RATIO) {
            return Err(NpzError::Bomb {
                path,
                member: name.into(),
                claimed,
                packed,
            });
        }
        npy::read(&mut member, claimed, self.limit).map_err(|source| NpzError::Member {
            path,
            member: name.into(),
            source,
        })
    }
}

#[cfg(test)]
#[path = "npz_tests.rs"]
mod tests;
