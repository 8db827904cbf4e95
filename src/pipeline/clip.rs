//! A clip: calls in order on one memory, which a failed call leaves as it found it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::call::{Call, Memory};
use super::control::JobControl;
use super::error::EngineError;
use super::perception::{ClipSettings, Perception};
use super::result::FrameResult;
use super::shared::Core;
use super::source::FrameInput;

/// Frames that belong together. Clones are the same clip.
pub struct Clip<P: Perception> {
    core: Arc<Core<P>>,
    settings: ClipSettings,
    memory: Arc<Mutex<Memory<P::State>>>,
}

impl<P: Perception> Clone for Clip<P> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            settings: self.settings,
            memory: Arc::clone(&self.memory),
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
                    Ok(results)
                })
                .await?;
            core.count(&results);
            Ok(results)
        }
    }
}

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
