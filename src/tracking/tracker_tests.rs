//! Scenes the tracker must get right: crossings, misses, false alarms, pans and broken input.

use super::scene::{Clip, Dice, FPS, FRAME, Figure};
use super::*;
use crate::geometry::boxes::BBox;
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
fn false_alarms_are_never_confirmed_and_disturb_nobody() {
    let mut clip = Clip::new(2, 11);
    for n in 0..200 {
        let t = n as f64 / FPS;
        let mut alarms = Vec::new();
        while clip.dice.chance(0.4) {
            let x = 640.0 + 600.0 * clip.dice.roll();
            let phase = clip.dice.roll();
            let mut ghost = Figure::walker(x, 200.0, phase, 0.0).seen(&mut clip.dice, 0.3);
            ghost.score = 0.3;
            // A ghost in a new place every frame can still chance upon the last one's.
            if n % 3 == 0 {
                alarms.push(ghost);
            }
        }
        let people = [
            Figure::walker(200.0 + 100.0 * t, 300.0, 9.0 * t, 0.0),
            Figure::walker(1100.0 - 100.0 * t, 300.0, 9.0 * t + 2.0, PI),
        ];
        let records = clip.show(&people.map(Some), &alarms);
        assert_eq!(
            records.iter().filter(|r| r.confirmed).count(),
            2,
            "frame {n}"
        );
    }
    assert_eq!(clip.strangers, 0);
    clip.assert_no_switch();
}

#[test]
fn weak_people_are_confirmed_by_being_seen_again() {
    let mut clip = Clip::new(0, 5);
    for n in 0..5 {
        let mut weak = Figure::walker(300.0 + n as f64, 300.0, 0.0, 0.0).seen(&mut clip.dice, 0.01);
        weak.score = 0.3;
        let records = clip.show(&[], &[weak]);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].confirmed, n + 1 >= 3, "frame {n}");
    }
    // An unconfirmed one that is missed once is gone.
    let mut once = Figure::walker(900.0, 300.0, 0.0, 0.0).seen(&mut clip.dice, 0.01);
    once.score = 0.3;
    assert_eq!(clip.show(&[], &[once]).len(), 2);
    assert_eq!(clip.show(&[], &[]).len(), 1);
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
fn a_double_of_one_person_starts_no_track() {
    let mut clip = Clip::new(1, 8);
    for n in 0..30 {
        let figure = Figure::walker(300.0 + 4.0 * n as f64, 300.0, 0.3 * n as f64, 0.0);
        let mut double = figure.seen(&mut clip.dice, 0.02);
        double.score = 0.7;
        let records = clip.tracker.update(
            n as f64 / FPS,
            FRAME,
            &[figure.seen(&mut clip.dice, 0.015), double],
        );
        assert_eq!(records.len(), 1, "frame {n}");
        assert_eq!(records[0].track_id, 1);
    }
}

#[test]
fn a_half_wrong_second_pose_is_never_confirmed_and_takes_no_identity() {
    for seed in 0..20 {
        let mut clip = Clip::new(1, seed);
        let mut hidden = 0;
        for n in 0..120 {
            let t = n as f64 / FPS;
            let figure = Figure::walker(300.0 + 90.0 * t, 300.0, 9.0 * t, 0.0);
            let mut doubles = Vec::new();
            // Now and then, several frames in a row, the same trunk with other limbs.
            if (n / 7) % 2 == 1 {
                let wrong = Figure {
                    phase: figure.phase + 1.8,
                    yaw: PI,
                    ..figure
                };
                doubles.push(wrong.seen(&mut clip.dice, 0.12));
            }
            // It may be all that is found for a frame; then it is the person.
            let records = clip.show(&[Some(figure)], &doubles);
            hidden += records.iter().filter(|r| !r.confirmed).count();
            assert_eq!(
                records.iter().filter(|r| r.confirmed).count(),
                1,
                "frame {n}"
            );
        }
        assert!(hidden > 0, "no double got as far as being doubted");
        clip.assert_no_switch();
    }
}

