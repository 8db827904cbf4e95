//! One at a time, where the file system can: saves work that several processes would do twice.
//!
//! Nothing relies on it. Where file locks do nothing everybody has a turn at once, each with
//! drafts of their own, and the result is the same.

use std::thread;
use std::time::Duration;

use super::error::CacheError;
use super::lock::{self, Lock, Outcome};
use super::place;
use super::progress::Watch;
use super::store::Store;

const LOOK: Duration = Duration::from_millis(50);

/// Holds a turn until dropped.
pub struct Turn {
    _lock: Option<Lock>,
}

/// Waits until no other process does the work `name`.
pub fn take(store: &Store, name: &str, watch: Watch) -> Result<Turn, CacheError> {
    let folder = store.root().join(place::OWN);
    place::create(&folder)?;
    let path = folder.join(format!("{name}.turn"));
    loop {
        watch.check()?;
        match lock::try_take(&path) {
            Outcome::Held(lock) => return Ok(Turn { _lock: Some(lock) }),
            Outcome::Busy => thread::sleep(LOOK),
            Outcome::Unavailable => return Ok(Turn { _lock: None }),
        }
    }
}

/// Removes what killed processes left of their turns.
pub fn sweep(store: &Store) {
    let entries = std::fs::read_dir(store.root().join(place::OWN));
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "turn") {
            lock::remove_stale(&path);
        }
    }
}
