//! A download from its first look at the disk to the published file: sources, retries, verification.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use super::attempts::{Attempts, Outcome};
use super::client::{self, Client};
use super::digest::{Digests, Hashers};
use super::fault::{self, Failure};
use super::meter::Meter;
use super::partial::{Partial, Publication};
use super::places::{Claim, Claims, Place};
use super::request::{Fetched, Phase, Progress, Request, Settings};
use super::space;
use super::watch::Watch;
use crate::cache::error::{ABORTED, CACHE_IO, CacheError, DOWNLOAD, INVALID_ARGUMENT, OFFLINE};

/// How often a process that waits for another looks again.
const LOOK: Duration = Duration::from_millis(100);
const PIECE: usize = 1 << 20;

/// Fetches one file and returns when it lies under its final name, verified, or not at all.
///
/// Blocks; to be called from a thread that runs no async tasks. `cancel` is noticed within a fifth of a
/// second. Any number of threads and processes may ask for the same file at once: one fetches it, the
/// others wait and use it.
pub fn download(
    request: &Request,
    settings: &Settings,
    progress: &dyn Fn(Progress),
    cancel: &AtomicBool,
) -> Result<Fetched, CacheError> {
    request.check()?;
    let place = Place::of(&request.dest).ok_or_else(|| {
        let dest = request.dest.display();
        CacheError::new(
            INVALID_ARGUMENT,
            format!("{dest} is not a name that can be used"),
        )
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CacheError::new(CACHE_IO, format!("no runtime: {error}")))?;
    let run = Run {
        request,
        settings,
        place,
        watch: Watch::new(Meter::new(progress), cancel),
        bad: None,
    };
    let result = runtime.block_on(run.run());
    // A name still being looked up must not hold up a cancellation.
    runtime.shutdown_background();
    result
}

struct Run<'a> {
    request: &'a Request,
    settings: &'a Settings,
    place: Place,
    watch: Watch<'a>,
    /// A file under the final name that was found wrong: its length and time.
    bad: Option<(u64, Option<SystemTime>)>,
}

