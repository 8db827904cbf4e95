//! One at a time, where the file system can: saves work that several processes would do twice.
//!
//! Nothing relies on it. Where file locks do nothing everybody has a turn at once, each with
//! drafts of their own, and the result is the same.

use std::fs::{self, File, TryLockError};
use std::thread;
use std::time::Duration;

use super::error::CacheError;
use super::place;
use super::progress::Watch;
use super::store::Store;

const LOOK: Duration = Duration::from_millis(50);

/// Holds a turn until dropped.
pub struct Turn {
    _file: Option<File>,
}

/// Waits until no other process does the work `name`.
pub fn take(store: &Store, name: &str, watch: Watch) -> Result<Turn, CacheError> {
    let folder = store.root().join(place::OWN).join("turns");
    place::create(&folder)?;
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let Ok(file) = options.open(folder.join(name)) else {
        return Ok(Turn { _file: None });
    };
    loop {
        watch.check()?;
        match file.try_lock() {
            Ok(()) => return Ok(Turn { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            Err(TryLockError::Error(_)) => return Ok(Turn { _file: None }),
        }
    }
}

/// Removes the turns' files. One that somebody holds goes on working; only the saving is lost.
pub fn sweep(store: &Store) {
    let _ = fs::remove_dir_all(store.root().join(place::OWN).join("turns"));
}
