//! How files are got that are not there: downloads and archives, put to work for the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::download::request::{self, Phase, Request, Settings};
use super::download::{run, sweep};
use super::ensure::{Means, Received};
use super::error::CacheError;
use super::files;
use super::manifest::{Algorithm, Entry};
use super::owner::Draft;
use super::progress::{Progress, Watch};
use super::unpack;

/// How often a download is asked whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// Runs `work` with the network (unless `offline`) and archives at hand.
pub fn with<T>(offline: bool, work: impl FnOnce(Means) -> T) -> T {
    let fetch = |entry: &Entry, dest: &Path, watch: Watch| fetch(entry, dest, offline, watch);
    let unpack = |archive: &Path, patterns: &[&str], folder: &Path, watch: Watch| {
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        unpack::unpack(archive, patterns, folder, ("", &name), watch)
    };
    work(Means {
        offline,
        fetch: &fetch,
        unpack: &unpack,
    })
}

fn fetch(
    entry: &Entry,
    dest: &Path,
    offline: bool,
    watch: Watch,
) -> Result<Received, CacheError> {
    let published = |algorithm| {
        let prefix = entry.prefix.as_ref();
        let prefix = prefix.filter(|prefix| prefix.algorithm == algorithm);
        prefix.map(|prefix| prefix.hex.clone())
    };
    let request = Request {
        urls: entry.urls.clone(),
        dest: dest.to_path_buf(),
        bytes: entry.exact_bytes(),
        sha256: entry.sha256.clone().or(published(Algorithm::Sha256)),
        md5: published(Algorithm::Md5),
        about_bytes: entry.bytes.filter(|_| !entry.exact),
        label: entry.id.clone(),
    };
    let settings = Settings {
        offline,
        ..Settings::default()
    };
    let tell = |progress: request::Progress| {
        (watch.tell)(&Progress {
            phase: phase(progress.phase),
            model: &entry.id,
            file: &entry.file,
            loaded: progress.loaded,
            total: progress.total,
        });
    };
    let fetched = cancellable(watch, |cancel| {
        run::download(&request, &settings, &tell, cancel)
    })?;
    Ok(Received {
        sha256: fetched.sha256,
        url: fetched.url,
        etag: fetched.etag,
    })
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connect",
        Phase::Downloading => "download",
        Phase::Verifying => "verify",
        Phase::Waiting => "wait",
        Phase::Retrying => "retry",
    }
}

/// Runs `work` with a flag that is raised once the watch is cancelled.
fn cancellable<T>(watch: Watch, work: impl FnOnce(&AtomicBool) -> T) -> T {
    let (cancel, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                if (watch.cancelled)() {
                    cancel.store(true, Ordering::Release);
                }
                thread::park_timeout(LOOK);
            }
        });
        let _ended = Ended {
            done: &done,
            watcher: watcher.thread(),
        };
        work(&cancel)
    })
}

/// Lets the watcher go, also when the work panics: the scope waits for it.
struct Ended<'a> {
    done: &'a AtomicBool,
    watcher: &'a thread::Thread,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.watcher.unpark();
    }
}

/// What downloads left behind anywhere below `root`, for [`super::optimize::optimize`].
pub fn leftovers(root: &Path) -> Vec<(PathBuf, Draft)> {
    let folders = std::cell::RefCell::new(vec![root.to_path_buf()]);
    let enter = |folder: &Path| {
        folders.borrow_mut().push(folder.to_path_buf());
        true
    };
    // What cannot be read holds nothing that could be removed.
    let _ = files::walk(root, &enter);
    let draft = |live| if live { Draft::InUse } else { Draft::Orphan };
    folders
        .into_inner()
        .iter()
        .filter(|folder| fs::symlink_metadata(folder).is_ok_and(|data| data.is_dir()))
        .flat_map(|folder| sweep::unfinished(folder).unwrap_or_default())
        .map(|found| (found.path, draft(found.live)))
        .collect()
}
