//! Whether files are what they must be, every byte looked at.

use std::path::PathBuf;
use std::sync::Mutex;

use serde::Serialize;

use super::digest::{self, Digest};
use super::error::{ABORTED, CacheError};
use super::ledger::{Record, Trust, Verdict, Wrong};
use super::manifest::Entry;
use super::progress::Watch;
use super::sight::{self, Sight, State};
use super::store::Store;
use super::structure;

/// Disks and memory give no more than this many readers at once.
const MAX_THREADS: usize = 4;

/// What looking at every byte of a file told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    pub id: String,
    pub path: PathBuf,
    pub origin: String,
    pub bytes: Option<u64>,
    pub ok: bool,
    pub sha256: Option<String>,
    /// Why it is believed.
    pub trust: Option<Trust>,
    pub wrong: Option<Wrong>,
    /// What is wrong, in words.
    pub problem: Option<String>,
}

/// Looks at every byte of every file found of the entries (of all entries: none given).
///
/// A file that is wrong is an answer, not an error. Entries of which nothing is found are left out.
pub fn verify(store: &Store, names: &[String], watch: Watch) -> Result<Vec<Verified>, CacheError> {
    let mut entries = Vec::new();
    for name in names {
        for entry in store.manifest().select(name)? {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    if names.is_empty() {
        entries = store.manifest().entries().collect();
    }
    let roots = store.roots();
    let mut work = Vec::new();
    for entry in entries {
        watch.check()?;
        let sights = store.sights(entry, &roots);
        work.extend(sights.into_iter().map(|sight| (entry, sight)));
    }
    in_parallel(&work, &|(entry, sight)| one(store, entry, sight, watch))
}

/// Does the work on a few threads; the results keep its order. The first error ends it.
fn in_parallel<T: Sync, R: Send>(
    work: &[T],
    job: &(dyn Fn(&T) -> Result<R, CacheError> + Sync),
) -> Result<Vec<R>, CacheError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let next = Mutex::new(0..work.len());
    let done = Mutex::new(Vec::with_capacity(work.len()));
    let take = || next.lock().map_or(None, |mut next| next.next());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(work.len()) {
            scope.spawn(|| {
                while let Some(index) = take() {
                    let result = job(&work[index]);
                    if let (true, Ok(mut next)) = (result.is_err(), next.lock()) {
                        next.start = next.end;
                    }
                    if let Ok(mut done) = done.lock() {
                        done.push((index, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Looks at every byte of one file, and remembers what was found.
pub fn one(
    store: &Store,
    entry: &Entry,
    sight: &Sight,
    watch: Watch,
) -> Result<Verified, CacheError> {
    watch.check()?;
    let mut verified = Verified {
        id: entry.id.clone(),
        path: sight.path.clone(),
        origin: sight.origin.clone(),
        bytes: sight.bytes,
        ok: false,
        sha256: None,
        trust: None,
        wrong: None,
        problem: None,
    };
    let Some(real) = &sight.real else {
        if let State::Faulty { wrong, why } = &sight.state {
            verified.wrong = Some(*wrong);
            verified.problem = Some(why.clone());
        }
        return Ok(verified);
    };
    let record = store.ledger().read(&entry.id, real);
    let digest = match digest::of_file(real, entry, watch) {
        Ok(digest) => digest,
        Err(error) if error.code == ABORTED => return Err(error),
        Err(error) => {
            verified.wrong = Some(Wrong::Unreadable);
            verified.problem = Some(error.message);
            return Ok(verified);
        }
    };
    let verdict = judge(entry, sight, &record, &digest, watch)?;
    match &verdict {
        Verdict::Sound { trust } => {
            verified.ok = true;
            verified.trust = Some(*trust);
        }
        Verdict::Faulty { wrong, why } => {
            verified.wrong = Some(*wrong);
            verified.problem = Some(why.clone());
        }
        Verdict::Opens => {}
    }
    verified.bytes = Some(digest.stamp.bytes);
    verified.sha256 = Some(digest.sha256.clone());
    // A hash that was bad must not replace the one that showed it.
    let is_sound = verified.ok;
    let mut record = record.seen(digest.stamp, verdict);
    if is_sound {
        record = record.hashed(digest.stamp, digest.sha256);
    }
    store.ledger().remember(&record);
    Ok(verified)
}

fn judge(
    entry: &Entry,
    sight: &Sight,
    record: &Record,
    digest: &Digest,
    watch: Watch,
) -> Result<Verdict, CacheError> {
    let corrupt = |why: String| {
        let wrong = Wrong::Corrupt;
        Ok(Verdict::Faulty { wrong, why })
    };
    if let Some(why) = sight::wrong_size(entry, record, digest.stamp.bytes, sight.repacked) {
        return corrupt(why);
    }
    let is_users_own = record
        .trusted
        .as_ref()
        .is_some_and(|trusted| trusted.forced);
    if !sight.repacked && !is_users_own {
        match digest::compare(digest, entry) {
            Some(Ok(())) if entry.sha256.is_some() => {
                let trust = Trust::Published;
                return Ok(Verdict::Sound { trust });
            }
            Some(Err(why)) => return corrupt(why),
            // A few digits are no proof alone.
            Some(Ok(())) | None => {}
        }
    }
    if let Some(trusted) = &record.trusted {
        let (found, recorded) = (&digest.sha256, &trusted.sha256);
        if found != recorded {
            return corrupt(format!("its SHA-256 is {found}, recorded was {recorded}"));
        }
        let trust = Trust::Recorded;
        return Ok(Verdict::Sound { trust });
    }
    if let Some(why) = has_rotted(record, digest) {
        return corrupt(why);
    }
    if !structure::can_open(entry) && entry.format != "tar" {
        let trust = Trust::Structure;
        return Ok(Verdict::Sound { trust });
    }
    match structure::check_deeply(&sight.path, entry, watch) {
        Ok(()) if entry.has_hash() && !sight.repacked && !is_users_own => {
            let trust = Trust::Published;
            Ok(Verdict::Sound { trust })
        }
        Ok(()) => {
            let trust = Trust::Structure;
            Ok(Verdict::Sound { trust })
        }
        Err(fault) if fault.cancelled => Err(CacheError::new(ABORTED, "the work was cancelled")),
        Err(fault) => Ok(Verdict::Faulty {
            wrong: fault.wrong,
            why: fault.why,
        }),
    }
}

/// Other bytes under the same time of change: nobody wrote that, the disk lost it.
fn has_rotted(record: &Record, digest: &Digest) -> Option<String> {
    let before = record.hashed.as_ref()?;
    let same_time = before.stamp.modified == digest.stamp.modified
        && before.stamp.bytes == digest.stamp.bytes
        && before.stamp.inode == digest.stamp.inode;
    (same_time && before.sha256 != digest.sha256).then(|| {
        format!(
            "its bytes changed although nobody wrote to it: SHA-256 {}, before {}",
            digest.sha256, before.sha256
        )
    })
}
