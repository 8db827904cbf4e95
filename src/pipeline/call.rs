//! One call from frames to results: decode and look ahead, follow in order, lose nothing.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::ahead::{Ahead, Spawned, all_of};
use super::control::JobControl;
use super::cut::Glimpse;
use super::depth::estimate::{map_of, people};
use super::depth::map::DepthMap;
use super::error::{EngineError, INTERNAL, ends_call};
use super::kept::{KeptFrame, Picture};
use super::looks::{Seen, unpack};
use super::memory::{Memory, is_revised, look_back};
use super::order::Plan;
use super::perception::{Blind, ClipSettings, FrameView, Mode, Perception};
use super::pool::Priority;
use super::result::{FrameResult, Person};
use super::shared::Core;
use super::source::{FrameInput, FrameSource};
use crate::imaging::buffers;

/// The stage in which a frame becomes pixels.
const DECODE: &str = "decode";

/// What running ahead has found out about a frame.
pub(super) struct Prepared<S> {
    input: Brief,
    view: Option<FrameView>,
    sightings: Result<S, EngineError>,
    timings: Vec<(&'static str, f64)>,
    /// What is kept of the frame, if it is to be looked at again.
    picture: Option<Picture>,
    /// Where it was asked for.
    depth: Option<Result<DepthMap, EngineError>>,
    /// Of a clip that is gone over again.
    glimpse: Option<Glimpse>,
    /// Gives the frame's room back when its pixels go.
    _room: OwnedSemaphorePermit,
}

/// What is left of the input once its pixels are decoded.
struct Brief {
    number: f64,
    index: u64,
    time_s: f64,
}

pub(super) struct Call<P: Perception> {
    core: Arc<Core<P>>,
    ctl: JobControl,
    settings: ClipSettings,
}

impl<P: Perception> Clone for Call<P> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            ctl: self.ctl.clone(),
            settings: self.settings,
        }
    }
}

impl<P: Perception> Call<P> {
    pub(super) fn new(core: Arc<Core<P>>, ctl: JobControl, settings: ClipSettings) -> Self {
        Self {
            core,
            ctl,
            settings,
        }
    }

    pub(super) fn core(&self) -> &Core<P> {
        &self.core
    }

    pub(super) fn ctl(&self) -> &JobControl {
        &self.ctl
    }

    pub(super) fn settings(&self) -> &ClipSettings {
        &self.settings
    }

    /// One result per frame, in the order given. On `Err` the memory is of no use any more.
    pub(super) async fn run(
        &self,
        frames: Vec<FrameInput>,
        memory: &mut Memory<P::State>,
    ) -> Result<Vec<FrameResult>, EngineError> {
        let numbers: Vec<f64> = frames.iter().map(|f| f.number).collect();
        let plan = Plan::new(&numbers, memory.last, self.settings.tracking);
        let mut results: Vec<Option<FrameResult>> = numbers.iter().map(|_| None).collect();
        for (at, why) in plan.refused {
            let Some(frame) = frames.get(at) else {
                continue;
            };
            // A frame without any number says better itself what is wrong with it.
            let why = match &frame.source {
                FrameSource::Bad(known) if frame.number.is_nan() => known.clone(),
                _ => why,
            };
            put(&mut results, at, self.refusal(frame.number, why));
        }
        let mut inputs: Vec<Option<FrameInput>> = frames.into_iter().map(Some).collect();
        let queue: Vec<FrameInput> = plan
            .sequence
            .iter()
            .filter_map(|at| inputs.get_mut(*at).and_then(Option::take))
            .collect();
        if self.settings.tracking {
            self.follow_all(queue, &plan.sequence, &mut results, memory)
                .await?;
        } else {
            self.each_alone(queue, &plan.sequence, &mut results).await?;
        }
        let expected = results.len();
        let results: Vec<FrameResult> = results.into_iter().flatten().collect();
        if results.len() == expected {
            return Ok(results);
        }
        let lost = expected - results.len();
        self.check_open()?;
        Err(EngineError::new(
            INTERNAL,
            format!("{lost} of {expected} frames were lost"),
        ))
    }

    /// Whether the call is still wanted: the feeder ends early only when the engine closes under it.
    pub(super) fn check_open(&self) -> Result<(), EngineError> {
        self.ctl.check()?;
        self.core.check_open()
    }

    async fn follow_all(
        &self,
        queue: Vec<FrameInput>,
        sequence: &[usize],
        results: &mut [Option<FrameResult>],
        memory: &mut Memory<P::State>,
    ) -> Result<(), EngineError> {
        let mut ahead = self.prepare_ahead(all_of((memory.index..).zip(queue)));
        for at in sequence {
            let Some(prepared) = ahead.next().await else {
                return Ok(());
            };
            let prepared = prepared??;
            memory.last = Some(prepared.input.number);
            memory.index = prepared.input.index + 1;
            let result = self.follow(prepared, memory).await?;
            put(results, *at, result);
        }
        Ok(())
    }

    async fn each_alone(
        &self,
        queue: Vec<FrameInput>,
        sequence: &[usize],
        results: &mut [Option<FrameResult>],
    ) -> Result<(), EngineError> {
        let mut ahead = self.whole_ahead(all_of(queue.into_iter().map(|input| (0, input))));
        for at in sequence {
            let Some(result) = ahead.next().await else {
                return Ok(());
            };
            put(results, *at, result??);
        }
        Ok(())
    }

