//! Careful file handling: whole or not at all, known by their stamp, never outside a folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{CACHE_IO, CacheError};
use super::owner::Drafts;
use super::place;

/// What changes whenever a file's bytes change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stamp {
    pub bytes: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
    /// When anything about the file last changed; unlike `modified` it cannot be set back.
    pub changed: i64,
    pub inode: u64,
}

impl Stamp {
    pub fn of(data: &fs::Metadata) -> Self {
        let modified = data
            .modified()
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
        let (changed, inode) = changed_and_inode(data);
        Self {
            bytes: data.len(),
            modified,
            changed,
            inode,
        }
    }

    /// Of the file behind any links.
    pub fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|data| Self::of(&data))
    }
}

#[cfg(unix)]
fn changed_and_inode(data: &fs::Metadata) -> (i64, u64) {
    use std::os::unix::fs::MetadataExt;
    let seconds = data.ctime().saturating_mul(1_000_000_000);
    (seconds.saturating_add(data.ctime_nsec()), data.ino())
}

#[cfg(not(unix))]
fn changed_and_inode(_: &fs::Metadata) -> (i64, u64) {
    (0, 0)
}

/// Writes a small file so that readers see the old or the new one, also after a power cut.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let (folder, name) = split(path)?;
    let drafts = Drafts::create(folder)?;
    let draft = drafts.path(name);
    fs::write(&draft, bytes).map_err(|error| place::refusal(path, &error))?;
    publish(&draft, path)
}

/// Moves a finished draft to its final name: bytes on the disk first, then the name.
pub fn publish(draft: &Path, path: &Path) -> Result<(), CacheError> {
    let moved = || {
        File::open(draft)?.sync_all()?;
        fs::rename(draft, path)?;
        sync_folder(path.parent())
    };
    moved().map_err(|error| place::refusal(path, &error))
}

#[cfg(unix)]
fn sync_folder(folder: Option<&Path>) -> io::Result<()> {
    match folder {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: Option<&Path>) -> io::Result<()> {
    Ok(())
}

/// Folder and file name of a path in the cache.
pub fn split(path: &Path) -> Result<(&Path, &str), CacheError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Some(Path::new(".")),
        folder => folder,
    };
    folder.zip(name).ok_or_else(|| {
        let message = format!("{}: expected the path of a file", path.display());
        CacheError::new(CACHE_IO, message)
    })
}

/// Removes a file (or a link itself, never what it points to) if it lies inside `root`.
///
/// `false` when a folder on the way is a link that leads outside: nothing is touched then.
pub fn remove_inside(root: &Path, path: &Path) -> io::Result<bool> {
    if !is_inside(root, path)? {
        return Ok(false);
    }
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// Whether the folder that holds `path` really lies in `root`, links followed.
pub fn is_inside(root: &Path, path: &Path) -> io::Result<bool> {
    let Some(parent) = path.parent() else {
        return Ok(false);
    };
    Ok(parent.canonicalize()?.starts_with(root.canonicalize()?))
}

/// Every file below `root` that is reached without following a link, in a stable order.
///
/// Folders for which `enter` is false are left out. Stops at a bound no cache reaches.
pub fn walk(root: &Path, enter: &dyn Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    const MOST: usize = 100_000;
    let mut folders = vec![(root.to_path_buf(), 0)];
    let mut files = Vec::new();
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(_) if depth > 0 => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && depth < 32 && enter(&path) {
                folders.push((path, depth + 1));
            } else if !is_folder {
                files.push(path);
            }
        }
        if files.len() + folders.len() > MOST {
            break;
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_replaced_whole_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn nothing_is_removed_through_a_link() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        let precious = outside.path().join("precious");
        fs::write(&precious, "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("folder")).unwrap();
        symlink(&precious, root.path().join("file")).unwrap();

        assert!(!remove_inside(root.path(), &root.path().join("folder/precious")).unwrap());
        assert!(remove_inside(root.path(), &root.path().join("file")).unwrap());
        assert!(!root.path().join("file").exists());
        assert!(remove_inside(root.path(), &root.path().join("folder")).unwrap());
        assert!(!root.path().join("folder").exists());
        assert_eq!(fs::read_to_string(&precious).unwrap(), "x");
        assert!(!remove_inside(root.path(), &root.path().join("../nothing")).unwrap());
    }

    #[test]
    fn a_stamp_changes_with_the_bytes_even_when_the_time_is_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "aaaa").unwrap();
        let before = Stamp::at(&path).unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        // The clock that stamps files ticks every few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, "bbbb").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        let after = Stamp::at(&path).unwrap();
        assert_eq!(after.modified, before.modified);
        #[cfg(unix)]
        assert_ne!(after, before);
    }
}
