//! Tidying the cache folder: what is proven useless goes, what is merely not understood stays.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::clear::{self, Kept};
use super::digest;
use super::error::{ABORTED, CacheError};
use super::fast;
use super::files;
use super::info;
use super::ledger::{How, Wrong};
use super::manifest::{Entry, Origin};
use super::owner::Draft;
use super::progress::Watch;
use super::sight::{self, Sight, State};
use super::status;
use super::store::Store;
use super::structure;
use super::turn;
use super::verify;

const MEGABYTE: f64 = 1024.0 * 1024.0;

/// What downloads left behind: each path, and whether a living process still works on it.
pub type Leftovers<'a> = dyn Fn(&Path) -> Vec<(PathBuf, Draft)> + 'a;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptimizeOptions {
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
    /// Leave out writing fast forms.
    pub originals_only: bool,
    /// Remove archives of which everything is unpacked.
    pub archives: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    pub path: PathBuf,
    pub bytes: u64,
    pub reason: String,
}

/// The old manager's four numbers, and what they are made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Optimized {
    pub files_checked: usize,
    pub files_removed: usize,
    pub space_freed_mb: f64,
    pub errors: Vec<String>,
    pub dry_run: bool,
    pub removed: Vec<Removed>,
    pub kept: Vec<Kept>,
    /// Fast forms written.
    pub fast_forms: Vec<PathBuf>,
}

struct Tidying<'a> {
    store: &'a Store,
    options: OptimizeOptions,
    report: Optimized,
    /// SHA-256 and path of every file that stays, by size.
    staying: BTreeMap<u64, Vec<(String, PathBuf)>>,
}

