//! Scenes the tracker must get right: crossings, misses, pans, exits and odd times.

use super::scene::{Clip, FPS, FRAME, Figure};
use super::*;
use crate::tracking::observation::Origin;
use std::f64::consts::PI;

/// Two people walking through each other's place, at frame `n` of 90.
fn crossing(n: usize, speed: f64, lag: f64) -> [Figure; 2] {
    let t = n as f64 / FPS - 1.5;
    [
        Figure::walker(640.0 + speed * t, 300.0, 9.0 * t, 0.0),
        Figure::walker(640.0 - speed * t, 290.0, 9.0 * t + lag, PI),
    ]
}

#[test]
fn people_who_cross_keep_their_identities() {
    for seed in 0..40 {
        for speed in [80.0, 200.0, 600.0] {
            let mut clip = Clip::new(2, seed);
            for n in 0..90 {
                clip.show(&crossing(n, speed, seed as f64 * 0.4).map(Some), &[]);
            }
            clip.assert_no_switch();
        }
    }
}

#[test]
fn who_is_hidden_while_crossing_comes_out_as_the_same() {
    for seed in 0..40 {
        for (speed, hidden) in [(150.0, 14), (250.0, 12), (600.0, 8)] {
            let mut clip = Clip::new(2, seed);
            for n in 0..90 {
                let [front, back] = crossing(n, speed, seed as f64 * 0.4);
                let covered = n.abs_diff(45) <= hidden / 2;
                clip.show(&[Some(front), (!covered).then_some(back)], &[]);
            }
            clip.assert_no_switch();
        }
    }
}

#[test]
fn runners_side_by_side_stay_apart_through_random_misses() {
    for seed in 0..20 {
        let mut clip = Clip::new(3, seed);
        for n in 0..150 {
            let t = n as f64 / FPS;
            let runner =
                |k: f64| Figure::walker(100.0 + 180.0 * t + 130.0 * k, 300.0, 12.0 * t + k, 0.0);
            let people = [0.0, 1.0, 2.0].map(|k| {
                let missed = n > 5 && clip.dice.chance(0.25);
                (!missed).then(|| runner(k))
            });
            clip.show(&people, &[]);
        }
        clip.assert_no_switch();
    }
}

#[test]
fn somebody_missed_for_up_to_thirty_frames_is_found_again() {
    for gap in [1, 2, 5, 10, 20, 30] {
        for speed in [0.0, 120.0, 300.0] {
            let mut clip = Clip::new(1, gap as u64);
            for n in 0..(60 + gap) {
                let t = n as f64 / FPS;
                let figure = Figure::walker(150.0 + speed * t, 300.0, 9.0 * t, 0.0);
                let missed = (30..30 + gap).contains(&n);
                let records = clip.show(&[(!missed).then_some(figure)], &[]);
                assert_eq!(records.len(), 1, "frame {n} of gap {gap}");
                assert_eq!(records[0].origin == Origin::Guessed, missed);
            }
            clip.assert_no_switch();
        }
    }
}

#[test]
fn after_a_cut_nobody_is_guessed_and_only_who_stands_there_unmoved_is_the_same() {
    for (there, same) in [(300.0, true), (900.0, false)] {
        let mut clip = Clip::new(1, 3);
        let walker = |x: f64, n: usize| Figure::walker(x, 300.0, 0.2 * n as f64, 0.0);
        for n in 0..20 {
            clip.show(&[Some(walker(300.0, n))], &[]);
        }
        clip.tracker.forget();
        assert!(clip.show(&[None], &[]).is_empty());
        for n in 20..26 {
            let records = clip.show(&[Some(walker(there, n))], &[]);
            assert_eq!(records.len(), 1);
            assert_eq!(records[0].track_id == 1, same, "at {there}");
        }
    }
}

#[test]
fn guesses_decay_stay_near_and_end() {
    let mut clip = Clip::new(1, 3);
    let walker = |n: usize| Figure::walker(300.0 + 4.0 * n as f64, 300.0, 0.3 * n as f64, 0.0);
    for n in 0..20 {
        clip.show(&[Some(walker(n))], &[]);
    }
    let config = TrackerConfig::default();
    let mut last = 1.0;
    for miss in 1..=config.max_predicted {
        let records = clip.show(&[None], &[]);
        let [record] = &records[..] else {
            panic!("{} records at miss {miss}", records.len());
        };
        assert_eq!(
            (record.origin, record.matched, record.misses),
            (Origin::Guessed, None, miss)
        );
        assert_eq!(record.age, 19 + miss);
        assert!(record.confidence < last && record.confidence > 0.0);
        assert!((record.confidence - (-(miss as f32) / config.decay_frames).exp()).abs() < 1e-6);
        assert!(
            record
                .observation
                .keypoints
                .iter()
                .all(|p| p[2] < 0.9 * last + 1e-6)
        );
        last = record.confidence;
        let there = walker(19 + miss as usize).at;
        let root = record.observation.root();
        // Coasting falls behind who walks on, but stays within reach.
        assert!(
            (root[0] - there[0]).abs() < 80.0,
            "miss {miss}: {root:?} {there:?}"
        );
        assert!(root[0] > walker(19).at[0] - 5.0);
    }
    assert!(clip.show(&[None], &[]).is_empty());
    assert_eq!(clip.tracker.live().count(), 0);
}

