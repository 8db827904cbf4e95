//! What downloads that ended badly left behind: found, told from those in progress, removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::places::{self, Found, Place, Watcher};
use super::request::Settings;
use crate::cache::lock;

/// One unfinished download, or a lock that one left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The folder that holds its bytes, or the lock's file.
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
    let mut all: Vec<Unfinished> = scan(folder)?.into_iter().map(describe).collect();
    for (path, name) in locks(folder)? {
        let live = all.iter().any(|other| other.live && other.name == name);
        all.push(Unfinished {
            live: live || !lock::is_free(&path),
            path,
            name,
            bytes: 0,
        });
    }
    Ok(all)
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
    for (path, name) in locks(folder)? {
        if !live.contains(&name) {
            swept.removed += usize::from(lock::remove_stale(&path));
        }
    }
    Ok(swept)
}

/// The locks' files in a folder, each with the name of the file it is for.
fn locks(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
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
        if entry
            .metadata()
            .is_ok_and(|data| data.is_file() && data.len() == 0)
        {
            found.push((entry.path(), name.to_owned()));
        }
    }
    Ok(found)
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
