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
use super::perception::{ClipSettings, Mode, Perception};
use super::result::FrameResult;
use super::shared::Core;
use super::source::{FrameInput, FrameSource};
use super::whole::{embody, settle, without_meshes};

type Outcome = Result<FrameResult, EngineError>;

/// What has been pushed so far.
struct Entry {
    frames: Option<UnboundedSender<(u64, FrameInput)>>,
    index: u64,
    last: Option<f64>,
    /// One per frame whose result was not taken yet.
    tickets: VecDeque<Ticket>,
}

/// Results on their way to the caller.
struct Results {
    fresh: UnboundedReceiver<Outcome>,
    /// Of a clip that is gone over again: all of them, without meshes.
    record: Vec<FrameResult>,
    /// Those that are final and have their bodies, the next one last.
    done: Vec<FrameResult>,
    settled: bool,
}

/// Final results that are made ready at a time.
const READY: usize = 8;

/// Dropping it ends its work.
pub struct FrameStream<P: Perception> {
    core: Arc<Core<P>>,
    ctl: JobControl,
    settings: ClipSettings,
    entry: Arc<Mutex<Entry>>,
    results: Arc<tokio::sync::Mutex<Results>>,
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
            entry: Arc::new(Mutex::new(Entry {
                frames: Some(frames),
                index: 0,
                last: None,
                tickets: VecDeque::new(),
            })),
            results: Arc::new(tokio::sync::Mutex::new(Results {
                fresh: results,
                record: Vec::new(),
                done: Vec::new(),
                settled: false,
            })),
            _work: work,
        }
    }

    fn entry(&self) -> MutexGuard<'_, Entry> {
        lock(&self.entry)
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

    /// The next frame's result; `None` after the last. Of an offline clip: once all frames are taken
    /// ([`FrameStream::taken`]).
    pub fn next(
        &self,
    ) -> impl Future<Output = Result<Option<FrameResult>, EngineError>> + Send + use<P> {
        let results = Arc::clone(&self.results);
        let (core, ctl, settings) = (Arc::clone(&self.core), self.ctl.clone(), self.settings);
        async move {
            let mut results = results.lock().await;
            match settings.mode {
                Mode::Online => results.fresh.recv().await.transpose(),
                Mode::Offline => ctl.guard(results.final_one(&core, &ctl, &settings)).await,
            }
        }
    }

    /// Of an offline clip: `true` when the next frame is followed, `false` when all are.
    pub fn taken(&self) -> impl Future<Output = Result<bool, EngineError>> + Send + use<P> {
        let (results, entry) = (Arc::clone(&self.results), Arc::clone(&self.entry));
        let core = Arc::clone(&self.core);
        async move {
            let mut results = results.lock().await;
            let Some(result) = results.fresh.recv().await.transpose()? else {
                return Ok(false);
            };
            lock(&entry).tickets.pop_front();
            core.count(std::slice::from_ref(&result));
            results.record.push(without_meshes(&result));
            Ok(true)
        }
    }

    /// The frame whose result was taken no longer counts as waiting.
    pub fn answered(&self, result: &FrameResult) {
        if self.settings.mode == Mode::Offline {
            return; // Counted when it was followed.
        }
        self.entry().tickets.pop_front();
        self.core.count(std::slice::from_ref(result));
    }
}

impl Results {
    /// The next of the results that are gone over again; bodies are posed a few frames at a time.
    async fn final_one<P: Perception>(
        &mut self,
        core: &Core<P>,
        ctl: &JobControl,
        settings: &ClipSettings,
    ) -> Result<Option<FrameResult>, EngineError> {
        if !self.settled {
            settle(core, settings, &mut self.record);
            self.record.reverse();
            self.settled = true;
        }
        if self.done.is_empty() {
            let rest = self.record.len().saturating_sub(READY);
            let mut next = self.record.split_off(rest);
            embody(core, ctl, settings.mesh, &mut next).await?;
            self.done = next;
        }
        Ok(self.done.pop())
    }
}

fn lock(entry: &Mutex<Entry>) -> MutexGuard<'_, Entry> {
    entry.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
