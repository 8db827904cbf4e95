//! A clip whose frames come one by one and whose results leave one by one, in order.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::admission::Ticket;
use super::ahead::Spawned;
use super::call::Call;
use super::control::JobControl;
use super::error::EngineError;
use super::order::next_number;
use super::perception::{ClipSettings, Perception};
use super::result::FrameResult;
use super::shared::Core;
use super::source::{FrameInput, FrameSource};

type Outcome = Result<FrameResult, EngineError>;

/// What has been pushed so far.
struct Entry {
    frames: Option<UnboundedSender<(u64, FrameInput)>>,
    index: u64,
    last: Option<f64>,
    /// One per frame whose result was not taken yet.
    tickets: VecDeque<Ticket>,
}

/// Dropping it ends its work.
pub struct FrameStream<P: Perception> {
    core: Arc<Core<P>>,
    ctl: JobControl,
    settings: ClipSettings,
    entry: Mutex<Entry>,
    results: Arc<tokio::sync::Mutex<UnboundedReceiver<Outcome>>>,
    _work: Spawned<()>,
}

impl<P: Perception> FrameStream<P> {
    pub(super) fn new(core: Arc<Core<P>>, ctl: &JobControl, settings: ClipSettings) -> Self {
        let (frames, inputs) = mpsc::unbounded_channel();
        let (sender, results) = mpsc::unbounded_channel();
        let call = Call::new(Arc::clone(&core), ctl.clone(), settings);
        let (ctl, own) = (ctl.clone(), ctl.clone());
        let work = Spawned::new(async move {
            if let Err(why) = ctl.guard(call.run_stream(inputs, &sender)).await {
                let _ = sender.send(Err(why));
            }
        });
        Self {
            core,
            ctl: own,
            settings,
            entry: Mutex::new(Entry {
                frames: Some(frames),
                index: 0,
                last: None,
                tickets: VecDeque::new(),
            }),
            results: Arc::new(tokio::sync::Mutex::new(results)),
            _work: work,
        }
    }

    fn entry(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a frame in; the caller bounds how many are on their way.
    pub fn push(&self, mut input: FrameInput) -> Result<(), EngineError> {
        let ticket = self.core.enter(1)?;
        let mut entry = self.entry();
        let index = entry.index;
        match next_number(input.number, entry.last, self.settings.tracking) {
            Ok(()) => {
                entry.last = Some(input.number);
                entry.index += 1;
            }
            Err(_) if input.number.is_nan() && matches!(input.source, FrameSource::Bad(_)) => {}
            Err(why) => input.source = FrameSource::Bad(why),
        }
        entry.tickets.push_back(ticket);
        if let Some(frames) = &entry.frames {
            // Where the work has ended, its error waits among the results.
            let _ = frames.send((index, input));
        }
        Ok(())
    }

    /// No more frames will come.
    pub fn end(&self) {
        self.entry().frames = None;
    }

    /// Nobody wants the remaining results: their frames no longer count as waiting.
    pub fn close(&self) {
        let mut entry = self.entry();
        entry.frames = None;
        entry.tickets.clear();
        self.ctl.cancel();
    }

    /// The next frame's result; `None` after the last.
    pub fn next(
        &self,
    ) -> impl Future<Output = Result<Option<FrameResult>, EngineError>> + Send + use<P> {
        let results = Arc::clone(&self.results);
        async move { results.lock().await.recv().await.transpose() }
    }

    /// The frame whose result was taken no longer counts as waiting.
    pub fn answered(&self, result: &FrameResult) {
        self.entry().tickets.pop_front();
        self.core.count(std::slice::from_ref(result));
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
