//! What a caller asks of a download, how it is tuned, and what it reports and returns.

use std::path::PathBuf;
use std::time::Duration;

use crate::cache::error::{CacheError, INVALID_ARGUMENT};

/// One file to fetch.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Upstream first, then mirrors, tried in this order; `http` and `https` only.
    pub urls: Vec<String>,
    /// The final name. It appears when the file is whole, never before.
    pub dest: PathBuf,
    /// Exact size, where known.
    pub bytes: Option<u64>,
    /// SHA-256 in hex, or the first digits of it (file names of torch's hub carry eight).
    pub sha256: Option<String>,
    /// MD5 in hex, or the first digits of it, where nothing better is published.
    pub md5: Option<String>,
    /// Size to expect when the exact one is not known; a file four times as large or small is refused.
    pub about_bytes: Option<u64>,
    /// What people call the file, for messages.
    pub label: String,
}

impl Request {
    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), CacheError> {
        let invalid = |what: String| Err(CacheError::new(INVALID_ARGUMENT, what));
        if self.urls.is_empty() {
            return invalid(format!("{}: no URL to download it from", self.label));
        }
        if self.dest.file_name().is_none() {
            let dest = self.dest.display();
            return invalid(format!("{}: {dest} is not the name of a file", self.label));
        }
        for (name, hash, digits) in [("SHA-256", &self.sha256, 64), ("MD5", &self.md5, 32)] {
            let is_hash = |hash: &String| {
                let hex = hash.chars().all(|c| c.is_ascii_hexdigit());
                hex && (1..=digits).contains(&hash.len())
            };
            if let Some(hash) = hash.as_ref().filter(|hash| !is_hash(hash)) {
                let label = &self.label;
                return invalid(format!(
                    "{label}: expected a {name} of up to {digits} hex digits, found {hash:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether the bytes themselves can tell that they are right.
    pub fn has_hash(&self) -> bool {
        self.sha256.is_some() || self.md5.is_some()
    }

    /// Why a file of `total` bytes cannot be the one asked for; `None` when it can.
    pub fn refuses_length(&self, total: u64) -> Option<String> {
        if let Some(bytes) = self.bytes {
            return (total != bytes).then(|| format!("expected {bytes} bytes, found {total}"));
        }
        let about = self.about_bytes.filter(|&about| about > 0)?;
        let wrong = total < about / 4 || total > about.saturating_mul(4);
        wrong.then(|| format!("expected about {about} bytes, found {total}"))
    }
}

/// Which proxy leads to the internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` (upper or lower case), then the system's.
    #[default]
    Environment,
    None,
    Url(String),
}

/// How patient a download is. The defaults suit files of gigabytes on lines of any speed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// No socket is opened.
    pub offline: bool,
    pub proxy: Proxy,
    /// Attempts in a row without progress before the next source is tried.
    pub retries: u32,
    pub connect_timeout: Duration,
    /// From the request to the last header of the reply.
    pub response_timeout: Duration,
    /// Longest silence in the middle of a file.
    pub stall_timeout: Duration,
    /// A connection slower than `slow_rate` bytes per second over `slow_window` is given up.
    pub slow_rate: u64,
    pub slow_window: Duration,
    /// First pause between attempts; doubles each time, with jitter.
    pub back_off: Duration,
    pub max_back_off: Duration,
    /// A server that asks for a longer pause than this is left for the next source.
    pub max_retry_after: Duration,
    /// How often a download in progress shows that its process lives.
    pub heartbeat: Duration,
    /// Silence after which a process is taken for dead where nothing better tells.
    pub lease: Duration,
    /// Whether to ask the file system for a lock first. It only saves work: nothing relies on it.
    pub locks: bool,
    /// Bytes between two syncs to the disk; what a power cut costs at most.
    pub sync_every: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            offline: false,
            proxy: Proxy::Environment,
            retries: 5,
            connect_timeout: Duration::from_secs(20),
            response_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            slow_rate: 2_000,
            slow_window: Duration::from_secs(60),
            back_off: Duration::from_millis(500),
            max_back_off: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(120),
            heartbeat: Duration::from_secs(2),
            lease: Duration::from_secs(30),
            locks: true,
            sync_every: 32 << 20,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Downloading,
    /// Bytes on the disk are hashed: of a partial that goes on, or of a file already there.
    Verifying,
    /// Another process downloads the same file.
    Waiting,
    /// A pause after a failed attempt.
    Retrying,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
        }
    }
}

/// Reported at most ten times a second, and once at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    pub phase: Phase,
    /// Bytes there so far (in `Verifying`: hashed so far).
    pub loaded: u64,
    pub total: Option<u64>,
    /// Mean of the last seconds; 0 while nothing moves.
    pub bytes_per_second: f64,
    /// Seconds left at that rate.
    pub eta: Option<f64>,
}

/// A file under its final name, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// 64 hex digits, always of the whole file.
    pub sha256: String,
    pub bytes: u64,
    pub etag: Option<String>,
    /// The source that delivered the last byte; `None` when the file was there already.
    pub url: Option<String>,
    /// Bytes that an earlier run had left and that were used.
    pub resumed_from: u64,
}
