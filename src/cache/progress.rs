//! How long work tells how far it is, and learns that nobody wants it any more.

use super::error::{ABORTED, CacheError};

/// How far a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being done: `download`, `verify`, `unpack`, `convert`, `copy`.
    pub phase: &'static str,
    /// The model file's id, or a path where it has none.
    pub model: &'a str,
    pub file: &'a str,
    /// Bytes done.
    pub loaded: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}

/// The caller's end of long work. Several threads may tell at once.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    pub tell: &'a (dyn Fn(&Progress) + Sync),
    /// Asked often; true ends the work with [`ABORTED`].
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Watch<'static> {
    /// Nobody listens, nobody cancels.
    pub const SILENT: Self = Self {
        tell: &|_| {},
        cancelled: &|| false,
    };
}

impl Watch<'_> {
    pub fn is_cancelled(&self) -> bool {
        (self.cancelled)()
    }

    pub fn check(&self) -> Result<(), CacheError> {
        if self.is_cancelled() {
            return Err(CacheError::new(ABORTED, "the work was cancelled"));
        }
        Ok(())
    }

    /// Tells how far it is; false when the work is to end.
    pub fn step(&self, progress: &Progress) -> bool {
        (self.tell)(progress);
        !self.is_cancelled()
    }
}