    /// Decodes and looks at frames, each with its index in the clip, as far ahead as there is room.
    pub(super) fn prepare_ahead(
        &self,
        frames: UnboundedReceiver<(u64, FrameInput)>,
    ) -> Ahead<Result<Prepared<P::Sightings>, EngineError>> {
        let (call, core) = (self.clone(), &self.core);
        Ahead::start(
            core.room(),
            frames,
            core.window(),
            move |(index, input), room| {
                let call = call.clone();
                async move { call.prepare(input, index, room).await }
            },
        )
    }

    /// The same for frames that are independent of one another: the whole way at once.
    fn whole_ahead(
        &self,
        frames: UnboundedReceiver<(u64, FrameInput)>,
    ) -> Ahead<Result<FrameResult, EngineError>> {
        let (call, core) = (self.clone(), &self.core);
        Ahead::start(
            core.room(),
            frames,
            core.window(),
            move |(_, input), room| {
                let call = call.clone();
                async move {
                    let prepared = call.prepare(input, 0, room).await?;
                    call.follow(prepared, &mut call.new_memory()).await
                }
            },
        )
    }

    /// Frames that come one by one, numbered already; results leave in the same order until the
    /// last frame, or nobody takes them any more.
    pub(super) async fn run_stream(
        &self,
        frames: UnboundedReceiver<(u64, FrameInput)>,
        results: &mpsc::UnboundedSender<Result<FrameResult, EngineError>>,
    ) -> Result<(), EngineError> {
        if self.settings.tracking {
            let mut ahead = self.prepare_ahead(frames);
            let mut memory = self.new_memory();
            while let Some(prepared) = ahead.next().await {
                let result = self.follow(prepared??, &mut memory).await?;
                if results.send(Ok(result)).is_err() {
                    return Ok(());
                }
            }
        } else {
            let mut ahead = self.whole_ahead(frames);
            while let Some(result) = ahead.next().await {
                if results.send(Ok(result??)).is_err() {
                    return Ok(());
                }
            }
        }
        self.core.check_open()
    }

    /// Of a clip that begins.
    pub(super) fn new_memory(&self) -> Memory<P::State> {
        Memory::new(self.core.perception().new_state(&self.settings))
    }

    /// Frames kept to be looked at again; 0 for none.
    fn reach_back(&self) -> usize {
        match is_revised(&self.settings) {
            true => self.core.perception().reach_back(),
            false => 0,
        }
    }

    /// Decodes and looks. `Err` ends the call; what is wrong with the frame is in the value.
    async fn prepare(
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

    /// `Err` ends the call. Where the frame fails, the state knows only that it was there, and the
    /// people who are being followed are told from memory.
    async fn follow(
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
        let number = input.number;
        let size = view
            .as_ref()
            .map_or((0, 0), |v| (v.image.width, v.image.height));
        let starts_shot = memory.starts_shot(glimpse);
        let followed = match (view, sightings) {
            (Some(view), Ok(sightings)) => {
                let view = FrameView {
                    cut: starts_shot,
                    ..view
                };
                let ctl = self.ctl.metered();
                let state = memory.state.clone();
                let outcome = self.advance(&ctl, view, sightings, state).await;
                timings.push(("follow", ctl.busy_ms()));
                outcome
            }
            (_, Err(why)) => Err(why),
            (None, Ok(_)) => Err(EngineError::new(INTERNAL, "a frame without pixels")),
        };
        let (persons, error) = match followed {
            Ok((persons, next)) => {
                memory.state = next;
                (persons, None)
            }
            Err(why) if ends_call(&why) => return Err(why),
            Err(why) => {
                let place = Blind {
                    time_s: input.time_s,
                    index: input.index,
                };
                let persons = self.core.perception().miss(&mut memory.state, &place);
                (persons, Some((why.code, why.message)))
            }
        };
        let mut earlier = Vec::new();
        if self.reach_back() > 0 {
            let kept = KeptFrame {
                number,
                index: input.index,
                time_s: input.time_s,
                starts_shot,
                picture: picture.unwrap_or(Picture::Gone),
            };
            memory.kept.add(kept, self.reach_back());
            let ctl = self.ctl.metered();
            earlier = look_back(&self.core, &ctl, memory).await?;
            timings.push(("back", ctl.busy_ms()));
        }
        let (mut persons, mut held): (Vec<Person>, _) =
            persons.into_iter().partition(|p| p.confirmed);
        let (mut measured, mut depth_error) = (None, None);
        match self.settings.depth.zip(depth).filter(|_| error.is_none()) {
            Some((model, Ok(map))) => {
                let ctl = self.ctl.metered();
                let (ordered, depth) = people(&self.core, &ctl, map, persons, model).await?;
                timings.push(("order", ctl.busy_ms()));
                (persons, measured) = (ordered, Some(depth));
            }
            Some((_, Err(why))) => depth_error = Some((why.code, why.message)),
            None => {}
        }
        if self.settings.mode == Mode::Online {
            held.clear();
        }
        Ok(FrameResult {
            frame_number: number,
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
            depth: measured,
            depth_error,
            error,
        })
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

    fn refusal(&self, number: f64, why: EngineError) -> FrameResult {
        FrameResult {
            frame_number: number,
            time_s: f64::NAN,
            held: Vec::new(),
            starts_shot: false,
            earlier: Vec::new(),
            width: 0,
            height: 0,
            persons: Vec::new(),
            processing_time_ms: 0.0,
            timings: Vec::new(),
            model_version: self.core.version().to_owned(),
            depth: None,
            depth_error: None,
            error: Some((why.code, why.message)),
        }
    }
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

fn put(results: &mut [Option<FrameResult>], at: usize, result: FrameResult) {
    if let Some(slot) = results.get_mut(at) {
        *slot = Some(result);
    }
}
