//! A file lock as a courtesy: it saves work where it functions, and nothing relies on it.
//!
//! On NFS, Lustre or GPFS a lock may be granted to everybody. So whoever takes one must be right even
//! when others hold it too.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Held until dropped; the lock's file goes with it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

#[derive(Debug)]
pub enum Outcome {
    Held(Lock),
    /// Somebody else holds it.
    Busy,
    /// No locks here: an old file system, no right to write, no room.
    Unavailable,
}

/// Tries to take the lock at `path`, creating its file where needed.
pub fn try_take(path: &Path) -> Outcome {
    // Between opening and locking, the holder may remove the file: then the next one is tried.
    for _ in 0..8 {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let Ok(file) = file else {
            return Outcome::Unavailable;
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Outcome::Busy,
            Err(TryLockError::Error(_)) => return Outcome::Unavailable,
        }
        if still_at(&file, path) {
            let path = path.to_owned();
            return Outcome::Held(Lock { file, path });
        }
    }
    Outcome::Busy
}

/// Removes a lock's file that nobody holds; false when somebody does, or there is none.
pub fn remove_stale(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    match try_take(path) {
        Outcome::Held(lock) => {
            drop(lock);
            true
        }
        Outcome::Busy => false,
        Outcome::Unavailable => fs::remove_file(path).is_ok(),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While held, so that nobody loses a file of the same name that is theirs.
        if still_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

#[cfg(unix)]
fn still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// A file that is open cannot be replaced here.
#[cfg(not(unix))]
fn still_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let Outcome::Held(lock) = try_take(&path) else {
            panic!("nobody holds it")
        };
        assert!(matches!(try_take(&path), Outcome::Busy));
        assert!(!remove_stale(&path));
        drop(lock);
        assert!(!path.exists());
        assert!(matches!(try_take(&path), Outcome::Held(_)));
        fs::write(&path, "").unwrap();
        assert!(remove_stale(&path) && !path.exists());
    }

    #[test]
    fn no_folder_no_lock() {
        let path = Path::new("/no/such/folder/a.lock");
        assert!(matches!(try_take(path), Outcome::Unavailable));
        assert!(!remove_stale(path));
    }
}
