//! A clip: calls in order on one memory, which a failed call leaves as it found it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::call::Call;
use super::control::JobControl;
use super::error::{EngineError, INTERNAL, INVALID_ARGUMENT, SNAPSHOT};
use super::memory::{Memory, is_revised};
use super::order::check_number;
use super::perception::{ClipSettings, Mode, Perception};
use super::result::FrameResult;
use super::shared::Core;
use super::snapshot::{self, Header};
use super::source::FrameInput;
use super::whole::{embody, settle, without_meshes};

/// Frames that belong together. Clones are the same clip.
pub struct Clip<P: Perception> {
    core: Arc<Core<P>>,
    settings: ClipSettings,
    memory: Arc<Mutex<Memory<P::State>>>,
    /// Every result so far, of a clip that is gone over again; without meshes, which are posed anew.
    record: Arc<Mutex<Vec<FrameResult>>>,
}

/// What a snapshot holds, to be written …
#[derive(Serialize)]
struct Kept<'a, S: Serialize> {
    settings: ClipSettings,
    memory: &'a Memory<S>,
    record: &'a [FrameResult],
}

/// … and as it is read.
#[derive(Deserialize)]
struct Found<S> {
    settings: ClipSettings,
    memory: Memory<S>,
    record: Vec<FrameResult>,
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
        Self::with(core, settings, Memory::new(state), Vec::new())
    }

    fn with(
        core: Arc<Core<P>>,
        settings: ClipSettings,
        memory: Memory<P::State>,
        record: Vec<FrameResult>,
    ) -> Self {
        Self {
            core,
            settings,
            memory: Arc::new(Mutex::new(memory)),
            record: Arc::new(Mutex::new(record)),
        }
    }

    /// The clip of a [`Clip::snapshot`], going on where that was taken.
    pub(super) fn resumed(core: Arc<Core<P>>, bytes: &[u8]) -> Result<Self, EngineError> {
        let found: Found<P::State> = snapshot::open(bytes, &header(&core))?;
        let Found {
            settings,
            memory,
            record,
        } = found;
        let fps = settings.fps.is_finite() && settings.fps > 0.0;
        if !fps || memory.last.is_some_and(|last| check_number(last).is_err()) {
            let message = "the snapshot is damaged: its frame rate or number is no number";
            return Err(EngineError::new(SNAPSHOT, message));
        }
        Ok(Self::with(core, settings, memory, record))
    }

    pub fn settings(&self) -> &ClipSettings {
        &self.settings
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
        let (run, settings) = (self.run(ctl, frames), self.settings);
        let (record, ctl) = (Arc::clone(&self.record), ctl.clone());
        async move {
            let (results, memory) = run.await?;
            if settings.mode == Mode::Offline {
                // The memory is still held: the record has the calls' order.
                let kept = results.iter().map(without_meshes);
                ctl.guard(async {
                    record.lock().await.extend(kept);
                    Ok(())
                })
                .await?;
            }
            memory.commit();
            Ok(results)
        }
    }

    /// The call's results, and the memory as it is to be after them.
    fn run(
        &self,
        ctl: &JobControl,
        frames: Vec<FrameInput>,
    ) -> impl Future<Output = Result<(Vec<FrameResult>, Draft<P::State>), EngineError>> + Send + use<P>
    {
        let place = self.core.enter(frames.len());
        let turn = Turn::take(&self.memory);
        let (core, ctl, settings) = (Arc::clone(&self.core), ctl.clone(), self.settings);
        async move {
            let _place = place?;
            ctl.check()?;
            let call = Call::new(Arc::clone(&core), ctl.clone(), settings);
            let done = ctl
                .guard(async {
                    let memory = turn.come().await;
                    let mut next = memory.clone();
                    let results = call.run(frames, &mut next).await?;
                    Ok((results, Draft { memory, next }))
                })
                .await?;
            core.count(&done.0);
            Ok(done)
        }
    }

    /// Everything answered so far, gone over again: see [`super::revise`]. Waits for the calls
    /// before it; the next one starts a new record. After an error the record is as it was.
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
                settle(&clip.core, &clip.settings, &mut results);
                embody(&clip.core, &ctl, clip.settings.mesh, &mut results).await?;
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
        let (run, clip, ctl) = (self.run(ctl, frames), self.clone(), ctl.clone());
        async move {
            let (mut results, memory) = run.await?;
            if clip.settings.mode == Mode::Offline {
                settle(&clip.core, &clip.settings, &mut results);
                ctl.guard(embody(&clip.core, &ctl, clip.settings.mesh, &mut results))
                    .await?;
            }
            memory.commit();
            Ok(results)
        }
    }

    /// The whole memory of the clip, after the calls made before: [`Clip::resumed`] goes on from it
    /// as the clip itself would. The clip stays as it is.
    pub fn snapshot(
        &self,
        ctl: &JobControl,
    ) -> impl Future<Output = Result<Vec<u8>, EngineError>> + Send + use<P> {
        let turn = Turn::take(&self.memory);
        let (clip, ctl) = (self.clone(), ctl.clone());
        async move {
            ctl.check()?;
            clip.core.check_open()?;
            ctl.guard(async {
                let memory = turn.come().await;
                let record = Arc::clone(&clip.record).lock_owned().await;
                let (header, settings) = (header(&clip.core), clip.settings);
                let write = move || {
                    let kept = Kept {
                        settings,
                        memory: &memory,
                        record: &record,
                    };
                    snapshot::seal(&header, &kept)
                };
                let written = tokio::task::spawn_blocking(write).await;
                written.map_err(|e| EngineError::new(INTERNAL, format!("snapshot: {e}")))?
            })
            .await
        }
    }

    /// Whether it is gone over again when all of it is known.
    pub fn is_revised(&self) -> bool {
        is_revised(&self.settings)
    }
}

fn header<P: Perception>(core: &Core<P>) -> Header {
    Header::new(core.version(), core.perception().keypoints())
}

type Guard<S> = OwnedMutexGuard<Memory<S>>;

/// The memory as it is to be; dropped, it stays as it was.
struct Draft<S> {
    memory: Guard<S>,
    next: Memory<S>,
}

impl<S> Draft<S> {
    fn commit(mut self) {
        *self.memory = self.next;
    }
}

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

#[cfg(test)]
#[path = "clip_tests.rs"]
mod tests;
