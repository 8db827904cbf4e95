//! Engines end with the Node environment they were made in: a worker thread that is terminated,
//! or the process, must not leave threads computing on what is being torn down.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{LazyLock, Mutex, PoisonError};

use napi::Env;

use super::model::Model;
use crate::pipeline::engine::{Engine, WeakEngine};

static ENGINES: LazyLock<Mutex<HashMap<usize, Vec<WeakEngine<Model>>>>> =
    LazyLock::new(Mutex::default);

fn with<T>(work: impl FnOnce(&mut HashMap<usize, Vec<WeakEngine<Model>>>) -> T) -> T {
    work(&mut ENGINES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Names an environment from any thread.
#[derive(Clone, Copy)]
pub struct Home(usize);

impl Home {
    /// The environment of the running callback, its end watched from now on.
    pub fn of(env: &Env) -> napi::Result<Self> {
        let home = Self(env.raw() as usize);
        let is_new = with(|engines| match engines.entry(home.0) {
            Entry::Vacant(place) => {
                place.insert(Vec::new());
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
    pub fn adopt(self, engine: &Engine<Model>) {
        let adopted = with(|engines| match engines.get_mut(&self.0) {
            Some(list) => {
                list.retain(|known| known.upgrade().is_some());
                list.push(engine.downgrade());
                true
            }
            None => false,
        });
        if !adopted {
            engine.begin_close();
        }
    }
}

/// Waits for what runs, one stage at most: libtorch must be idle before its statics go.
fn close_all(home: usize) {
    let engines = with(|engines| engines.remove(&home)).unwrap_or_default();
    let engines: Vec<_> = engines.iter().filter_map(WeakEngine::upgrade).collect();
    engines.iter().for_each(Engine::begin_close);
    engines.iter().for_each(Engine::close_blocking);
}
