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
/// What must be, and what was seen: the two files of a record.
const TRUSTED: &str = "trusted";
const SEEN: &str = "seen";
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
    pub verdict: Verdict,
    pub at: u64,
}

/// The hash of a state of the file that was sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hashed {
    pub stamp: Stamp,
    pub sha256: String,
}

/// Both halves of what is known. They are kept in files of their own: whoever looks at a file must
/// not undo what somebody else just wrote about what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    pub path: PathBuf,
    pub trusted: Option<Trusted>,
    pub seen: Option<Seen>,
    pub hashed: Option<Hashed>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Half {
    version: u32,
    id: String,
    path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trusted: Option<Trusted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashed: Option<Hashed>,
}

impl Trusted {
    pub fn new(sha256: &str, how: How) -> Self {
        Self {
            sha256: sha256.to_string(),
            bytes: 0,
            how,
            forced: false,
            url: None,
            etag: None,
            at: now(),
        }
    }
}

impl Record {
    pub fn new(id: &str, path: &Path) -> Self {
        Self {
            id: id.to_string(),
            path: path.to_path_buf(),
            trusted: None,
            seen: None,
            hashed: None,
        }
    }

    /// The record after a look at the file.
    pub fn seen(self, stamp: Stamp, verdict: Verdict) -> Self {
        let at = now();
        let seen = Some(Seen { stamp, verdict, at });
        Self { seen, ..self }
    }

    /// The record after all of a sound file was read.
    pub fn hashed(self, stamp: Stamp, sha256: String) -> Self {
        let hashed = Some(Hashed { stamp, sha256 });
        Self { hashed, ..self }
    }

    /// What was seen, if the file is still the same.
    pub fn current(&self, stamp: Stamp) -> Option<&Seen> {
        self.seen.as_ref().filter(|seen| seen.stamp == stamp)
    }

    /// Its SHA-256, if the file is still the same and was hashed.
    pub fn hash(&self, stamp: Stamp) -> Option<&str> {
        let hashed = self
            .hashed
            .as_ref()
            .filter(|hashed| hashed.stamp == stamp)?;
        Some(&hashed.sha256)
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

    fn file(&self, id: &str, path: &Path, half: &str) -> PathBuf {
        let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let name = format!("{id}.{}.{half}.json", digest::hex(&hash[..8]));
        self.folder.join(name)
    }

    /// What is known about `path` (links resolved); nothing when nothing is, or when the records
    /// themselves are damaged.
    pub fn read(&self, id: &str, path: &Path) -> Record {
        let half = |name: &str| {
            read_half(&self.file(id, path, name)).filter(|half| half.id == id && half.path == path)
        };
        let seen = half(SEEN);
        Record {
            trusted: half(TRUSTED).and_then(|half| half.trusted),
            hashed: seen.as_ref().and_then(|half| half.hashed.clone()),
            seen: seen.and_then(|half| half.seen),
            ..Record::new(id, path)
        }
    }

    fn write(&self, record: &Record, name: &str) -> Result<(), CacheError> {
        let is_seen = name == SEEN;
        let half = Half {
            version: VERSION,
            id: record.id.clone(),
            path: record.path.clone(),
            trusted: record.trusted.clone().filter(|_| !is_seen),
            seen: record.seen.clone().filter(|_| is_seen),
            hashed: record.hashed.clone().filter(|_| is_seen),
        };
        let text = serde_json::to_vec_pretty(&half)
            .map_err(|error| CacheError::new(super::error::CACHE_IO, error.to_string()))?;
        files::write_whole(&self.file(&record.id, &record.path, name), &text)
    }

    /// Writes down what the file at `path` must be from now on, as it just was; gives its size.
    pub fn trust(
        &self,
        id: &str,
        path: &Path,
        trusted: Trusted,
        trust: Trust,
    ) -> Result<u64, CacheError> {
        let refusal = |error: std::io::Error| place::refusal(path, &error);
        let real = path.canonicalize().map_err(refusal)?;
        let stamp = Stamp::at(&real).map_err(refusal)?;
        let sha256 = trusted.sha256.clone();
        let record = Record {
            trusted: Some(Trusted {
                bytes: stamp.bytes,
                ..trusted
            }),
            ..Record::new(id, &real)
        };
        let record = record.seen(stamp, Verdict::Sound { trust });
        let record = record.hashed(stamp, sha256);
        self.write(&record, TRUSTED)?;
        self.write(&record, SEEN)?;
        Ok(stamp.bytes)
    }

    /// Remembers what was seen, where that is possible: a cache that cannot be written still
    /// answers questions.
    pub fn remember(&self, record: &Record) {
        let _ = self.write(record, SEEN);
    }

    pub fn forget(&self, id: &str, path: &Path) {
        for half in [TRUSTED, SEEN] {
            let _ = fs::remove_file(self.file(id, path, half));
        }
    }

    /// Every file of records, and the path it speaks of; none when it cannot be read.
    pub fn all(&self) -> Vec<(PathBuf, Option<PathBuf>)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let is_record = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
        let mut files: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(is_record)
            .collect();
        files.sort();
        let read = |file: PathBuf| {
            let path = read_half(&file).map(|half| half.path);
            (file, path)
        };
        files.into_iter().map(read).collect()
    }
}

fn read_half(file: &Path) -> Option<Half> {
    let mut text = Vec::new();
    let file = fs::File::open(file).ok()?;
    file.take(MAX_RECORD).read_to_end(&mut text).ok()?;
    let half: Half = serde_json::from_slice(&text).ok()?;
    (half.version == VERSION).then_some(half)
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
        let trust = Trust::Published;
        Record::new("hmr2", Path::new("/a/b.ckpt"))
            .seen(stamp(), Verdict::Sound { trust })
            .hashed(stamp(), sha256.into())
    }

    #[test]
    fn a_record_comes_back_and_speaks_of_one_state_only() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(root.path());
        ledger.write(&record("aa"), SEEN).unwrap();
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
        ledger.write(&record("aa"), SEEN).unwrap();
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
                        ledger
                            .write(&record(&format!("{writer}-{round}")), SEEN)
                            .unwrap();
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
    fn a_look_does_not_undo_what_the_file_must_be() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model");
        fs::write(&path, "x").unwrap();
        let path = path.canonicalize().unwrap();
        let ledger = Ledger::new(root.path());
        // Read before, written after somebody else's download.
        let slow = ledger.read("hmr2", &path);
        let trusted = Trusted::new("aa", How::Download);
        ledger
            .trust("hmr2", &path, trusted, Trust::Recorded)
            .unwrap();
        ledger.remember(&slow.seen(stamp(), Verdict::Opens));
        assert_eq!(ledger.read("hmr2", &path).trusted.unwrap().sha256, "aa");
        ledger.forget("hmr2", &path);
        assert_eq!(ledger.read("hmr2", &path), Record::new("hmr2", &path));
    }

    #[test]
    fn nowhere_to_write_is_no_reason_to_fail() {
        let ledger = Ledger::new(Path::new("/proc/nowhere"));
        ledger.remember(&record("aa"));
        assert!(ledger.all().is_empty());
    }
}
