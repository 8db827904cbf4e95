//! One call's life: whether it is still wanted, until when, and how much work it has cost.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::error::{ABORTED, EngineError, TIMEOUT};

static NEXT_JOB: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
struct Job {
    id: u64,
    cancelled: AtomicBool,
    timeout: Option<(Instant, Duration)>,
    wake: Notify,
}

/// The named parts of a meter, in the order in which they were first asked for.
type Stages = Mutex<Vec<(&'static str, Arc<AtomicU64>)>>;

/// Handed along with every piece of a call's work. Clones share the call and the meter;
/// [`JobControl::metered`] starts a meter of its own.
#[derive(Clone, Debug)]
pub struct JobControl {
    job: Arc<Job>,
    busy_ns: Arc<AtomicU64>,
    stages: Arc<Stages>,
}

impl Default for JobControl {
    fn default() -> Self {
        Self::new(None)
    }
}

impl JobControl {
    /// The time limit runs from here; `None`: no limit.
    pub fn new(timeout: Option<Duration>) -> Self {
        // A limit beyond what the clock can express is no limit.
        let timeout = timeout.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        let job = Job {
            id: NEXT_JOB.fetch_add(1, Ordering::Relaxed),
            cancelled: AtomicBool::new(false),
            timeout,
            wake: Notify::new(),
        };
        Self {
            job: Arc::new(job),
            busy_ns: Arc::default(),
            stages: Arc::default(),
        }
    }

    /// Different for every call of the process.
    pub fn id(&self) -> u64 {
        self.job.id
    }

    /// The same call with a meter that starts at zero.
    pub fn metered(&self) -> Self {
        Self {
            job: Arc::clone(&self.job),
            busy_ns: Arc::default(),
            stages: Arc::default(),
        }
    }

    /// The same call and meter; what is spent under the result counts for the stage `name`.
    pub fn stage(&self, name: &'static str) -> Self {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let known = stages.iter().find(|(known, _)| *known == name);
        let busy_ns = match known {
            Some((_, busy_ns)) => Arc::clone(busy_ns),
            None => {
                let busy_ns = Arc::<AtomicU64>::default();
                stages.push((name, Arc::clone(&busy_ns)));
                busy_ns
            }
        };
        Self {
            job: Arc::clone(&self.job),
            busy_ns,
            stages: Arc::clone(&self.stages),
        }
    }

    /// Milliseconds spent under this meter by stage; all of them as `whole` where it has none.
    pub fn timings(&self, whole: &'static str) -> Vec<(&'static str, f64)> {
        let stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if stages.is_empty() {
            return vec![(whole, self.busy_ms())];
        }
        let ms = |ns: &AtomicU64| ns.load(Ordering::Relaxed) as f64 / 1e6;
        stages.iter().map(|(name, ns)| (*name, ms(ns))).collect()
    }

    /// Milliseconds that workers have spent under this meter, waiting not counted.
    pub fn busy_ms(&self) -> f64 {
        self.busy_ns.load(Ordering::Relaxed) as f64 / 1e6
    }

    pub(super) fn add_busy(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    pub fn cancel(&self) {
        self.job.cancelled.store(true, Ordering::SeqCst);
        self.job.wake.notify_waiters();
    }

    /// The reason why the call is no longer wanted, if so.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.job.cancelled.load(Ordering::SeqCst) {
            return Err(EngineError::new(
                ABORTED,
                "the call was aborted by its caller",
            ));
        }
        match self.job.timeout {
            Some((deadline, limit)) if Instant::now() >= deadline => Err(EngineError::new(
                TIMEOUT,
                format!(
                    "the call did not finish within timeoutMs = {}; send fewer frames per call or allow more time",
                    limit.as_millis()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Resolves when the call is aborted or out of time; never otherwise.
    pub async fn stopped(&self) -> EngineError {
        loop {
            let mut wake = pin!(self.job.wake.notified());
            // Registered before the check, so that a cancel in between is not missed.
            wake.as_mut().enable();
            if let Err(reason) = self.check() {
                return reason;
            }
            match self.job.timeout {
                Some((deadline, _)) => {
                    let _ = tokio::time::timeout_at(deadline.into(), wake).await;
                }
                None => wake.await,
            }
        }
    }

    /// Runs `work` until it is done or the call is no longer wanted; then `work` is dropped.
    pub async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let mut stopped = pin!(self.stopped());
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(reason) = stopped.as_mut().poll(cx) {
                return Poll::Ready(Err(reason));
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_keep_their_own_time_in_the_order_asked_for() {
        let meter = JobControl::default().metered();
        meter.add_busy(Duration::from_millis(5));
        assert_eq!(meter.timings("look"), [("look", 5.0)]);
        meter.stage("detect").add_busy(Duration::from_millis(2));
        meter.stage("crop");
        meter.stage("detect").add_busy(Duration::from_millis(1));
        assert_eq!(meter.timings("look"), [("detect", 3.0), ("crop", 0.0)]);
        assert_eq!(meter.metered().timings("look"), [("look", 0.0)]);
    }
}
