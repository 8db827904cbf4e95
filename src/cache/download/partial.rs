//! The folder of one download in progress: the bytes so far, hashed, synced and continued by one process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinHandle;

use super::crash;
use super::digest::{Digests, Hashers};
use super::fault::{self, Failure};
use super::owner;
use super::places::{self, COPY, DATA, Mine, Place};
use super::request::{Phase, Request, Settings};
use super::space;
use super::state::{Durable, State};
use super::watch::Watch;

const PIECE: usize = 1 << 20;
/// Syncs come no closer together than this.
const SYNC_PAUSE: Duration = Duration::from_secs(1);

pub struct Partial {
    place: Place,
    /// `None` once published or given back.
    mine: Option<Mine>,
    file: Option<File>,
    held: u64,
    /// None of the bytes so far.
    fresh: Hashers,
    hashers: Hashers,
    state: State,
    beat_every: Duration,
    last_beat: Instant,
    sync_every: u64,
    synced: u64,
    last_sync: Instant,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

/// Where a published file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    Done,
    /// The final name is taken.
    Taken,
}

impl Partial {
    /// Opens what was claimed. Bytes an earlier run left are hashed, and dropped when they cannot be
    /// part of what is asked for.
    pub fn open(
        place: &Place,
        mine: Mine,
        request: &Request,
        settings: &Settings,
        watch: &mut Watch,
    ) -> Result<Self, Failure> {
        let state = State::read(&mine.path);
        let to_copy = mine.to_copy;
        let mut partial = Self {
            place: place.clone(),
            mine: Some(mine),
            file: None,
            held: 0,
            fresh: Hashers::new(request),
            hashers: Hashers::new(request),
            state: State::default(),
            beat_every: settings.heartbeat,
            last_beat: Instant::now(),
            sync_every: settings.sync_every,
            synced: 0,
            last_sync: Instant::now(),
            syncing: None,
        };
        match state.filter(|state| state.serves(request)) {
            Some(state) if to_copy => partial.copy(state, watch)?,
            Some(state) => partial.resume(state, watch)?,
            None => partial.clear()?,
        }
        Ok(partial)
    }

