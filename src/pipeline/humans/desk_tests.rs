//! The owner's thread, with networks that are made up.

use std::sync::atomic::{AtomicUsize, Ordering};

use tch::TchError;

use super::*;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{CLOSED, MODEL_FILE};
use crate::pipeline::fake::block_on;
use crate::pipeline::humans::post::{Account, Counter, Network, Open, Post};

/// How many networks are in memory.
static HELD: AtomicUsize = AtomicUsize::new(0);

type Log = Arc<Mutex<Vec<(&'static str, usize)>>>;

struct Echo {
    name: &'static str,
    log: Log,
    counted: bool,
}

impl Drop for Echo {
    fn drop(&mut self) {
        if self.counted {
            HELD.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Network for Echo {
    type Item = u32;
    type Outcome = (u32, String);

    fn run(&self, items: &[u32]) -> Result<Vec<(u32, String)>, TchError> {
        self.log.lock().unwrap().push((self.name, items.len()));
        std::thread::sleep(std::time::Duration::from_millis(2));
        let thread = format!("{:?}", std::thread::current().id());
        Ok(items.iter().map(|n| (*n, thread.clone())).collect())
    }
}

fn post(
    bell: &Arc<Bell>,
    name: &'static str,
    resident: bool,
    log: &Log,
) -> (Arc<Counter<Echo>>, Box<dyn AnyPost>) {
    let counter = Arc::new(Counter::new(Arc::clone(bell)));
    let log = Arc::clone(log);
    let open: Open<Echo> = Box::new(move || {
        if !resident {
            let held = HELD.fetch_add(1, Ordering::SeqCst);
            assert_eq!(held, 0, "one after the other");
        }
        Ok(Echo {
            name,
            log: Arc::clone(&log),
            counted: !resident,
        })
    });
    let account = Arc::new(Account::new(name, "fp32", "cpu".into(), 0, resident));
    let post = Post::new(Arc::clone(&counter), open, account, 4);
    (counter, Box::new(post))
}

#[test]
fn everything_is_run_by_one_thread_and_ends_with_it() {
    let (bell, log) = (Arc::<Bell>::default(), Log::default());
    let (near, near_post) = post(&bell, "near", true, &log);
    let (far, far_post) = post(&bell, "far", true, &log);
    let desk = Desk::start(Device::Cpu, 1, bell, vec![near_post, far_post]).unwrap();
    let ctl = JobControl::default();
    let waits: Vec<_> = (0..5)
        .map(|n| (far.order(&ctl, vec![n]), near.order(&ctl, vec![n, n + 1])))
        .collect();
    let mut threads = std::collections::BTreeSet::new();
    for (n, (one, two)) in waits.into_iter().enumerate() {
        let (one, two) = (block_on(one).unwrap(), block_on(two).unwrap());
        assert_eq!(one[0].0, n as u32);
        assert_eq!([two[0].0, two[1].0], [n as u32, n as u32 + 1]);
        threads.extend(one.into_iter().chain(two).map(|(_, thread)| thread));
    }
    assert_eq!(threads.len(), 1);
    assert!(!threads.contains(&format!("{:?}", std::thread::current().id())));
    // What is nearest to a result goes first, whatever came first.
    let order: Vec<_> = log.lock().unwrap().iter().map(|(name, _)| *name).collect();
    let last_near = order.iter().rposition(|name| *name == "near").unwrap();
    let fars_before = order[..last_near].iter().filter(|n| **n == "far").count();
    assert!(fars_before <= 1, "{order:?}");
    desk.close();
    desk.close();
    let late = block_on(near.order(&ctl, vec![9])).unwrap_err();
    assert_eq!(late.code, CLOSED);
}

#[test]
fn networks_on_demand_are_held_one_at_a_time_and_used_while_they_are() {
    let (bell, log) = (Arc::<Bell>::default(), Log::default());
    let (near, near_post) = post(&bell, "near", false, &log);
    let (far, far_post) = post(&bell, "far", false, &log);
    // Each is loaded once at the start, to find out whether it can be.
    let desk = Desk::start(Device::Cpu, 1, bell, vec![near_post, far_post]).unwrap();
    let ctl = JobControl::default();
    let mut waits = Vec::new();
    for n in 0..6 {
        waits.push(far.order(&ctl, vec![n]));
        waits.push(near.order(&ctl, vec![n]));
    }
    for wait in waits {
        block_on(wait).unwrap();
    }
    let log = log.lock().unwrap().clone();
    let changes = log.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
    assert!(changes <= 2, "{log:?}");
    desk.close();
    assert_eq!(HELD.load(Ordering::SeqCst), 0);
}

#[test]
fn a_network_that_cannot_be_loaded_is_told_at_the_start() {
    let bell = Arc::<Bell>::default();
    let counter = Arc::new(Counter::<Echo>::new(Arc::clone(&bell)));
    let open: Open<Echo> = Box::new(|| Err(EngineError::new(MODEL_FILE, "no such weights")));
    let account = Arc::new(Account::new("echo", "fp32", "cpu".into(), 0, true));
    let bad = Box::new(Post::new(Arc::clone(&counter), open, account, 1));
    let error = Desk::start(Device::Cpu, 1, bell, vec![bad]).err().unwrap();
    assert_eq!(error.code, MODEL_FILE);
    let refused = block_on(counter.order(&JobControl::default(), vec![1]));
    assert_eq!(refused.unwrap_err().code, CLOSED);
}

#[test]
fn on_a_card_a_batch_that_is_not_full_waits_for_a_few_searches() {
    let (bell, log) = (Arc::<Bell>::default(), Log::default());
    let (near, near_post) = post(&bell, "near", true, &log);
    let (far, far_post) = post(&bell, "far", true, &log);
    let mut owner = Owner {
        bell,
        posts: vec![near_post, far_post],
        patience: PATIENCE,
        passed: 0,
    };
    let ctl = JobControl::default();
    let waits: Vec<_> = (0..9).map(|n| far.order(&ctl, vec![n])).collect();
    let crop = near.order(&ctl, vec![1]);
    let turns: Vec<_> = (0..6).map(|_| owner.next().unwrap()).collect();
    assert_eq!(turns, [1, 1, 1, 1, 0, 1]);
    let more = near.order(&ctl, vec![2, 3, 4]);
    assert_eq!(owner.next(), Some(0), "a full batch does not wait");
    drop((waits, crop, more));
}
