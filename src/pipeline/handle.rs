//! Engines of any model family behind one type, for callers to whom the family makes no difference.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::clip::Clip;
use super::control::JobControl;
use super::depth::estimate::DepthResult;
use super::depth::model::DepthModel;
use super::engine::{Engine, Health, Warmup, WeakEngine};
use super::error::EngineError;
use super::looks::Looked;
use super::perception::{ClipSettings, Perception};
use super::result::FrameResult;
use super::source::FrameInput;
use super::stream::FrameStream;
use crate::models::smpl::rest::Rest;

/// A future that owns all it needs.
pub type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send>>;

/// [`Engine`], whatever it perceives with.
pub trait AnyEngine: Send + Sync {
    fn check_room(&self, frames: usize) -> Result<(), EngineError>;
    /// What a call of so many frames, which are a clip of their own, is taken for.
    fn settings_of_call(&self, frames: usize, settings: ClipSettings) -> ClipSettings;
    fn open_clip(&self, settings: ClipSettings) -> Arc<dyn AnyClip>;
    /// As [`Engine::resume_clip`].
    fn resume_clip(&self, snapshot: &[u8]) -> Result<Arc<dyn AnyClip>, EngineError>;
    /// For a thread that has entered a tokio runtime.
    fn open_stream(&self, ctl: &JobControl, settings: ClipSettings) -> Arc<dyn AnyStream>;
    fn estimate_depth(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        model: DepthModel,
    ) -> Boxed<Vec<DepthResult>>;
    /// As [`Engine::look_at`].
    fn look_at(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        settings: ClipSettings,
        start: u64,
    ) -> Boxed<Vec<Looked>>;
    fn look_key(&self) -> String;
    fn warmup(&self, ctl: &JobControl) -> Boxed<Warmup>;
    fn health(&self) -> Health;
    fn mesh_faces(&self) -> Option<&[u32]>;
    fn body(&self) -> Option<&Rest>;
    fn begin_close(&self);
    fn close_blocking(&self);
    fn close(&self) -> Boxed<()>;
    fn downgrade(&self) -> Box<dyn AnyWeak>;
}

/// [`Clip`], whatever it perceives with.
pub trait AnyClip: Send + Sync {
    /// `mesh`: whether results hold meshes, where that differs from what the clip was opened with.
    fn process(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        mesh: Option<bool>,
    ) -> Boxed<Vec<FrameResult>>;
    /// As [`Clip::run_whole`].
    fn run_whole(&self, ctl: &JobControl, frames: Vec<FrameInput>) -> Boxed<Vec<FrameResult>>;
    /// As [`Clip::finish`].
    fn finish(&self, ctl: &JobControl) -> Boxed<Vec<FrameResult>>;
    /// As [`Clip::snapshot`].
    fn snapshot(&self, ctl: &JobControl) -> Boxed<Vec<u8>>;
    fn settings(&self) -> ClipSettings;
}

/// [`FrameStream`], whatever it perceives with.
pub trait AnyStream: Send + Sync {
    fn push(&self, input: FrameInput) -> Result<(), EngineError>;
    fn end(&self);
    fn close(&self);
    fn next(&self) -> Boxed<Option<FrameResult>>;
    /// As [`FrameStream::taken`].
    fn taken(&self) -> Boxed<bool>;
    fn answered(&self, result: &FrameResult);
}

/// [`WeakEngine`], whatever it perceives with.
pub trait AnyWeak: Send + Sync {
    fn upgrade(&self) -> Option<Arc<dyn AnyEngine>>;
}

impl<P: Perception> AnyEngine for Engine<P> {
    fn check_room(&self, frames: usize) -> Result<(), EngineError> {
        Engine::check_room(self, frames)
    }

    fn settings_of_call(&self, frames: usize, settings: ClipSettings) -> ClipSettings {
        ClipSettings {
            tracking: settings.tracking && !(P::LONE_FRAME_IS_PHOTO && frames == 1),
            ..settings
        }
    }

