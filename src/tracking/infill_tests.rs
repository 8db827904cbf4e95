//! Gaps crossed and tremble evened out, on motions that are known.

use super::*;

fn at(time: f64, x: f32, turn: f64) -> Posture {
    let rotation = exp([0.0, turn, 0.0]).map(|v| v as f32);
    Posture {
        time,
        numbers: vec![x],
        rotations: vec![rotation],
    }
}

fn turned(posture: &Posture) -> f64 {
    log(&posture.rotations[0].map(f64::from))[1]
}

fn x(posture: &Posture) -> f64 {
    f64::from(posture.numbers[0])
}

/// The gap between the second and third of the sights, which are `step` seconds apart before and
/// after it.
fn between(sights: &[Posture], from: usize, time: f64) -> Posture {
    let mut others = sights.to_vec();
    let to = others.remove(from + 1);
    let from = others.remove(from);
    Gap {
        from: &from,
        to: &to,
        others: &others,
    }
    .at(time)
}

#[test]
fn a_steady_motion_goes_on_through_a_gap() {
    let steady = |t: f64| at(t, 10.0 * t as f32, t);
    let all: Vec<Posture> = [0.0, 0.05, 0.1, 0.5, 0.6].map(steady).into();
    for time in [0.1, 0.15, 0.3, 0.42, 0.5] {
        let found = between(&all, 2, time);
        assert!((x(&found) - 10.0 * time).abs() < 1e-5, "{time} {found:?}");
        assert!((turned(&found) - time).abs() < 1e-6, "{time} {found:?}");
    }
}

#[test]
fn a_turn_takes_the_shorter_way_and_stays_a_rotation() {
    let (from, to) = (at(0.0, 0.0, 3.0), at(1.0, 0.0, -3.0));
    let gap = Gap {
        from: &from,
        to: &to,
        others: &[at(-0.1, 0.0, 1.0)],
    };
    let middle = gap.at(0.5).rotations[0].map(f64::from);
    assert!((log(&middle)[1].abs() - std::f64::consts::PI).abs() < 0.2);
    let whole = product(&middle, &transposed(&middle));
    let off = whole
        .iter()
        .zip(crate::geometry::rotations::IDENTITY)
        .map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f64::max) < 1e-6);
    let bare = Gap { others: &[], ..gap };
    let middle = bare.at(0.5).rotations[0].map(f64::from);
    assert!((log(&middle)[1].abs() - std::f64::consts::PI).abs() < 1e-3);
}

#[test]
fn a_curve_keeps_its_swing_over_a_short_gap_and_not_over_a_long_one() {
    // A swing of one second, seen at thirty frames a second but for a gap.
    let swing = |t: f64| (std::f64::consts::TAU * t).sin();
    let seen = |n: i32| at(f64::from(n) / 30.0, swing(f64::from(n) / 30.0) as f32, 0.0);
    let gap = |frames: i32| -> (f64, f64) {
        let before = (0..6).map(|n| seen(n - 2));
        let all: Vec<Posture> = before.chain((0..6).map(|n| seen(4 + frames + n))).collect();
        let middle = f64::from(3 + 4 + frames) / 60.0;
        let straight = 0.5 * (x(&all[5]) + x(&all[6]));
        let error = (x(&between(&all, 5, middle)) - swing(middle)).abs();
        (error, (straight - swing(middle)).abs())
    };
    let (error, straight) = gap(5);
    assert!(error < 0.5 * straight, "{error} {straight}");
    // Sights that are wild say nothing about the middle of a long gap.
    let wild: Vec<Posture> = [(-0.1, -100.0), (0.0, 0.0), (3.0, 9.0), (3.1, 9.0)]
        .map(|(t, x)| at(t, x, 0.0))
        .into();
    assert!(x(&between(&wild, 1, 1.5)).abs() < 30.0);
}

#[test]
fn a_trembling_edge_is_not_taken_at_its_word() {
    let steady = |n: i32| at(f64::from(n) / 30.0, if n == 5 { 1.0 } else { 0.0 }, 0.0);
    let all: Vec<Posture> = (0..6).chain(9..15).map(steady).collect();
    let found = x(&between(&all, 5, 6.0 / 30.0));
    assert!(
        found.abs() < 0.75,
        "a straight way would be at 0.75: {found}"
    );
}

#[test]
fn tremble_is_evened_out_and_motion_is_not() {
    // A swing of a second that trembles by a tenth of its size, at thirty frames a second.
    let truth = |n: i32| (std::f64::consts::TAU * f64::from(n) / 30.0).sin();
    let trembling = |n: i32| {
        let tremble = if n % 2 == 0 { 0.1 } else { -0.1 };
        let turn = 0.5 * (truth(n) + tremble);
        at(f64::from(n) / 30.0, (truth(n) + tremble) as f32, turn)
    };
    let all: Vec<Posture> = (0..31).map(trembling).collect();
    for n in 5..26 {
        let others: Vec<Posture> = (n - 5..=n + 5)
            .filter(|&other| other != n)
            .map(|other| all[other].clone())
            .collect();
        let smooth = likeliest(&all[n], &others);
        let want = truth(n as i32);
        assert!((x(&smooth) - want).abs() < 0.05, "{n} {}", x(&smooth));
        assert!((turned(&smooth) - 0.5 * want).abs() < 0.025, "{n}");
    }
}

#[test]
fn a_lone_sight_and_one_among_strangers_stay_as_they_are() {
    let own = at(1.0, 3.0, 0.5);
    let close = |a: &Posture| (x(a) - 3.0).abs() < 1e-6 && (turned(a) - 0.5).abs() < 1e-6;
    assert!(close(&likeliest(&own, &[])));
    let stranger = Posture {
        time: 1.1,
        ..Posture::default()
    };
    assert_eq!(likeliest(&own, &[stranger]), own);
    let nothing = [at(0.9, f32::NAN, 0.5), at(1.1, f32::NAN, 0.5)];
    assert!(close(&likeliest(&own, &nothing)));
    // Turned right round: no vector to be added.
    let round = [at(0.9, 3.0, 3.4), at(1.1, 3.0, 3.4)];
    assert!(close(&likeliest(&own, &round)));
}

#[test]
fn what_is_no_number_on_one_side_is_taken_from_the_other() {
    let (from, to) = (at(0.0, f32::NAN, 0.0), at(1.0, 4.0, 0.0));
    let all = [from, to.clone()];
    assert_eq!(between(&all, 0, 0.3).numbers, [4.0]);
    let short = Posture {
        time: 1.0,
        ..Posture::default()
    };
    assert_eq!(
        between(&[at(0.0, 4.0, 0.0), short], 0, 1.0).numbers,
        [] as [f32; 0]
    );
    // One of the others that is none leaves the straight way.
    let all = [
        at(-0.1, f32::NAN, 0.0),
        at(0.0, 0.0, 0.0),
        at(1.0, 4.0, 0.0),
    ];
    assert!((x(&between(&all, 1, 0.25)) - 1.0).abs() < 1e-6);
}

#[test]
fn sights_at_one_time_are_no_division() {
    let all = [at(0.0, 0.0, 0.0), at(0.0, 1.0, 0.0), at(0.0, 2.0, 0.0)];
    assert!(between(&all, 0, 0.0).numbers[0].is_finite());
    let all = [at(f64::NAN, 3.0, 0.0), at(1.0, 1.0, 0.0)];
    assert_eq!(between(&all, 0, 0.5).numbers, [3.0]);
}
