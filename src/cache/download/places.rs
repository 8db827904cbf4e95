//! The names beside a destination, and how one process among many gets to work on it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::crash;
use super::owner::{Life, Owner, Working};
use super::state;
use crate::cache::lock::{self, Lock, Outcome};

pub const DATA: &str = "data";
/// A copy of bytes whose writer may still live, before it takes the place of `DATA`.
pub const COPY: &str = "copy";
pub const LOCK: &str = ".part.lock";
const EXTENSION: &str = ".part";
/// All that is ever in a partial's folder.
const FILES: [&str; 4] = [COPY, DATA, state::NEW_NAME, state::NAME];
const TO_COPY: &str = ".copy";
/// How long to let a rival who came at the same moment show itself.
const SETTLE: Duration = Duration::from_millis(30);
/// Clocks of two machines may differ: silence by the clock counts after this many leases.
const CLOCK_LEASES: u32 = 10;

/// Where a file will be.
#[derive(Clone, Debug)]
pub struct Place {
    pub folder: PathBuf,
    pub name: String,
}

/// A partial found beside a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    /// The destination's name.
    pub name: String,
    /// `None` when nobody works on it.
    pub owner: Option<Owner>,
    /// Its bytes were taken from somebody who may still live, and not yet copied.
    pub to_copy: bool,
    pub bytes: u64,
    /// Whether work on it has begun.
    started: bool,
    beat: Option<SystemTime>,
}

impl Place {
    pub fn of(dest: &Path) -> Option<Self> {
        let name = dest.file_name()?.to_str()?.to_owned();
        let folder = match dest.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Some(Self { folder, name })
    }

    pub fn dest(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    pub fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}{LOCK}", self.name))
    }

    /// The partial nobody works on.
    pub fn idle(&self) -> PathBuf {
        self.folder.join(format!("{}{EXTENSION}", self.name))
    }

    pub fn active(&self, owner: &Owner) -> PathBuf {
        self.folder
            .join(format!("{}.{owner}{EXTENSION}", self.name))
    }

    pub fn to_copy(&self, owner: &Owner) -> PathBuf {
        let name = &self.name;
        self.folder
            .join(format!("{name}.{owner}{TO_COPY}{EXTENSION}"))
    }

    fn found(&self) -> io::Result<Vec<Found>> {
        let mut found = scan(&self.folder)?;
        found.retain(|found| found.name == self.name);
        Ok(found)
    }
}

/// All partials of a folder.
pub fn scan(folder: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(parsed) = name.to_str().and_then(parse) else {
            continue;
        };
        // Files of that name are other programs'.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if parsed.1.is_none() && !is_ours(&path) {
            continue;
        }
        let data = fs::metadata(path.join(DATA)).ok();
        let seen = data.clone().or_else(|| fs::metadata(&path).ok());
        found.push(Found {
            name: parsed.0,
            owner: parsed.1,
            to_copy: parsed.2,
            bytes: data.as_ref().map_or(0, fs::Metadata::len),
            started: data.is_some(),
            beat: seen.and_then(|data| data.modified().ok()),
            path,
        });
    }
    found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    Ok(found)
}

/// Whether a folder that names no owner holds nothing but what a download puts there.
fn is_ours(path: &Path) -> bool {
    let ours = |entry: io::Result<fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name());
        name.is_ok_and(|name| FILES.iter().any(|ours| name == *ours))
    };
    fs::read_dir(path).is_ok_and(|entries| entries.into_iter().all(ours))
}

/// `<name>[.<owner>[.copy]].part` → name, owner, whether it is still to be copied.
fn parse(file_name: &str) -> Option<(String, Option<Owner>, bool)> {
    let stem = file_name.strip_suffix(EXTENSION)?;
    let owned = |stem: &str| {
        let (name, owner) = stem.rsplit_once('.')?;
        Some((name.to_owned(), Owner::parse(owner)?))
    };
    if let Some((name, owner)) = stem.strip_suffix(TO_COPY).and_then(owned) {
        return Some((name, Some(owner), true));
    }
    if let Some((name, owner)) = owned(stem) {
        return Some((name, Some(owner), false));
    }
    (!stem.is_empty()).then(|| (stem.to_owned(), None, false))
}

