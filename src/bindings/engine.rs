//! The native half of `PoseEngine` and `PoseClip`; `index.js` wraps it.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{
    Buffer, PromiseRaw, Uint8Array, Uint32Array, create_custom_tokio_runtime,
    within_runtime_if_available,
};
use napi_derive::napi;

use super::blocking::off_the_runtime;
use super::body::{BodyModel, read_betas};
use super::depth::{DepthResult, depth_call};
use super::error::to_js;
use super::frames::{self, Limits};
use super::lifetime::Home;
use super::looks::FrameLook;
use super::model;
use super::options::{
    clip_call, clip_settings, engine_config, look_settings, no_options, snapshot_bytes, timeout,
    variant_name,
};
use super::reports::{Health, WarmupReport};
use super::results::PoseResult;
use super::value::Value;
use crate::pipeline::config::{EngineConfig, Family};
use crate::pipeline::control::JobControl;
use crate::pipeline::depth::model::DepthModel;
use crate::pipeline::error::EngineError;
use crate::pipeline::handle::{AnyClip, AnyEngine, AnyStream, Boxed};
use crate::pipeline::perception::Mode;
use crate::pipeline::snapshot::{split_note, with_note};
use crate::runtime::threads::worker_count;

/// What a configuration asks for.
#[napi(object, object_from_js = false)]
pub struct NativeChoice {
    /// `auto`, `blazepose` or `4dhumans`
    pub model: &'static str,
    /// Of BlazePose's landmark file: `lite`, `full` or `heavy`.
    pub variant: &'static str,
}

/// Checks a configuration as far as that can be done without looking at files.
#[napi(skip_typescript, catch_unwind)]
pub fn check_config(config: Value) -> napi::Result<NativeChoice> {
    let config = engine_config(config).map_err(to_js)?;
    Ok(NativeChoice {
        model: family_name(config.model),
        variant: variant_name(config.blazepose.variant),
    })
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Auto => "auto",
        Family::BlazePose => model::BLAZEPOSE,
        Family::Humans => model::HUMANS,
    }
}

/// Whether every file of 4D-Humans that the configuration needs is there.
#[napi(skip_typescript, catch_unwind)]
pub fn has_humans(env: &Env, config: Value) -> napi::Result<PromiseRaw<'_, bool>> {
    let config = engine_config(config).map_err(to_js)?;
    env.spawn_future(async move {
        let find = move || Ok(model::find_humans(&config).is_ok());
        off_the_runtime(find).await.map_err(to_js)
    })
}

/// One call that can be aborted; its time limit runs from here.
#[napi]
pub struct NativeJob(JobControl);

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

/// What a clip was opened with.
#[napi(object, object_from_js = false)]
pub struct NativeClipSettings {
    pub fps: f64,
    pub tracking: bool,
    pub mesh: bool,
    pub offline: bool,
}

#[napi]
pub struct NativeEngine {
    engine: Arc<dyn AnyEngine>,
    limits: Limits,
    /// Where a call does not say.
    depth_model: DepthModel,
}

#[napi]
pub struct NativeClip {
    clip: Arc<dyn AnyClip>,
    engine: Arc<dyn AnyEngine>,
    limits: Limits,
    /// What the snapshot that it goes on from had with it.
    note: Option<String>,
}

#[napi]
pub struct NativeStream {
    stream: Arc<dyn AnyStream>,
    limits: Limits,
}

fn make(
    env: &Env,
    config: EngineConfig,
    load: impl FnOnce(&EngineConfig) -> Result<Arc<dyn AnyEngine>, EngineError> + Send + 'static,
) -> napi::Result<PromiseRaw<'_, NativeEngine>> {
    let home = Home::of(env)?;
    let limits = Limits {
        bytes: config.max_image_bytes,
        pixels: config.max_pixels,
    };
    let depth_model = config.depth.model;
    env.spawn_future(async move {
        let engine = off_the_runtime(move || load(&config))
            .await
            .map_err(to_js)?;
        home.adopt(engine.as_ref());
        Ok(NativeEngine {
            engine,
            limits,
            depth_model,
        })
    })
}

