//! The native half of `PoseEngine` and `PoseClip`; `index.js` wraps it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::Env;
use napi::bindgen_prelude::{
    Buffer, PromiseRaw, create_custom_tokio_runtime, within_runtime_if_available,
};
use napi_derive::napi;

use super::error::to_js;
use super::frames::{self, Limits};
use super::lifetime::Home;
use super::model::{self, Model};
use super::options::{clip_call, clip_settings, engine_config, timeout, variant_name};
use super::results::{Health, PoseResult, WarmupReport};
use super::value::Value;
use crate::imaging::limits::DecodeLimits;
use crate::pipeline::clip::Clip;
use crate::pipeline::config::EngineConfig;
use crate::pipeline::control::JobControl;
use crate::pipeline::engine::{Engine, EngineSettings};
use crate::pipeline::error::{EngineError, INTERNAL};
use crate::pipeline::stream::FrameStream;
use crate::runtime::threads::worker_count;

/// Checks a configuration; says which landmark file it needs: 'lite', 'full' or 'heavy'.
#[napi(skip_typescript, catch_unwind)]
pub fn check_config(config: Value) -> napi::Result<&'static str> {
    let config = engine_config(config).map_err(to_js)?;
    Ok(variant_name(config.blazepose.variant))
}

/// One call that can be aborted; its time limit runs from here.
#[napi]
pub struct NativeJob(JobControl);

impl NativeJob {
    pub fn control(&self) -> &JobControl {
        &self.0
    }
}

#[napi]
impl NativeJob {
    #[napi(constructor, catch_unwind)]
    pub fn new(options: Value) -> napi::Result<Self> {
        Ok(Self(JobControl::new(timeout(options).map_err(to_js)?)))
    }

    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

#[napi]
pub struct NativeEngine {
    engine: Engine<Model>,
    limits: Limits,
}

#[napi]
pub struct NativeClip {
    clip: Clip<Model>,
    engine: Engine<Model>,
    limits: Limits,
}

#[napi]
pub struct NativeStream {
    stream: Arc<FrameStream<Model>>,
    limits: Limits,
}

fn build(
    config: &EngineConfig,
    detector: Vec<u8>,
    landmark: Vec<u8>,
) -> Result<Engine<Model>, EngineError> {
    let start = Instant::now();
    let model = model::load(config, detector, landmark)?;
    let settings = EngineSettings {
        model: model::NAME,
        threads: worker_count(config.threads),
        max_queued_frames: config.max_queued_frames,
        decode: DecodeLimits {
            max_pixels: config.max_pixels,
            max_bytes: config.max_image_bytes,
        },
        loaded_in: start.elapsed(),
    };
    Engine::new(model, settings)
}

/// Reads the networks off the main thread.
#[napi(skip_typescript, catch_unwind)]
pub fn create_engine(
    env: &Env,
    config: Value,
    detector: Buffer,
    landmark: Buffer,
) -> napi::Result<PromiseRaw<'_, NativeEngine>> {
    let config = engine_config(config).map_err(to_js)?;
    let home = Home::of(env)?;
    let (detector, landmark) = (detector.to_vec(), landmark.to_vec());
    env.spawn_future(async move {
        let limits = Limits {
            bytes: config.max_image_bytes,
            pixels: config.max_pixels,
        };
        let engine = tokio::task::spawn_blocking(move || build(&config, detector, landmark))
            .await
            .map_err(|e| EngineError::new(INTERNAL, format!("loading the model failed: {e}")))
            .and_then(|engine| engine)
            .map_err(to_js)?;
        home.adopt(&engine);
        Ok(NativeEngine { engine, limits })
    })
}

/// Reads the frames now, runs them later.
fn process<'env>(
    env: &'env Env,
    (engine, clip): (&Engine<Model>, &Clip<Model>),
    limits: Limits,
    job: &NativeJob,
    frames: Value,
) -> napi::Result<PromiseRaw<'env, Vec<PoseResult>>> {
    let count = frames::length(frames).map_err(to_js)?;
    // Before the copying, which a refused call need not pay.
    engine.check_room(count as usize).map_err(to_js)?;
    let frames = frames::read(frames, limits).map_err(to_js)?;
    let done = clip.process(&job.0, frames);
    env.spawn_future_with_callback(async move { done.await.map_err(to_js) }, |_, results| {
        Ok(results
            .into_iter()
            .map(PoseResult::from)
            .collect::<Vec<_>>())
    })
}

