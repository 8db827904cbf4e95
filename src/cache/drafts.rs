//! Folders for drafts beside their final place; whose they are is written in their names.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::download::owner::{Life, Owner, Working};
use super::error::CacheError;
use super::place;

/// How every draft's name begins.
const MARK: &str = ".pose4d-draft-";
/// A draft of a process that cannot be seen from here (another machine or container) is left
/// alone this long after its last change.
const FOREIGN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A folder for drafts; gone with everything in it when dropped.
pub struct Drafts {
    folder: PathBuf,
    _working: Working,
}

impl Drafts {
    pub fn create(beside: &Path) -> Result<Self, CacheError> {
        place::create(beside)?;
        let working = Working::start();
        let folder = beside.join(format!("{MARK}{}", working.owner()));
        std::fs::create_dir(&folder).map_err(|error| place::refusal(&folder, &error))?;
        Ok(Self {
            folder,
            _working: working,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        // What cannot be removed now is an orphan that `optimize` finds.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a name says about a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draft {
    /// Its process lives, or may live where we cannot see.
    InUse,
    Orphan,
}

/// Whether `path` is a draft folder of ours, and whether anybody works on it.
pub fn draft(path: &Path) -> Option<Draft> {
    let name = path.file_name()?.to_str()?.strip_prefix(MARK)?;
    let orphaned_by_age = || {
        let changed = std::fs::symlink_metadata(path).and_then(|data| data.modified());
        let age = changed.map(|at| SystemTime::now().duration_since(at));
        matches!(age, Ok(Ok(age)) if age > FOREIGN_AGE)
    };
    let is_orphan = match Owner::parse(name)?.life() {
        Life::Alive => false,
        Life::Dead | Life::Rebooted => true,
        Life::Unknown => orphaned_by_age(),
    };
    Some(if is_orphan {
        Draft::Orphan
    } else {
        Draft::InUse
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_keeps_its_drafts_and_drops_them_itself() {
        let folder = tempfile::tempdir().unwrap();
        let drafts = Drafts::create(folder.path()).unwrap();
        std::fs::write(drafts.path("model"), "half").unwrap();
        assert_eq!(draft(&drafts.folder), Some(Draft::InUse));
        let path = drafts.folder.clone();
        drop(drafts);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        // Somehow left behind by this very process.
        std::fs::create_dir(&path).unwrap();
        assert_eq!(draft(&path), Some(Draft::Orphan));
    }

    #[test]
    fn other_names_are_nobodys_drafts() {
        for name in [
            "model.pt",
            ".pose4d",
            ".pose4d-draft-",
            ".pose4d-draft-x-1-a-b-c",
        ] {
            assert_eq!(draft(Path::new(name)), None, "{name}");
        }
    }
}
