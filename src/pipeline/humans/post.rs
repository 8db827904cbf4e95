//! One network at a desk: where orders for it are left, and how they are run together.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tch::TchError;
use tokio::sync::oneshot;

use super::bell::Bell;
use super::fault;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::EngineError;
use crate::pipeline::halving::BatchLimit;
use crate::pipeline::lane::Lane;
use crate::pipeline::perception::ModelState;
use crate::pipeline::pool::{closed, panicked};

/// What a desk can run.
pub trait Network: Sized + 'static {
    type Item: Send + 'static;
    type Outcome: Send + 'static;

    /// One outcome per item, the same whatever it runs together with.
    fn run(&self, items: &[Self::Item]) -> Result<Vec<Self::Outcome>, TchError>;
}

/// Something to be run, and the one who waits for it.
struct Order<N: Network> {
    ctl: JobControl,
    item: N::Item,
    reply: oneshot::Sender<Result<N::Outcome, EngineError>>,
}

struct Queue<N: Network> {
    lane: Lane<Order<N>>,
    length: usize,
    closed: bool,
}

/// Where callers leave orders.
pub struct Counter<N: Network> {
    bell: Arc<Bell>,
    queue: Mutex<Queue<N>>,
}

impl<N: Network> Counter<N> {
    pub fn new(bell: Arc<Bell>) -> Self {
        Self {
            bell,
            queue: Mutex::new(Queue {
                lane: Lane::default(),
                length: 0,
                closed: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<N>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves all orders at once, so that they can go through together; the future only waits.
    /// Orders that nobody awaits any more, or whose call is over, are dropped before they run.
    pub fn order(
        &self,
        ctl: &JobControl,
        items: Vec<N::Item>,
    ) -> impl Future<Output = Result<Vec<N::Outcome>, EngineError>> + Send + use<N> {
        let mut waits = Vec::with_capacity(items.len());
        {
            let mut queue = self.lock();
            for item in items {
                let (reply, wait) = oneshot::channel();
                waits.push(wait);
                // Where it is closed, the dropped sender says so.
                if !queue.closed {
                    let ctl = ctl.clone();
                    queue.length += 1;
                    queue.lane.push(ctl.id(), Order { ctl, item, reply });
                }
            }
        }
        self.bell.ring();
        let ctl = ctl.clone();
        async move {
            let mut outcomes = Vec::with_capacity(waits.len());
            for wait in waits {
                let gone = |_| Err(ctl.check().err().unwrap_or_else(closed));
                outcomes.push(wait.await.unwrap_or_else(gone)?);
            }
            Ok(outcomes)
        }
    }

    fn waiting(&self) -> usize {
        self.lock().length
    }

    /// At most `most` orders that are still wanted.
    fn take(&self, most: usize) -> Vec<Order<N>> {
        let mut queue = self.lock();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(order) = queue.lane.pop()
        {
            queue.length -= 1;
            if !order.reply.is_closed() && order.ctl.check().is_ok() {
                taken.push(order);
            }
        }
        taken
    }

    fn close(&self, why: &EngineError) {
        let orders = {
            let mut queue = self.lock();
            queue.closed = true;
            queue.length = 0;
            queue.lane.drain()
        };
        for order in orders {
            let why = order.ctl.check().err().unwrap_or_else(|| why.clone());
            let _ = order.reply.send(Err(why));
        }
    }
}

/// What the owner tells about a network, for health and reports.
pub struct Account {
    pub name: &'static str,
    pub precision: &'static str,
    pub device: String,
    pub bytes: u64,
    pub resident: bool,
    loaded: AtomicBool,
    /// 0: not loaded yet.
    load_ns: AtomicU64,
}

impl Account {
    pub fn new(
        name: &'static str,
        precision: &'static str,
        device: String,
        bytes: u64,
        resident: bool,
    ) -> Self {
        Self {
            name,
            precision,
            device,
            bytes,
            resident,
            loaded: AtomicBool::new(false),
            load_ns: AtomicU64::new(0),
        }
    }

    fn note_load(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.load_ns.store(ns, Ordering::Relaxed);
        self.loaded.store(true, Ordering::Relaxed);
    }

    pub fn state(&self) -> ModelState {
        let ns = self.load_ns.load(Ordering::Relaxed);
        ModelState {
            name: self.name,
            loaded: self.loaded.load(Ordering::Relaxed),
            load_seconds: (ns > 0).then(|| Duration::from_nanos(ns).as_secs_f64()),
            precision: self.precision,
            device: self.device.clone(),
            bytes: self.bytes,
            resident: self.resident,
        }
    }
}

/// A network as its owner sees it, whichever it is.
pub trait AnyPost: Send {
    fn waiting(&self) -> usize;
    /// Whether what waits fills a batch.
    fn is_full(&self) -> bool;
    fn is_loaded(&self) -> bool;
    fn is_resident(&self) -> bool;
    fn load(&mut self) -> Result<(), EngineError>;
    fn release(&mut self);
    /// Runs one batch of what waits.
    fn serve(&mut self);
    /// Answers everybody waiting, now and later, with `why`.
    fn refuse(&mut self, why: &EngineError);
}

/// Makes the network, on its owner's thread.
pub type Open<N> = Box<dyn Fn() -> Result<N, EngineError> + Send>;

pub struct Post<N: Network> {
    counter: Arc<Counter<N>>,
    open: Open<N>,
    account: Arc<Account>,
    /// Items in one run, at most.
    batch: BatchLimit,
    network: Option<N>,
}

impl<N: Network> Post<N> {
    pub fn new(
        counter: Arc<Counter<N>>,
        open: Open<N>,
        account: Arc<Account>,
        batch: usize,
    ) -> Self {
        Self {
            counter,
            open,
            account,
            batch: BatchLimit::new(batch),
            network: None,
        }
    }
}

impl<N: Network + Send> Post<N> {
    /// Outcomes, one for one, and how long they took once the network was there.
    fn run(&mut self, items: &[N::Item]) -> Result<(Vec<N::Outcome>, Duration), EngineError> {
        self.load()?;
        let network = self.network.as_ref().ok_or_else(closed)?;
        let start = Instant::now();
        let outcomes = self.batch.run(items, |part| {
            let outcomes = network.run(part)?;
            match outcomes.len() == part.len() {
                true => Ok(outcomes),
                false => Err(TchError::Shape("not one outcome per person".into())),
            }
        });
        let account = &self.account;
        let outcomes =
            outcomes.map_err(|failed| fault::of(account.name, &account.device, &failed))?;
        Ok((outcomes, start.elapsed()))
    }
}

impl<N: Network + Send> AnyPost for Post<N> {
    fn waiting(&self) -> usize {
        self.counter.waiting()
    }

    fn is_full(&self) -> bool {
        self.counter.waiting() >= self.batch.now()
    }

    fn is_loaded(&self) -> bool {
        self.network.is_some()
    }

    fn is_resident(&self) -> bool {
        self.account.resident
    }

    fn load(&mut self) -> Result<(), EngineError> {
        if self.network.is_none() {
            let start = Instant::now();
            self.network = Some((self.open)()?);
            self.account.note_load(start.elapsed());
        }
        Ok(())
    }

    fn release(&mut self) {
        self.network = None;
        self.account.loaded.store(false, Ordering::Relaxed);
    }

    fn serve(&mut self) {
        let orders = self.counter.take(self.batch.now());
        if orders.is_empty() {
            return;
        }
        let (mut items, mut waits) = (Vec::new(), Vec::new());
        for order in orders {
            items.push(order.item);
            waits.push((order.ctl, order.reply));
        }
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(&items)));
        let (outcomes, spent) = match ran {
            Ok(Ok(done)) => done,
            Ok(Err(why)) => return refuse_all(waits, &why),
            Err(panic) => {
                // Half of something may have been done to it.
                self.release();
                return refuse_all(waits, &panicked(panic.as_ref()));
            }
        };
        let share = spent / u32::try_from(items.len()).unwrap_or(1).max(1);
        for ((ctl, reply), outcome) in waits.into_iter().zip(outcomes) {
            ctl.add_busy(share);
            let _ = reply.send(Ok(outcome));
        }
    }

    fn refuse(&mut self, why: &EngineError) {
        self.counter.close(why);
    }
}

type Wait<T> = (JobControl, oneshot::Sender<Result<T, EngineError>>);

fn refuse_all<T>(waits: Vec<Wait<T>>, why: &EngineError) {
    for (_, reply) in waits {
        let _ = reply.send(Err(why.clone()));
    }
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
