//! The thread that owns the tensors of one device: it loads networks and serves orders for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tch::Device;

use super::bell::Bell;
use super::post::AnyPost;
use crate::pipeline::error::{EngineError, INTERNAL};
use crate::pipeline::pool::{closed, panicked};
use crate::runtime::threads::OwnerScope;

/// A batch of crops that is not full lets so many searches of frames go first on a card, where a
/// search is short and a full batch is much cheaper per person.
const PATIENCE: u32 = 4;

/// The handle on an owner's thread. Dropping it ends the thread without waiting.
pub struct Desk {
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Desk {
    /// Starts the owner of `device`, which loads every network of `posts` once, one after the
    /// other, and keeps those that are resident. Returns when that is done; blocks.
    ///
    /// `posts`: those nearest to a result first. `threads`: inside each operator on the CPU.
    pub fn start(
        device: Device,
        threads: usize,
        bell: Arc<Bell>,
        posts: Vec<Box<dyn AnyPost>>,
    ) -> Result<Self, EngineError> {
        let (tell, told) = mpsc::channel();
        let own = Arc::clone(&bell);
        let thread = std::thread::Builder::new()
            .name("pose4d-owner".into())
            .spawn(move || {
                let _scope = OwnerScope::enter(threads);
                let patience = if device.is_cuda() { PATIENCE } else { 0 };
                let mut owner = Owner {
                    bell: own,
                    posts,
                    patience,
                    passed: 0,
                };
                let loaded = owner.load_all();
                let failed = loaded.is_err();
                let _ = tell.send(loaded);
                if !failed {
                    owner.work();
                }
                owner.leave();
            })
            .map_err(|e| {
                EngineError::new(
                    INTERNAL,
                    format!("the owner of {device:?} cannot start: {e}"),
                )
            })?;
        let desk = Self {
            bell,
            thread: Mutex::new(Some(thread)),
        };
        match told.recv() {
            Ok(Ok(())) => Ok(desk),
            Ok(Err(why)) => {
                desk.close();
                Err(why)
            }
            Err(_) => Err(EngineError::new(
                INTERNAL,
                format!("the owner of {device:?} ended while it loaded; please report this"),
            )),
        }
    }

    /// Orders are refused from now on; the one being served is finished.
    pub fn begin_close(&self) {
        self.bell.close();
    }

    /// As `begin_close`, then waits for the thread. Again: nothing to do.
    pub fn close(&self) {
        self.begin_close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.begin_close();
    }
}

struct Owner {
    bell: Arc<Bell>,
    posts: Vec<Box<dyn AnyPost>>,
    /// Times a batch that is not full is passed over.
    patience: u32,
    passed: u32,
}

impl Owner {
    fn load_all(&mut self) -> Result<(), EngineError> {
        for post in &mut self.posts {
            catch_unwind(AssertUnwindSafe(|| post.load()))
                .unwrap_or_else(|panic| Err(panicked(panic.as_ref())))?;
            if !post.is_resident() {
                post.release();
            }
        }
        Ok(())
    }

    fn work(&mut self) {
        while let Some(times) = self.bell.times() {
            match self.next() {
                Some(at) => self.serve(at),
                None => self.bell.wait_beyond(times),
            }
        }
    }

    /// The post whose turn it is.
    fn next(&mut self) -> Option<usize> {
        let waiting: Vec<usize> = (0..self.posts.len())
            .filter(|&at| self.posts.get(at).is_some_and(|post| post.waiting() > 0))
            .collect();
        // Loading costs more than anything else: what is loaded now is used first.
        let loaded = |&&at: &&usize| {
            let post = self.posts.get(at);
            post.is_some_and(|post| !post.is_resident() && post.is_loaded())
        };
        if let Some(&at) = waiting.iter().find(loaded) {
            return Some(at);
        }
        let (&first, &last) = (waiting.first()?, waiting.last()?);
        let partial = self.posts.get(first).is_some_and(|post| !post.is_full());
        if partial && first != last && self.passed < self.patience {
            self.passed += 1;
            return Some(last);
        }
        self.passed = 0;
        Some(first)
    }

    fn serve(&mut self, at: usize) {
        let on_demand = |post: &dyn AnyPost| !post.is_resident() && !post.is_loaded();
        if self
            .posts
            .get(at)
            .is_some_and(|post| on_demand(post.as_ref()))
        {
            for post in self.posts.iter_mut().filter(|post| !post.is_resident()) {
                post.release();
            }
        }
        if let Some(post) = self.posts.get_mut(at) {
            post.serve();
        }
    }

    /// The tensors go on the thread that made them.
    fn leave(&mut self) {
        for post in &mut self.posts {
            post.refuse(&closed());
            let _ = catch_unwind(AssertUnwindSafe(|| post.release()));
        }
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
