//! Work on the next frames while the chain of a clip follows, with a bound on the frames alive.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::error::EngineError;
use super::pool::panicked;

/// A spawned future that ends with its handle.
pub(super) struct Spawned<T>(JoinHandle<T>);

impl<T: Send + 'static> Spawned<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    pub(super) async fn join(mut self) -> Result<T, EngineError> {
        (&mut self.0).await.map_err(|e| match e.try_into_panic() {
            Ok(panic) => panicked(panic.as_ref()),
            // Only the runtime's own end cancels a task whose handle is still held.
            Err(_) => super::pool::closed(),
        })
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Items that are all there already, as `Ahead::start` takes them.
pub(super) fn all_of<I>(items: impl IntoIterator<Item = I>) -> mpsc::UnboundedReceiver<I> {
    let (sender, receiver) = mpsc::unbounded_channel();
    for item in items {
        // Cannot fail: the receiver is in this very function.
        let _ = sender.send(item);
    }
    receiver
}

/// The started work of a call, in order. Ends early only where the engine closes.
pub(super) struct Ahead<T> {
    started: mpsc::Receiver<Spawned<T>>,
    _feeder: Spawned<()>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts `work` on every item in order, each as soon as `room` has a permit for it.
    ///
    /// Permits are taken one after the other in the order of the items, so the item whose turn
    /// it is always holds one: calls that share `room` cannot block each other for good.
    pub(super) fn start<I, F>(
        room: Arc<Semaphore>,
        mut items: mpsc::UnboundedReceiver<I>,
        window: usize,
        work: impl Fn(I, OwnedSemaphorePermit) -> F + Send + 'static,
    ) -> Self
    where
        I: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, started) = mpsc::channel(window.max(1));
        let feeder = Spawned::new(async move {
            while let Some(item) = items.recv().await {
                let Ok(place) = sender.reserve().await else {
                    return;
                };
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                    return;
                };
                place.send(Spawned::new(work(item, permit)));
            }
        });
        Self {
            started,
            _feeder: feeder,
        }
    }

    /// The next item's outcome; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Result<T, EngineError>> {
        Some(self.started.recv().await?.join().await)
    }
}