/// Makes an engine that runs BlazePose, of whole `.tflite` files.
#[napi(skip_typescript, catch_unwind)]
pub fn create_engine(
    env: &Env,
    config: Value,
    detector: Buffer,
    landmark: Buffer,
) -> napi::Result<PromiseRaw<'_, NativeEngine>> {
    let config = engine_config(config).map_err(to_js)?;
    let (detector, landmark) = (detector.to_vec(), landmark.to_vec());
    make(env, config, move |config| {
        model::load_blazepose(config, detector, landmark)
    })
}

/// Makes an engine that runs 4D-Humans, of the files in the cache.
#[napi(skip_typescript, catch_unwind)]
pub fn create_humans(env: &Env, config: Value) -> napi::Result<PromiseRaw<'_, NativeEngine>> {
    make(
        env,
        engine_config(config).map_err(to_js)?,
        model::load_humans,
    )
}

/// Results as JS objects.
fn answer<'env>(
    env: &'env Env,
    done: Boxed<Vec<crate::pipeline::result::FrameResult>>,
) -> napi::Result<PromiseRaw<'env, Vec<PoseResult>>> {
    env.spawn_future_with_callback(async move { done.await.map_err(to_js) }, |_, results| {
        Ok(results
            .into_iter()
            .map(PoseResult::from)
            .collect::<Vec<_>>())
    })
}

