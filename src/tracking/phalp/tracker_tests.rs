//! Who is whom, with networks that count how often they are asked.

use super::*;
use crate::tracking::phalp::features::{POSE, Place};

/// Looks at textures by their first colour, and counts.
#[derive(Default)]
struct Counting {
    looks: usize,
    fails: bool,
}

impl Networks for Counting {
    type Error = String;

    async fn poses(&mut self, tracks: &[&Track]) -> Result<Poses, String> {
        Ok(vec![None; tracks.len()])
    }

    async fn texture_distances(&mut self, pairs: &[TexturePair]) -> Result<Vec<f64>, String> {
        self.looks += pairs.len();
        if self.fails {
            return Err("out of order".into());
        }
        let distance = |(a, b): &TexturePair| f64::from(a.colour[0] - b.colour[0]).powi(2);
        Ok(pairs.iter().map(distance).collect())
    }
}

fn person(time: i64, x: f64, shade: f32) -> Detection {
    Detection {
        time,
        score: 0.9,
        pose: vec![0.1; POSE].into(),
        place: Place::measured([x, 0.5], [x * 4.0, 0.0, 20.0]),
        embedding: vec![].into(),
        texture: Some(Arc::new(Texture {
            side: 1,
            colour: vec![shade; 3],
            seen: vec![true],
        })),
        begins: true,
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Numbers between 0 and 1, the same every time.
fn numbers(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as f64 / f64::from(1u32 << 31)
    }
}

#[test]
fn looking_only_where_it_matters_decides_alike() {
    let (mut asked, mut all) = (0, 0);
    for seed in 0..40 {
        let mut number = numbers(seed);
        let every = Config {
            every_cost: true,
            ..Config::default()
        };
        let (mut lazy, mut eager) = (Tracker::new(Config::default()), Tracker::new(every));
        let (mut few, mut many) = (Counting::default(), Counting::default());
        for time in 0..12 {
            // Three to five people in a crowd, now and then one less.
            let mut people = Vec::new();
            for i in 0..5 {
                let [there, x, shade] = [number(), number(), number()];
                if there < 0.9 {
                    let x = 0.5 + 0.02 * (f64::from(i) + x);
                    people.push(person(time, x, 0.3 * i as f32 + 0.1 * shade as f32));
                }
            }
            let a = wait(lazy.step(&people, false, &mut few)).unwrap();
            let b = wait(eager.step(&people, false, &mut many)).unwrap();
            assert_eq!(
                (a.matches, a.owners),
                (b.matches, b.owners),
                "{seed} {time}"
            );
        }
        asked += few.looks;
        all += many.looks;
    }
    assert!(2 * asked < all, "{asked} of {all}");
}

#[test]
fn who_looks_alike_is_told_apart_by_texture() {
    let mut tracker = Tracker::new(Config::default());
    let mut networks = Counting::default();
    let people = [person(0, 0.5, 0.0), person(0, 0.501, 3.0)];
    let first = wait(tracker.step(&people, false, &mut networks)).unwrap();
    assert_eq!(first.owners, [Some(1), Some(2)]);
    let changed = [person(1, 0.501, 0.0), person(1, 0.5, 3.0)];
    let second = wait(tracker.step(&changed, false, &mut networks)).unwrap();
    assert_eq!(second.owners, [Some(1), Some(2)]);
}

#[test]
fn a_network_that_fails_leaves_everything_as_it_was() {
    let mut tracker = Tracker::new(Config::default());
    let mut networks = Counting::default();
    wait(tracker.step(&[person(0, 0.5, 0.0)], false, &mut networks)).unwrap();
    networks.fails = true;
    let next = [person(1, 0.5, 0.0)];
    assert!(wait(tracker.step(&next, false, &mut networks)).is_err());
    assert_eq!((tracker.tracks().len(), tracker.tracks()[0].age), (1, 1));
    networks.fails = false;
    let step = wait(tracker.step(&next, false, &mut networks)).unwrap();
    assert_eq!(step.owners, [Some(1)]);
}

#[test]
fn a_second_look_finds_nobody_new() {
    let mut tracker = Tracker::new(Config::default());
    let mut networks = Counting::default();
    wait(tracker.step(&[person(0, 0.5, 0.0)], false, &mut networks)).unwrap();
    let again = |time, x| Detection {
        begins: false,
        ..person(time, x, 0.0)
    };
    let step = wait(tracker.step(&[again(1, 0.5), again(1, 0.9)], false, &mut networks)).unwrap();
    assert_eq!(step.owners, [Some(1), None]);
    assert_eq!(tracker.tracks().len(), 1);
}
