//! Work with files, off the JS thread: a thread of its own that tells how far it is and can be stopped.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use serde::Serialize;
use serde_json::json;

use super::error::coded;
use super::lifetime::Home;
use crate::cache::error::{ABORTED, CacheError};
use crate::pipeline::control::JobControl;
use crate::pipeline::error::INTERNAL;

/// Takes messages as JSON: any number of `{progress}`, then one `{result}` or `{error}`. One
/// channel for all, so that none overtakes another; it keeps Node alive until the last.
type Tell = ThreadsafeFunction<String, (), String, Status, false>;

/// Progress in bytes is told no more often than this.
const EVERY: Duration = Duration::from_millis(100);

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done: `download`, `verify`, `unpack`, `convert`, …
    pub phase: &'static str,
    /// The model file's id, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub file: String,
    /// Bytes done.
    pub loaded: u64,
    /// Bytes in all, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<f64>,
}

/// A task's view of its caller.
pub struct Task {
    control: Arc<JobControl>,
    tell: Arc<Tell>,
    /// Whether anybody listens to progress.
    listened: bool,
    throttle: Throttle,
}

impl Task {
    /// Whether the caller still wants it.
    pub fn is_wanted(&self) -> bool {
        self.control.check().is_ok()
    }

    /// Tells how far it is, if it is time; false when the caller no longer wants it.
    pub fn report(&mut self, progress: &Progress) -> bool {
        if self.listened && self.throttle.lets_through(progress, Instant::now()) {
            self.say(&json!({ "progress": progress }));
        }
        self.is_wanted()
    }

    fn say(&self, message: &serde_json::Value) {
        // A closing environment no longer listens; there is nobody to tell.
        let _ = self
            .tell
            .call(message.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// Lets the first and last event of each phase of a file through, and ten a second between.
#[derive(Default)]
struct Throttle {
    /// By phase and file: when something was let through, and the bytes it told of.
    last: HashMap<(&'static str, String), (Instant, u64)>,
}

impl Throttle {
    fn lets_through(&mut self, progress: &Progress, now: Instant) -> bool {
        let key = (progress.phase, progress.file.clone());
        let due = self.last.get(&key).is_none_or(|(at, loaded)| {
            let ends = progress.total == Some(progress.loaded) && *loaded != progress.loaded;
            ends || now.duration_since(*at) >= EVERY
        });
        if due {
            self.last.insert(key, (now, progress.loaded));
        }
        due
    }
}

/// Bytes per second over the last moments, and the time left at that rate.
pub struct Meter {
    seen: Vec<(Instant, u64)>,
}

impl Meter {
    /// Longer than a stall between two pieces, short enough to follow a change.
    const WINDOW: Duration = Duration::from_secs(5);

    pub fn new() -> Self {
        Self { seen: Vec::new() }
    }

    /// `(bytes per second, seconds left)`, as far as they can be told.
    pub fn at(
        &mut self,
        now: Instant,
        loaded: u64,
        total: Option<u64>,
    ) -> (Option<f64>, Option<f64>) {
        if self.seen.last().is_none_or(|(at, _)| now.duration_since(*at) >= EVERY) {
            self.seen.push((now, loaded));
            self.seen
                .retain(|(at, _)| now.duration_since(*at) <= Self::WINDOW);
        }
        let Some((start, before)) = self.seen.first() else {
            return (None, None);
        };
        let seconds = now.duration_since(*start).as_secs_f64();
        if seconds < EVERY.as_secs_f64() || loaded < *before {
            return (None, None);
        }
        let rate = (loaded - before) as f64 / seconds;
        let left = total
            .filter(|_| rate > 0.0)
            .map(|total| total.saturating_sub(loaded) as f64 / rate);
        (Some(rate), left)
    }
}

/// Runs `work` on a thread of its own; `tell` hears of its progress (where `listened`) and its end.
pub fn spawn<T: Serialize>(
    env: &Env,
    control: &JobControl,
    tell: Function<'_, String, ()>,
    listened: bool,
    work: impl FnOnce(&mut Task) -> Result<T, CacheError> + Send + 'static,
) -> napi::Result<()> {
    let control = Arc::new(control.clone());
    Home::of(env)?.adopt_task(&control);
    let tell: Tell = tell.build_threadsafe_function().build()?;
    let mut task = Task {
        control,
        tell: Arc::new(tell),
        listened,
        throttle: Throttle::default(),
    };
    let run = move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut task)));
        task.say(&ending(done, task.is_wanted()));
    };
    thread::Builder::new()
        .name("pose4d-models".into())
        .spawn(run)
        .map_err(|error| {
            napi::Error::from_reason(coded(INTERNAL, format!("cannot start a thread: {error}")))
        })?;
    Ok(())
}

fn ending<T: Serialize>(
    done: thread::Result<Result<T, CacheError>>,
    wanted: bool,
) -> serde_json::Value {
    let error = |code, message: String| json!({ "error": { "code": code, "message": message } });
    match done {
        Ok(Ok(result)) => match serde_json::to_value(result) {
            Ok(result) => json!({ "result": result }),
            Err(fault) => error(INTERNAL, format!("the result cannot be passed on: {fault}")),
        },
        // Whatever the work stumbled over when it was told to stop, the stop was the reason.
        Ok(Err(_)) if !wanted => error(ABORTED, "the call was aborted by its caller".into()),
        Ok(Err(fault)) => error(fault.code, fault.message),
        Err(_) => error(
            INTERNAL,
            "a fault of pose4d itself; please report it with what you called".into(),
        ),
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
