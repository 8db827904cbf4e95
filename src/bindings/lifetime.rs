//! Engines and tasks end with the Node environment they were made in: a worker thread that is
//! terminated, or the process, must not leave threads computing on what is being torn down.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use napi::Env;

use crate::pipeline::handle::{AnyEngine, AnyWeak};

/// What lives in one environment.
#[derive(Default)]
struct Household {
    engines: Vec<Box<dyn AnyWeak>>,
    tasks: Vec<Weak<AtomicBool>>,
}

static HOMES: LazyLock<Mutex<HashMap<usize, Household>>> = LazyLock::new(Mutex::default);

fn with<T>(work: impl FnOnce(&mut HashMap<usize, Household>) -> T) -> T {
    work(&mut HOMES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Names an environment from any thread.
#[derive(Clone, Copy)]
pub struct Home(usize);

impl Home {
    /// The environment of the running callback, its end watched from now on.
    pub fn of(env: &Env) -> napi::Result<Self> {
        let home = Self(env.raw() as usize);
        let is_new = with(|homes| match homes.entry(home.0) {
            Entry::Vacant(place) => {
                place.insert(Household::default());
                true
            }
            Entry::Occupied(_) => false,
        });
        if is_new {
            env.add_env_cleanup_hook(home, |home| close_all(home.0))?;
        }
        Ok(home)
    }

    /// Ties an engine to it. Where the environment is gone meanwhile, the engine is closed.
    pub fn adopt(self, engine: &dyn AnyEngine) {
        let adopted = with(|homes| match homes.get_mut(&self.0) {
            Some(home) => {
                home.engines.retain(|known| known.upgrade().is_some());
                home.engines.push(engine.downgrade());
                true
            }
            None => false,
        });
        if !adopted {
            engine.begin_close();
        }
    }

    /// Ties a task to it; called in the environment itself, so it is still there.
    pub fn adopt_task(self, cancel: &Arc<AtomicBool>) {
        with(|homes| {
            let home = homes.entry(self.0).or_default();
            home.tasks.retain(|known| known.strong_count() > 0);
            home.tasks.push(Arc::downgrade(cancel));
        });
    }
}

/// Waits for what runs, one stage at most: libtorch must be idle before its statics go.
fn close_all(home: usize) {
    let Household { engines, tasks } = with(|homes| homes.remove(&home)).unwrap_or_default();
    // Not waited for: they touch files only, and files survive being left at any point.
    tasks
        .iter()
        .filter_map(Weak::upgrade)
        .for_each(|cancel| cancel.store(true, Ordering::Relaxed));
    let engines: Vec<_> = engines.iter().filter_map(|weak| weak.upgrade()).collect();
    engines.iter().for_each(|engine| engine.begin_close());
    engines.iter().for_each(|engine| engine.close_blocking());
}
