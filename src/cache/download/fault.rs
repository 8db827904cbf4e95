//! What went wrong in one attempt, and what may help: the same source again, another one, or nothing.

use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use crate::cache::error::{ABORTED, CACHE_IO, CacheError, DISK_FULL};

#[derive(Debug)]
pub enum Failure {
    /// The same source may work in a moment.
    Retry {
        why: String,
        /// The server's own wish.
        after: Option<Duration>,
    },
    /// The same source may work in a moment, but bytes at this pace are no progress.
    Slow { why: String },
    /// This source will not deliver the file; the next may.
    Source { why: String },
    /// A whole file came, and its bytes are wrong.
    Corrupt { why: String },
    /// This source cannot continue a partial; from the start it may work.
    Restart { why: String },
    /// Another process has taken the partial over.
    Lost,
    /// No source can help.
    Stop(CacheError),
}

impl Failure {
    pub fn retry(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Retry { why, after: None }
    }

    pub fn source(why: impl Into<String>) -> Self {
        Self::Source { why: why.into() }
    }

    pub fn restart(why: impl Into<String>) -> Self {
        Self::Restart { why: why.into() }
    }

    pub fn cancelled() -> Self {
        Self::Stop(CacheError::new(ABORTED, "the download was cancelled"))
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        Self::Stop(error)
    }
}

/// An error of the file system at `path`, with what to do about it.
pub fn io(doing: &str, path: &Path, error: &Error) -> CacheError {
    let place = path.display();
    let (code, remedy) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let free = path.parent().and_then(super::space::free);
            let free = free.map_or(String::new(), |free| format!(" ({free} bytes are free)"));
            let message = format!(
                "could not {doing} {place}: the disk is full{free}; what has arrived is kept. \
                 Free some space or set POSE4D_CACHE_DIR to another disk, and start again"
            );
            return CacheError::new(DISK_FULL, message);
        }
        ErrorKind::PermissionDenied => (CACHE_IO, "; grant the right to write there"),
        ErrorKind::ReadOnlyFilesystem => (CACHE_IO, ": the disk is read-only"),
        ErrorKind::InvalidFilename => (CACHE_IO, "; choose a shorter name"),
        _ => (CACHE_IO, ""),
    };
    let remedy = if remedy.is_empty() {
        "; check the disk, or set POSE4D_CACHE_DIR to another folder".to_owned()
    } else {
        format!("{remedy}, or set POSE4D_CACHE_DIR to another folder")
    };
    CacheError::new(code, format!("could not {doing} {place}: {error}{remedy}"))
}
