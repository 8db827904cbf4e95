//! From a name to a verified file: found in place, fetched, or unpacked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::digest;
use super::error::{CacheError, DOWNLOAD, MODEL_CORRUPT, OFFLINE};
use super::files;
use super::ledger::{How, Trust, Trusted, Wrong};
use super::lookup;
use super::manifest::{Entry, Origin};
use super::owner::Drafts;
use super::place;
use super::progress::Watch;
use super::sight::{Sight, State};
use super::store::Store;
use super::structure;
use super::turn;
use super::verify;

/// How often a file is looked at again that another process replaced meanwhile.
pub const ATTEMPTS: usize = 4;

/// What a download brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub sha256: String,
    pub url: Option<String>,
    pub etag: Option<String>,
}

/// Fetches an entry's file to the path, whole and held to what is published, or not at all.
pub type Fetch<'a> = dyn Fn(&Entry, &Path, Watch) -> Result<Received, CacheError> + Sync + 'a;

/// Unpacks the members that the patterns name into the folder; gives each pattern's file.
///
/// `*` stands for any one component, `**` for any number.
pub type Unpack<'a> = dyn Fn(&Path, &[&str], &Path, Watch) -> Result<BTreeMap<String, PathBuf>, CacheError>
    + Sync
    + 'a;

/// How files are got that are not there.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Nothing is fetched.
    pub offline: bool,
    pub fetch: &'a Fetch<'a>,
    pub unpack: &'a Unpack<'a>,
}

/// A verified file, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    pub sight: Sight,
    pub downloaded: bool,
    pub unpacked: bool,
}

/// Makes sure that `entry`'s file is there and verified.
pub fn ensure(
    store: &Store,
    entry: &Entry,
    means: Means,
    watch: Watch,
) -> Result<Ensured, CacheError> {
    if let Some(sight) = verified(store, entry, watch)? {
        return Ok(Ensured {
            sight,
            downloaded: false,
            unpacked: false,
        });
    }
    let downloaded = match entry.source {
        Origin::Download => {
            download(store, entry, means, watch)?;
            true
        }
        Origin::Archive => unpack(store, entry, means, watch)?,
        Origin::Package | Origin::User => return Err(cannot(store, entry)),
    };
    let Some(sight) = verified(store, entry, watch)? else {
        return Err(cannot(store, entry));
    };
    Ok(Ensured {
        sight,
        downloaded,
        unpacked: entry.source == Origin::Archive,
    })
}

fn cannot(store: &Store, entry: &Entry) -> CacheError {
    let sights = store.sights(entry, &store.roots());
    lookup::unusable(entry, sights.first())
}

/// The first file found that proves to be right.
fn verified(store: &Store, entry: &Entry, watch: Watch) -> Result<Option<Sight>, CacheError> {
    for _ in 0..ATTEMPTS {
        let mut has_changed = false;
        for sight in store.sights(entry, &store.roots()) {
            match sight.state {
                State::Verified { .. } => return Ok(Some(sight)),
                State::Faulty { .. } => continue,
                State::Unverified => {}
            }
            let seen = verify::one(store, entry, &sight, watch)?;
            if let Some(trust) = seen.trust.filter(|_| seen.ok) {
                let state = State::Verified { trust };
                return Ok(Some(Sight { state, ..sight }));
            }
            has_changed |= sight.has_changed();
        }
        if !has_changed {
            break;
        }
    }
    Ok(None)
}

fn download(store: &Store, entry: &Entry, means: Means, watch: Watch) -> Result<(), CacheError> {
    let dest = store.place(entry);
    if means.offline {
        let message = format!(
            "{}: {} is not there, and offline mode fetches nothing; put it at {}",
            entry.id,
            entry.file,
            dest.display()
        );
        return Err(CacheError::new(OFFLINE, message));
    }
    let (folder, _) = files::split(&dest)?;
    place::create(folder)?;
    make_way(store, entry, &dest)?;
    let received = (means.fetch)(entry, &dest, watch)?;
    if let Err(why) = check(entry, &dest, watch)? {
        // Nothing published could prove the bytes on the way.
        let _ = files::remove_inside(store.root(), &dest);
        let from = received.url.unwrap_or_default();
        let message = format!(
            "{}: what came from {from} is not {}: {why}",
            entry.id, entry.file
        );
        return Err(CacheError::new(DOWNLOAD, message));
    }
    let trusted = Trusted {
        url: received.url,
        etag: received.etag,
        ..Trusted::new(&received.sha256, How::Download)
    };
    let trust = match entry.has_hash() {
        true => Trust::Published,
        false => Trust::Recorded,
    };
    store.ledger().trust(&entry.id, &dest, trusted, trust)?;
    Ok(())
}

