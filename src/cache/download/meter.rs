//! Progress as callers see it: rate, time left, at most ten reports a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::request::{Phase, Progress};

/// Shortest time between two reports.
const PAUSE: Duration = Duration::from_millis(100);
/// The rate is the mean over this long.
const MEMORY: Duration = Duration::from_secs(4);

pub struct Meter<'a> {
    report: &'a dyn Fn(Progress),
    phase: Phase,
    loaded: u64,
    total: Option<u64>,
    last: Option<Instant>,
    /// Moments and the bytes that had arrived by then, over the network only.
    samples: VecDeque<(Instant, u64)>,
    arrived: u64,
}

impl<'a> Meter<'a> {
    pub fn new(report: &'a dyn Fn(Progress)) -> Self {
        Self {
            report,
            phase: Phase::Connecting,
            loaded: 0,
            total: None,
            last: None,
            samples: VecDeque::new(),
            arrived: 0,
        }
    }

    pub fn set(&mut self, phase: Phase, loaded: u64, total: Option<u64>) {
        if phase != self.phase {
            self.samples.clear();
        }
        (self.phase, self.loaded, self.total) = (phase, loaded, total);
        self.report_if_due();
    }

    /// `bytes` more have come.
    pub fn add(&mut self, bytes: u64) {
        self.loaded += bytes;
        self.arrived += bytes;
        self.report_if_due();
    }

    pub fn report_if_due(&mut self) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now - last >= PAUSE) {
            self.report_now(now);
        }
    }

    /// The last report of a download: all of it is there.
    pub fn finish(&mut self, bytes: u64) {
        self.loaded = bytes;
        self.total = Some(bytes);
        self.report_now(Instant::now());
    }

    fn report_now(&mut self, now: Instant) {
        self.last = Some(now);
        self.samples.push_back((now, self.arrived));
        while let Some(&(first, _)) = self.samples.front()
            && now - first > MEMORY
        {
            self.samples.pop_front();
        }
        let bytes_per_second = self.rate(now);
        let left = self.total.map(|total| total.saturating_sub(self.loaded));
        let eta = left
            .filter(|_| bytes_per_second > 0.0)
            .map(|left| left as f64 / bytes_per_second);
        (self.report)(Progress {
            phase: self.phase,
            loaded: self.loaded,
            total: self.total,
            bytes_per_second,
            eta,
        });
    }

    fn rate(&self, now: Instant) -> f64 {
        let Some(&(first, bytes)) = self.samples.front() else {
            return 0.0;
        };
        let seconds = (now - first).as_secs_f64();
        if seconds <= 0.0 {
            return 0.0;
        }
        (self.arrived - bytes) as f64 / seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn reports_come_at_most_ten_times_a_second_with_a_rate() {
        let seen = RefCell::new(Vec::new());
        let report = |progress| seen.borrow_mut().push(progress);
        let mut meter = Meter::new(&report);
        let start = Instant::now();
        meter.set(Phase::Downloading, 0, Some(1000));
        while seen.borrow().len() < 5 {
            meter.add(1);
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(start.elapsed() >= 4 * PAUSE);
        meter.finish(1000);
        let seen = seen.borrow();
        assert_eq!(seen.len(), 6);
        let middle = seen[3];
        assert!(middle.bytes_per_second > 0.0, "{middle:?}");
        assert!(middle.eta.unwrap() > 0.0);
        assert_eq!(seen.last().unwrap().loaded, 1000);
    }
}
