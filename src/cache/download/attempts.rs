//! The sources of one file in turn: how often each is tried, with what pauses, and what is said in the end.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use reqwest::Response;

use super::body::Body;
use super::client::{self, Client, Range};
use super::fault::Failure;
use super::partial::Partial;
use super::reply::{self, Asked};
use super::request::{Phase, Request, Settings};
use super::watch::Watch;
use crate::cache::error::{CacheError, DOWNLOAD, MODEL_CORRUPT};

/// Bytes beyond the most that were ever held; fewer are no progress.
const PROGRESS: u64 = 64 << 10;

pub struct Attempts<'a> {
    request: &'a Request,
    settings: &'a Settings,
    client: &'a Client,
    /// Which URL is next.
    source: usize,
    /// Attempts in a row that led nowhere.
    failures: u32,
    /// The most bytes ever held.
    best: u64,
    /// This source does not continue partials as it should.
    no_ranges: bool,
    /// The bytes held came over more than one connection.
    pieced: bool,
    resumed_from: u64,
    reasons: Vec<String>,
    corrupt: usize,
}

/// A file all of whose bytes are there; whether they are the right ones is not known yet.
pub struct Outcome {
    pub url: String,
    pub resumed_from: u64,
}

impl<'a> Attempts<'a> {
    pub fn new(request: &'a Request, settings: &'a Settings, client: &'a Client) -> Self {
        Self {
            request,
            settings,
            client,
            source: 0,
            failures: 0,
            best: 0,
            no_ranges: false,
            pieced: false,
            resumed_from: 0,
            reasons: Vec::new(),
            corrupt: 0,
        }
    }

    /// Tries until all bytes are there, or no source is left.
    pub async fn complete(
        &mut self,
        watch: &mut Watch<'_>,
        partial: &mut Partial,
    ) -> Result<Outcome, Failure> {
        if self.best == 0 {
            (self.best, self.resumed_from) = (partial.held(), partial.held());
            self.pieced = self.best > 0;
        }
        loop {
            let Some(url) = self.request.urls.get(self.source) else {
                return Err(self.give_up().into());
            };
            let held = partial.held();
            if held > 0 && partial.state().total == Some(held) {
                return Ok(self.outcome(url));
            }
            let result = self.attempt(watch, partial, url).await;
            if partial.held() >= self.best.saturating_add(PROGRESS)
                && !matches!(result, Err(Failure::Slow { .. }))
            {
                self.best = partial.held();
                self.failures = 0;
            }
            match result {
                Ok(true) => return Ok(self.outcome(url)),
                Ok(false) => self.pieced = true,
                Err(failure) => self.after(failure, watch, partial).await?,
            }
        }
    }

    fn outcome(&self, url: &str) -> Outcome {
        Outcome {
            url: client::public_url(url),
            resumed_from: self.resumed_from,
        }
    }

    /// One request and its body. True when the file is complete.
    async fn attempt(
        &mut self,
        watch: &mut Watch<'_>,
        partial: &mut Partial,
        url: &str,
    ) -> Result<bool, Failure> {
        let total = partial.state().total;
        watch.meter.set(Phase::Connecting, partial.held(), total);
        watch.tick()?;
        let (range, same_source) = self.range(partial, url);
        let limit = self.settings.response_timeout;
        let reply = self.client.get(url, &range);
        let reply = watch.during(Some(partial), limit, reply).await?;
        let Some(reply) = reply else {
            let seconds = limit.as_secs_f32();
            return Err(Failure::retry(format!("no answer within {seconds} s")));
        };
        let result = self
            .answered(watch, partial, url, reply?, &range, same_source)
            .await;
        match result {
            // What is wrong with the rest of a file need not be wrong with the whole.
            Err(Failure::Source { why }) if range.from > 0 => Err(Failure::restart(why)),
            result => result,
        }
    }

    async fn answered(
        &mut self,
        watch: &mut Watch<'_>,
        partial: &mut Partial,
        url: &str,
        mut reply: Response,
        range: &Range,
        same_source: bool,
    ) -> Result<bool, Failure> {
        let asked = Asked {
            request: self.request,
            from: range.from,
            state: partial.state(),
            same_source,
        };
        let plan = reply::plan(reply.status(), reply.headers(), &asked)?;
        if range.from > 0 && matches!(plan, reply::Plan::Whole { .. }) {
            // From the beginning after all, as soon as its first bytes have been seen.
            (self.pieced, self.resumed_from) = (false, 0);
        }
        let mut body = Body {
            request: self.request,
            settings: self.settings,
            watch,
            partial,
        };
        body.receive(url, &mut reply, &plan).await
    }

