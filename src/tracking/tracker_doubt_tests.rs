//! What the tracker must not believe: false alarms, second poses of one person, broken input.

use super::scene::{Clip, Dice, FPS, FRAME, Figure};
use super::*;
use crate::geometry::boxes::BBox;
use crate::tracking::observation::Origin;
use std::f64::consts::PI;

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
    let value = |dice: &mut Dice| match (dice.roll() * 12.0) as i32 {
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
                let points = |dice: &mut Dice| {
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
                    begins: true,
                    keypoints,
                    joints,
                    looks: None,
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
