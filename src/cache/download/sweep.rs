//! What downloads that ended badly left behind: found, told from those in progress, removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::places::{self, Found, Place, Watcher};
use super::request::Settings;
use crate::cache::lock;

/// One unfinished download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The folder that holds it.
    pub path: PathBuf,
    /// The name the file would have got.
    pub name: String,
    pub bytes: u64,
    /// A process works on it now.
    pub live: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Partials and locks removed.
    pub removed: usize,
    /// Bytes freed.
    pub bytes: u64,
}

/// All unfinished downloads in `folder` (not below it). A folder that is not there has none.
pub fn unfinished(folder: &Path) -> io::Result<Vec<Unfinished>> {
    let mut watcher = Watcher::new(lease());
    let describe = |found: Found| Unfinished {
        live: watcher.is_live(&found),
        path: found.path,
        name: found.name,
        bytes: found.bytes,
    };
    Ok(scan(folder)?.into_iter().map(describe).collect())
}

/// Removes from `folder` (not from below it) partials that nobody works on, and locks nobody holds.
///
/// A partial of another machine or container counts as in use until it has been silent for minutes.
pub fn sweep(folder: &Path) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let mut watcher = Watcher::new(lease());
    let mut live = Vec::new();
    for found in scan(folder)? {
        if watcher.is_live(&found) {
            live.push(found.name);
            continue;
        }
        let place = Place {
            folder: folder.to_owned(),
            name: found.name.clone(),
        };
        swept.bytes += places::claim_and_remove(&found, &place);
        swept.removed += usize::from(!found.path.exists());
    }
    swept.removed += locks(folder, &live)?;
    Ok(swept)
}

fn locks(folder: &Path, live: &[String]) -> io::Result<usize> {
    let mut removed = 0;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name
            .to_str()
            .and_then(|name| name.strip_suffix(places::LOCK))
        else {
            continue;
        };
        // Ours are empty; a file with content is another program's.
        let ours = entry
            .metadata()
            .is_ok_and(|data| data.is_file() && data.len() == 0);
        if ours && !live.iter().any(|live| live == name) {
            removed += usize::from(lock::remove_stale(&entry.path()));
        }
    }
    Ok(removed)
}

fn scan(folder: &Path) -> io::Result<Vec<Found>> {
    match places::scan(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found,
    }
}

fn lease() -> Duration {
    Settings::default().lease
}
