//! Work with files, off the JS thread: a thread of its own that tells how far it is and can be stopped.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
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
use crate::cache::progress::{Progress, Watch};
use crate::pipeline::control::JobControl;
use crate::pipeline::error::INTERNAL;

/// Takes messages as JSON: any number of `{progress}`, then one `{result}` or `{error}`. One
/// channel for all, so that none overtakes another; it keeps Node alive until the last.
type Tell = ThreadsafeFunction<String, (), String, Status, false>;

/// Progress in bytes is told no more often than this.
const EVERY: Duration = Duration::from_millis(100);

/// What the caller is told of a task's progress.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    phase: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    file: &'a str,
    loaded: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_seconds: Option<f64>,
}

/// A task's view of its caller; threads may share it.
pub struct Task {
    control: Arc<JobControl>,
    tell: Tell,
    /// Whether anybody listens to progress.
    listened: bool,
    lanes: Mutex<Lanes>,
}

impl Task {
    /// Whether the caller still wants it.
    pub fn is_wanted(&self) -> bool {
        self.control.check().is_ok()
    }

    /// Runs `work` of the cache; its progress goes to the caller, whose wishes it hears.
    pub fn watched<T>(&self, work: impl FnOnce(Watch) -> T) -> T {
        let tell = |progress: &Progress| self.report(progress);
        let cancelled = || !self.is_wanted();
        work(Watch {
            tell: &tell,
            cancelled: &cancelled,
        })
    }

    /// Tells how far it is, if it is time.
    pub fn report(&self, progress: &Progress) {
        if !self.listened {
            return;
        }
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = lanes.event(progress, Instant::now()) {
            self.say(&json!({ "progress": event }));
        }
    }

    fn say(&self, message: &serde_json::Value) {
        // A closing environment no longer listens; there is nobody to tell.
        let _ = self
            .tell
            .call(message.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// The files in work, each in its phase.
#[derive(Default)]
struct Lanes(HashMap<(&'static str, String), Lane>);

impl Lanes {
    /// Lets the first and last word of each lane through, and ten a second between.
    fn event<'a>(&mut self, progress: &Progress<'a>, now: Instant) -> Option<Event<'a>> {
        let Progress {
            phase,
            model,
            file,
            loaded,
            total,
        } = *progress;
        let lane = self.0.entry((phase, file.to_owned())).or_default();
        let due = lane.told.is_none_or(|(at, before)| {
            let ends = total == Some(loaded) && before != loaded;
            ends || now.duration_since(at) >= EVERY
        });
        if !due {
            return None;
        }
        lane.told = Some((now, loaded));
        let (bytes_per_second, eta_seconds) = lane.rate(now, loaded, total);
        Some(Event {
            phase,
            model: Some(model).filter(|model| !model.is_empty()),
            file,
            loaded,
            total,
            bytes_per_second,
            eta_seconds,
        })
    }
}

/// One file in one phase: what was told of it, and how fast it goes.
#[derive(Default)]
struct Lane {
    told: Option<(Instant, u64)>,
    /// When how many bytes were done, over the last moments.
    seen: VecDeque<(Instant, u64)>,
}

impl Lane {
    /// Longer than a stall between two pieces, short enough to follow a change.
    const WINDOW: Duration = Duration::from_secs(5);

    /// `(bytes per second, seconds left)`, as far as they can be told.
    fn rate(
        &mut self,
        now: Instant,
        loaded: u64,
        total: Option<u64>,
    ) -> (Option<f64>, Option<f64>) {
        // Started over: what came before says nothing about what is left.
        if self.seen.back().is_some_and(|(_, before)| *before > loaded) {
            self.seen.clear();
        }
        self.seen.push_back((now, loaded));
        let is_old = |(at, _): &(Instant, u64)| now.duration_since(*at) > Self::WINDOW;
        while self.seen.len() > 2 && self.seen.front().is_some_and(is_old) {
            self.seen.pop_front();
        }
        let Some((start, before)) = self.seen.front() else {
            return (None, None);
        };
        let seconds = now.duration_since(*start).as_secs_f64();
        if seconds < EVERY.as_secs_f64() {
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
    work: impl FnOnce(&Task) -> Result<T, CacheError> + Send + 'static,
) -> napi::Result<()> {
    let control = Arc::new(control.clone());
    Home::of(env)?.adopt_task(&control);
    let tell: Tell = tell.build_threadsafe_function().build()?;
    let task = Task {
        control,
        tell,
        listened,
        lanes: Mutex::default(),
    };
    let run = move || {
        let done = catch_unwind(AssertUnwindSafe(|| work(&task)));
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
