//! What a model family must offer the engine.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::control::JobControl;
use super::depth::model::DepthModel;
use super::error::EngineError;
use super::plan::report::Plan;
use super::pool::Pool;
use super::result::Person;
use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;
use crate::models::smpl::rest::Rest;

/// Whether answers are final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each frame is answered once.
    #[default]
    Online,
    /// At its end the clip is gone over again.
    Offline,
}

/// What holds for a whole clip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipSettings {
    /// `false`: every frame is a clip of its own.
    pub tracking: bool,
    /// Frames per second, where frames carry no time of their own.
    pub fps: f64,
    /// Whether results hold the meshes, of a model that has them.
    pub mesh: bool,
    pub mode: Mode,
    /// The network by whose maps people are ordered from front to back; `None`: they are not.
    pub depth: Option<DepthModel>,
}

impl Default for ClipSettings {
    fn default() -> Self {
        Self {
            tracking: true,
            fps: 30.0,
            mesh: true,
            mode: Mode::Online,
            depth: None,
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
    /// Whether the result is to hold meshes.
    pub mesh: bool,
    /// One of a clip's frames, which follow one another.
    pub tracked: bool,
    /// The first after a cut to another shot.
    pub cut: bool,
}

/// A frame without pixels, and its place in the clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blind {
    /// Seconds.
    pub time_s: f64,
    pub index: u64,
}

/// A frame that was followed before.
#[derive(Clone, Copy, Debug)]
pub enum Earlier<'a> {
    Seen(&'a FrameView),
    /// Not to be looked at: it has no pixels any more, or its caller said who is there.
    Unseen(Blind),
}

/// What a look at an earlier frame has come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Back {
    Found(Box<Person>),
    /// Not there; maybe farther back.
    Missed,
    /// No use looking farther back.
    End,
}

/// A network of the model, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// As warm-up reports name it: `hmr2`, `vitdet`, …
    pub name: &'static str,
    /// Whether it is in memory now; one that is loaded on demand may not be.
    pub loaded: bool,
    /// The last load; `None` before the first.
    pub load_seconds: Option<f64>,
    /// `fp32`, `bf16` or `fp16`.
    pub precision: &'static str,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Of its parameters in that precision.
    pub bytes: u64,
    /// Kept in memory, or loaded when its turn comes.
    pub resident: bool,
}

/// A model family: looks at frames, follows people through a clip. All arithmetic belongs on
/// the pool; the futures only wait.
pub trait Perception: Send + Sync + 'static {
    /// What a worker thread owns (networks, scratch space).
    type Worker: 'static;
    /// What a frame shows by itself; all of it, since looks are made on other machines, too.
    type Sightings: Send + Serialize + DeserializeOwned + 'static;
    /// What a clip remembers from frame to frame; all of it, since a snapshot holds nothing else.
    type State: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;
    /// Somebody seen for the first time, or again, who is looked for in the frames before.
    type Trace: Send + 'static;

    /// A call of one frame is a photo, even where its caller did not say so.
    const LONE_FRAME_IS_PHOTO: bool = false;

    /// Runs on the worker's own thread.
    fn build_worker(&self, index: usize) -> Result<Self::Worker, EngineError>;

    fn new_state(&self, clip: &ClipSettings) -> Self::State;

    /// All of its settings that change what `look` comes to, in words.
    fn looks_with(&self) -> String;

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

    /// A frame that shows nothing, since it cannot be read: time passes, and who is being followed is
    /// told from memory. Without memory of its own a family leaves the state as it is.
    fn miss(&self, _state: &mut Self::State, _frame: &Blind) -> Vec<Person> {
        Vec::new()
    }

    /// Whether people are smoothed over time: by the family as they are followed, in an offline clip
    /// from both sides at its end.
    fn smooths(&self) -> bool {
        false
    }

    /// So many frames before the last an offline clip keeps, to look at them again.
    fn reach_back(&self) -> usize {
        0
    }

    /// Whom the last frame that was followed gives reason to look for in earlier ones, each with the
    /// index of the frame before which to look.
    fn traces(&self, _state: &Self::State) -> Vec<(u64, Self::Trace)> {
        Vec::new()
    }

    /// Looks for somebody in an earlier frame; called for one frame after the other, backward in
    /// time.
    fn look_back(
        &self,
        _trace: &mut Self::Trace,
        _pool: &Pool<Self::Worker>,
        _ctl: &JobControl,
        _frame: Earlier<'_>,
    ) -> impl Future<Output = Result<Back, EngineError>> + Send {
        async { Ok(Back::End) }
    }

    /// For at most so many frames somebody not seen is guessed.
    fn max_predicted(&self) -> u32 {
        30
    }

    /// People whose parameters were made up between two sights, with what the model's body says of
    /// them: joints, keypoints, angles, and `mesh` if wanted. One for one.
    fn embody(
        &self,
        _ctl: &JobControl,
        people: Vec<Person>,
        _mesh: bool,
    ) -> impl Future<Output = Result<Vec<Person>, EngineError>> + Send {
        async move { Ok(people) }
    }

    /// Model and version, as results carry it.
    fn version(&self) -> String;

    /// The set of keypoints in its results.
    fn keypoints(&self) -> &'static str;

    /// Where the networks run: `cpu` or `cuda:N`.
    fn device(&self) -> String;

    /// How they run; `None` until a worker is built.
    fn executor(&self) -> Option<&'static str>;

    /// Its networks one by one; none where they are no concern of the caller's.
    fn models(&self) -> Vec<ModelState> {
        Vec::new()
    }

    /// What is loaded where, and why; of models large enough to need a plan.
    fn plan(&self) -> Option<&Plan> {
        None
    }

    /// Corners of the mesh's triangles, three vertex numbers each.
    fn mesh_faces(&self) -> Option<&[u32]> {
        None
    }

    /// The body before it is posed, of a model that has one and has loaded it.
    fn body(&self) -> Option<&Rest> {
        None
    }

    /// Threads of its own take no more work. Called once the engine is closed; does not wait.
    fn begin_close(&self) {}

    /// As [`Perception::begin_close`], then waits for them. Blocks.
    fn close(&self) {}
}
