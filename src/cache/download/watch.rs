//! Waiting that can be cancelled, reports how it stands, and shows that its process lives.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fault::Failure;
use super::meter::Meter;
use super::partial::Partial;

/// How soon a cancellation is noticed.
const TICK: Duration = Duration::from_millis(50);

pub struct Watch<'a> {
    pub meter: Meter<'a>,
    cancel: &'a AtomicBool,
}

impl<'a> Watch<'a> {
    pub fn new(meter: Meter<'a>, cancel: &'a AtomicBool) -> Self {
        Self { meter, cancel }
    }

    /// To be called every few milliseconds of work.
    pub fn tick(&mut self) -> Result<(), Failure> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Failure::cancelled());
        }
        self.meter.report_if_due();
        Ok(())
    }

    /// Awaits `future` for at most `limit`; `None` when that was not enough.
    pub async fn during<F: Future>(
        &mut self,
        mut partial: Option<&mut Partial>,
        limit: Duration,
        future: F,
    ) -> Result<Option<F::Output>, Failure> {
        let mut future = pin!(future);
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            if let Ok(output) = tokio::time::timeout(left.min(TICK), &mut future).await {
                return Ok(Some(output));
            }
            self.tick()?;
            if let Some(partial) = partial.as_deref_mut() {
                partial.beat()?;
            }
            if start.elapsed() >= limit {
                return Ok(None);
            }
        }
    }

    pub async fn sleep(
        &mut self,
        partial: Option<&mut Partial>,
        time: Duration,
    ) -> Result<(), Failure> {
        self.tick()?;
        self.during(partial, time, std::future::pending::<()>())
            .await
            .map(|_| ())
    }
}