    /// What to ask for, and whether `url` is where the bytes held came from.
    fn range(&self, partial: &Partial, url: &str) -> (Range, bool) {
        let state = partial.state();
        let same_source = state.url == client::public_url(url);
        let can_tell = self.request.has_hash() || (same_source && state.has_validator());
        if partial.held() == 0 || self.no_ranges || !can_tell {
            return (Range::default(), same_source);
        }
        let only_if = state.etag.clone().or_else(|| state.last_modified.clone());
        let range = Range {
            from: partial.held(),
            only_if: only_if.filter(|_| same_source),
        };
        (range, same_source)
    }

    /// Decides what comes after a failed attempt, and pauses if need be.
    async fn after(
        &mut self,
        failure: Failure,
        watch: &mut Watch<'_>,
        partial: &mut Partial,
    ) -> Result<(), Failure> {
        self.pieced |= partial.held() > 0;
        let (why, after) = match failure {
            Failure::Retry { why, after } => (why, after),
            Failure::Slow { why } => (why, None),
            Failure::Restart { why } if !self.no_ranges => {
                // Once more at once, for the whole file; the bytes held go when others have come.
                self.no_ranges = true;
                self.failures += 1;
                if self.failures > self.settings.retries {
                    self.next_source(why);
                }
                return Ok(());
            }
            Failure::Restart { why } | Failure::Source { why } => {
                self.next_source(why);
                return Ok(());
            }
            Failure::Corrupt { why } => {
                self.corrupt += 1;
                self.next_source(why);
                return partial.forget().await;
            }
            other @ (Failure::Lost | Failure::Stop(_)) => return Err(other),
        };
        self.failures += 1;
        let too_long = after.is_some_and(|after| after > self.settings.max_retry_after);
        if self.failures > self.settings.retries || too_long {
            self.next_source(why);
            return Ok(());
        }
        let total = partial.state().total;
        watch.meter.set(Phase::Retrying, partial.held(), total);
        let pause = self.back_off().max(after.unwrap_or_default());
        watch.sleep(Some(partial), pause).await
    }

    /// All bytes came and are not those published. They may have been pieced together from two
    /// versions of the file: then this source gets another chance, from the first byte.
    pub async fn wrong_bytes(&mut self, why: String, partial: &mut Partial) -> Result<(), Failure> {
        if self.pieced {
            (self.pieced, self.no_ranges) = (false, true);
            self.resumed_from = 0;
            return partial.forget().await;
        }
        self.corrupt += 1;
        self.next_source(why);
        partial.forget().await
    }

    fn next_source(&mut self, why: String) {
        let url = self
            .request
            .urls
            .get(self.source)
            .map_or("", String::as_str);
        self.reasons
            .push(format!("{}: {why}", client::public_url(url)));
        self.source += 1;
        self.failures = 0;
        self.no_ranges = false;
    }

    /// Doubles from failure to failure; half of it is chance, so that many do not come back at once.
    fn back_off(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let whole = self.settings.back_off.saturating_mul(1 << doublings);
        let whole = whole.min(self.settings.max_back_off);
        let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        whole.mul_f64(0.5 + chance / 2.0)
    }

    fn give_up(&self) -> CacheError {
        let Request {
            label, dest, urls, ..
        } = self.request;
        let by_hand = urls.first().map(|url| client::public_url(url));
        let corrupt = self.corrupt > 0 && self.corrupt == self.reasons.len();
        let code = if corrupt { MODEL_CORRUPT } else { DOWNLOAD };
        CacheError::new(
            code,
            format!(
                "{label} could not be downloaded.\n  {}\nStart it again to go on where it was, or \
                 fetch {} by other means and save it as {}. Proxies are taken from HTTPS_PROXY, \
                 HTTP_PROXY and NO_PROXY.",
                self.reasons.join("\n  "),
                by_hand.unwrap_or_default(),
                dest.display()
            ),
        )
    }
}
