//! A tracker that is saved and taken up again, and one that runs for a hundred thousand frames.

use super::scene::*;
use super::*;

/// Everything it remembers, in bytes.
fn size(tracker: &Tracker) -> usize {
    postcard::to_stdvec(tracker).unwrap().len()
}

/// People who come and go at all times: up to six of them in a frame, one missed now and then.
fn crowd(n: u32, dice: &mut Dice) -> Vec<Observation> {
    let mut people = Vec::new();
    for who in 0..6 {
        let turn = (n + 37 * who) % 260;
        if turn < 200 && !dice.chance(0.1) {
            let x = 80.0 + 5.0 * f64::from(turn) + 20.0 * f64::from(who);
            let figure = Figure::walker(x, 120.0 + 40.0 * f64::from(who), f64::from(n) * 0.2, 0.0);
            people.push(figure.seen(dice, 0.015));
        }
    }
    people
}

#[test]
fn memory_is_as_large_after_a_hundred_thousand_frames_as_after_a_thousand() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let mut dice = Dice(11);
    let (mut early, mut late, mut most_tracks) = (0, 0, 0);
    for n in 0..100_000 {
        let people = crowd(n, &mut dice);
        let records = tracker.update(f64::from(n) / FPS, FRAME, &people);
        most_tracks = most_tracks.max(records.len());
        // Over whole turns of the crowd, so that the same number of people is there.
        if n % 260 == 0 {
            let place = if n < 1_300 { &mut early } else { &mut late };
            *place = size(&tracker).max(*place);
        }
    }
    assert!(early > 0 && late <= early + early / 4, "{early} {late}");
    assert!(most_tracks <= 20, "{most_tracks}");
    let next = tracker.update(100_000.0 / FPS, FRAME, &[]);
    assert!(
        next.iter().all(|record| record.track_id > 100),
        "people came and went"
    );
}

#[test]
fn a_tracker_taken_up_again_goes_on_to_the_bit() {
    let mut dice = Dice(5);
    let frames: Vec<Vec<Observation>> = (0..400).map(|n| crowd(n, &mut dice)).collect();
    let mut whole = Tracker::new(TrackerConfig::default());
    let mut cut = whole.clone();
    for (n, people) in frames.iter().enumerate() {
        let time = n as f64 / FPS;
        let want = whole.update(time, FRAME, people);
        assert_eq!(cut.update(time, FRAME, people), want, "frame {n}");
        if n % 7 == 3 {
            cut = postcard::from_bytes(&postcard::to_stdvec(&cut).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_frame_that_cannot_be_looked_at_is_one_in_which_nobody_is_seen() {
    let mut dice = Dice(8);
    let figure = Figure::walker(400.0, 200.0, 0.0, 0.0);
    let mut unseen = Tracker::new(TrackerConfig::default());
    for n in 0..10 {
        unseen.update(f64::from(n) / FPS, FRAME, &[figure.seen(&mut dice, 0.015)]);
    }
    let mut empty = unseen.clone();
    for n in 10..60 {
        let time = f64::from(n) / FPS;
        let want = empty.update(time, FRAME, &[]);
        assert_eq!(unseen.update_unseen(time), want);
    }
    assert_eq!(unseen.live().count(), 0, "nobody is guessed for ever");
}

/// Somebody seen, not seen for `gap` frames, and seen again `jump` sizes from where they were: their
/// number before and after.
fn found_again(gap: u32, jump: f64, config: TrackerConfig) -> (u32, u32) {
    let mut tracker = Tracker::new(config);
    let mut dice = Dice(3);
    let mut last = (0, 0);
    for n in 0..60 + gap {
        let seen = n < 40 || n >= 40 + gap;
        let x = 500.0 + if n < 40 { 0.0 } else { jump * 120.0 };
        let figure = Figure::walker(x, 200.0, f64::from(n) * 0.2, 0.0);
        let people: Vec<Observation> = seen
            .then(|| figure.seen(&mut dice, 0.015))
            .into_iter()
            .collect();
        let records = tracker.update(f64::from(n) / FPS, FRAME, &people);
        if let [only] = &records[..]
            && only.confirmed
            && seen
        {
            last = (if n < 40 { only.track_id } else { last.0 }, only.track_id);
        }
    }
    last
}

#[test]
fn who_was_lost_not_long_ago_is_known_again() {
    let usual = TrackerConfig::default;
    for gap in [5, 30, 31, 40, 55] {
        assert_eq!(found_again(gap, 0.5, usual()), (1, 1), "{gap} frames");
    }
    let (before, after) = found_again(70, 0.5, usual());
    assert_ne!(before, after, "after so long it may be anybody");
    let (before, after) = found_again(45, 4.0, usual());
    assert_ne!(before, after, "so far away it is somebody else");
    let forgetful = TrackerConfig {
        lost_frames: 0,
        ..usual()
    };
    let (before, after) = found_again(40, 0.5, forgetful);
    assert_ne!(before, after);
}

#[test]
fn a_stored_tracker_that_lies_is_refused_or_harmless() {
    let mut dice = Dice(21);
    let mut tracker = Tracker::new(TrackerConfig::default());
    for n in 0..90 {
        tracker.update(f64::from(n) / FPS, FRAME, &crowd(n, &mut dice));
    }
    let good = postcard::to_stdvec(&tracker).unwrap();
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..3_000 {
        let mut wrong = good.clone();
        for _ in 0..3 {
            let at = ((dice.roll() + 1.0) * 0.5 * (wrong.len() - 1) as f64) as usize;
            // Small numbers are lengths and counts, and 255 begins a large one.
            wrong[at] = [0, 1, 127, 128, 255, (dice.roll() * 127.0) as i8 as u8][at % 6];
        }
        let Ok(mut odd) = postcard::from_bytes::<Tracker>(&wrong) else {
            refused += 1;
            continue;
        };
        taken += 1;
        for n in 90..94 {
            let time = f64::from(n) / FPS;
            odd.predict(time);
            odd.update(time, FRAME, &crowd(n, &mut dice));
        }
        odd.update_unseen(94.0 / FPS);
    }
    assert!(refused > 10 && taken > 100, "{refused} {taken}");
}
