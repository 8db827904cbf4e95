//! What is known about each file: what its bytes must be, and what they were when last looked at.
//!
//! One small JSON file per model file and place, each written whole, so that any number of
//! processes may write: the last one wins, and every state is a true one. Records of files in
//! folders that are not ours lie in our own folder, too.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::digest;
use super::error::CacheError;
use super::files::{self, Stamp};
use super::place;

const VERSION: u32 = 1;
/// A record is well below this; anything larger is not ours.
const MAX_RECORD: u64 = 1 << 20;

/// How the bytes got there that are held to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    Download,
    Import,
    Unpack,
    /// Written by us from another file.
    Convert,
}

/// What the file's bytes must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trusted {
    pub sha256: String,
    pub bytes: u64,
    pub how: How,
    /// Imported although the published size or hash is another: the user's own weights.
    #[serde(default)]
    pub forced: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Seconds since 1970.
    pub at: u64,
}

/// On what a file is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The published hash.
    Published,
    /// The hash recorded when it was downloaded, imported or unpacked.
    Recorded,
    /// It can be read, and holds what it must.
    Structure,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Cut off, or not the bytes that were published or recorded.
    Corrupt,
    /// A sound file, but not this model.
    Different,
    /// It cannot be read, by the system or by us.
    Unreadable,
    /// It tries to run code, or claims sizes out of proportion.
    Hostile,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum Verdict {
    /// It opens and holds the right tensors; not every byte was looked at.
    Opens,
    /// Every byte was looked at.
    Sound {
        trust: Trust,
    },
    Faulty {
        wrong: Wrong,
        why: String,
    },
}

/// What the file was when last looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub stamp: Stamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub verdict: Verdict,
    pub at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub(super) version: u32,
    pub id: String,
    pub path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<Trusted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

impl Record {
    pub fn new(id: &str, path: &Path) -> Self {
        Self {
            version: VERSION,
            id: id.to_string(),
            path: path.to_path_buf(),
            trusted: None,
            seen: None,
        }
    }

    /// The record after a look at the file.
    pub fn seen(self, stamp: Stamp, sha256: Option<String>, verdict: Verdict) -> Self {
        let at = now();
        let seen = Some(Seen {
            stamp,
            sha256,
            verdict,
            at,
        });
        Self { seen, ..self }
    }

    /// What was seen, if the file is still the same.
    pub fn current(&self, stamp: Stamp) -> Option<&Seen> {
        self.seen.as_ref().filter(|seen| seen.stamp == stamp)
    }

    /// Its SHA-256, if the file is still the same and was hashed.
    pub fn hash(&self, stamp: Stamp) -> Option<&str> {
        self.current(stamp)?.sha256.as_deref()
    }
}

/// The records of one cache.
#[derive(Clone, Debug)]
pub struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    pub fn new(root: &Path) -> Self {
        let folder = root.join(place::OWN).join("ledger");
        Self { folder }
    }

    fn file(&self, id: &str, path: &Path) -> PathBuf {
        let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let name = format!("{id}.{}.json", digest::hex(&hash[..8]));
        self.folder.join(name)
    }

    /// What is known about `path` (links resolved); an empty record when nothing is, or when the
    /// record itself is damaged.
    pub fn read(&self, id: &str, path: &Path) -> Record {
        let known = read_record(&self.file(id, path));
        known
            .filter(|record| record.id == id && record.path == path)
            .unwrap_or_else(|| Record::new(id, path))
    }

    pub fn write(&self, record: &Record) -> Result<(), CacheError> {
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| CacheError::new(super::error::CACHE_IO, error.to_string()))?;
        files::write_whole(&self.file(&record.id, &record.path), &text)
    }

    /// Remembers where that is possible: a cache that cannot be written still answers questions.
    pub fn remember(&self, record: &Record) {
        let _ = self.write(record);
    }

    pub fn forget(&self, id: &str, path: &Path) {
        let _ = fs::remove_file(self.file(id, path));
    }

    /// Every record, with the file it is in.
    pub fn all(&self) -> Vec<(PathBuf, Option<Record>)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let is_record = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
        let mut files: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(is_record)
            .collect();
        files.sort();
        let read = |file: PathBuf| {
            let record = read_record(&file);
            (file, record)
        };
        files.into_iter().map(read).collect()
    }
}

fn read_record(file: &Path) -> Option<Record> {
    let mut text = Vec::new();
    let file = fs::File::open(file).ok()?;
    file.take(MAX_RECORD).read_to_end(&mut text).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.version == VERSION).then_some(record)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            bytes: 1,
            modified: 2,
            changed: 3,
            inode: 4,
        }
    }

    fn record(sha256: &str) -> Record {
        let seen = Seen {
            stamp: stamp(),
            sha256: Some(sha256.into()),
            verdict: Verdict::Sound {
                trust: Trust::Published,
            },
            at: now(),
        };
        Record {
            seen: Some(seen),
            ..Record::new("hmr2", Path::new("/a/b.ckpt"))
        }
    }

    #[test]
    fn a_record_comes_back_and_speaks_of_one_state_only() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(root.path());
        ledger.write(&record("aa")).unwrap();
        let back = ledger.read("hmr2", Path::new("/a/b.ckpt"));
        assert_eq!(back.hash(stamp()), Some("aa"));
        assert_eq!(
            back.hash(Stamp {
                changed: 9,
                ..stamp()
            }),
            None
        );
        assert_eq!(ledger.read("hmr2", Path::new("/a/c.ckpt")).seen, None);
    }

    #[test]
    fn a_damaged_record_is_no_record() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(root.path());
        ledger.write(&record("aa")).unwrap();
        let (file, _) = ledger.all().remove(0);
        for text in ["", "{", "[]", "{\"version\":2}", "\0\0\0"] {
            fs::write(&file, text).unwrap();
            assert_eq!(ledger.read("hmr2", Path::new("/a/b.ckpt")).seen, None);
        }
    }

    #[test]
    fn many_writers_leave_one_whole_record() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(root.path());
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let ledger = &ledger;
                scope.spawn(move || {
                    for round in 0..20 {
                        ledger.write(&record(&format!("{writer}-{round}"))).unwrap();
                        assert!(
                            ledger
                                .read("hmr2", Path::new("/a/b.ckpt"))
                                .hash(stamp())
                                .is_some()
                        );
                    }
                });
            }
        });
        assert_eq!(ledger.all().len(), 1);
        assert_eq!(
            fs::read_dir(root.path().join(".pose4d/ledger"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn nowhere_to_write_is_no_reason_to_fail() {
        let ledger = Ledger::new(Path::new("/proc/nowhere"));
        ledger.remember(&record("aa"));
        assert!(ledger.all().is_empty());
    }
}