/// Reads the frames, which are run later.
fn read(
    engine: &dyn AnyEngine,
    limits: Limits,
    frames: Value,
) -> napi::Result<Vec<crate::pipeline::source::FrameInput>> {
    let count = frames::length(frames).map_err(to_js)?;
    // Before the copying, which a refused call need not pay.
    engine.check_room(count as usize).map_err(to_js)?;
    frames::read(frames, limits).map_err(to_js)
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
        let settings = clip_settings(options, self.depth_model).map_err(to_js)?;
        let frames = read(self.engine.as_ref(), self.limits, frames)?;
        let settings = self.engine.settings_of_call(frames.len(), settings);
        answer(
            env,
            self.engine.open_clip(settings).run_whole(&job.0, frames),
        )
    }

    /// A depth map of each frame.
    #[napi(catch_unwind)]
    pub fn estimate_depth<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
        frames: Value,
        options: Value,
    ) -> napi::Result<PromiseRaw<'env, Vec<DepthResult>>> {
        let model = depth_call(options, self.depth_model).map_err(to_js)?;
        let frames = read(self.engine.as_ref(), self.limits, frames)?;
        let estimated = self.engine.estimate_depth(&job.0, frames, model);
        env.spawn_future_with_callback(
            async move { estimated.await.map_err(to_js) },
            |_, results| {
                Ok(results
                    .into_iter()
                    .map(DepthResult::from)
                    .collect::<Vec<_>>())
            },
        )
    }

    #[napi(catch_unwind)]
    pub fn look_at_frames<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
        frames: Value,
        options: Value,
    ) -> napi::Result<PromiseRaw<'env, Vec<FrameLook>>> {
        let (settings, start) = look_settings(options).map_err(to_js)?;
        let frames = read(self.engine.as_ref(), self.limits, frames)?;
        let looks = self.engine.look_at(&job.0, frames, settings, start);
        env.spawn_future_with_callback(async move { looks.await.map_err(to_js) }, |_, looks| {
            Ok(looks.into_iter().map(FrameLook::from).collect::<Vec<_>>())
        })
    }

    #[napi(catch_unwind)]
    pub fn look_key(&self) -> String {
        self.engine.look_key()
    }

    /// `[F * 3]` vertex numbers; null for a model without a mesh. A new array each time.
    #[napi(catch_unwind)]
    pub fn mesh_faces(&self) -> Option<Uint32Array> {
        let faces = self.engine.mesh_faces()?;
        Some(Uint32Array::new(faces.to_vec()))
    }

    /// The body of shape `betas` before it is posed; null for a model without one.
    #[napi(catch_unwind)]
    pub fn body_model(&self, betas: Value) -> napi::Result<Option<BodyModel>> {
        let betas = read_betas(betas).map_err(to_js)?;
        let rest = self.engine.body();
        Ok(rest.map(|rest| BodyModel::of(rest, &betas)))
    }

    #[napi(catch_unwind)]
    pub fn open_clip(&self, options: Value) -> napi::Result<NativeClip> {
        Ok(NativeClip {
            clip: self
                .engine
                .open_clip(clip_settings(options, self.depth_model).map_err(to_js)?),
            engine: Arc::clone(&self.engine),
            limits: self.limits,
            note: None,
        })
    }

    /// The clip that a snapshot was taken of, going on where that was.
    #[napi(catch_unwind)]
    pub fn resume_clip(&self, snapshot: Value) -> napi::Result<NativeClip> {
        let bytes = snapshot_bytes(&snapshot).map_err(to_js)?;
        let (sealed, note) = split_note(bytes).map_err(to_js)?;
        Ok(NativeClip {
            clip: self.engine.resume_clip(sealed).map_err(to_js)?,
            engine: Arc::clone(&self.engine),
            limits: self.limits,
            note: note.map(str::to_owned),
        })
    }

    #[napi(catch_unwind)]
    pub fn open_stream(&self, job: &NativeJob, options: Value) -> napi::Result<NativeStream> {
        let settings = clip_settings(options, self.depth_model).map_err(to_js)?;
        let stream = within_runtime_if_available(|| self.engine.open_stream(&job.0, settings));
        Ok(NativeStream {
            stream,
            limits: self.limits,
        })
    }

    #[napi(catch_unwind)]
    pub fn warmup<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
    ) -> napi::Result<PromiseRaw<'env, WarmupReport>> {
        let warmup = self.engine.warmup(&job.0);
        env.spawn_future(async move { warmup.await.map(WarmupReport::from).map_err(to_js) })
    }

    #[napi(catch_unwind)]
    pub fn health(&self) -> Health {
        self.engine.health().into()
    }

    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        // At once: a call made in the next line must find it closed.
        self.engine.begin_close();
        let close = self.engine.close();
        env.spawn_future(async move { close.await.map_err(to_js) })
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

    /// Of an offline stream: true when the next frame is followed, false when all are.
    #[napi(catch_unwind)]
    pub fn taken<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, bool>> {
        let taken = self.stream.taken();
        env.spawn_future(async move { taken.await.map_err(to_js) })
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
        let mesh = clip_call(options).map_err(to_js)?;
        let frames = read(self.engine.as_ref(), self.limits, frames)?;
        answer(env, self.clip.process(&job.0, frames, mesh))
    }

    /// Everything answered so far, gone over again.
    #[napi(catch_unwind)]
    pub fn finish<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
        options: Value,
    ) -> napi::Result<PromiseRaw<'env, Vec<PoseResult>>> {
        no_options(options).map_err(to_js)?;
        answer(env, self.clip.finish(&job.0))
    }

    /// The whole memory of the clip.
    #[napi(catch_unwind)]
    pub fn snapshot<'env>(
        &self,
        env: &'env Env,
        job: &NativeJob,
        options: Value,
    ) -> napi::Result<PromiseRaw<'env, Uint8Array>> {
        no_options(options).map_err(to_js)?;
        let snapshot = self.clip.snapshot(&job.0);
        env.spawn_future(async move { Ok(snapshot.await.map_err(to_js)?.into()) })
    }

    /// Of a clip that goes on: what `sealSnapshot` put to the snapshot.
    #[napi(catch_unwind)]
    pub fn note(&self) -> Option<String> {
        self.note.clone()
    }

    #[napi(catch_unwind)]
    pub fn settings(&self) -> NativeClipSettings {
        let settings = self.clip.settings();
        NativeClipSettings {
            fps: settings.fps,
            tracking: settings.tracking,
            mesh: settings.mesh,
            offline: settings.mode == Mode::Offline,
        }
    }
}

/// A snapshot with a note of the wrapper's.
#[napi(skip_typescript, catch_unwind)]
pub fn seal_snapshot(snapshot: Uint8Array, note: String) -> Uint8Array {
    with_note(snapshot.to_vec(), &note).into()
}

/// As an engine with this configuration would be before anything was asked of it.
#[napi(skip_typescript, catch_unwind)]
pub fn idle_health(config: Value) -> napi::Result<Health> {
    let config = engine_config(config).map_err(to_js)?;
    // Whether `auto` would be 4D-Humans only a look at its files can tell, which is not for here.
    let model = match config.model {
        Family::Humans => model::HUMANS,
        Family::Auto | Family::BlazePose => model::BLAZEPOSE,
    };
    Ok(Health::idle(&config, model, worker_count(config.threads)))
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
