//! Removing model files from the cache folder, and from nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{CacheError, INVALID_ARGUMENT};
use super::files;
use super::info;
use super::owner::{self, Draft};
use super::place;
use super::store::Store;

/// A file that was left, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub path: PathBuf,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleared {
    pub files_removed: usize,
    pub space_freed_mb: f64,
    pub removed: Vec<PathBuf>,
    pub kept: Vec<Kept>,
    pub errors: Vec<String>,
}

impl Cleared {
    /// Removes one file of the cache (of a link: the link).
    pub fn remove(&mut self, root: &Path, path: &Path) -> bool {
        let bytes = fs::symlink_metadata(path).map_or(0, |data| data.len());
        match files::remove_inside(root, path) {
            Ok(true) => {
                self.files_removed += 1;
                self.space_freed_mb += bytes as f64 / (1024.0 * 1024.0);
                self.removed.push(path.to_path_buf());
                return true;
            }
            Ok(false) => self.keep(
                path,
                "a link leads there from the cache folder; it is not ours",
            ),
            Err(error) => self.errors.push(format!("{}: {error}", path.display())),
        }
        false
    }

    pub fn keep(&mut self, path: &Path, reason: impl Into<String>) {
        self.kept.push(Kept {
            path: path.to_path_buf(),
            reason: reason.into(),
        });
    }
}

/// Removes the files of one model (by id, alias or set), or all with `confirm`.
///
/// Only files of the table and what was made of them; what we do not know is kept and named.
pub fn clear(store: &Store, model: Option<&str>, confirm: bool) -> Result<Cleared, CacheError> {
    let mut cleared = Cleared::default();
    let wanted = match model {
        Some(name) => {
            let ids = store
                .manifest()
                .select(name)?
                .into_iter()
                .map(|entry| &entry.id);
            Some(ids.collect::<Vec<_>>())
        }
        None if confirm => None,
        None => {
            let root = store.root().display();
            let message = format!("this would remove every model in {root}; pass confirm to do it");
            return Err(CacheError::new(INVALID_ARGUMENT, message));
        }
    };
    for path in info::contents(store.root()) {
        match (info::entry_of(store, &path), &wanted) {
            (Some(entry), Some(ids)) if !ids.contains(&&entry.id) => {}
            (Some(entry), _) => {
                let real = path.canonicalize();
                if cleared.remove(store.root(), &path)
                    && let Ok(real) = real
                {
                    store.ledger().forget(&entry.id, &real);
                }
            }
            (None, None) => cleared.keep(&path, "not a model file of pose4d"),
            (None, Some(_)) => {}
        }
    }
    if wanted.is_none() {
        remove_own(store, &mut cleared);
    }
    remove_empty_folders(store.root());
    Ok(cleared)
}

/// Records and drafts; drafts of living processes stay.
fn remove_own(store: &Store, cleared: &mut Cleared) {
    for draft in drafts(store.root()) {
        match draft {
            (path, Draft::Orphan) => {
                cleared.remove(store.root(), &path);
            }
            (path, Draft::InUse) => cleared.keep(&path, "another process is working on it"),
        }
    }
    for (file, _) in store.ledger().all() {
        if let Err(error) = files::remove_inside(store.root(), &file) {
            cleared.errors.push(format!("{}: {error}", file.display()));
        }
    }
}

/// Every folder of drafts in the cache.
pub fn drafts(root: &Path) -> Vec<(PathBuf, Draft)> {
    let found = std::cell::RefCell::new(Vec::new());
    let enter = |folder: &Path| {
        let draft = owner::draft(folder);
        found
            .borrow_mut()
            .extend(draft.map(|draft| (folder.to_path_buf(), draft)));
        let is_runtime = folder.parent() == Some(root) && folder.ends_with("pose4d");
        draft.is_none() && !is_runtime
    };
    let _ = files::walk(root, &enter);
    found.into_inner()
}

/// Folders that became empty, the deepest first; our own and the cache itself stay.
pub fn remove_empty_folders(root: &Path) {
    let folders = std::cell::RefCell::new(Vec::new());
    let enter = |folder: &Path| {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let is_top = folder.parent() == Some(root);
        let is_set_apart = is_top && (name == place::OWN || name == "pose4d");
        if is_set_apart || owner::draft(folder).is_some() {
            return false;
        }
        folders.borrow_mut().push(folder.to_path_buf());
        true
    };
    let _ = files::walk(root, &enter);
    let mut folders = folders.into_inner();
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
    for folder in folders {
        // Refused when it is not empty: that is the test.
        let _ = fs::remove_dir(folder);
    }
}
