//! A call from frames to depth maps, and the maps of a call that measures poses.

use std::sync::Arc;

use super::map::DepthMap;
use super::model::DepthModel;
use super::people::measure;
use super::stand::Open;
use crate::imaging::buffers;
use crate::imaging::pixels::Rgb8;
use crate::pipeline::ahead::{Ahead, all_of};
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{EngineError, INTERNAL, ends_call};
use crate::pipeline::order::Plan;
use crate::pipeline::perception::Perception;
use crate::pipeline::pool::Priority;
use crate::pipeline::result::{FrameDepth, Person};
use crate::pipeline::shared::Core;
use crate::pipeline::source::{FrameInput, FrameSource};
use crate::pipeline::words::Word;

/// A frame's depth, or what is wrong with the frame.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthResult {
    /// As the caller gave it; NaN where it was not a number.
    pub frame_number: f64,
    /// Pixels, upright; 0 where the image could not be decoded.
    pub width: u32,
    pub height: u32,
    /// Of the frame's size.
    pub map: Option<DepthMap>,
    pub model: Word,
    pub processing_time_ms: f64,
    /// Milliseconds per stage.
    pub timings: Vec<(Word, f64)>,
    /// Stable code and message.
    pub error: Option<(Word, String)>,
}

impl DepthResult {
    fn new(frame_number: f64, model: DepthModel) -> Self {
        Self {
            frame_number,
            width: 0,
            height: 0,
            map: None,
            model: model.name(),
            processing_time_ms: 0.0,
            timings: Vec::new(),
            error: None,
        }
    }

    fn refused(self, why: EngineError) -> Self {
        Self {
            error: Some((why.code, why.message)),
            ..self
        }
    }

    fn timed(mut self, stage: Word, ctl: &JobControl) -> Self {
        let ms = ctl.busy_ms();
        self.timings.push((stage, ms));
        self.processing_time_ms += ms;
        self
    }
}

/// One result per frame, in the order given. `Err` where the network cannot be had, or the call is
/// no longer wanted.
pub(in crate::pipeline) async fn estimate<P: Perception>(
    core: Arc<Core<P>>,
    ctl: JobControl,
    frames: Vec<FrameInput>,
    model: DepthModel,
) -> Result<Vec<DepthResult>, EngineError> {
    let open = core.depth().open(model).await?;
    let numbers: Vec<f64> = frames.iter().map(|frame| frame.number).collect();
    // Frames are independent of one another: only what is no number has no place.
    let mut refusals = Plan::new(&numbers, None, false)
        .refused
        .into_iter()
        .peekable();
    let mut items = Vec::with_capacity(frames.len());
    for (at, mut frame) in frames.into_iter().enumerate() {
        if let Some((_, why)) = refusals.next_if(|(refused, _)| *refused == at) {
            // A frame without any number says better itself what is wrong with it.
            if !(frame.number.is_nan() && matches!(frame.source, FrameSource::Bad(_))) {
                frame.source = FrameSource::Bad(why);
            }
        }
        items.push(frame);
    }
    let expected = items.len();
    let (room, window, own) = (core.room(), core.window(), Arc::clone(&core));
    let call = ctl.clone();
    let mut ahead = Ahead::start(room, all_of(items), window, move |frame, permit| {
        let (core, ctl, open) = (Arc::clone(&core), call.clone(), Arc::clone(&open));
        async move {
            let result = one(&core, &ctl, &open, frame, model).await;
            drop(permit);
            result
        }
    });
    let mut results = Vec::with_capacity(expected);
    while let Some(result) = ahead.next().await {
        let result = result??;
        own.admission().count(result.error.is_none());
        results.push(result);
    }
    if results.len() == expected {
        return Ok(results);
    }
    // Work ends early only when the engine closes under it.
    ctl.check()?;
    own.check_open()?;
    let lost = expected - results.len();
    let message = format!("{lost} of {expected} frames were lost");
    Err(EngineError::new(INTERNAL, message))
}

/// `Err` ends the call; what is wrong with the frame is in the value.
async fn one<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    open: &Open,
    frame: FrameInput,
    model: DepthModel,
) -> Result<DepthResult, EngineError> {
    let result = DepthResult::new(frame.number, model);
    let (source, limits) = (frame.source, core.decode_limits());
    let own = ctl.metered();
    let decode = move |_: &mut P::Worker| source.decode(&limits);
    let decoded = core.pool().run(&own, Priority::Ahead, decode).await;
    let result = result.timed("decode", &own);
    let image = match decoded.and_then(|image| image) {
        Ok(image) => Arc::new(image),
        Err(why) if ends_call(&why) => return Err(why),
        Err(why) => return Ok(result.refused(why)),
    };
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let result = DepthResult {
        width: side(image.width),
        height: side(image.height),
        ..result
    };
    let own = ctl.metered();
    let map = map_of(open, &own, &image).await?;
    let result = result.timed("depth", &own);
    if let Ok(image) = Arc::try_unwrap(image) {
        buffers::give(image.data);
    }
    Ok(match map {
        Ok(map) => DepthResult {
            map: Some(map),
            ..result
        },
        Err(why) => result.refused(why),
    })
}

/// A frame's map. `Err` ends the call; what is wrong with the frame is in the value.
pub async fn map_of(
    open: &Open,
    ctl: &JobControl,
    image: &Arc<Rgb8>,
) -> Result<Result<DepthMap, EngineError>, EngineError> {
    let mut outcomes = match open.counter.order(ctl, vec![Arc::clone(image)]).await {
        Ok(outcomes) => outcomes,
        Err(why) if ends_call(&why) => return Err(why),
        Err(why) => return Ok(Err(why)),
    };
    let lost = || {
        EngineError::new(
            INTERNAL,
            "the depth network gave no map; please report this",
        )
    };
    outcomes.pop().map_or_else(|| Err(lost()), Ok)
}

/// Where a map has the people of its frame; work for a worker.
pub(in crate::pipeline) async fn people<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    map: DepthMap,
    mut people: Vec<Person>,
    model: DepthModel,
) -> Result<(Vec<Person>, FrameDepth), EngineError> {
    let work = move |_: &mut P::Worker| {
        let depth = measure(&map, &mut people, model.name());
        (people, depth)
    };
    core.pool().run(ctl, Priority::Follow, work).await
}
