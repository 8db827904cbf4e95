//! One file that may be a model: where it really is, and what is known about its bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::files::Stamp;
use super::ledger::{Ledger, Record, Trust, Verdict, Wrong};
use super::manifest::Entry;
use super::structure;

/// What can be said of a file without reading all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum State {
    /// Every byte was looked at, and the file is still the same.
    Verified {
        trust: Trust,
    },
    /// Nothing speaks against it; not every byte was looked at.
    Unverified,
    Faulty {
        wrong: Wrong,
        why: String,
    },
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sight {
    pub path: PathBuf,
    /// Links resolved; none when they lead nowhere.
    #[serde(rename = "realPath")]
    pub real: Option<PathBuf>,
    pub bytes: Option<u64>,
    /// `cache`, `given`, or whose folder: `4dhumans`, `phalp`, `iopath`, `torch-hub`, `hf-hub`,
    /// `depthmap`, `.models`, `cwd`; after `wsl:` when it is on Windows' side.
    pub origin: String,
    /// Written anew by another tool: published size and hash do not apply.
    pub repacked: bool,
    pub state: State,
    #[serde(skip)]
    pub stamp: Option<Stamp>,
}

impl Sight {
    pub fn is_usable(&self) -> bool {
        !matches!(self.state, State::Faulty { .. })
    }

    /// Whether it lies in the cache folder (or a link there leads to it).
    pub fn is_ours(&self) -> bool {
        self.origin == "cache"
    }

    /// Whether the file is another one now than when it was looked at.
    pub fn has_changed(&self) -> bool {
        Stamp::at(&self.path).ok() != self.stamp
    }

    pub fn rank(&self) -> u8 {
        match self.state {
            State::Faulty { .. } => 0,
            // The user's own choice goes before everything that also works.
            _ if self.origin == "given" => 5,
            State::Unverified if self.repacked => 1,
            State::Verified { .. } if self.repacked => 2,
            State::Unverified => 3,
            State::Verified { .. } => 4,
        }
    }

    fn faulty(path: &Path, origin: &str, repacked: bool, wrong: Wrong, why: String) -> Self {
        Self {
            path: path.to_path_buf(),
            real: None,
            bytes: None,
            origin: origin.to_string(),
            repacked,
            state: State::Faulty { wrong, why },
            stamp: None,
        }
    }
}

/// Looks at `path`; `None` when nothing is there.
pub fn look(
    ledger: &Ledger,
    entry: &Entry,
    path: &Path,
    origin: &str,
    repacked: bool,
) -> Option<Sight> {
    let unreadable = |why: String| {
        Some(Sight::faulty(
            path,
            origin,
            repacked,
            Wrong::Unreadable,
            why,
        ))
    };
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) => {
            let link = fs::read_link(path).ok();
            return match (link, error.kind()) {
                (Some(to), io::ErrorKind::NotFound) => {
                    unreadable(format!("a link that leads nowhere: {}", to.display()))
                }
                (Some(to), _) => unreadable(format!("a link to {}: {error}", to.display())),
                (None, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
                (None, _) => unreadable(error.to_string()),
            };
        }
    };
    if !data.is_file() {
        return unreadable("expected a file, found a folder or a device".into());
    }
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) => return unreadable(error.to_string()),
    };
    let stamp = Stamp::of(&data);
    let state = state(ledger, entry, &real, stamp, repacked);
    Some(Sight {
        path: path.to_path_buf(),
        real: Some(real),
        bytes: Some(stamp.bytes),
        origin: origin.to_string(),
        repacked,
        state,
        stamp: Some(stamp),
    })
}

fn state(ledger: &Ledger, entry: &Entry, real: &Path, stamp: Stamp, repacked: bool) -> State {
    let record = ledger.read(&entry.id, real);
    if let Some(seen) = record.current(stamp) {
        match &seen.verdict {
            Verdict::Sound { trust } => return State::Verified { trust: *trust },
            Verdict::Opens => return State::Unverified,
            // A fault that may lie in us or the system is looked at again.
            Verdict::Faulty { wrong, why } if *wrong != Wrong::Unreadable => {
                return State::Faulty {
                    wrong: *wrong,
                    why: why.clone(),
                };
            }
            Verdict::Faulty { .. } => {}
        }
    }
    if let Some(why) = wrong_size(entry, &record, stamp.bytes, repacked) {
        let wrong = Wrong::Corrupt;
        return State::Faulty { wrong, why };
    }
    if !structure::can_open(entry) {
        return State::Unverified;
    }
    let verdict = match structure::check(real, entry) {
        Ok(()) => Verdict::Opens,
        Err(fault) => Verdict::Faulty {
            wrong: fault.wrong,
            why: fault.why,
        },
    };
    let state = match &verdict {
        Verdict::Faulty { wrong, why } => State::Faulty {
            wrong: *wrong,
            why: why.clone(),
        },
        _ => State::Unverified,
    };
    ledger.remember(&record.seen(stamp, verdict));
    state
}

/// Why a file of so many bytes cannot be the right one.
pub fn wrong_size(entry: &Entry, record: &Record, bytes: u64, repacked: bool) -> Option<String> {
    if bytes == 0 {
        return Some("the file is empty".into());
    }
    let said = |expected: u64, whence: &str| {
        let what = if bytes < expected {
            format!("cut off: {bytes} of {expected} bytes{whence}")
        } else {
            format!("{bytes} bytes, expected {expected}{whence}")
        };
        (bytes != expected).then_some(what)
    };
    if let Some(trusted) = &record.trusted {
        return said(trusted.bytes, " that were recorded");
    }
    let published = entry.exact_bytes().filter(|_| !repacked)?;
    said(published, "")
}
