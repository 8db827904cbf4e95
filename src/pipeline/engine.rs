//! The engine handle: opens clips, bounds what is accepted, warms up, says how it is, closes.

use std::future::Future;
use std::sync::{Arc, Weak};

use super::call::Call;
use super::clip::Clip;
use super::control::JobControl;
use super::depth::estimate::{DepthResult, estimate};
use super::depth::model::DepthModel;
use super::error::EngineError;
use super::looks::{self, Looked};
use super::perception::{ClipSettings, ModelState, Perception};
use super::plan::report::Plan;
use super::result::FrameResult;
use super::shared::Core;
pub use super::shared::EngineSettings;
use super::source::{FrameInput, FrameSource};
use super::stream::FrameStream;
use crate::geometry::boxes::BBox;
use crate::models::smpl::rest::Rest;

/// How far the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Created; nothing was asked of it yet.
    Idle,
    /// Building workers or running its first frames.
    Warming,
    /// A frame has gone through.
    Ready,
    Closed,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::Closed => "closed",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Health {
    pub status: Status,
    pub model: &'static str,
    pub model_version: String,
    pub device: String,
    pub executor: Option<&'static str>,
    pub threads: usize,
    pub queued_frames: usize,
    pub max_queued_frames: usize,
    pub frames_done: u64,
    pub frames_failed: u64,
    pub models: Vec<ModelState>,
    pub plan: Option<Plan>,
}

/// What warming up has done.
#[derive(Clone, Debug)]
pub struct Warmup {
    pub model: &'static str,
    pub load_seconds: f64,
    pub models: Vec<ModelState>,
    pub plan: Option<Plan>,
}

/// A loaded model with its workers. Clones are the same engine.
pub struct Engine<P: Perception>(Arc<Core<P>>);

impl<P: Perception> Clone for Engine<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Does not keep the engine's threads alive.
pub struct WeakEngine<P: Perception>(Weak<Core<P>>);

impl<P: Perception> WeakEngine<P> {
    pub fn upgrade(&self) -> Option<Engine<P>> {
        self.0.upgrade().map(Engine)
    }
}

impl<P: Perception> Engine<P> {
    pub fn new(perception: P, settings: EngineSettings) -> Result<Self, EngineError> {
        Ok(Self(Arc::new(Core::new(perception, settings)?)))
    }

    pub fn downgrade(&self) -> WeakEngine<P> {
        WeakEngine(Arc::downgrade(&self.0))
    }

    /// Whether a call with so many frames would be accepted now.
    pub fn check_room(&self, frames: usize) -> Result<(), EngineError> {
        self.0.enter(frames).map(drop)
    }

    pub fn open_clip(&self, settings: ClipSettings) -> Clip<P> {
        Clip::new(Arc::clone(&self.0), settings)
    }

    /// The clip that a snapshot was taken of, going on where that was.
    pub fn resume_clip(&self, snapshot: &[u8]) -> Result<Clip<P>, EngineError> {
        self.0.check_open()?;
        Clip::resumed(Arc::clone(&self.0), snapshot)
    }

    /// A clip whose frames come one by one; its work starts with the first of them.
    /// For a thread that has entered a tokio runtime.
    pub fn open_stream(&self, ctl: &JobControl, settings: ClipSettings) -> FrameStream<P> {
        FrameStream::new(Arc::clone(&self.0), ctl, settings)
    }

    /// The frames as a clip of their own.
    pub fn process(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        settings: ClipSettings,
    ) -> impl Future<Output = Result<Vec<FrameResult>, EngineError>> + Send + use<P> {
        // A single frame is a photo: there is nothing to follow.
        let tracking = settings.tracking && frames.len() > 1;
        let settings = ClipSettings {
            tracking,
            ..settings
        };
        self.open_clip(settings).run_whole(ctl, frames)
    }

    /// A depth map of each frame, in the order given, by a network that is loaded when it is first
    /// asked for. The frames count as the engine's, as those of any call.
    pub fn estimate_depth(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        model: DepthModel,
    ) -> impl Future<Output = Result<Vec<DepthResult>, EngineError>> + Send + use<P> {
        let place = self.0.enter(frames.len());
        let (core, ctl) = (Arc::clone(&self.0), ctl.clone());
        async move {
            let _place = place?;
            ctl.guard(estimate(core, ctl.clone(), frames, model)).await
        }
    }

