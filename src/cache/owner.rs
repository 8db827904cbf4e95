//! Whose draft a temporary file is, and whether that process is still alive.
//!
//! The owner is written into the draft's name: nothing else need survive for another process to
//! tell an orphan from work under way, and no file lock is needed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::error::CacheError;
use super::place;

/// How every draft's name begins.
const MARK: &str = ".pose4d-draft-";
/// A draft of a process that cannot be seen from here (another machine or container) is left
/// alone this long after its last change.
const FOREIGN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who works here, as far as another process can check it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    process: u32,
    /// When it began, in clock ticks since the machine started: process ids are used again.
    began: u64,
    machine: String,
    boot: String,
    /// The namespace that process ids mean something in.
    namespace: String,
}

impl Owner {
    fn current() -> Self {
        let process = std::process::id();
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            process,
            began: began(process).unwrap_or(0),
            machine: short(&format!(
                "{}{}",
                text("/etc/machine-id"),
                text("/proc/sys/kernel/hostname")
            )),
            boot: short(&text("/proc/sys/kernel/random/boot_id")),
            namespace: short(&namespace.to_string_lossy()),
        }
    }

    fn name(&self) -> String {
        let Self {
            process,
            began,
            machine,
            boot,
            namespace,
        } = self;
        format!("{process}-{began}-{machine}-{boot}-{namespace}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let owner = Self {
            process: parts.next()?.parse().ok()?,
            began: parts.next()?.parse().ok()?,
            machine: parts.next()?.into(),
            boot: parts.next()?.into(),
            namespace: parts.next()?.into(),
        };
        Some(owner)
    }

    /// `None` when that cannot be told from here.
    fn is_alive(&self, here: &Self) -> Option<bool> {
        if self.machine != here.machine {
            return None;
        }
        if self.boot != here.boot {
            return Some(false);
        }
        if self.namespace != here.namespace || cfg!(not(target_os = "linux")) {
            return None;
        }
        Some(began(self.process) == Some(self.began))
    }
}

/// When the process of that id began; none when there is none.
fn began(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The command's name is in brackets and may itself hold brackets and spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let state = rest.split_whitespace().next()?;
    // A zombie writes no more.
    if matches!(state, "Z" | "X") {
        return None;
    }
    rest.split_whitespace().nth(19)?.parse().ok()
}

fn short(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A folder for drafts beside their final place; gone with everything in it when dropped.
pub struct Drafts {
    folder: PathBuf,
}

impl Drafts {
    pub fn create(beside: &Path) -> Result<Self, CacheError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        place::create(beside)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = beside.join(format!("{MARK}{}-{number}", Owner::current().name()));
        std::fs::create_dir(&folder).map_err(|error| place::refusal(&folder, &error))?;
        Ok(Self { folder })
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

/// Whether `path` is a draft folder of ours, and of whom.
pub fn draft(path: &Path) -> Option<Draft> {
    let name = path.file_name()?.to_str()?.strip_prefix(MARK)?;
    let orphaned_by_age = || {
        let changed = std::fs::symlink_metadata(path).and_then(|data| data.modified());
        let age = changed
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        age.is_some_and(|age| age > FOREIGN_AGE)
    };
    let orphan = match Owner::parse(name)?.is_alive(&Owner::current()) {
        Some(alive) => !alive,
        None => orphaned_by_age(),
    };
    Some(if orphan { Draft::Orphan } else { Draft::InUse })
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
        drop(drafts);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_dead_process_leaves_orphans() {
        let here = Owner::current();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = Owner {
            process: child.id(),
            ..here.clone()
        };
        child.wait().unwrap();
        assert_eq!(dead.is_alive(&here), Some(false));
        // The same id, but begun at another time: another process.
        let other = Owner {
            began: here.began + 1,
            ..here.clone()
        };
        assert_eq!(other.is_alive(&here), Some(false));
        let before_restart = Owner {
            boot: "00000000".into(),
            ..here.clone()
        };
        assert_eq!(before_restart.is_alive(&here), Some(false));
        let container = Owner {
            namespace: "00000000".into(),
            ..here.clone()
        };
        assert_eq!(container.is_alive(&here), None);
        assert_eq!(Owner::parse(&format!("{}-3", here.name())), Some(here));
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
