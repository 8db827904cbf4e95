//! The whole family loaded and one frame sent through it, for warm-up without an engine to keep.

use std::time::{Duration, Instant};

use super::perception::Humans;
use crate::cache::progress::Watch;
use crate::cache::store::Store;
use crate::imaging::limits::DecodeLimits;
use crate::pipeline::config::EngineConfig;
use crate::pipeline::control::JobControl;
use crate::pipeline::engine::{Engine, EngineSettings, Warmup};
use crate::pipeline::error::{EngineError, INTERNAL};
use crate::runtime::threads::worker_count;

/// How soon a cancellation is passed on.
const LOOK: Duration = Duration::from_millis(50);

/// Loads what `config` asks for and runs a frame through every network; lets all of it go again.
/// Blocks; not for a thread of a tokio runtime.
pub fn run(config: &EngineConfig, store: &Store, watch: Watch) -> Result<Warmup, EngineError> {
    let start = Instant::now();
    let model = Humans::open(config, store)?;
    let settings = EngineSettings {
        model: "4dhumans",
        threads: worker_count(config.threads),
        max_queued_frames: 1,
        decode: DecodeLimits {
            max_pixels: config.max_pixels,
            max_bytes: config.max_image_bytes,
        },
        loaded_in: start.elapsed(),
        depth: Default::default(),
    };
    let engine = Engine::new(model, settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|e| EngineError::new(INTERNAL, format!("no runtime to wait with: {e}")))?;
    let ctl = JobControl::default();
    let warmed = runtime.block_on(async {
        let mut warming = std::pin::pin!(engine.warmup(&ctl));
        loop {
            match tokio::time::timeout(LOOK, warming.as_mut()).await {
                Ok(warmed) => return warmed,
                Err(_) if watch.is_cancelled() => ctl.cancel(),
                Err(_) => {}
            }
        }
    });
    engine.close_blocking();
    warmed
}
