//! How many frames the engine has accepted and not yet answered, and how many it ever did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::error::{EngineError, QUEUE_FULL};

/// Counts over all calls of an engine.
#[derive(Debug)]
pub struct Admission {
    limit: usize,
    queued: AtomicUsize,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Admission {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            queued: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Takes all frames of a call or none; they count until the ticket is dropped.
    pub fn admit(self: &Arc<Self>, frames: usize) -> Result<Ticket, EngineError> {
        self.queued
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |queued| {
                queued.checked_add(frames).filter(|total| *total <= self.limit)
            })
            .map(|_| Ticket { admission: Arc::clone(self), frames })
            .map_err(|queued| {
                EngineError::new(
                    QUEUE_FULL,
                    format!(
                        "the queue is full: this call has {frames} frames, {queued} are waiting and maxQueuedFrames is {}; \
                         await earlier calls, send fewer frames per call, or use stream()",
                        self.limit
                    ),
                )
            })
    }

    pub fn count(&self, good: bool) {
        let counter = if good { &self.done } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Frames answered with a result.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Frames answered with an error.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// A call's place in the queue.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    frames: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission
            .queued
            .fetch_sub(self.frames, Ordering::SeqCst);
    }
}