#[napi]
impl NativeEngine {
    #[napi(catch_unwind)]
    pub fn process<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
        frames: Value,
        options: Value,
    ) -> napi::Result<PromiseRaw<'env, Vec<PoseResult>>> {
        let clip = self
            .engine
            .open_clip(clip_settings(options).map_err(to_js)?);
        process(env, (&self.engine, &clip), self.limits, job, frames)
    }

    #[napi(catch_unwind)]
    pub fn open_clip(&self, options: Value) -> napi::Result<NativeClip> {
        Ok(NativeClip {
            clip: self
                .engine
                .open_clip(clip_settings(options).map_err(to_js)?),
            engine: self.engine.clone(),
            limits: self.limits,
        })
    }

    #[napi(catch_unwind)]
    pub fn open_stream(&self, job: &NativeJob, options: Value) -> napi::Result<NativeStream> {
        let settings = clip_settings(options).map_err(to_js)?;
        let stream = within_runtime_if_available(|| self.engine.open_stream(&job.0, settings));
        Ok(NativeStream {
            stream: Arc::new(stream),
            limits: self.limits,
        })
    }

    #[napi(catch_unwind)]
    pub fn warmup<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
    ) -> napi::Result<PromiseRaw<'env, WarmupReport>> {
        let (engine, job) = (self.engine.clone(), job.0.clone());
        env.spawn_future(async move {
            engine
                .warmup(&job)
                .await
                .map(WarmupReport::from)
                .map_err(to_js)
        })
    }

    #[napi(catch_unwind)]
    pub fn health(&self) -> Health {
        self.engine.health().into()
    }

    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        let engine = self.engine.clone();
        // At once: a call made in the next line must find it closed.
        engine.begin_close();
        env.spawn_future(async move { engine.close().await.map_err(to_js) })
    }
}

#[napi]
impl NativeStream {
    /// Takes a frame over; its bytes are copied.
    #[napi(catch_unwind)]
    pub fn push(&self, frame: Value) -> napi::Result<()> {
        self.stream
            .push(frames::read_one(frame, self.limits))
            .map_err(to_js)
    }

    #[napi(catch_unwind)]
    pub fn end(&self) {
        self.stream.end();
    }

    /// Gives up what is still on its way.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.stream.close();
    }

    /// The next result in order; null after the last.
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<PoseResult>>> {
        let stream = Arc::clone(&self.stream);
        env.spawn_future_with_callback(
            async move {
                let next = stream.next().await.map_err(to_js)?;
                next.iter().for_each(|result| stream.answered(result));
                Ok(next)
            },
            |_, result| Ok(result.map(PoseResult::from)),
        )
    }
}

#[napi]
impl NativeClip {
    #[napi(catch_unwind)]
    pub fn process<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
        frames: Value,
        options: Value,
    ) -> napi::Result<PromiseRaw<'env, Vec<PoseResult>>> {
        clip_call(options).map_err(to_js)?;
        process(env, (&self.engine, &self.clip), self.limits, job, frames)
    }
}

/// As an engine with this configuration would be before anything was asked of it.
#[napi(skip_typescript, catch_unwind)]
pub fn idle_health(config: Value) -> napi::Result<Health> {
    let config = engine_config(config).map_err(to_js)?;
    Ok(Health::idle(
        &config,
        model::NAME,
        worker_count(config.threads),
    ))
}

/// Waiting needs two threads, whatever the machine; arithmetic has its own.
#[napi_derive::module_init]
fn start_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(4)
        .thread_name("pose4d-wait")
        .thread_keep_alive(Duration::from_secs(5))
        .enable_time()
        .build();
    // Without it napi makes its own, with a thread per core.
    if let Ok(runtime) = runtime {
        create_custom_tokio_runtime(runtime);
    }
}
