//! What wakes the owner of a device when orders come, or nothing will come any more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Rung {
    times: u64,
    closed: bool,
}

/// Wakes the owner when there is something to do.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    waker: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ring(&self) {
        self.lock().times += 1;
        self.waker.notify_one();
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.waker.notify_all();
    }

    /// How often it was rung; `None` once it is closed.
    pub fn times(&self) -> Option<u64> {
        let rung = self.lock();
        (!rung.closed).then_some(rung.times)
    }

    /// Returns when it was rung more often than `times`, or is closed.
    pub fn wait_beyond(&self, times: u64) {
        let mut rung = self.lock();
        while rung.times == times && !rung.closed {
            rung = self
                .waker
                .wait(rung)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