    /// Looks at frames of a clip, which another engine may follow; `start`: frames of the clip before
    /// the first of them. One outcome per frame, in the order given.
    pub fn look_at(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        settings: ClipSettings,
        start: u64,
    ) -> impl Future<Output = Result<Vec<Looked>, EngineError>> + Send + use<P> {
        let place = self.0.enter(frames.len());
        let (core, ctl) = (Arc::clone(&self.0), ctl.clone());
        async move {
            let _place = place?;
            let call = Call::new(Arc::clone(&core), ctl.clone(), settings);
            let looks = ctl.guard(call.look_at(frames, start)).await?;
            if looks.iter().any(|(_, look)| look.is_ok()) {
                core.prove();
            }
            Ok(looks)
        }
    }

    /// Engines with the same can follow each other's looks.
    pub fn look_key(&self) -> String {
        looks::key(self.0.version(), self.0.perception())
    }

    /// Builds all workers and sends a synthetic frame the whole way: once to be searched for
    /// people, once with a box, so that every network runs. Again: only the frames.
    pub async fn warmup(&self, ctl: &JobControl) -> Result<Warmup, EngineError> {
        let core = &self.0;
        core.check_open()?;
        let _warming = core.start_warming();
        ctl.guard(async {
            core.pool().build().await?;
            self.synthetic_frame(ctl, false).await?;
            self.synthetic_frame(ctl, true).await
        })
        .await?;
        core.prove();
        Ok(Warmup {
            model: core.settings().model,
            load_seconds: core.load_time().as_secs_f64(),
            models: core.perception().models(),
            plan: core.perception().plan().cloned(),
        })
    }

    async fn synthetic_frame(&self, ctl: &JobControl, boxed: bool) -> Result<(), EngineError> {
        const SIDE: u32 = 256;
        let data = vec![127; (SIDE * SIDE * 3) as usize];
        let side = SIDE as f32;
        let source = FrameSource::Pixels {
            data,
            width: SIDE,
            height: SIDE,
        };
        let frame = FrameInput {
            boxes: boxed.then(|| vec![BBox::new(side * 0.3, side * 0.1, side * 0.7, side * 0.9)]),
            ..FrameInput::new(0.0, source)
        };
        let settings = ClipSettings::default();
        let call = Call::new(Arc::clone(&self.0), ctl.clone(), settings);
        let mut memory = call.new_memory();
        match call
            .run(vec![frame], &mut memory)
            .await?
            .pop()
            .and_then(|r| r.error)
        {
            Some((code, message)) => Err(EngineError::new(code, message)),
            None => Ok(()),
        }
    }

    pub fn health(&self) -> Health {
        let core = &self.0;
        let (settings, admission) = (core.settings(), core.admission());
        let status = if core.is_closed() {
            Status::Closed
        } else if core.is_proven() {
            Status::Ready
        } else if core.is_warming() {
            Status::Warming
        } else {
            Status::Idle
        };
        Health {
            status,
            model: settings.model,
            model_version: core.version().to_owned(),
            device: core.perception().device(),
            executor: core.perception().executor(),
            threads: core.pool().threads(),
            queued_frames: admission.queued(),
            max_queued_frames: admission.limit(),
            frames_done: admission.done(),
            frames_failed: admission.failed(),
            models: [core.perception().models(), core.depth().models()].concat(),
            plan: core.perception().plan().cloned(),
        }
    }

    /// Corners of the mesh's triangles; none for a model without a mesh.
    pub fn mesh_faces(&self) -> Option<&[u32]> {
        self.0.perception().mesh_faces()
    }

    /// The body before it is posed; none for a model without one.
    pub fn body(&self) -> Option<&Rest> {
        self.0.perception().body()
    }

    /// Refuses new calls and ends waiting ones with `ERR_POSE4D_CLOSED`; what runs on a worker
    /// runs to its end, but nobody waits for it here.
    pub fn begin_close(&self) {
        self.0.begin_close();
    }

    /// As `begin_close`, then waits for the workers. Blocks; again: nothing to do.
    pub fn close_blocking(&self) {
        self.begin_close();
        self.0.pool().close();
        self.0.perception().close();
        self.0.depth().close();
    }

    /// `close_blocking` off the runtime's own threads.
    pub async fn close(&self) -> Result<(), EngineError> {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || engine.close_blocking())
            .await
            .map_err(|e| EngineError::new(super::error::INTERNAL, format!("closing failed: {e}")))
    }
}

#[cfg(test)]
impl<P: Perception> Engine<P> {
    pub(super) fn room_in_tests(&self) -> Arc<tokio::sync::Semaphore> {
        self.0.room()
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
