//! A frame in its turn: followed with the clip's memory, looked back from, put in order by its depth.

use std::sync::Arc;

use super::ahead::Spawned;
use super::call::Call;
use super::control::JobControl;
use super::depth::estimate::people;
use super::depth::map::DepthMap;
use super::error::{EngineError, INTERNAL, ends_call};
use super::kept::{KeptFrame, Picture};
use super::memory::{Memory, look_back};
use super::perception::{Blind, FrameView, Mode, Perception};
use super::prepare::{Brief, Prepared};
use super::result::{FrameDepth, FrameResult, Person};
use crate::imaging::buffers;

/// Milliseconds per stage.
type Timings = Vec<(&'static str, f64)>;
/// Stable code and message.
type Fault = Option<(&'static str, String)>;

impl<P: Perception> Call<P> {
    /// `Err` ends the call. Where the frame fails, the state knows only that it was there, and the
    /// people who are being followed are told from memory.
    pub(super) async fn follow(
        &self,
        prepared: Prepared<P::Sightings>,
        memory: &mut Memory<P::State>,
    ) -> Result<FrameResult, EngineError> {
        let Prepared {
            input,
            view,
            sightings,
            mut timings,
            picture,
            depth,
            glimpse,
            _room,
        } = prepared;
        let size = view
            .as_ref()
            .map_or((0, 0), |v| (v.image.width, v.image.height));
        let starts_shot = memory.starts_shot(glimpse);
        let seen = sightings.and_then(|sightings| {
            let blank = || EngineError::new(INTERNAL, "a frame without pixels");
            let view = view.ok_or_else(blank)?;
            let cut = starts_shot;
            Ok((FrameView { cut, ..view }, sightings))
        });
        let (persons, error) = self.told(&input, seen, memory, &mut timings).await?;
        let earlier = match self.reach_back() {
            0 => Vec::new(),
            _ => {
                self.backward(&input, starts_shot, picture, memory, &mut timings)
                    .await?
            }
        };
        let (persons, mut held): (Vec<Person>, _) = persons.into_iter().partition(|p| p.confirmed);
        if self.settings.mode == Mode::Online {
            held.clear();
        }
        let depth = depth.filter(|_| error.is_none());
        let (persons, depth, depth_error) = self.ordered(persons, depth, &mut timings).await?;
        Ok(FrameResult {
            frame_number: input.number,
            time_s: input.time_s,
            held,
            starts_shot,
            earlier,
            width: size.0.try_into().unwrap_or(u32::MAX),
            height: size.1.try_into().unwrap_or(u32::MAX),
            persons,
            processing_time_ms: timings.iter().map(|(_, ms)| ms).sum(),
            timings,
            model_version: self.core.version().to_owned(),
            depth,
            depth_error,
            error,
        })
    }

    /// Who is in the frame; of one that fails, who is told from memory, and what is wrong with it.
    async fn told(
        &self,
        input: &Brief,
        seen: Result<(FrameView, P::Sightings), EngineError>,
        memory: &mut Memory<P::State>,
        timings: &mut Timings,
    ) -> Result<(Vec<Person>, Fault), EngineError> {
        let followed = match seen {
            Ok((view, sightings)) => {
                let ctl = self.ctl.metered();
                let state = memory.state.clone();
                let outcome = self.advance(&ctl, view, sightings, state).await;
                timings.push(("follow", ctl.busy_ms()));
                outcome
            }
            Err(why) => Err(why),
        };
        match followed {
            Ok((persons, next)) => {
                memory.state = next;
                Ok((persons, None))
            }
            Err(why) if ends_call(&why) => Err(why),
            Err(why) => {
                let place = Blind {
                    time_s: input.time_s,
                    index: input.index,
                };
                let persons = self.core.perception().miss(&mut memory.state, &place);
                Ok((persons, Some((why.code, why.message))))
            }
        }
    }

    /// Keeps the frame, and finds people in those before it.
    async fn backward(
        &self,
        input: &Brief,
        starts_shot: bool,
        picture: Option<Picture>,
        memory: &mut Memory<P::State>,
        timings: &mut Timings,
    ) -> Result<Vec<(f64, Person)>, EngineError> {
        let kept = KeptFrame {
            number: input.number,
            index: input.index,
            time_s: input.time_s,
            starts_shot,
            picture: picture.unwrap_or(Picture::Gone),
        };
        memory.kept.add(kept, self.reach_back());
        let ctl = self.ctl.metered();
        let earlier = look_back(&self.core, &ctl, memory).await?;
        timings.push(("back", ctl.busy_ms()));
        Ok(earlier)
    }

    /// The people from front to back, where a map says so, and what it says on the whole.
    async fn ordered(
        &self,
        persons: Vec<Person>,
        depth: Option<Result<DepthMap, EngineError>>,
        timings: &mut Timings,
    ) -> Result<(Vec<Person>, Option<FrameDepth>, Fault), EngineError> {
        match self.settings.depth.zip(depth) {
            Some((model, Ok(map))) => {
                let ctl = self.ctl.metered();
                let (persons, depth) = people(&self.core, &ctl, map, persons, model).await?;
                timings.push(("order", ctl.busy_ms()));
                Ok((persons, Some(depth), None))
            }
            Some((_, Err(why))) => Ok((persons, None, Some((why.code, why.message)))),
            None => Ok((persons, None, None)),
        }
    }

    async fn advance(
        &self,
        ctl: &JobControl,
        view: FrameView,
        sightings: P::Sightings,
        mut state: P::State,
    ) -> Result<(Vec<Person>, P::State), EngineError> {
        let (call, ctl) = (self.clone(), ctl.clone());
        Spawned::new(async move {
            let core = &call.core;
            let persons = core
                .perception()
                .follow(&mut state, core.pool(), &ctl, &view, sightings)
                .await;
            if let Ok(image) = Arc::try_unwrap(view.image) {
                buffers::give(image.data);
            }
            Ok((persons?, state))
        })
        .join()
        .await?
    }
}
