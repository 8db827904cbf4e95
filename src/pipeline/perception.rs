//! What a model family must offer the engine.

use std::future::Future;
use std::sync::Arc;

use super::control::JobControl;
use super::error::EngineError;
use super::pool::Pool;
use super::result::Person;
use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;

/// What holds for a whole clip.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct ClipSettings {
    /// `false`: every frame is a clip of its own.
    pub tracking: bool,
    /// Frames per second, where frames carry no time of their own.
    pub fps: f64,
}

impl Default for ClipSettings {
    fn default() -> Self {
        Self {
            tracking: true,
            fps: 30.0,
        }
    }
}

/// One decoded frame and its place in the clip.
#[derive(Clone, Debug)]
pub struct FrameView {
    pub image: Arc<Rgb8>,
    /// As the caller numbered it: a whole number, 0 or more.
    pub number: f64,
    /// Frames of this clip before this one, good and bad.
    pub index: u64,
    /// Seconds.
    pub time_s: f64,
    /// People given by the caller, pixels.
    pub boxes: Option<Vec<BBox>>,
}

/// A model family: looks at frames, follows people through a clip. All arithmetic belongs on
/// the pool; the futures only wait.
pub trait Perception: Send + Sync + 'static {
    /// What a worker thread owns (networks, scratch space).
    type Worker: 'static;
    /// What a frame shows by itself.
    type Sightings: Send + 'static;
    /// What a clip remembers from frame to frame.
    type State: Clone + Send + 'static;

    /// Runs on the worker's own thread.
    fn build_worker(&self, index: usize) -> Result<Self::Worker, EngineError>;

    fn new_state(&self, clip: &ClipSettings) -> Self::State;

    /// Stateless: may run ahead on any frame.
    fn look(
        &self,
        pool: &Pool<Self::Worker>,
        ctl: &JobControl,
        frame: &FrameView,
    ) -> impl Future<Output = Result<Self::Sightings, EngineError>> + Send;

    /// Called in ascending frame order. After an error the engine goes on with the state as it
    /// was before this frame.
    fn follow(
        &self,
        state: &mut Self::State,
        pool: &Pool<Self::Worker>,
        ctl: &JobControl,
        frame: &FrameView,
        sightings: Self::Sightings,
    ) -> impl Future<Output = Result<Vec<Person>, EngineError>> + Send;

    /// Model and version, as results carry it.
    fn version(&self) -> String;

    /// Where the networks run: `cpu` or `cuda:N`.
    fn device(&self) -> String;

    /// How they run; `None` until a worker is built.
    fn executor(&self) -> Option<&'static str>;
}