/// Tidies the cache folder. Nothing outside it is touched.
pub fn optimize(
    store: &Store,
    options: OptimizeOptions,
    leftovers: &Leftovers,
    watch: Watch,
) -> Result<Optimized, CacheError> {
    let mut tidying = Tidying {
        store,
        options,
        report: Optimized {
            dry_run: options.dry_run,
            ..Optimized::default()
        },
        staying: BTreeMap::new(),
    };
    tidying.remove_leftovers(leftovers);
    let (mut originals, mut forms, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for path in info::contents(store.root()) {
        tidying.report.files_checked += 1;
        match info::entry_of(store, &path) {
            Some(entry) if fast::is_form_of(store, entry, &path) => forms.push((path, entry)),
            Some(entry) => originals.push((path, entry)),
            None => unknown.push(path),
        }
    }
    // Those at their own place first: the others are compared with them.
    originals.sort_by_key(|(path, entry)| *path != store.place(entry));
    for (path, entry) in originals {
        tidying.original(&path, entry, watch)?;
    }
    for (path, entry) in forms {
        tidying.form(&path, entry, watch)?;
    }
    for path in unknown {
        tidying.unknown(&path, watch)?;
    }
    if options.archives {
        tidying.archives();
    }
    if !options.dry_run {
        tidying.forget_gone();
        turn::sweep(store);
        clear::remove_empty_folders(store.root());
        if !options.originals_only {
            tidying.write_forms(watch)?;
        }
    }
    Ok(tidying.report)
}

impl Tidying<'_> {
    fn remove(&mut self, path: &Path, reason: impl Into<String>) {
        let bytes = size(path);
        if !self.options.dry_run {
            match files::remove_inside(self.store.root(), path) {
                Ok(true) => {}
                Ok(false) => {
                    return self.keep(
                        path,
                        "a link leads there from the cache folder; it is not ours",
                    );
                }
                Err(error) => {
                    self.report
                        .errors
                        .push(format!("{}: {error}", path.display()));
                    return;
                }
            }
        }
        self.report.files_removed += 1;
        self.report.space_freed_mb += bytes as f64 / MEGABYTE;
        self.report.removed.push(Removed {
            path: path.to_path_buf(),
            bytes,
            reason: reason.into(),
        });
    }

    fn keep(&mut self, path: &Path, reason: impl Into<String>) {
        self.report.kept.push(Kept {
            path: path.to_path_buf(),
            reason: reason.into(),
        });
    }

    fn remove_leftovers(&mut self, leftovers: &Leftovers) {
        let root = self.store.root();
        for (path, draft) in clear::drafts(root).into_iter().chain(leftovers(root)) {
            match draft {
                Draft::Orphan => self.remove(&path, "left behind by a process that is gone"),
                Draft::InUse => self.keep(&path, "another process is working on it"),
            }
        }
    }

    /// A file of the table: verified; removed when it is proven damaged, or there twice.
    fn original(&mut self, path: &Path, entry: &Entry, watch: Watch) -> Result<(), CacheError> {
        let is_link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
        let Some(sight) = sight::look(self.store.ledger(), entry, path, "cache", false) else {
            return Ok(());
        };
        if is_link {
            if let State::Faulty { why, .. } = &sight.state {
                self.keep(path, format!("a link to a file that is not ours: {why}"));
            }
            return Ok(());
        }
        let (wrong, why, sha256) = match &sight.state {
            State::Verified { .. } => (None, None, self.known_hash(entry, &sight)),
            State::Faulty { wrong, why } if *wrong != Wrong::Corrupt => {
                self.keep(path, format!("not usable, but not proven damaged: {why}"));
                return Ok(());
            }
            _ => {
                let seen = verify::one(self.store, entry, &sight, watch)?;
                (seen.wrong, seen.problem, seen.sha256.filter(|_| seen.ok))
            }
        };
        let Some(wrong) = wrong else {
            self.settle(path, entry, &sight, sha256);
            return Ok(());
        };
        let why = why.unwrap_or_default();
        if wrong == Wrong::Corrupt && self.is_proven(entry, &sight, watch)? {
            self.remove(path, format!("damaged: {why}"));
        } else {
            self.keep(path, format!("not usable, but not proven damaged: {why}"));
        }
        Ok(())
    }

    fn known_hash(&self, entry: &Entry, sight: &Sight) -> Option<String> {
        let record = self.store.ledger().read(&entry.id, sight.real.as_ref()?);
        record.hash(sight.stamp?).map(str::to_string)
    }

    /// A sound file stays, unless the same bytes lie at the model's own place already.
    fn settle(&mut self, path: &Path, entry: &Entry, sight: &Sight, sha256: Option<String>) {
        let (Some(sha256), Some(bytes)) = (sha256, sight.bytes) else {
            return;
        };
        let place = self.store.place(entry);
        let twin = sight::look(self.store.ledger(), entry, &place, "cache", false);
        let is_twin = twin.is_some_and(|twin| {
            path != place
                && twin.real != sight.real
                && twin.is_usable()
                && self.known_hash(entry, &twin).as_ref() == Some(&sha256)
        });
        if is_twin {
            self.remove(path, format!("the same bytes are at {}", place.display()));
        } else {
            self.staying
                .entry(bytes)
                .or_default()
                .push((sha256, path.to_path_buf()));
        }
    }

    /// Whether size, hash or the container itself prove the damage, whatever our readers think.
    fn is_proven(&self, entry: &Entry, sight: &Sight, watch: Watch) -> Result<bool, CacheError> {
        let Some(real) = &sight.real else {
            return Ok(false);
        };
        if structure::is_cut_off(real).unwrap_or(false) {
            return Ok(true);
        }
        // What the user brought is not ours to judge by a hash.
        let record = self.store.ledger().read(&entry.id, real);
        let is_users = |how: How| how == How::Import;
        let from_user = record
            .trusted
            .as_ref()
            .is_some_and(|trusted| is_users(trusted.how));
        if entry.source == Origin::User || from_user {
            return Ok(false);
        }
        let digest = match digest::of_file(real, entry, watch) {
            Ok(digest) => digest,
            Err(error) if error.code == ABORTED => return Err(error),
            Err(_) => return Ok(false),
        };
        let bytes = digest.stamp.bytes;
        let other_size = sight::wrong_size(entry, &record, bytes, false).is_some();
        let other_hash = digest::compare(&digest, entry).is_some_and(|result| result.is_err());
        let recorded = record.trusted.map(|trusted| trusted.sha256);
        Ok(other_size || other_hash || recorded.is_some_and(|sha256| sha256 != digest.sha256))
    }

    /// A fast form: removed when it is damaged or its original is another one now.
    fn form(&mut self, path: &Path, entry: &Entry, watch: Watch) -> Result<(), CacheError> {
        let Some((_, source)) = fast::describe(path) else {
            self.remove(path, "a fast form that is cut off or not one of ours");
            return Ok(());
        };
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let record = self.store.ledger().read(&entry.id, &real);
        if let Some(trusted) = &record.trusted
            && digest::of_file(path, entry, watch)?.sha256 != trusted.sha256
        {
            self.remove(path, "a fast form whose bytes changed");
            return Ok(());
        }
        let best = self.store.best(entry, &self.store.roots());
        let known = best.and_then(|sight| self.known_hash(entry, &sight));
        match known {
            Some(known) if known != source => {
                self.remove(
                    path,
                    "a fast form of another original than the one there now",
                );
            }
            Some(_) => {}
            None => self.keep(path, "a fast form whose original is not there"),
        }
        Ok(())
    }

    /// A file that is none of ours stays, unless its very bytes are kept as a model file.
    fn unknown(&mut self, path: &Path, watch: Watch) -> Result<(), CacheError> {
        let is_file = fs::symlink_metadata(path).is_ok_and(|data| data.is_file());
        let twins = self.staying.get(&size(path)).cloned().unwrap_or_default();
        let any = self.store.manifest().entries().next();
        if let (true, false, Some(any)) = (is_file, twins.is_empty(), any) {
            let sha256 = digest::of_file(path, any, watch)?.sha256;
            if let Some((_, twin)) = twins.iter().find(|(hash, _)| *hash == sha256) {
                self.remove(path, format!("the same bytes are at {}", twin.display()));
                return Ok(());
            }
        }
        self.keep(path, "not a model file of pose4d");
        Ok(())
    }

    /// Archives of which every member is there and sound.
    fn archives(&mut self) {
        let roots = self.store.roots();
        let manifest = self.store.manifest();
        for archive in manifest.entries().filter(|entry| !entry.unpacks.is_empty()) {
            let path = self.store.place(archive);
            let is_unpacked = archive.unpacks.keys().all(|id| {
                let member = manifest.entry(id).ok();
                member.is_some_and(|member| self.store.best(member, &roots).is_some())
            });
            if is_unpacked && path.is_file() {
                self.remove(&path, "everything in it is unpacked");
            }
        }
    }

    /// Records of files that are gone.
    fn forget_gone(&self) {
        for (file, path) in self.store.ledger().all() {
            let is_gone = |path: &Path| {
                fs::symlink_metadata(path)
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
            };
            // Records of files elsewhere stay: a disk that is not mounted now comes back.
            let own = self.store.root().canonicalize().unwrap_or_default();
            let stale = path.is_none_or(|path| path.starts_with(own) && is_gone(&path));
            if stale {
                let _ = files::remove_inside(self.store.root(), &file);
            }
        }
    }

    fn write_forms(&mut self, watch: Watch) -> Result<(), CacheError> {
        let roots = self.store.roots();
        for entry in self.store.manifest().entries() {
            watch.check()?;
            let Some(precision) = entry.precision.as_deref() else {
                continue;
            };
            let Some(sight) = self.store.best(entry, &roots) else {
                continue;
            };
            let is_fast = status::extension(&sight.path) == "safetensors";
            let has_other = || {
                let mut others = fast::PRECISIONS.iter();
                others.any(|other| fast::find(self.store, entry, &sight, other).is_some())
            };
            if is_fast || has_other() {
                continue;
            }
            match fast::ensure(self.store, entry, &sight, precision, watch) {
                Ok(form) => self.report.fast_forms.push(form.path),
                Err(error) if error.code == ABORTED => return Err(error),
                Err(error) => self.report.errors.push(error.message),
            }
        }
        Ok(())
    }
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_dir() => {
            let inside = files::walk(path, &|_| true).unwrap_or_default();
            inside
                .iter()
                .filter_map(|file| fs::symlink_metadata(file).ok())
                .map(|data| data.len())
                .sum()
        }
        Ok(data) => data.len(),
        Err(_) => 0,
    }
}
