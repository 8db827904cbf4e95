//! Orders and their outcomes, with a network that is made up.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::pipeline::error::{ABORTED, INTERNAL, MEMORY};
use crate::pipeline::fake::{block_on, quiet_panics};

/// Doubles numbers, `room` at a time; 13 panics, 14 is refused by libtorch.
struct Doubler {
    room: usize,
    ran: Arc<Mutex<Vec<usize>>>,
}

impl Network for Doubler {
    type Item = i32;
    type Outcome = i32;

    fn run(&self, items: &[i32]) -> Result<Vec<i32>, TchError> {
        if items.len() > self.room {
            return Err(TchError::Torch("CUDA out of memory. Tried to".into()));
        }
        self.ran.lock().unwrap().push(items.len());
        assert!(!items.contains(&13), "drawn: the network panics");
        if items.contains(&14) {
            return Err(TchError::Torch("shapes differ\nstack".into()));
        }
        Ok(items.iter().map(|n| n * 2).collect())
    }
}

struct Scene {
    counter: Arc<Counter<Doubler>>,
    post: Post<Doubler>,
    ran: Arc<Mutex<Vec<usize>>>,
    loads: Arc<AtomicUsize>,
}

fn scene(room: usize, batch: usize) -> Scene {
    let counter = Arc::new(Counter::new(Arc::default()));
    let (ran, loads) = (
        Arc::<Mutex<Vec<usize>>>::default(),
        Arc::<AtomicUsize>::default(),
    );
    let (kept, count) = (Arc::clone(&ran), Arc::clone(&loads));
    let open = Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let ran = Arc::clone(&kept);
        Ok(Doubler { room, ran })
    });
    let account = Arc::new(Account::new("doubler", "fp32", "cpu".into(), 7, true));
    let post = Post::new(Arc::clone(&counter), open, account, batch);
    Scene {
        counter,
        post,
        ran,
        loads,
    }
}

impl Scene {
    fn serve_all(&mut self) {
        while self.post.waiting() > 0 {
            self.post.serve();
        }
    }
}

#[test]
fn orders_of_several_calls_go_together_and_answers_find_their_way() {
    let mut scene = scene(99, 4);
    let (a, b) = (JobControl::default(), JobControl::default());
    let (first, second) = (
        scene.counter.order(&a, vec![1, 2, 3]),
        scene.counter.order(&b, vec![10, 20, 30]),
    );
    assert!(scene.post.is_full());
    scene.serve_all();
    assert_eq!(block_on(first).unwrap(), [2, 4, 6]);
    assert_eq!(block_on(second).unwrap(), [20, 40, 60]);
    assert_eq!(*scene.ran.lock().unwrap(), [4, 2]);
    assert!(a.busy_ms() > 0.0 && b.busy_ms() > 0.0);
    let state = scene.post.account.state();
    assert!(state.loaded && state.load_seconds.is_some_and(|s| s > 0.0));
    assert_eq!((state.name, state.bytes), ("doubler", 7));
}

#[test]
fn nothing_ordered_is_nothing_to_wait_for() {
    let scene = scene(9, 4);
    let none = scene.counter.order(&JobControl::default(), Vec::new());
    assert_eq!(block_on(none).unwrap(), Vec::<i32>::new());
}

#[test]
fn what_nobody_wants_any_more_is_not_run() {
    let mut scene = scene(9, 4);
    let (aborted, dropped) = (JobControl::default(), JobControl::default());
    let first = scene.counter.order(&aborted, vec![1, 2]);
    drop(scene.counter.order(&dropped, vec![3]));
    aborted.cancel();
    scene.serve_all();
    assert_eq!(block_on(first).unwrap_err().code, ABORTED);
    assert!(scene.ran.lock().unwrap().is_empty());
    assert_eq!(scene.loads.load(Ordering::SeqCst), 0);
}

#[test]
fn a_device_without_room_gets_half_as_much_and_stays_there() {
    let mut scene = scene(3, 8);
    let ctl = JobControl::default();
    let all = scene.counter.order(&ctl, (0..8).collect());
    scene.serve_all();
    assert_eq!(block_on(all).unwrap(), [0, 2, 4, 6, 8, 10, 12, 14]);
    assert_eq!(*scene.ran.lock().unwrap(), [2, 2, 2, 2]);
    let more = scene.counter.order(&ctl, vec![1, 2, 3]);
    scene.serve_all();
    assert_eq!(block_on(more).unwrap(), [2, 4, 6]);
    assert_eq!(scene.ran.lock().unwrap().last(), Some(&1));
}

#[test]
fn faults_are_told_to_those_they_concern() {
    quiet_panics();
    let mut scene = scene(9, 2);
    let ctl = JobControl::default();
    let bad = scene.counter.order(&ctl, vec![14]);
    scene.serve_all();
    let error = block_on(bad).unwrap_err();
    assert_eq!(error.code, INTERNAL);
    assert!(error.message.contains("shapes differ") && !error.message.contains("stack"));
    let panics = scene.counter.order(&ctl, vec![13]);
    let good = scene.counter.order(&JobControl::default(), vec![1, 2]);
    scene.serve_all();
    // The network it happened to is made anew; who ran with it is told.
    assert_eq!(block_on(panics).unwrap_err().code, INTERNAL);
    assert_eq!(block_on(good).unwrap_err().code, INTERNAL);
    let after = scene.counter.order(&ctl, vec![5]);
    scene.serve_all();
    assert_eq!(block_on(after).unwrap(), [10]);
    assert_eq!(scene.loads.load(Ordering::SeqCst), 2);
    let mut none = self::scene(0, 4);
    let none_fits = none.counter.order(&ctl, vec![1, 2]);
    none.serve_all();
    assert_eq!(block_on(none_fits).unwrap_err().code, MEMORY);
}

#[test]
fn a_closed_counter_refuses_what_waits_and_what_comes() {
    let mut scene = scene(9, 4);
    let ctl = JobControl::default();
    let before = scene.counter.order(&ctl, vec![1]);
    scene.post.refuse(&closed());
    let after = scene.counter.order(&ctl, vec![2]);
    assert_eq!(block_on(before).unwrap_err().code, closed().code);
    assert_eq!(block_on(after).unwrap_err().code, closed().code);
}