    pub fn held(&self) -> u64 {
        self.held
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Of the bytes held.
    pub fn digests(&self) -> Digests {
        self.hashers.digests()
    }

    fn path(&self) -> PathBuf {
        let active = self.mine.as_ref().map(|mine| mine.path.clone());
        active.unwrap_or_else(|| self.place.idle())
    }

    fn data(&self) -> PathBuf {
        self.path().join(DATA)
    }

    /// What an error at `path` means: the folder may have been taken over meanwhile.
    fn failed(&self, doing: &str, path: &Path, error: &io::Error) -> Failure {
        if error.kind() == ErrorKind::NotFound && !self.path().exists() {
            return Failure::Lost;
        }
        Failure::Stop(fault::io(doing, path, error))
    }

    /// No bytes, in a file of their own: whoever still has the old one open does no harm.
    fn clear(&mut self) -> Result<(), Failure> {
        self.file = None;
        let path = self.data();
        for old in [self.path().join(COPY), path.clone()] {
            match fs::remove_file(&old) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(self.failed("remove", &old, &error));
                }
                _ => {}
            }
        }
        self.safe_to_write()?;
        let path = self.data();
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        self.file = Some(file.map_err(|error| self.failed("create", &path, &error))?);
        self.held = 0;
        self.synced = 0;
        self.hashers = self.fresh.clone();
        crash::step("an empty file is made");
        Ok(())
    }

    /// The bytes are nobody else's any more: the folder's name says so from here on.
    fn safe_to_write(&mut self) -> Result<(), Failure> {
        let Some(mine) = self.mine.as_mut().filter(|mine| mine.to_copy) else {
            return Ok(());
        };
        let path = self.place.active(&mine.working.owner());
        match fs::rename(&mine.path, &path) {
            Ok(()) => {
                mine.path = path;
                mine.to_copy = false;
                crash::step("bytes are nobody else's");
                Ok(())
            }
            Err(error) => {
                let path = mine.path.clone();
                Err(self.failed("rename", &path, &error))
            }
        }
    }

    /// Goes on with bytes that nobody else can write to.
    fn resume(&mut self, state: State, watch: &mut Watch) -> Result<(), Failure> {
        let path = self.data();
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.clear(),
            Err(error) => return Err(self.failed("open", &path, &error)),
        };
        let failed = |this: &Self, error| this.failed("read", &path, &error);
        let len = file.metadata().map_err(|error| failed(self, error))?.len();
        let len = state.believable(len, owner::boot().as_deref());
        self.state = state;
        if !self.take_in(&file, len, None, watch)? {
            return self.clear();
        }
        file.set_len(len).map_err(|error| failed(self, error))?;
        self.file = Some(file);
        Ok(())
    }

    /// Goes on with a copy of bytes whose writer may still live.
    fn copy(&mut self, state: State, watch: &mut Watch) -> Result<(), Failure> {
        let (from, to) = (self.data(), self.path().join(COPY));
        let source = match File::open(&from) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.clear(),
            Err(error) => return Err(self.failed("open", &from, &error)),
        };
        let len = source.metadata();
        let len = len
            .map_err(|error| self.failed("read", &from, &error))?
            .len();
        // Another machine's memory may hold bytes that are not on the disk.
        let len = state.believable(len, owner::boot().as_deref());
        self.state = state;
        let target = File::create(&to).map_err(|error| self.failed("create", &to, &error))?;
        if !self.take_in(&source, len, Some(&target), watch)? {
            return self.clear();
        }
        crash::step("bytes are copied");
        fs::rename(&to, &from).map_err(|error| self.failed("rename", &to, &error))?;
        crash::step("the copy has replaced the original");
        self.safe_to_write()?;
        self.file = Some(target);
        Ok(())
    }

    /// Hashes the first `len` bytes, copying them to `target`. False when they are not those that were
    /// once synced, or fewer.
    fn take_in(
        &mut self,
        file: &File,
        len: u64,
        target: Option<&File>,
        watch: &mut Watch,
    ) -> Result<bool, Failure> {
        if self.state.total.is_some_and(|total| len > total) {
            return Ok(false);
        }
        let mut piece = vec![0; PIECE];
        let mut reader = file;
        while self.held < len {
            watch.meter.set(Phase::Verifying, self.held, Some(len));
            watch.tick()?;
            self.beat()?;
            let sure = self.state.durable.as_ref().map(|sure| sure.bytes);
            let stop = sure
                .filter(|&sure| sure > self.held)
                .unwrap_or(len)
                .min(len);
            let want = usize::try_from(stop - self.held).map_or(PIECE, |left| left.min(PIECE));
            let part = piece.get_mut(..want).unwrap_or_default();
            if let Err(error) = reader.read_exact(part) {
                return match error.kind() {
                    ErrorKind::UnexpectedEof => Ok(false),
                    _ => Err(self.failed("read", &self.data(), &error)),
                };
            }
            if let Some(mut target) = target {
                let written = target.write_all(part);
                written.map_err(|error| self.failed("write", &self.path().join(COPY), &error))?;
            }
            self.hashers.update(part);
            self.held += want as u64;
            let sure = self.state.durable.as_ref();
            if sure
                .is_some_and(|sure| sure.bytes == self.held && sure.sha256 != self.digests().sha256)
            {
                return Ok(false);
            }
        }
        // A copy is not on the disk yet, whatever the original was.
        self.synced = if target.is_some() { 0 } else { self.held };
        Ok(true)
    }

    /// Starts over with what a reply promises.
    pub async fn restart(&mut self, state: State) -> Result<(), Failure> {
        self.settle().await;
        self.clear()?;
        self.state = State {
            boot: owner::boot(),
            durable: None,
            ..state
        };
        let path = self.path();
        let written = self.state.write(&path);
        written.map_err(|error| self.failed("write to", &path, &error))
    }

    /// Drops all bytes: they were wrong, or of no use.
    pub async fn forget(&mut self) -> Result<(), Failure> {
        self.settle().await;
        self.state = State::default();
        self.clear()
    }

    /// Sets aside what is lacking of `total`, or refuses.
    pub fn reserve(&self, label: &str, total: u64) -> Result<(), Failure> {
        self.check_space(label, total.saturating_sub(self.held))?;
        if let Some(file) = &self.file {
            space::reserve(file, self.held, total);
        }
        Ok(())
    }

    /// Refuses when `lacking` more bytes do not fit beside what is held.
    pub fn check_space(&self, label: &str, lacking: u64) -> Result<(), Failure> {
        Ok(space::check(label, &self.place.folder, lacking)?)
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.data();
        let Some(mut file) = self.file.as_ref() else {
            return Err(Failure::Lost);
        };
        if let Err(error) = file.write_all(bytes) {
            return Err(self.failed("write to", &path, &error));
        }
        crash::step("bytes are stored");
        self.hashers.update(bytes);
        self.held += bytes.len() as u64;
        self.sync_if_due();
        self.beat()
    }

    /// Shows that this process lives, and notices when the folder was taken over.
    pub fn beat(&mut self) -> Result<(), Failure> {
        if self.last_beat.elapsed() < self.beat_every {
            return Ok(());
        }
        self.last_beat = Instant::now();
        let now = SystemTime::now();
        // While a copy is made, the original is another's; the folder's own time would need a handle.
        match &self.file {
            Some(file) => drop(file.set_modified(now)),
            None => touch(&self.data(), now),
        }
        if self.path().is_dir() {
            Ok(())
        } else {
            Err(Failure::Lost)
        }
    }

    fn sync_if_due(&mut self) {
        let running = self.syncing.as_ref().is_some_and(|job| !job.is_finished());
        if running || self.held - self.synced < self.sync_every {
            return;
        }
        if self.last_sync.elapsed() >= SYNC_PAUSE {
            self.start_sync();
        }
    }

    /// In the background: a slow disk must not stop the line.
    fn start_sync(&mut self) {
        let Some(Ok(file)) = self.file.as_ref().map(File::try_clone) else {
            return;
        };
        self.synced = self.held;
        self.last_sync = Instant::now();
        self.state.boot = owner::boot();
        self.state.durable = Some(Durable {
            bytes: self.held,
            sha256: self.digests().sha256,
        });
        let (state, path) = (self.state.clone(), self.path());
        self.syncing = Some(tokio::task::spawn_blocking(move || {
            file.sync_all()?;
            crash::step("bytes are on the disk");
            state.write(&path)
        }));
    }

    async fn settle(&mut self) {
        if let Some(job) = self.syncing.take() {
            let _ = job.await;
        }
    }

    /// All bytes and the state on the disk.
    pub async fn sync(&mut self, watch: &mut Watch<'_>) -> Result<(), Failure> {
        for last in [false, true] {
            if last {
                self.start_sync();
            }
            let Some(mut job) = self.syncing.take() else {
                continue;
            };
            let done = watch.during(Some(self), Duration::MAX, &mut job).await?;
            if let (true, Some(Ok(Err(error)))) = (last, done) {
                return Err(self.failed("sync", &self.data(), &error));
            }
        }
        Ok(())
    }

    /// Gives the bytes their final name. What is there already is only replaced when `over` says so.
    pub fn publish(&mut self, over: bool) -> Result<Publication, Failure> {
        let (from, to) = (self.data(), self.place.dest());
        self.file = None;
        let renamed = if over {
            fs::rename(&from, &to)
        } else {
            rename_beside(&from, &to)
        };
        match renamed {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Publication::Taken);
            }
            Err(error) => return Err(self.failed("give the final name to", &from, &error)),
        }
        crash::step("the file has its final name");
        sync_folder(&self.place.folder);
        self.discard();
        crash::step("the partial is gone");
        Ok(Publication::Done)
    }

    /// Removes the folder with all that is in it.
    pub fn discard(&mut self) {
        self.file = None;
        if let Some(mine) = self.mine.take() {
            places::remove(&mine.path);
        }
    }
}

impl Drop for Partial {
    /// However a run ends, what it fetched is left to the next one.
    fn drop(&mut self) {
        self.file = None;
        if let Some(mine) = self.mine.take() {
            places::give_back(&self.place, &mine);
        }
    }
}

fn touch(path: &Path, now: SystemTime) {
    if let Ok(file) = OpenOptions::new().append(true).open(path) {
        let _ = file.set_modified(now);
    }
}

/// A rename that does not replace anything.
fn rename_beside(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Network file systems know no such rename.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
    }
    // Whatever appears between these two lines was verified as well.
    if fs::symlink_metadata(to).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}