    fn open_clip(&self, settings: ClipSettings) -> Arc<dyn AnyClip> {
        Arc::new(Engine::open_clip(self, settings))
    }

    fn resume_clip(&self, snapshot: &[u8]) -> Result<Arc<dyn AnyClip>, EngineError> {
        Ok(Arc::new(Engine::resume_clip(self, snapshot)?))
    }

    fn open_stream(&self, ctl: &JobControl, settings: ClipSettings) -> Arc<dyn AnyStream> {
        Arc::new(Engine::open_stream(self, ctl, settings))
    }

    fn estimate_depth(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        model: DepthModel,
    ) -> Boxed<Vec<DepthResult>> {
        Box::pin(Engine::estimate_depth(self, ctl, frames, model))
    }

    fn look_at(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        settings: ClipSettings,
        start: u64,
    ) -> Boxed<Vec<Looked>> {
        Box::pin(Engine::look_at(self, ctl, frames, settings, start))
    }

    fn look_key(&self) -> String {
        Engine::look_key(self)
    }

    fn warmup(&self, ctl: &JobControl) -> Boxed<Warmup> {
        let (engine, ctl) = (self.clone(), ctl.clone());
        Box::pin(async move { Engine::warmup(&engine, &ctl).await })
    }

    fn health(&self) -> Health {
        Engine::health(self)
    }

    fn mesh_faces(&self) -> Option<&[u32]> {
        Engine::mesh_faces(self)
    }

    fn body(&self) -> Option<&Rest> {
        Engine::body(self)
    }

    fn begin_close(&self) {
        Engine::begin_close(self);
    }

    fn close_blocking(&self) {
        Engine::close_blocking(self);
    }

    fn close(&self) -> Boxed<()> {
        let engine = self.clone();
        Box::pin(async move { Engine::close(&engine).await })
    }

    fn downgrade(&self) -> Box<dyn AnyWeak> {
        Box::new(Engine::downgrade(self))
    }
}

impl<P: Perception> AnyClip for Clip<P> {
    fn process(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
        mesh: Option<bool>,
    ) -> Boxed<Vec<FrameResult>> {
        match mesh {
            Some(mesh) => Box::pin(Clip::process(&self.with_mesh(mesh), ctl, frames)),
            None => Box::pin(Clip::process(self, ctl, frames)),
        }
    }

    fn run_whole(&self, ctl: &JobControl, frames: Vec<FrameInput>) -> Boxed<Vec<FrameResult>> {
        Box::pin(Clip::run_whole(self, ctl, frames))
    }

    fn finish(&self, ctl: &JobControl) -> Boxed<Vec<FrameResult>> {
        Box::pin(Clip::finish(self, ctl))
    }

    fn snapshot(&self, ctl: &JobControl) -> Boxed<Vec<u8>> {
        Box::pin(Clip::snapshot(self, ctl))
    }

    fn settings(&self) -> ClipSettings {
        *Clip::settings(self)
    }
}

impl<P: Perception> AnyStream for FrameStream<P> {
    fn push(&self, input: FrameInput) -> Result<(), EngineError> {
        FrameStream::push(self, input)
    }

    fn end(&self) {
        FrameStream::end(self);
    }

    fn close(&self) {
        FrameStream::close(self);
    }

    fn next(&self) -> Boxed<Option<FrameResult>> {
        Box::pin(FrameStream::next(self))
    }

    fn taken(&self) -> Boxed<bool> {
        Box::pin(FrameStream::taken(self))
    }

    fn answered(&self, result: &FrameResult) {
        FrameStream::answered(self, result);
    }
}

impl<P: Perception> AnyWeak for WeakEngine<P> {
    fn upgrade(&self) -> Option<Arc<dyn AnyEngine>> {
        WeakEngine::upgrade(self).map(|engine| Arc::new(engine) as Arc<dyn AnyEngine>)
    }
}
