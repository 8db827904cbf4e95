//! The bytes of one reply on their way into the partial: looked at, counted, timed and stored.

use std::time::Instant;

use reqwest::Response;

use super::client;
use super::fault::Failure;
use super::partial::Partial;
use super::reply::{self, Plan, Validators};
use super::request::{Phase, Request, Settings};
use super::sniff;
use super::state::State;
use super::watch::Watch;

pub struct Body<'a, 'w> {
    pub request: &'a Request,
    pub settings: &'a Settings,
    pub watch: &'a mut Watch<'w>,
    pub partial: &'a mut Partial,
}

impl Body<'_, '_> {
    /// Stores the reply's bytes as `plan` says. Returns whether the file is complete now.
    pub async fn receive(
        &mut self,
        url: &str,
        reply: &mut Response,
        plan: &Plan,
    ) -> Result<bool, Failure> {
        let (end, total) = match *plan {
            Plan::Complete => return Ok(true),
            Plan::Continue { end, total } => (Some(end), Some(total)),
            Plan::Whole { total } => (total, total),
        };
        let mut head = Vec::new();
        let mut started = !matches!(plan, Plan::Whole { .. });
        if started {
            self.begin(total)?;
        } else {
            // What is held makes room for the new bytes.
            let lacking = total.unwrap_or(0).saturating_sub(self.partial.held());
            self.partial.check_space(&self.request.label, lacking)?;
        }
        let mut pace = Pace::new(self.settings);
        loop {
            let piece = match self.piece(reply).await {
                Err(failure) if !started && !head.is_empty() => {
                    // Few bytes are better than none.
                    self.start_over(url, reply, total, &head).await?;
                    self.store(&head, end)?;
                    return Err(failure);
                }
                piece => piece?,
            };
            let ended = piece.is_none();
            let mut piece = piece.unwrap_or_default();
            pace.count(piece.len() as u64)?;
            if !started {
                head.extend_from_slice(&piece);
                if head.len() < sniff::HEAD && !ended {
                    continue;
                }
                self.start_over(url, reply, total, &head).await?;
                piece = std::mem::take(&mut head).into();
                started = true;
            }
            self.store(&piece, end)?;
            if ended {
                break;
            }
        }
        self.ended(end, total)
    }

    /// The next bytes; `None` at the end of the body.
    async fn piece(&mut self, reply: &mut Response) -> Result<Option<bytes::Bytes>, Failure> {
        let limit = self.settings.stall_timeout;
        let piece = reply.chunk();
        match self.watch.during(Some(self.partial), limit, piece).await? {
            Some(piece) => piece.map_err(|error| client::explain(&error)),
            None => Err(Failure::retry(format!(
                "no byte in {} s",
                limit.as_secs_f32()
            ))),
        }
    }

    fn begin(&mut self, total: Option<u64>) -> Result<(), Failure> {
        let held = self.partial.held();
        self.watch.meter.set(Phase::Downloading, held, total);
        let size = total.or(self.request.bytes).or(self.request.about_bytes);
        self.partial.reserve(&self.request.label, size.unwrap_or(0))
    }

    /// Only now, with the first bytes seen, is what was held given up for them.
    async fn start_over(
        &mut self,
        url: &str,
        reply: &Response,
        total: Option<u64>,
        head: &[u8],
    ) -> Result<(), Failure> {
        let name = self.request.dest.file_name().unwrap_or_default();
        let kind = reply::content_type(reply.headers());
        if let Some(why) = sniff::not_a_model(head, &name.to_string_lossy(), kind) {
            return Err(Failure::source(why));
        }
        let Validators {
            etag,
            last_modified,
        } = Validators::of(reply.headers());
        let state = State {
            url: client::public_url(url),
            etag,
            last_modified,
            total: total.or(self.request.bytes),
            expected_sha256: self.request.sha256.clone(),
            expected_md5: self.request.md5.clone(),
            expected_bytes: self.request.bytes,
            ..State::default()
        };
        self.partial.restart(state).await?;
        self.begin(total)
    }

    fn store(&mut self, piece: &[u8], end: Option<u64>) -> Result<(), Failure> {
        let after = self.partial.held() + piece.len() as u64;
        let end = end.or(self.request.bytes);
        if end.is_some_and(|end| after > end) {
            return Err(Failure::Corrupt {
                why: format!(
                    "more bytes came than the {} announced",
                    end.unwrap_or_default()
                ),
            });
        }
        let about = self.request.about_bytes.filter(|_| end.is_none());
        if about.is_some_and(|about| after > about.saturating_mul(4)) {
            return Err(Failure::source(
                "the file never ends: far more came than expected",
            ));
        }
        self.partial.append(piece)?;
        self.watch.meter.add(piece.len() as u64);
        self.watch.tick()
    }

    fn ended(&self, end: Option<u64>, total: Option<u64>) -> Result<bool, Failure> {
        let held = self.partial.held();
        if let Some(end) = end
            && held < end
        {
            let why = format!("the connection ended at byte {held} of {end}");
            return Err(Failure::retry(why));
        }
        let total = total.or(self.request.bytes);
        if total.is_none() && held == 0 {
            return Err(Failure::source("the server sent an empty file"));
        }
        match total {
            // Without a length announced, the end of the body was the end of the file.
            None => Ok(true),
            Some(total) if held == total => Ok(true),
            Some(total) if end.is_none() => {
                let why = format!("expected {total} bytes, and {held} came");
                Err(Failure::retry(why))
            }
            Some(_) => Ok(false),
        }
    }
}

/// Notices a line that never stalls and never gets anywhere.
struct Pace<'a> {
    settings: &'a Settings,
    since: Instant,
    bytes: u64,
}

impl<'a> Pace<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), Failure> {
        self.bytes += bytes;
        let seconds = self.since.elapsed();
        if seconds < self.settings.slow_window {
            return Ok(());
        }
        let rate = self.bytes as f64 / seconds.as_secs_f64().max(1e-9);
        if rate < self.settings.slow_rate as f64 {
            return Err(Failure::Slow {
                why: format!("only {rate:.0} bytes per second came"),
            });
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}