#[test]
fn an_established_identity_goes_before_its_double() {
    let mut clip = Clip::new(1, 14);
    let person = Figure::walker(300.0, 300.0, 0.0, 0.0);
    // Between the two poses, a little nearer to the double's.
    let lean = |phase: f64| Figure { phase, ..person };
    for _ in 0..40 {
        clip.show(&[Some(lean(0.0))], &[]);
    }
    let mut double = lean(2.2);
    double.at[0] += 40.0;
    let extra = double.seen(&mut clip.dice, 0.0);
    assert_eq!(clip.show(&[Some(lean(0.0))], &[extra]).len(), 2);
    let mut between = lean(1.2);
    between.at[0] += 22.0;
    clip.show(&[Some(between)], &[]);
    clip.assert_no_switch();
}

#[test]
fn what_is_found_badly_where_somebody_is_missed_is_nobody_new() {
    let mut clip = Clip::new(1, 15);
    for _ in 0..10 {
        clip.show(&[Some(Figure::walker(300.0, 300.0, 0.0, 0.0))], &[]);
    }
    let speck = |x: f64| Figure {
        at: [x, 420.0],
        ..Figure::walker(x, 24.0, 0.0, 0.0)
    };
    let inside = speck(310.0).seen(&mut clip.dice, 0.0);
    let records = clip.show(&[None], &[inside]);
    assert_eq!(
        records.iter().map(|r| r.confirmed).collect::<Vec<_>>(),
        [true, false]
    );
    let outside = speck(700.0).seen(&mut clip.dice, 0.0);
    let records = clip.show(&[None], &[outside]);
    assert_eq!(
        records.iter().map(|r| r.confirmed).collect::<Vec<_>>(),
        [true, true]
    );
}

#[test]
fn a_sure_false_alarm_is_gone_after_two_frames() {
    let mut clip = Clip::new(1, 12);
    let person = Some(Figure::walker(300.0, 300.0, 0.0, 0.0));
    let ghost = Figure::walker(900.0, 200.0, 1.0, 0.0).seen(&mut clip.dice, 0.01);
    for n in 0..10 {
        let alarm = if n == 3 {
            vec![ghost.clone()]
        } else {
            Vec::new()
        };
        let records = clip.show(&[person], &alarm);
        assert_eq!(
            records.len(),
            if n == 3 || n == 4 { 2 } else { 1 },
            "frame {n}"
        );
    }
}

#[test]
fn a_collapsed_pose_is_still_the_person_but_no_model_for_guesses() {
    let mut clip = Clip::new(1, 13);
    let person = Figure::walker(300.0, 300.0, 0.0, 0.0);
    for _ in 0..10 {
        clip.show(&[Some(person)], &[]);
    }
    let tall = clip.tracker.predict(clip.time)[0].1.bbox.height();
    let collapsed = Figure {
        height: 70.0,
        ..person
    };
    assert_eq!(clip.show(&[Some(collapsed)], &[]).len(), 1);
    let records = clip.show(&[None], &[]);
    let guess = records[0].observation.bbox.height();
    assert!((guess / tall - 1.0).abs() < 0.05, "{guess} {tall}");
    clip.assert_no_switch();
}