/// What the fetching itself could not check: a published beginning of an MD5, the contents.
fn check(entry: &Entry, path: &Path, watch: Watch) -> Result<Result<(), String>, CacheError> {
    if entry.sha256.is_some() {
        return Ok(Ok(()));
    }
    if entry.prefix.is_some()
        && let Some(Err(why)) = digest::compare(&digest::of_file(path, entry, watch)?, entry)
    {
        return Ok(Err(why));
    }
    if structure::can_open(entry)
        && let Err(fault) = structure::check(path, entry)
    {
        // What we cannot read need not be wrong: it stays, and its state says so.
        let is_wrong = matches!(
            fault.wrong,
            Wrong::Corrupt | Wrong::Different | Wrong::Hostile
        );
        return Ok(if is_wrong { Err(fault.why) } else { Ok(()) });
    }
    Ok(Ok(()))
}

/// Removes a damaged file of ours from the final place; anything else there is left, and an error.
fn make_way(store: &Store, entry: &Entry, dest: &Path) -> Result<(), CacheError> {
    if fs::symlink_metadata(dest).is_err() {
        return Ok(());
    }
    let sights = store.sights(entry, &[]);
    let there = sights.iter().find(|sight| sight.path == dest);
    let is_damaged = there.is_some_and(|sight| {
        let wrong = Wrong::Corrupt;
        matches!(&sight.state, State::Faulty { wrong: found, .. } if *found == wrong)
    });
    if is_damaged && files::remove_inside(store.root(), dest).unwrap_or(false) {
        return Ok(());
    }
    match there {
        Some(sight) if !sight.is_usable() => {
            let error = lookup::unusable(entry, Some(sight));
            let message = format!("{}; it is in the way: move it away first", error.message);
            Err(CacheError::new(error.code, message))
        }
        // Sound after all: another process was faster.
        _ => Ok(()),
    }
}

/// Gets the archive and takes what is missing out of it; whether it had to be downloaded.
fn unpack(store: &Store, entry: &Entry, means: Means, watch: Watch) -> Result<bool, CacheError> {
    let Some(archive) = &entry.archive else {
        return Err(cannot(store, entry));
    };
    let archive = store.manifest().entry(archive)?;
    let ensured = ensure(store, archive, means, watch)?;
    let _turn = turn::take(store, &archive.id, watch)?;
    let roots = store.roots();
    // Somebody else may have unpacked it while we waited.
    let mut missing = Vec::new();
    for (id, pattern) in &archive.unpacks {
        let member = store.manifest().entry(id)?;
        if store.best(member, &roots).is_none() {
            missing.push((member, pattern.as_str()));
        }
    }
    if missing.iter().all(|(member, _)| member.id != entry.id) {
        return Ok(ensured.downloaded);
    }
    let expected = missing.iter().filter_map(|(member, _)| member.bytes).sum();
    place::create(store.root())?;
    place::check_room(
        store.root(),
        expected,
        &format!("unpacking {}", archive.file),
    )?;
    let drafts = Drafts::create(store.root())?;
    let folder = drafts.path("unpacked");
    place::create(&folder)?;
    let patterns: Vec<_> = missing.iter().map(|(_, pattern)| *pattern).collect();
    let source = ensured.sight.real.as_deref().unwrap_or(&ensured.sight.path);
    let unpacked = (means.unpack)(source, &patterns, &folder, watch)?;
    for (member, pattern) in missing {
        match unpacked.get(pattern) {
            Some(file) => settle(store, member, file, watch)?,
            None if member.id == entry.id => {
                let message = format!("{} holds no {pattern}", ensured.sight.path.display());
                return Err(CacheError::new(MODEL_CORRUPT, message));
            }
            None => {}
        }
    }
    Ok(ensured.downloaded)
}

/// Puts an unpacked file into its place.
fn settle(store: &Store, member: &Entry, file: &Path, watch: Watch) -> Result<(), CacheError> {
    let dest = store.place(member);
    let (folder, _) = files::split(&dest)?;
    place::create(folder)?;
    make_way(store, member, &dest)?;
    let sha256 = digest::of_file(file, member, watch)?.sha256;
    files::publish(file, &dest)?;
    let trusted = Trusted::new(&sha256, How::Unpack);
    store
        .ledger()
        .trust(&member.id, &dest, trusted, Trust::Recorded)?;
    Ok(())
}
