//! The worker threads: each owns what it runs on; callers send work and await its outcome.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::control::JobControl;
use super::error::{CLOSED, EngineError, INTERNAL};
use super::lane::Lane;

/// Which work goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The sequential chain of a clip: everything else of the clip waits for it.
    Follow,
    /// Work on frames whose turn is still to come.
    Ahead,
}

type Factory<W> = dyn Fn(usize) -> Result<W, EngineError> + Send + Sync;

/// What became of a task on a worker.
#[derive(PartialEq)]
enum Outcome {
    Fine,
    /// The worker's own things may be half changed and are built anew.
    Panicked,
}

/// A piece of work together with the one who waits for it.
trait Task<W>: Send {
    /// Nobody wants the outcome any more.
    fn unwanted(&self) -> bool;
    fn run(self: Box<Self>, worker: &mut W) -> Outcome;
    fn refuse(self: Box<Self>, why: EngineError);
}

struct Work<T, F> {
    ctl: JobControl,
    work: F,
    reply: oneshot::Sender<Result<T, EngineError>>,
}

impl<W, T, F> Task<W> for Work<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut W) -> T + Send + 'static,
{
    fn unwanted(&self) -> bool {
        self.reply.is_closed() || self.ctl.check().is_err()
    }

    fn run(self: Box<Self>, worker: &mut W) -> Outcome {
        let Self { ctl, work, reply } = *self;
        let start = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| work(worker)));
        ctl.add_busy(start.elapsed());
        match done {
            Ok(value) => {
                let _ = reply.send(Ok(value));
                Outcome::Fine
            }
            Err(panic) => {
                let _ = reply.send(Err(panicked(panic.as_ref())));
                Outcome::Panicked
            }
        }
    }

    fn refuse(self: Box<Self>, why: EngineError) {
        let why = self.ctl.check().err().unwrap_or(why);
        let _ = self.reply.send(Err(why));
    }
}

/// A panic as an error: what it said, and that it is ours to repair.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> EngineError {
    let said = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    EngineError::new(
        INTERNAL,
        format!("a worker failed unexpectedly ({said}); please report this"),
    )
}

pub(super) fn closed() -> EngineError {
    EngineError::new(
        CLOSED,
        "the engine is closed; create a new one with createEngine()",
    )
}

type Built = oneshot::Sender<Result<Duration, EngineError>>;

struct State<W> {
    follow: Lane<Box<dyn Task<W>>>,
    ahead: Lane<Box<dyn Task<W>>>,
    /// Per worker: those who wait for it to be built.
    builds: Vec<Vec<Built>>,
    closed: bool,
}

struct Shared<W> {
    state: Mutex<State<W>>,
    work_or_close: Condvar,
    /// Counts whatever may concern an idle worker.
    events: AtomicU64,
    factory: Box<Factory<W>>,
}

impl<W> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // No code of others runs under the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_close(&self) {
        let refused = {
            let mut state = self.lock();
            state.closed = true;
            state.builds.iter_mut().for_each(Vec::clear);
            let mut tasks = state.follow.drain();
            tasks.extend(state.ahead.drain());
            tasks
        };
        self.events.fetch_add(1, Ordering::Release);
        self.work_or_close.notify_all();
        for task in refused {
            task.refuse(closed());
        }
    }
}

/// Ends the threads when the last handle goes; `Pool::close` also waits for them.
struct Handle<W> {
    shared: Arc<Shared<W>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    count: usize,
}

impl<W> Drop for Handle<W> {
    fn drop(&mut self) {
        self.shared.begin_close();
    }
}

/// `N` threads, each with one `W` that it built itself and never gives away.
///
/// Nothing here bounds the number of waiting tasks: every task has a caller who awaits it, and
/// the engine bounds the callers.
pub struct Pool<W>(Arc<Handle<W>>);