#[test]
fn tracks_that_grow_together_become_the_older_one() {
    let mut clip = Clip::new(0, 9);
    let mut seen = Vec::new();
    for n in 0..60 {
        let figure = Figure::walker(300.0, 300.0, 0.1 * n as f64, 0.0);
        let mut half = figure;
        // A wrong crop that slides onto the person.
        half.at[0] += (150.0 - 8.0 * n as f64).max(6.0);
        let pair = [figure, half].map(|f| f.seen(&mut clip.dice, 0.01));
        let records = clip.tracker.update(n as f64 / FPS, FRAME, &pair);
        seen.push(records.iter().map(|r| r.track_id).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], [1, 2]);
    assert_eq!(seen[59], [1]);
    let merged = seen.iter().position(|ids| ids.len() == 1).unwrap();
    assert!(seen[merged..].iter().all(|ids| *ids == [1]), "{seen:?}");
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

#[test]
fn broken_observations_are_ignored() {
    let mut clip = Clip::new(1, 6);
    let good = Figure::walker(300.0, 300.0, 0.0, 0.0);
    let sane = good.seen(&mut clip.dice, 0.01);
    let mut broken = vec![sane.clone(); 6];
    broken[0].bbox.x1 = f32::NAN;
    broken[1].bbox = BBox::new(5.0, 5.0, 5.0, 5.0);
    broken[2].bbox = BBox::new(f32::MIN, f32::MIN, f32::MAX, f32::MAX);
    broken[3].score = f32::NAN;
    broken[4].bbox.x2 = f32::INFINITY;
    broken[5].bbox = BBox::new(9.0, 9.0, 5.0, 5.0);
    for _ in 0..5 {
        assert_eq!(clip.show(&[Some(good)], &broken).len(), 1);
    }
    clip.assert_no_switch();

    // Points that are not numbers leave the box to go by.
    let mut blind = sane;
    blind.keypoints.fill([f32::NAN; 3]);
    blind.joints.fill([f32::NAN; 3]);
    let records = clip
        .tracker
        .update(clip.time + 1.0 / FPS, FRAME, std::slice::from_ref(&blind));
    assert_eq!((records.len(), records[0].track_id), (1, 1));
    blind.keypoints.clear();
    blind.joints.truncate(3);
    let records = clip.tracker.update(clip.time + 2.0 / FPS, FRAME, &[blind]);
    assert_eq!((records.len(), records[0].matched), (1, Some(0)));
}

#[test]
fn nonsense_never_panics_nor_gets_out() {
    let mut clip = Clip::new(0, 17);
    let dice = &mut clip.dice;
    let mut value = |dice: &mut Dice| match (dice.roll() * 12.0) as i32 {
        -3 => f32::NAN,
        -4 => f32::INFINITY,
        4 => f32::MAX,
        5 => -1e30,
        6 => 0.0,
        _ => (1500.0 * dice.roll()) as f32,
    };
    let mut tracker = Tracker::new(TrackerConfig::default());
    for _ in 0..600 {
        let observations: Vec<_> = (0..(dice.roll().abs() * 9.0) as usize)
            .map(|_| {
                let mut points = |dice: &mut Dice| {
                    let count = if dice.chance(0.8) { 33 } else { 7 };
                    (0..count)
                        .map(|_| [0; 3].map(|_| value(dice)))
                        .collect::<Vec<_>>()
                };
                let (keypoints, joints) = (points(dice), points(dice));
                let [x1, y1, x2, y2] = [0; 4].map(|_| value(dice));
                let bbox = BBox::new(x1, y1, x2, y2);
                Observation {
                    bbox,
                    score: value(dice),
                    keypoints,
                    joints,
                }
            })
            .collect();
        let time = f64::from(value(dice));
        let records = tracker.update(time, (value(dice), value(dice)), &observations);
        for pair in records.windows(2) {
            assert!(pair[0].track_id < pair[1].track_id);
        }
        let mut taken: Vec<_> = records.iter().filter_map(|r| r.matched).collect();
        taken.sort_unstable();
        assert!(
            taken.windows(2).all(|w| w[0] < w[1]),
            "one observation, two people"
        );
        for record in &records {
            assert!(
                (0.0..=1.0).contains(&record.confidence),
                "{}",
                record.confidence
            );
            assert_eq!(record.matched.is_some(), record.origin == Origin::Seen);
        }
        tracker.predict(f64::from(value(dice)));
    }
}