#[test]
fn a_spinning_rider_keeps_one_identity() {
    for seed in 0..30 {
        let mut clip = Clip::new(1, seed);
        clip.frame = (640.0, 360.0);
        clip.jitter = 0.04;
        let mut gap = 0;
        for n in 0..131 {
            let t = n as f64;
            // 20 to 40 pixels a frame, turning; the camera jerks after.
            let at = [
                320.0 + 220.0 * (0.11 * t).sin() + 12.0 * clip.dice.roll(),
                180.0 + 110.0 * (0.17 * t + seed as f64).cos() + 8.0 * clip.dice.roll(),
            ];
            let rider = Figure {
                at,
                height: 60.0,
                phase: 0.4 * t,
                yaw: 0.5 * t,
                roll: 0.35 * t,
            };
            gap = match gap {
                0 if n > 3 && clip.dice.chance(0.08) => 1 + (clip.dice.roll().abs() * 4.0) as usize,
                left => left.max(1) - 1,
            };
            let records = clip.show(&[(gap == 0).then_some(rider)], &[]);
            assert_eq!(records.len(), 1, "frame {n} of seed {seed}");
        }
        clip.assert_no_switch();
    }
}

#[test]
fn a_panning_camera_changes_nobody() {
    for seed in 0..20 {
        let mut clip = Clip::new(3, seed);
        let mut pan = 0.0;
        for n in 0..120 {
            // Still, a jerk to 18 pixels a frame, still again, back.
            pan += match n {
                30..=50 => 18.0,
                80..=100 => -18.0,
                _ => 0.0,
            };
            let stand = |x: f64, phase: f64| Some(Figure::walker(x + pan, 260.0, phase, -PI / 2.0));
            clip.show(
                &[stand(200.0, 0.2), stand(330.0, 1.4), stand(460.0, 2.5)],
                &[],
            );
        }
        clip.assert_no_switch();
    }
}

#[test]
fn who_leaves_the_frame_ends_and_comes_back_as_somebody_new() {
    let mut clip = Clip::new(1, 4);
    let at = |x: f64| Some(Figure::walker(x, 300.0, 0.0, 0.0));
    for n in 0..30 {
        clip.show(&[at(1000.0 + 9.0 * n as f64)], &[]);
    }
    let mut guessed = 0;
    while clip.tracker.live().count() > 0 {
        clip.show(&[None], &[]);
        guessed += 1;
    }
    assert!(
        guessed < 15,
        "guessed on for {guessed} frames outside the frame"
    );
    clip.show(&[at(1200.0)], &[]);
    assert_eq!(clip.switches, 1);
}

#[test]
fn irregular_repeated_and_broken_times_do_not_matter() {
    for seed in 0..20 {
        let mut clip = Clip::new(2, seed);
        let mut t = 0.0;
        for n in 0..120 {
            let step = 0.02 + 0.1 * clip.dice.roll().abs();
            t += step;
            clip.interval = step;
            if n == 50 {
                clip.time = f64::NAN; // The rest of the clip has no times at all.
            }
            let people = [
                Figure::walker(200.0 + 60.0 * t, 300.0, 9.0 * t, 0.0),
                Figure::walker(900.0 - 60.0 * t, 300.0, 9.0 * t + 1.0, PI),
            ];
            clip.show(&people.map(Some), &[]);
        }
        clip.assert_no_switch();
    }
    let mut backwards = Clip::new(1, 1);
    backwards.interval = -0.01;
    for n in 0..60 {
        backwards.show(
            &[Some(Figure::walker(
                200.0 + 5.0 * n as f64,
                300.0,
                0.0,
                0.0,
            ))],
            &[],
        );
    }
    backwards.assert_no_switch();
}

#[test]
fn exchanged_sides_change_nobody() {
    for seed in 0..20 {
        let mut clip = Clip::new(2, seed);
        for n in 0..90 {
            let mut people = crossing(n, 150.0, 1.3);
            for figure in &mut people {
                if clip.dice.chance(0.2) {
                    // The network takes front for back: same silhouette, sides exchanged.
                    figure.phase += PI;
                }
            }
            clip.show(&people.map(Some), &[]);
        }
        clip.assert_no_switch();
    }
}

#[test]
fn a_clone_goes_on_as_its_original() {
    let mut clip = Clip::new(2, 21);
    for n in 0..20 {
        clip.show(&crossing(n, 200.0, 1.0).map(Some), &[]);
    }
    let mut twin = clip.tracker.clone();
    let before = clip.tracker.predict(clip.time + 0.1);
    assert_eq!(before, twin.predict(clip.time + 0.1));
    for n in 20..60 {
        let people = crossing(n, 200.0, 1.0).map(|f| f.seen(&mut clip.dice, 0.01));
        let time = clip.time + n as f64 / FPS;
        assert_eq!(
            clip.tracker.update(time, FRAME, &people),
            twin.update(time, FRAME, &people)
        );
    }
}

#[test]
fn predictions_lie_where_people_go() {
    let mut clip = Clip::new(1, 2);
    let walker = |n: f64| Figure::walker(200.0 + 8.0 * n, 300.0, 0.3 * n, 0.0);
    for n in 0..30 {
        clip.show(&[Some(walker(f64::from(n)))], &[]);
    }
    let ahead = clip.tracker.predict(clip.time + 3.0 / FPS);
    let [(1, expected)] = &ahead[..] else {
        panic!("{ahead:?}");
    };
    let (got, want) = (expected.root()[0], walker(32.0).at[0]);
    assert!((got - want).abs() < 8.0, "{got} {want}");
}