/// Removes a partial's folder: what we put there, and nothing else. Returns the bytes freed.
pub fn remove(path: &Path) -> u64 {
    let bytes = fs::metadata(path.join(DATA)).map_or(0, |data| data.len());
    for name in FILES {
        let _ = fs::remove_file(path.join(name));
        crash::step("a file of a partial is removed");
    }
    match fs::remove_dir(path) {
        Ok(()) => bytes,
        Err(_) => 0,
    }
}

/// Takes a partial away from whoever might want it too, and removes it.
pub fn claim_and_remove(found: &Found, place: &Place) -> u64 {
    let working = Working::start();
    let mine = place.active(&working.owner());
    match fs::rename(&found.path, &mine) {
        Ok(()) => remove(&mine),
        Err(_) => 0,
    }
}

/// Work on a destination, ours until dropped.
#[derive(Debug)]
pub struct Mine {
    pub path: PathBuf,
    pub working: Working,
    /// The bytes must be copied before they are continued: their writer may still live.
    pub to_copy: bool,
    pub lock: Option<Lock>,
}

pub enum Claim {
    Mine(Mine),
    /// Somebody else works on it; `bytes` are there so far.
    Busy {
        bytes: u64,
    },
}

/// Life signs, as far as this process has seen them.
pub struct Watcher {
    seen: HashMap<PathBuf, (Option<SystemTime>, u64, Instant)>,
    lease: Duration,
}

impl Watcher {
    pub fn new(lease: Duration) -> Self {
        Self {
            seen: HashMap::new(),
            lease,
        }
    }

    /// Whether somebody still works on `found`.
    pub fn is_live(&mut self, found: &Found) -> bool {
        let Some(life) = found.owner.map(|owner| owner.life()) else {
            return false;
        };
        if life == Life::Dead {
            return false;
        }
        let sign = (found.beat, found.bytes, Instant::now());
        let seen = self.seen.entry(found.path.clone()).or_insert(sign);
        if (seen.0, seen.1) != (sign.0, sign.1) {
            *seen = sign;
        }
        let silent_by_clock = match life {
            Life::Rebooted => older_than(found.beat, self.lease),
            Life::Unknown => older_than(found.beat, self.lease * CLOCK_LEASES),
            Life::Alive | Life::Dead => false,
        };
        !silent_by_clock && seen.2.elapsed() <= self.lease
    }
}

fn older_than(beat: Option<SystemTime>, age: Duration) -> bool {
    let since = beat.and_then(|beat| SystemTime::now().duration_since(beat).ok());
    since.is_some_and(|since| since > age)
}

/// The attempts of one process to work on one destination.
pub struct Claims {
    place: Place,
    locks: bool,
    watcher: Watcher,
    locked_since: Option<Instant>,
}

impl Claims {
    pub fn new(place: Place, lease: Duration, locks: bool) -> Self {
        Self {
            place,
            locks,
            watcher: Watcher::new(lease),
            locked_since: None,
        }
    }

    /// One try; never waits long.
    pub fn take(&mut self) -> io::Result<Claim> {
        let (live, _) = self.look()?;
        if let Some(bytes) = live {
            self.locked_since = None;
            return Ok(Claim::Busy { bytes });
        }
        let lock = match self.lock() {
            Ok(lock) => lock,
            Err(busy) => return Ok(busy),
        };
        // Somebody may have begun between the look and the lock.
        let (live, left) = self.look()?;
        if let Some(bytes) = live {
            return Ok(Claim::Busy { bytes });
        }
        let Some(mine) = self.begin(&left, lock)? else {
            return Ok(Claim::Busy { bytes: 0 });
        };
        if self.yields(&mine)? {
            give_back(&self.place, &mine);
            return Ok(Claim::Busy { bytes: 0 });
        }
        Ok(Claim::Mine(mine))
    }

