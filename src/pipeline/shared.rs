//! What an engine and its clips share: the model, the workers, the bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::admission::{Admission, Ticket};
use super::depth::stand::{self, Stand};
use super::error::EngineError;
use super::perception::Perception;
use super::pool::{Pool, closed};
use super::result::FrameResult;
use crate::imaging::limits::DecodeLimits;

/// What the engine needs to know besides the model family.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The model's public name, e.g. `blazepose`.
    pub model: &'static str,
    /// At least 1.
    pub threads: usize,
    pub max_queued_frames: usize,
    pub decode: DecodeLimits,
    /// What loading the model has already cost before the workers are built.
    pub loaded_in: Duration,
    pub depth: stand::Settings,
}

/// Shared by the engine and its clips.
pub(super) struct Core<P: Perception> {
    perception: Arc<P>,
    pool: Pool<P::Worker>,
    settings: EngineSettings,
    depth: Stand,
    version: String,
    admission: Arc<Admission>,
    /// One permit per frame of pixels.
    room: Arc<Semaphore>,
    window: usize,
    /// The slowest worker's construction.
    built_in_ns: Arc<AtomicU64>,
    warming: AtomicUsize,
    proven: AtomicBool,
    closed: AtomicBool,
}

/// Frames of pixels alive beyond one per worker: as far as from one search of a clip to the next, so
/// that while the chain follows, no worker runs out of work ahead.
pub(super) const LOOK_AHEAD: usize = 9;

impl<P: Perception> Core<P> {
    pub(super) fn new(perception: P, settings: EngineSettings) -> Result<Self, EngineError> {
        let perception = Arc::new(perception);
        let built_in_ns = Arc::new(AtomicU64::new(0));
        let (builder, slowest) = (Arc::clone(&perception), Arc::clone(&built_in_ns));
        let pool = Pool::new(settings.threads, move |index| {
            let start = Instant::now();
            let worker = builder.build_worker(index)?;
            let took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            slowest.fetch_max(took, Ordering::Relaxed);
            Ok(worker)
        })?;
        let window = pool.threads() + LOOK_AHEAD;
        Ok(Self {
            version: perception.version(),
            perception,
            pool,
            admission: Arc::new(Admission::new(settings.max_queued_frames)),
            room: Arc::new(Semaphore::new(window)),
            window,
            depth: Stand::new(settings.depth.clone()),
            settings,
            built_in_ns,
            warming: AtomicUsize::new(0),
            proven: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    pub(super) fn perception(&self) -> &P {
        &self.perception
    }

    pub(super) fn depth(&self) -> &Stand {
        &self.depth
    }

    pub(super) fn pool(&self) -> &Pool<P::Worker> {
        &self.pool
    }

    pub(super) fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.room)
    }

    /// Frames of pixels alive at most, over all calls.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    pub(super) fn decode_limits(&self) -> DecodeLimits {
        self.settings.decode
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn check_open(&self) -> Result<(), EngineError> {
        if self.is_closed() {
            Err(closed())
        } else {
            Ok(())
        }
    }

    pub(super) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Model and workers together.
    pub(super) fn load_time(&self) -> Duration {
        let built = Duration::from_nanos(self.built_in_ns.load(Ordering::Relaxed));
        self.settings.loaded_in + built
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// A frame has gone the whole way.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_warming(&self) -> bool {
        self.warming.load(Ordering::SeqCst) > 0 || self.admission.queued() > 0
    }

    /// Counts as warming until dropped.
    pub(super) fn start_warming(&self) -> Warming<'_> {
        self.warming.fetch_add(1, Ordering::SeqCst);
        Warming(&self.warming)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn begin_close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.room.close();
        self.pool.begin_close();
        self.perception.begin_close();
        self.depth.begin_close();
    }

    pub(super) fn enter(&self, frames: usize) -> Result<Ticket, EngineError> {
        self.check_open()?;
        self.admission.admit(frames)
    }

    pub(super) fn count(&self, results: &[FrameResult]) {
        for result in results {
            let good = result.error.is_none();
            self.admission.count(good);
            if good {
                self.prove();
            }
        }
    }
}

/// Counts warm-ups in progress, also those that are given up.
pub(super) struct Warming<'a>(&'a AtomicUsize);

impl Drop for Warming<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
