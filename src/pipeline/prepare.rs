//! A frame ahead of its turn: decoded, looked at, its depth measured.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::ahead::Spawned;
use super::call::Call;
use super::cut::Glimpse;
use super::depth::estimate::map_of;
use super::depth::map::DepthMap;
use super::error::{EngineError, INTERNAL, ends_call};
use super::kept::Picture;
use super::looks::{Seen, unpack};
use super::perception::{FrameView, Perception};
use super::pool::Priority;
use super::source::FrameInput;

/// The stage in which a frame becomes pixels.
const DECODE: &str = "decode";

/// What running ahead has found out about a frame.
pub(super) struct Prepared<S> {
    pub(super) input: Brief,
    pub(super) view: Option<FrameView>,
    pub(super) sightings: Result<S, EngineError>,
    pub(super) timings: Vec<(&'static str, f64)>,
    /// What is kept of the frame, if it is to be looked at again.
    pub(super) picture: Option<Picture>,
    /// Where it was asked for.
    pub(super) depth: Option<Result<DepthMap, EngineError>>,
    /// Of a clip that is gone over again.
    pub(super) glimpse: Option<Glimpse>,
    /// Gives the frame's room back when its pixels go.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What is left of the input once its pixels are decoded.
pub(super) struct Brief {
    pub(super) number: f64,
    pub(super) index: u64,
    pub(super) time_s: f64,
}

impl<S> Prepared<S> {
    pub(super) fn number(&self) -> f64 {
        self.input.number
    }

    /// The frame, what it shows, and what that cost beside the decoding.
    pub(super) fn looked(self) -> Result<(FrameView, Seen<S>), EngineError> {
        let sightings = self.sightings?;
        let unseen = || EngineError::new(INTERNAL, "a frame without pixels");
        let timings = self.timings.into_iter().filter(|(name, _)| *name != DECODE);
        let seen = (sightings, timings.collect());
        Ok((self.view.ok_or_else(unseen)?, seen))
    }

    fn failed(mut self, why: EngineError) -> Result<Self, EngineError> {
        if ends_call(&why) {
            return Err(why);
        }
        self.sightings = Err(why);
        Ok(self)
    }
}

impl<P: Perception> Call<P> {
    /// Decodes and looks. `Err` ends the call; what is wrong with the frame is in the value.
    pub(super) async fn prepare(
        &self,
        input: FrameInput,
        index: u64,
        room: OwnedSemaphorePermit,
    ) -> Result<Prepared<P::Sightings>, EngineError> {
        let number = input.number;
        let time_s = match input.timestamp_ms {
            Some(ms) => ms / 1000.0,
            None => number / self.settings.fps,
        };
        let mut prepared = Prepared {
            input: Brief {
                number,
                index,
                time_s,
            },
            view: None,
            sightings: Err(EngineError::new(INTERNAL, "the frame was not looked at")),
            timings: Vec::with_capacity(3),
            picture: None,
            depth: None,
            glimpse: None,
            _room: room,
        };
        let ctl = self.ctl.metered();
        let (source, look, limits) = (input.source, input.look, self.core.decode_limits());
        // Where the caller says who is there, nobody is looked for, then or later.
        let keeps = self.reach_back() > 0 && input.boxes.is_none();
        let (picture, glimpses) = (keeps.then(|| Picture::of(&source)), self.settings.tracking);
        let decode = move |_: &mut P::Worker| {
            let image = source.decode(&limits)?;
            let glimpse = glimpses.then(|| Glimpse::of(&image));
            Ok((image, glimpse))
        };
        let decoded = self.core.pool().run(&ctl, Priority::Ahead, decode).await;
        prepared.timings.push((DECODE, ctl.busy_ms()));
        let image = match decoded.and_then(|image| image) {
            Ok((image, glimpse)) => {
                prepared.glimpse = glimpse;
                Arc::new(image)
            }
            Err(why) => return prepared.failed(why),
        };
        prepared.picture = picture.map(|picture| match picture {
            Picture::Gone => Picture::Raw(Arc::clone(&image)),
            encoded => encoded,
        });
        let view = FrameView {
            image,
            number,
            index,
            time_s,
            boxes: input.boxes,
            mesh: self.settings.mesh,
            tracked: self.settings.tracking,
            cut: false,
        };
        let seen = match look {
            Some(bytes) => unpack(&self.core, &self.ctl, &view, bytes).await,
            None => self.look(&view, &mut prepared.timings).await,
        };
        if let (Some(model), Ok(_)) = (self.settings.depth, &seen) {
            let open = self.core.depth().open(model).await?;
            let ctl = self.ctl.metered();
            prepared.depth = Some(map_of(&open, &ctl, &view.image).await?);
            prepared.timings.push(("depth", ctl.busy_ms()));
        }
        prepared.view = Some(view);
        match seen {
            Ok((sightings, timings)) => {
                prepared.timings.extend(timings);
                prepared.sightings = Ok(sightings);
                Ok(prepared)
            }
            Err(why) => prepared.failed(why),
        }
    }

    /// On a task of its own: a panic in it is this frame's error.
    async fn look(
        &self,
        view: &FrameView,
        timings: &mut Vec<(&'static str, f64)>,
    ) -> Result<Seen<P::Sightings>, EngineError> {
        let (call, ctl, view) = (self.clone(), self.ctl.metered(), view.clone());
        let meter = ctl.clone();
        let seen = Spawned::new(async move {
            call.core
                .perception()
                .look(call.core.pool(), &ctl, &view)
                .await
        })
        .join()
        .await;
        timings.extend(meter.timings("look"));
        Ok((seen??, Vec::new()))
    }
}
