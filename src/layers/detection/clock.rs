//! How long each stage of a detector took.

use std::time::Instant;

pub struct Clock {
    last: Instant,
    pub laps: Vec<(&'static str, f64)>,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            last: Instant::now(),
            laps: Vec::new(),
        }
    }

    /// Notes the seconds since the last lap under `name`.
    pub fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        self.laps.push((name, (now - self.last).as_secs_f64()));
        self.last = now;
    }
}
