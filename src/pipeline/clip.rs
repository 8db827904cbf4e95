//! A clip: calls in order on one memory, which a failed call leaves as it found it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::call::{Call, Memory};
use super::control::JobControl;
use super::error::{EngineError, INVALID_ARGUMENT};
use super::perception::{ClipSettings, Mode, Perception};
use super::result::FrameResult;
use super::revise::revise;
use super::shared::Core;
use super::source::FrameInput;

/// Frames that belong together. Clones are the same clip.
pub struct Clip<P: Perception> {
    core: Arc<Core<P>>,
    settings: ClipSettings,
    memory: Arc<Mutex<Memory<P::State>>>,
    /// Every result so far, of a clip that is gone over again.
    record: Arc<Mutex<Vec<FrameResult>>>,
}

impl<P: Perception> Clone for Clip<P> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            settings: self.settings,
            memory: Arc::clone(&self.memory),
            record: Arc::clone(&self.record),
        }
    }
}

impl<P: Perception> Clip<P> {
    pub(super) fn new(core: Arc<Core<P>>, settings: ClipSettings) -> Self {
        let state = core.perception().new_state(&settings);
        let memory = Arc::new(Mutex::new(Memory {
            state,
            index: 0,
            last: None,
        }));
        Self {
            core,
            settings,
            memory,
            record: Arc::default(),
        }
    }

    /// The same clip, with meshes in the results or without.
    pub fn with_mesh(&self, mesh: bool) -> Self {
        let settings = ClipSettings {
            mesh,
            ..self.settings
        };
        Self {
            settings,
            ..self.clone()
        }
    }

    /// One result per frame, in the order given. The call has its place in the clip's order (and
    /// in the engine's queue) from here on, before the future is first polled.
    pub fn process(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
    ) -> impl Future<Output = Result<Vec<FrameResult>, EngineError>> + Send + use<P> {
        let place = self.core.enter(frames.len());
        let turn = Turn::take(&self.memory);
        let (core, ctl, settings) = (Arc::clone(&self.core), ctl.clone(), self.settings);
        let record = Arc::clone(&self.record);
        async move {
            let _place = place?;
            ctl.check()?;
            let call = Call::new(Arc::clone(&core), ctl.clone(), settings);
            let results = ctl
                .guard(async {
                    let mut memory = turn.come().await;
                    let mut next = memory.clone();
                    let results = call.run(frames, &mut next).await?;
                    *memory = next;
                    if settings.mode == Mode::Offline {
                        record.lock().await.extend(results.iter().cloned());
                    }
                    Ok(results)
                })
                .await?;
            core.count(&results);
            Ok(results)
        }
    }
}

impl<P: Perception> Clip<P> {
    /// Everything answered so far, gone over again: see [`revise`]. Waits for the calls before it;
    /// the next one starts a new record. After an error the record is as it was.
    pub fn finish(
        &self,
        ctl: &JobControl,
    ) -> impl Future<Output = Result<Vec<FrameResult>, EngineError>> + Send + use<P> {
        let turn = Turn::take(&self.memory);
        let (clip, ctl) = (self.clone(), ctl.clone());
        async move {
            ctl.check()?;
            clip.core.check_open()?;
            if clip.settings.mode == Mode::Online {
                let message = "finish() is for clips opened with mode: 'offline'";
                return Err(EngineError::new(INVALID_ARGUMENT, message));
            }
            ctl.guard(async {
                let _memory = turn.come().await;
                let mut record = clip.record.lock().await;
                let mut results = record.clone();
                clip.revise(&ctl, &mut results).await?;
                record.clear();
                Ok(results)
            })
            .await
        }
    }

    /// Frames that are the whole clip: where it is gone over again, that is the answer.
    pub fn run_whole(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
    ) -> impl Future<Output = Result<Vec<FrameResult>, EngineError>> + Send + use<P> {
        let (process, clip, ctl) = (self.process(ctl, frames), self.clone(), ctl.clone());
        async move {
            let results = process.await?;
            match clip.settings.mode {
                Mode::Offline => clip.finish(&ctl).await,
                Mode::Online => Ok(results),
            }
        }
    }

    async fn revise(
        &self,
        ctl: &JobControl,
        results: &mut [FrameResult],
    ) -> Result<(), EngineError> {
        let places = revise(results);
        for part in places.chunks(EMBODIED_AT_ONCE) {
            let person = |&(frame, at): &(usize, usize)| {
                let result = results.get(frame)?;
                result.persons.get(at).cloned()
            };
            let people = part.iter().filter_map(person).collect();
            let (core, mesh) = (&self.core, self.settings.mesh);
            let embodied = core.perception().embody(ctl, people, mesh).await?;
            for (&(frame, at), person) in part.iter().zip(embodied) {
                let place = results.get_mut(frame).and_then(|r| r.persons.get_mut(at));
                if let Some(place) = place {
                    *place = person;
                }
            }
        }
        Ok(())
    }
}

/// Bodies asked for at a time: their meshes are 83 kB each.
const EMBODIED_AT_ONCE: usize = 64;

type Guard<S> = OwnedMutexGuard<Memory<S>>;

/// A place in the queue for the clip's memory.
enum Turn<S> {
    Held(Guard<S>),
    Waiting(Pin<Box<dyn Future<Output = Guard<S>> + Send>>),
}

impl<S: Send + 'static> Turn<S> {
    /// The lock is fair, and its queue is joined at the first poll: so that one happens here.
    fn take(memory: &Arc<Mutex<Memory<S>>>) -> Self {
        let mut wait = Box::pin(Arc::clone(memory).lock_owned());
        match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(guard) => Self::Held(guard),
            Poll::Pending => Self::Waiting(wait),
        }
    }

    async fn come(self) -> Guard<S> {
        match self {
            Self::Held(guard) => guard,
            Self::Waiting(wait) => wait.await,
        }
    }
}
