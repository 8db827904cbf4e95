//! What is predicted of those who are not seen.

use super::*;
use crate::geometry::joints::KeypointSet;
use crate::imaging::pixels::Rgb8;
use crate::pipeline::humans::person::tests::{person, sighting};

fn frame(width: usize, height: usize) -> FrameView {
    let image = Rgb8 {
        width,
        height,
        data: Vec::new(),
    };
    FrameView {
        image: Arc::new(image),
        number: 0.0,
        index: 4,
        time_s: 0.0,
        boxes: None,
        mesh: true,
        tracked: true,
        cut: false,
    }
}

/// Somebody seen, and a prediction that says the same again.
fn seen(view: &View) -> (Last, Prediction) {
    let sighting = sighting();
    let person = person(KeypointSet::Smpl24, &sighting);
    let detection = view.detection(&person, &sighting, 4);
    let last = Last {
        person,
        place: detection.place,
    };
    let prediction = Prediction {
        pose: detection.pose,
        place: detection.place,
        embedding: detection.embedding,
        texture: None,
    };
    (last, prediction)
}

#[test]
fn a_detection_is_in_the_originals_units() {
    let view = View::of(&frame(1280, 720));
    let sighting = sighting();
    let person = person(KeypointSet::Smpl24, &sighting);
    let detection = view.detection(&person, &sighting, 7);
    assert_eq!((detection.time, detection.pose.len()), (7, POSE));
    assert!((detection.score - 0.83).abs() < 1e-6);
    // At 256 pixels for the longer side: 2 f / (s b), with s = 0.9 and b = 500 * 256 / 1280.
    let depth = 2.0 * 5000.0 / (0.9 * 100.0);
    assert!((detection.place.depth - depth).abs() < 1e-2);
    assert!((f64::from(detection.pose[228]) - depth / 200.0).abs() < 1e-4);
    // The root in the crop is at s * (t_x, t_y) * b / 2 from its middle (600, 350).
    let root = [600.0 + 0.9 * 0.05 * 250.0, 350.0 + 0.9 * 0.3 * 250.0];
    let expected = [root[0] / 1280.0, (root[1] + 280.0) / 1280.0];
    for (ours, theirs) in detection.place.root.iter().zip(expected) {
        assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
    }
}

#[test]
fn a_prediction_of_what_was_seen_stands_where_it_stood() {
    let view = View::of(&frame(1280, 720));
    let (last, prediction) = seen(&view);
    let guess = view.predicted(&last, &prediction, 0.5).unwrap();
    let (before, after) = (last.person.camera.unwrap(), guess.camera.unwrap());
    for axis in 0..3 {
        let apart = (before.translation[axis] - after.translation[axis]).abs();
        assert!(apart < 1e-3 * before.translation[2], "{before:?} {after:?}");
    }
    assert_eq!(guess.smpl, last.person.smpl);
    assert_eq!(
        (guess.source, guess.tracking_confidence),
        (Source::Predicted, 0.5)
    );
    assert!((guess.bbox.x1 - last.person.bbox.x1).abs() < 1e-2);
    let halved = guess.keypoints.iter().zip(&last.person.keypoints);
    assert!(
        halved
            .into_iter()
            .all(|(a, b)| (a.confidence - 0.5 * b.confidence).abs() < 1e-6)
    );
}

#[test]
fn who_comes_nearer_grows_about_their_root() {
    let view = View::of(&frame(1280, 720));
    let (last, mut prediction) = seen(&view);
    prediction.place.depth = last.place.depth / 2.0;
    prediction.place.root[0] += 0.1;
    let guess = view.predicted(&last, &prediction, 1.0).unwrap();
    let (before, after) = (last.person.bbox, guess.bbox);
    let width = |b: BBox| b.x2 - b.x1;
    assert!((width(after) - 2.0 * width(before)).abs() < 0.01);
    let root = 611.25;
    let expected = root + 128.0 + 2.0 * (before.x1 - root);
    assert!((after.x1 - expected).abs() < 0.1, "{after:?} {expected}");
    let camera = guess.camera.unwrap();
    let pixel = camera.focal_length * camera.translation[0] / camera.translation[2] + 640.0;
    assert!((pixel - root - 128.0).abs() < 0.1, "{pixel}");
}

#[test]
fn a_prediction_that_is_no_body_before_the_camera_is_not_told() {
    let view = View::of(&frame(1280, 720));
    let (last, prediction) = seen(&view);
    for depth in [f64::NAN, f64::INFINITY, -3.0, 0.0] {
        let mut wrong = prediction.clone();
        wrong.place.depth = depth;
        assert!(view.predicted(&last, &wrong, 1.0).is_none(), "{depth}");
    }
    let short = Prediction {
        pose: vec![0.0; 20].into(),
        ..prediction
    };
    assert!(view.predicted(&last, &short, 1.0).is_none());
}
