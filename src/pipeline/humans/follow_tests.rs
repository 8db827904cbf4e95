//! Identities over frames, and what is told of those who are not seen.

use super::*;
use crate::geometry::joints::KeypointSet;
use crate::imaging::pixels::Rgb8;
use crate::pipeline::humans::person::tests::{person, sighting};

fn frame(number: u32) -> FrameView {
    let image = Rgb8 {
        width: 1280,
        height: 720,
        data: Vec::new(),
    };
    FrameView {
        image: Arc::new(image),
        number: f64::from(number),
        index: u64::from(number),
        time_s: f64::from(number) / 30.0,
        boxes: None,
        mesh: true,
        tracked: true,
        cut: false,
    }
}

/// The known body with its box's middle at `x`.
fn standing_at(x: f32) -> Sighting {
    let mut sighting = sighting();
    sighting.bbox = BBox::new(x - 80.0, 100.0, x + 80.0, 600.0);
    sighting.square.center[0] = x;
    sighting
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn step(clip: &mut Clip, number: u32, places: &[f32]) -> Vec<Person> {
    let sightings: Vec<Sighting> = places.iter().map(|x| standing_at(*x)).collect();
    let people = sightings
        .iter()
        .map(|s| person(KeypointSet::Smpl24, s))
        .collect();
    wait(clip.step(&frame(number), people, &sightings, None)).unwrap()
}

#[test]
fn people_keep_their_numbers_whatever_order_they_are_found_in() {
    let mut clip = Clip::by_joints(30);
    let mut ids = BTreeMap::new();
    for number in 0..12 {
        let (left, right) = (300.0 + 6.0 * number as f32, 1000.0 - 6.0 * number as f32);
        let places = if number % 2 == 0 {
            [left, right]
        } else {
            [right, left]
        };
        let people = step(&mut clip, number, &places);
        assert_eq!(people.len(), 2);
        for person in people {
            let side = person.bbox.center()[0] < 640.0;
            assert_eq!(person.source, Source::Detected);
            assert!(person.vertices.is_some() && person.smpl.is_some());
            assert_eq!(*ids.entry(side).or_insert(person.track_id), person.track_id);
        }
    }
    assert_ne!(ids[&true], ids[&false]);
}

#[test]
fn somebody_missed_is_carried_on_with_less_and_less_confidence_and_nothing_invented() {
    let mut clip = Clip::by_joints(30);
    for number in 0..6 {
        step(&mut clip, number, &[400.0 + 5.0 * number as f32]);
    }
    let mut before = 0.83;
    let last = person(KeypointSet::Smpl24, &standing_at(425.0));
    for number in 6..10 {
        let people = step(&mut clip, number, &[]);
        let [guess] = people.as_slice() else {
            panic!("one guess expected, {} records found", people.len());
        };
        assert_eq!(guess.source, Source::Predicted);
        assert!(guess.tracking_confidence < 1.0);
        assert_eq!((guess.score, guess.box_source), (0.0, None));
        assert!(guess.vertices.is_none() && guess.smpl.is_none() && guess.camera.is_none());
        let moved = guess.bbox.center()[0] - 425.0;
        assert!(moved > 0.0, "{moved}");
        for (point, was) in guess.keypoints.iter().zip(&last.keypoints) {
            assert!((point.x - was.x - moved).abs() < 0.01, "{}", point.name);
            assert!(point.confidence <= guess.tracking_confidence * 0.83 + 1e-6);
        }
        let surest = guess
            .keypoints
            .iter()
            .map(|k| k.confidence)
            .fold(0.0, f32::max);
        assert!(surest < before, "{surest}");
        before = surest;
    }
    let back = step(&mut clip, 10, &[450.0]);
    assert_eq!(back[0].source, Source::Detected);
    assert_eq!(back[0].track_id, 1);
    let mut none = Clip::by_joints(0);
    step(&mut none, 0, &[400.0]);
    assert!(step(&mut none, 1, &[]).is_empty());
}

#[test]
fn in_a_photo_everybody_is_told_in_the_order_found() {
    let mut clip = Clip::photo();
    let people = step(&mut clip, 0, &[900.0, 300.0, 301.0]);
    let told: Vec<_> = people
        .iter()
        .map(|p| (p.track_id, p.bbox.center()[0]))
        .collect();
    assert_eq!(told, [(1, 900.0), (2, 300.0), (3, 301.0)]);
}

fn weak(score: f32, x: f32) -> FoundBox {
    FoundBox {
        bbox: BBox::new(x - 80.0, 100.0, x + 80.0, 600.0),
        score,
        mask: None,
    }
}

#[test]
fn a_weak_box_is_looked_at_where_somebody_is_expected_and_not_seen() {
    let mut clip = Clip::by_joints(30);
    let nobody = clip.worth_a_second_look(&frame(0), &[], vec![weak(0.4, 300.0)]);
    assert!(nobody.is_empty());
    for number in 0..6 {
        step(&mut clip, number, &[300.0, 900.0]);
    }
    let seen = [standing_at(305.0)];
    let boxes = vec![
        weak(0.4, 310.0),
        weak(0.4, 890.0),
        weak(0.3, 905.0),
        weak(0.3, 600.0),
    ];
    let again = clip.worth_a_second_look(&frame(6), &seen, boxes.clone());
    assert_eq!(again, [weak(0.4, 890.0)]);
    let both = clip.worth_a_second_look(&frame(6), &[], boxes);
    assert_eq!(both, [weak(0.4, 310.0), weak(0.4, 890.0)]);
    let mut alone = Clip::photo();
    step(&mut alone, 0, &[300.0]);
    assert!(
        alone
            .worth_a_second_look(&frame(1), &[], vec![weak(0.4, 300.0)])
            .is_empty()
    );
}

#[test]
fn who_is_found_again_is_who_was_expected_and_nobody_else() {
    let mut clip = Clip::by_joints(30);
    for number in 0..6 {
        step(&mut clip, number, &[300.0]);
    }
    let recovered = |x: f32| {
        let sighting = standing_at(x);
        let mut person = person(KeypointSet::Smpl24, &sighting);
        person.source = Source::Recovered;
        (person, sighting)
    };
    let (people, sightings): (Vec<_>, Vec<_>) =
        [recovered(302.0), recovered(1000.0)].into_iter().unzip();
    let told = wait(clip.step(&frame(6), people, &sightings, None)).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].track_id, told[0].source), (1, Source::Recovered));
    assert_eq!(told[0].tracking_confidence, 1.0);
}
