//! What a clip carries from frame to frame beside the model's own state, and the second looks at
//! frames that it has kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ahead::Spawned;
use super::control::JobControl;
use super::cut::Glimpse;
use super::error::{EngineError, ends_call};
use super::kept::{Kept, KeptFrame, Picture};
use super::perception::{Back, Blind, ClipSettings, Earlier, FrameView, Mode, Perception};
use super::pool::Priority;
use super::result::Person;
use super::shared::Core;

/// What a clip carries from call to call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Memory<S> {
    pub state: S,
    /// Frames with a place in the clip so far, good and bad.
    pub index: u64,
    /// The highest frame number so far.
    pub last: Option<f64>,
    /// The last frames, of a clip that looks back.
    pub kept: Kept,
    /// The last frame that could be read, of a clip that is gone over again.
    pub glimpse: Option<Glimpse>,
}

impl<S> Memory<S> {
    pub fn new(state: S) -> Self {
        Self {
            state,
            index: 0,
            last: None,
            kept: Kept::default(),
            glimpse: None,
        }
    }

    /// Whether the frame that looks like this begins another shot. A frame that cannot be read says
    /// nothing.
    pub fn starts_shot(&mut self, glimpse: Option<Glimpse>) -> bool {
        let Some(now) = glimpse else {
            return false;
        };
        let before = self.glimpse.replace(now);
        let now = self.glimpse.as_ref();
        before
            .zip(now)
            .is_some_and(|(before, now)| now.is_cut_from(&before))
    }
}

/// Whether a clip keeps what it takes to be gone over again.
pub(super) fn is_revised(settings: &ClipSettings) -> bool {
    settings.mode == Mode::Offline && settings.tracking
}

/// Whom the last frame gives reason to look for in the frames before it: found people, by the
/// numbers of their frames. `Err` ends the call.
pub(super) async fn look_back<P: Perception>(
    core: &Arc<Core<P>>,
    ctl: &JobControl,
    memory: &Memory<P::State>,
) -> Result<Vec<(f64, Person)>, EngineError> {
    let mut found = Vec::new();
    for (first, trace) in core.perception().traces(&memory.state) {
        let frames = memory.kept.before(first);
        let (core, ctl) = (Arc::clone(core), ctl.clone());
        // On a task of its own: a panic in it costs this search and nothing else.
        let search = Spawned::new(async move { follow_back(&core, &ctl, trace, frames).await });
        match search.join().await.and_then(|people| people) {
            Ok(people) => found.extend(people),
            Err(why) if ends_call(&why) => return Err(why),
            Err(_) => {}
        }
    }
    Ok(found)
}

async fn follow_back<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    mut trace: P::Trace,
    frames: Vec<Arc<KeptFrame>>,
) -> Result<Vec<(f64, Person)>, EngineError> {
    let (perception, limits) = (core.perception(), core.decode_limits());
    let mut found = Vec::new();
    for frame in frames {
        let view = match &frame.picture {
            Picture::Gone => None,
            _ => {
                let kept = Arc::clone(&frame);
                let decode = move |_: &mut P::Worker| kept.picture.decode(&limits);
                let image = core.pool().run(ctl, Priority::Follow, decode).await?;
                // A file that is gone by now is not looked at.
                image.ok().map(|image| FrameView {
                    image,
                    number: frame.number,
                    index: frame.index,
                    time_s: frame.time_s,
                    boxes: None,
                    mesh: false,
                    tracked: true,
                    cut: false,
                })
            }
        };
        let earlier = match &view {
            Some(view) => Earlier::Seen(view),
            None => Earlier::Unseen(Blind {
                time_s: frame.time_s,
                index: frame.index,
            }),
        };
        match perception
            .look_back(&mut trace, core.pool(), ctl, earlier)
            .await?
        {
            Back::Found(person) => found.push((frame.number, *person)),
            Back::Missed => {}
            Back::End => break,
        }
    }
    Ok(found)
}