impl<W> Clone for Pool<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: 'static> Pool<W> {
    /// Starts the threads; `factory(index)` runs on thread `index` when it is first needed, and
    /// again after a panic.
    pub fn new(
        threads: usize,
        factory: impl Fn(usize) -> Result<W, EngineError> + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let count = threads.max(1);
        let state = State {
            follow: Lane::default(),
            ahead: Lane::default(),
            builds: (0..count).map(|_| Vec::new()).collect(),
            closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work_or_close: Condvar::new(),
            events: AtomicU64::new(0),
            factory: Box::new(factory),
        });
        // The handle comes first: should a thread not start, its drop ends those that did.
        let pool = Self(Arc::new(Handle {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
            count,
        }));
        for index in 0..count {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("pose4d-{index}"))
                .spawn(move || work_until_closed(&shared, index))
                .map_err(|e| {
                    EngineError::new(
                        INTERNAL,
                        format!("worker thread {index} of {count} could not be started: {e}"),
                    )
                })?;
            pool.0
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
        }
        Ok(pool)
    }

    pub fn threads(&self) -> usize {
        self.0.count
    }

    /// Queues `work` at once; the future only waits. Work that nobody awaits any more, or whose
    /// call is aborted or out of time, is dropped before it runs.
    pub fn run<T, F>(
        &self,
        ctl: &JobControl,
        priority: Priority,
        work: F,
    ) -> impl Future<Output = Result<T, EngineError>> + Send + use<W, T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut W) -> T + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        self.push(
            priority,
            Work {
                ctl: ctl.clone(),
                work,
                reply,
            },
        );
        let ctl = ctl.clone();
        async move {
            // A task dropped unanswered was unwanted; its call says why.
            outcome
                .await
                .unwrap_or_else(|_| Err(ctl.check().err().unwrap_or_else(closed)))
        }
    }

    fn push<T, F>(&self, priority: Priority, task: Work<T, F>)
    where
        T: Send + 'static,
        F: FnOnce(&mut W) -> T + Send + 'static,
    {
        let task_of = task.ctl.id();
        let task: Box<dyn Task<W>> = Box::new(task);
        let shared = &self.0.shared;
        {
            let mut state = shared.lock();
            if state.closed {
                drop(state);
                return task.refuse(closed());
            }
            match priority {
                Priority::Follow => state.follow.push(task_of, task),
                Priority::Ahead => state.ahead.push(task_of, task),
            }
        }
        shared.events.fetch_add(1, Ordering::Release);
        shared.work_or_close.notify_one();
    }

    /// Builds every worker that is not built yet; says how long the slowest took.
    pub async fn build(&self) -> Result<Duration, EngineError> {
        let waits: Vec<_> = {
            let mut state = self.0.shared.lock();
            if state.closed {
                return Err(closed());
            }
            let order = |waiting: &mut Vec<Built>| {
                let (built, wait) = oneshot::channel();
                waiting.push(built);
                wait
            };
            state.builds.iter_mut().map(order).collect()
        };
        self.0.shared.events.fetch_add(1, Ordering::Release);
        self.0.shared.work_or_close.notify_all();
        let mut slowest = Duration::ZERO;
        for wait in waits {
            slowest = slowest.max(wait.await.unwrap_or_else(|_| Err(closed()))?);
        }
        Ok(slowest)
    }

    /// Refuses new work, answers waiting work with `ERR_POSE4D_CLOSED`; running tasks finish.
    pub fn begin_close(&self) {
        self.0.shared.begin_close();
    }

    /// As `begin_close`, then waits for the threads to end. Again: nothing to do.
    /// Blocks; not for a thread that must not, nor for a worker.
    pub fn close(&self) {
        self.begin_close();
        let threads = std::mem::take(
            &mut *self
                .0
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for thread in threads {
            let _ = thread.join();
        }
    }
}

enum Next<W> {
    Build(Built),
    Run(Box<dyn Task<W>>),
}

fn next<W>(shared: &Shared<W>, index: usize) -> Option<Next<W>> {
    let mut state = shared.lock();
    let mut awake = true;
    loop {
        if state.closed {
            return None;
        }
        if let Some(build) = state.builds.get_mut(index).and_then(Vec::pop) {
            return Some(Next::Build(build));
        }
        if let Some(task) = state.follow.pop().or_else(|| state.ahead.pop()) {
            return Some(Next::Run(task));
        }
        if awake {
            awake = false;
            let seen = shared.events.load(Ordering::Acquire);
            drop(state);
            linger(&shared.events, seen);
            state = shared.lock();
            continue;
        }
        state = shared
            .work_or_close
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// The steps of a frame follow each other closely, and waking a thread takes longer than that: an
/// idle worker stays awake this long before it sleeps, giving way to whoever wants the core.
const LINGER: Duration = Duration::from_micros(100);

fn linger(events: &AtomicU64, seen: u64) {
    let until = Instant::now() + LINGER;
    while events.load(Ordering::Acquire) == seen && Instant::now() < until {
        std::thread::yield_now();
    }
}

fn work_until_closed<W>(shared: &Shared<W>, index: usize) {
    let mut worker: Option<W> = None;
    while let Some(next) = next(shared, index) {
        match next {
            Next::Build(reply) => {
                let start = Instant::now();
                let built = ready(&mut worker, shared, index).map(|_| start.elapsed());
                let _ = reply.send(built);
            }
            Next::Run(task) if task.unwanted() => drop(task),
            Next::Run(task) => match ready(&mut worker, shared, index) {
                Err(why) => task.refuse(why),
                Ok(ready) => {
                    if task.run(ready) == Outcome::Panicked {
                        discard(&mut worker);
                    }
                }
            },
        }
    }
    discard(&mut worker);
}

/// A drop that panics must not end the thread.
fn discard<W>(worker: &mut Option<W>) {
    let _ = catch_unwind(AssertUnwindSafe(|| *worker = None));
}

fn ready<'a, W>(
    worker: &'a mut Option<W>,
    shared: &Shared<W>,
    index: usize,
) -> Result<&'a mut W, EngineError> {
    let built = match worker.take() {
        Some(built) => built,
        None => catch_unwind(AssertUnwindSafe(|| (shared.factory)(index)))
            .unwrap_or_else(|panic| Err(panicked(panic.as_ref())))?,
    };
    Ok(worker.insert(built))
}