    /// The bytes of the partial somebody works on, if any; and all that nobody works on.
    fn look(&mut self) -> io::Result<(Option<u64>, Vec<Found>)> {
        let (mut live, mut left) = (None, Vec::new());
        for found in self.place.found()? {
            if self.watcher.is_live(&found) {
                live = live.max(Some(found.bytes));
            } else {
                left.push(found);
            }
        }
        Ok((live, left))
    }

    /// A lock that somebody holds without a sign of work is ignored after a lease.
    fn lock(&mut self) -> Result<Option<Lock>, Claim> {
        if !self.locks {
            return Ok(None);
        }
        match lock::try_take(&self.place.lock()) {
            Outcome::Held(lock) => Ok(Some(lock)),
            Outcome::Unavailable => Ok(None),
            Outcome::Busy => {
                let since = *self.locked_since.get_or_insert_with(Instant::now);
                if since.elapsed() > self.watcher.lease {
                    return Ok(None);
                }
                Err(Claim::Busy { bytes: 0 })
            }
        }
    }

    /// Takes over the largest partial left, removes the others, or starts one. `None` when somebody
    /// else was faster.
    fn begin(&self, left: &[Found], lock: Option<Lock>) -> io::Result<Option<Mine>> {
        let working = Working::start();
        let owner = working.owner();
        let mine = |path, to_copy, lock| Mine {
            path,
            working,
            to_copy,
            lock,
        };
        if let Some((best, others)) = left.split_first() {
            let dead = best.owner.is_none_or(|owner| owner.life() == Life::Dead);
            let to_copy = best.to_copy || !dead;
            let path = if to_copy {
                self.place.to_copy(&owner)
            } else {
                self.place.active(&owner)
            };
            match fs::rename(&best.path, &path) {
                Ok(()) => {
                    crash::step("a partial is taken over");
                    for other in others {
                        claim_and_remove(other, &self.place);
                    }
                    return Ok(Some(mine(path, to_copy, lock)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                // It cannot be moved (open elsewhere, on Windows): a new one is started beside it.
                Err(_) => {}
            }
        }
        let path = self.place.active(&owner);
        fs::create_dir(&path)?;
        crash::step("a folder is made");
        Ok(Some(mine(path, false, lock)))
    }

    /// Where locks do nothing, several may begin at once: all but one step back.
    fn yields(&mut self, mine: &Mine) -> io::Result<bool> {
        let begun = mine.path.join(DATA).exists();
        let mut rivals = self.rivals(mine)?;
        if rivals.is_empty() {
            return Ok(false);
        }
        let steps_back = |rivals: &[Found]| {
            let first = |rival: &Found| rival.path < mine.path;
            rivals
                .iter()
                .any(|rival| first(rival) || (rival.started && !begun))
        };
        if !steps_back(&rivals) {
            std::thread::sleep(SETTLE);
            rivals = self.rivals(mine)?;
        }
        Ok(steps_back(&rivals))
    }

    fn rivals(&mut self, mine: &Mine) -> io::Result<Vec<Found>> {
        let mut found = self.place.found()?;
        found.retain(|found| found.path != mine.path && self.watcher.is_live(found));
        Ok(found)
    }
}

/// Leaves a partial to whoever comes next.
pub fn give_back(place: &Place, mine: &Mine) {
    let held = fs::metadata(mine.path.join(DATA)).map_or(0, |data| data.len());
    if held == 0 {
        remove(&mine.path);
        return;
    }
    if mine.to_copy {
        // Still not safe to continue; the name must go on saying so. With its owner gone it is free.
        return;
    }
    let idle = place.idle();
    if fs::rename(&mine.path, &idle).is_ok() {
        return;
    }
    // Two were left: the longer one stays.
    let other = fs::metadata(idle.join(DATA)).map_or(0, |data| data.len());
    if other >= held {
        remove(&mine.path);
        return;
    }
    let working = Working::start();
    let away = place.active(&working.owner());
    if fs::rename(&idle, &away).is_ok() {
        remove(&away);
        let _ = fs::rename(&mine.path, &idle);
    }
}
