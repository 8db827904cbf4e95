//! A call from frames to results: looked at ahead, followed in order, nothing lost.

use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::ahead::{Ahead, all_of};
use super::call::Call;
use super::error::{EngineError, INTERNAL};
use super::memory::Memory;
use super::order::Plan;
use super::perception::Perception;
use super::prepare::Prepared;
use super::result::FrameResult;
use super::source::{FrameInput, FrameSource};

impl<P: Perception> Call<P> {
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

fn put(results: &mut [Option<FrameResult>], at: usize, result: FrameResult) {
    if let Some(slot) = results.get_mut(at) {
        *slot = Some(result);
    }
}