impl Run<'_> {
    async fn run(mut self) -> Result<Fetched, CacheError> {
        loop {
            match self.once().await {
                Ok(fetched) => {
                    self.watch.meter.finish(fetched.bytes);
                    return Ok(fetched);
                }
                Err(Failure::Lost) => continue,
                Err(Failure::Stop(error)) => return Err(self.named(error)),
                Err(other) => {
                    let why = format!("{other:?}");
                    return Err(CacheError::new(DOWNLOAD, why));
                }
            }
        }
    }

    /// Says which file an error is about, and where what has arrived is.
    fn named(&self, error: CacheError) -> CacheError {
        if error.code != ABORTED {
            return error;
        }
        let label = &self.request.label;
        let message = format!("{label}: {}; what has arrived is kept", error.message);
        CacheError::new(ABORTED, message)
    }

    async fn once(&mut self) -> Result<Fetched, Failure> {
        self.watch.tick()?;
        if let Some(fetched) = self.in_place()? {
            return Ok(fetched);
        }
        if self.settings.offline {
            return Err(self.offline().into());
        }
        let folder = &self.place.folder;
        fs::create_dir_all(folder).map_err(|error| fault::io("create", folder, &error))?;
        let Some(mut partial) = self.claim().await? else {
            return Err(Failure::Lost);
        };
        // It may have been published between the look at the final name and the claim.
        if let Some(fetched) = self.in_place()? {
            partial.discard();
            return Ok(fetched);
        }
        if let Some(bytes) = self.request.bytes.or(self.request.about_bytes) {
            let lacking = bytes.saturating_sub(partial.held());
            space::check(&self.request.label, &self.place.folder, lacking)?;
        }
        self.fetch(&mut partial).await
    }

    fn offline(&self) -> CacheError {
        let Request {
            urls, dest, label, ..
        } = self.request;
        let urls: Vec<String> = urls.iter().map(|url| client::public_url(url)).collect();
        CacheError::new(
            OFFLINE,
            format!(
                "{label} is not there and offline mode forbids the download; fetch {} on another \
                 machine and save it as {}",
                urls.join(" or "),
                dest.display()
            ),
        )
    }

    /// Waits until the destination is ours to work on. `None` when the file has appeared meanwhile.
    async fn claim(&mut self) -> Result<Option<Partial>, Failure> {
        let lease = self.settings.lease;
        let mut claims = Claims::new(self.place.clone(), lease, self.settings.locks);
        loop {
            let folder = &self.place.folder;
            let claim = claims.take();
            match claim.map_err(|error| fault::io("work in", folder, &error))? {
                Claim::Mine(mine) => {
                    let (request, settings) = (self.request, self.settings);
                    let watch = &mut self.watch;
                    return Partial::open(&self.place, mine, request, settings, watch).map(Some);
                }
                Claim::Busy { bytes } => {
                    self.watch
                        .meter
                        .set(Phase::Waiting, bytes, self.request.bytes);
                    self.watch.sleep(None, LOOK).await?;
                    if self.has_appeared() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn has_appeared(&self) -> bool {
        let data = fs::metadata(&self.request.dest);
        data.is_ok_and(|data| self.bad != Some((data.len(), data.modified().ok())))
    }

    /// The file under the final name, when it is what was asked for.
    fn in_place(&mut self) -> Result<Option<Fetched>, Failure> {
        let dest = &self.request.dest;
        let failed = |error: io::Error| Failure::Stop(fault::io("read", dest, &error));
        let data = match fs::metadata(dest) {
            Ok(data) => data,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !data.is_file() {
            let what = format!("{} is in the way: expected a file", dest.display());
            return Err(CacheError::new(CACHE_IO, what).into());
        }
        let sign = (data.len(), data.modified().ok());
        if self.bad == Some(sign) {
            return Ok(None);
        }
        self.bad = Some(sign);
        // A rough size says nothing against a file that somebody has put there.
        if self.request.bytes.is_some_and(|bytes| bytes != data.len()) {
            return Ok(None);
        }
        let Some((digests, bytes)) = self.hash(dest, data.len())? else {
            return Ok(None);
        };
        if digests.refused_by(self.request).is_some() || bytes == 0 {
            return Ok(None);
        }
        self.bad = None;
        Ok(Some(Fetched {
            sha256: digests.sha256,
            bytes,
            etag: None,
            url: None,
            resumed_from: 0,
        }))
    }

    /// `None` when the file has gone meanwhile.
    fn hash(&mut self, path: &Path, len: u64) -> Result<Option<(Digests, u64)>, Failure> {
        let failed = |error: io::Error| Failure::Stop(fault::io("read", path, &error));
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut hasher = Hashers::new(self.request);
        let mut piece = vec![0; PIECE];
        let mut done = 0_u64;
        loop {
            self.watch.meter.set(Phase::Verifying, done, Some(len));
            self.watch.tick()?;
            let read = match file.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(failed)?,
            };
            if read == 0 {
                return Ok(Some((hasher.digests(), done)));
            }
            hasher.update(piece.get(..read).unwrap_or_default());
            done += read as u64;
        }
    }

    async fn fetch(&mut self, partial: &mut Partial) -> Result<Fetched, Failure> {
        let client = Client::new(self.settings)?;
        let mut attempts = Attempts::new(self.request, self.settings, &client);
        loop {
            let watch = &mut self.watch;
            let Outcome { url, resumed_from } = attempts.complete(watch, partial).await?;
            let (digests, bytes) = (partial.digests(), partial.held());
            if let Some(why) = digests.refused_by(self.request) {
                attempts.wrong_bytes(why, partial).await?;
                continue;
            }
            let fetched = Fetched {
                sha256: digests.sha256,
                bytes,
                etag: partial.state().etag.clone(),
                url: Some(url),
                resumed_from,
            };
            return self.publish(partial, fetched).await;
        }
    }

    async fn publish(
        &mut self,
        partial: &mut Partial,
        fetched: Fetched,
    ) -> Result<Fetched, Failure> {
        partial.sync(&mut self.watch).await?;
        if partial.publish(false)? == Publication::Done {
            return Ok(fetched);
        }
        if let Some(there) = self.in_place()? {
            partial.discard();
            return Ok(there);
        }
        partial.publish(true)?;
        Ok(fetched)
    }
}
