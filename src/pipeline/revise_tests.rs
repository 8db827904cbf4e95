//! What a clip gone over again must hold.

use super::*;
use crate::geometry::boxes::BBox;
use crate::pipeline::result::{Keypoint, Smpl};

const RULES: Rules = Rules {
    max_predicted: 30,
    smooth: false,
};

fn person(id: u32, x: f32, source: Source) -> Person {
    let keypoint = Keypoint {
        name: "nose",
        x,
        y: 2.0 * x,
        z: Some(0.0),
        confidence: 0.8,
    };
    Person {
        keypoints: vec![keypoint],
        joints3d: Some(vec![[x / 100.0, 0.0, 0.0]]),
        joint_angles3d: Some(vec![("left_knee", 90.0 + x), ("neck", 100.0)]),
        tracking_confidence: 1.0,
        score: 0.9,
        ..Person::at(id, BBox::new(x, 0.0, x + 10.0, 20.0), source)
    }
}

fn result(number: u32, persons: Vec<Person>) -> FrameResult {
    FrameResult {
        frame_number: f64::from(number),
        time_s: f64::from(number) / 30.0,
        width: 640,
        height: 480,
        persons,
        held: Vec::new(),
        starts_shot: false,
        earlier: Vec::new(),
        processing_time_ms: 0.0,
        timings: Vec::new(),
        model_version: String::new(),
        depth: None,
        depth_error: None,
        error: None,
    }
}

/// Frames 0, 1, … in which somebody moves a pixel a frame and is seen or not.
fn walk(seen: &str) -> Vec<FrameResult> {
    let frame = |(n, how): (usize, char)| {
        let source = match how {
            's' => Source::Detected,
            'r' => Source::Recovered,
            'p' => Source::Predicted,
            _ => return result(n as u32, Vec::new()),
        };
        // A prediction that stands still.
        let x = if how == 'p' { 1.0 } else { n as f32 };
        result(n as u32, vec![person(7, x, source)])
    };
    seen.chars().enumerate().map(frame).collect()
}

fn xs(results: &[FrameResult]) -> Vec<f32> {
    let x = |r: &FrameResult| r.persons.first().map_or(f32::NAN, |p| p.keypoints[0].x);
    results.iter().map(x).collect()
}

#[test]
fn a_gap_between_two_sights_is_filled_from_both_sides() {
    let mut results = walk("sspppsr");
    let changed = revise(&mut results, &RULES);
    assert_eq!(changed, [(2, 0), (3, 0), (4, 0)]);
    for (n, x) in xs(&results).iter().enumerate() {
        assert!((x - n as f32).abs() < 1e-3, "{n}: {x}");
    }
    let middle = &results[3].persons[0];
    assert_eq!(middle.source, Source::Interpolated);
    assert_eq!(middle.bbox, BBox::new(3.0, 0.0, 13.0, 20.0));
    assert!((middle.joint_angles3d.as_ref().unwrap()[0].1 - 93.0).abs() < 1e-3);
    assert!(middle.tracking_confidence < results[2].persons[0].tracking_confidence);
    assert!(middle.keypoints[0].confidence < 0.8 && middle.keypoints[0].confidence > 0.5);
    assert_eq!(results[5].persons[0], person(7, 5.0, Source::Detected));
}

#[test]
fn frames_without_a_record_and_broken_frames_get_one() {
    let mut results = walk("ss..ss");
    results[2].error = Some(("ERR_POSE4D_DECODE", "cut off".into()));
    assert_eq!(revise(&mut results, &RULES).len(), 2);
    assert!((xs(&results)[2] - 2.0).abs() < 1e-3);
    assert!(results[2].error.is_some(), "what was wrong is still told");
}

#[test]
fn after_the_last_sight_a_prediction_stays_one() {
    let mut results = walk("ssppp");
    let before = results.clone();
    assert_eq!(revise(&mut results, &RULES), []);
    assert_eq!(results, before);
}

#[test]
fn who_proves_real_is_told_from_the_first_sight_and_a_false_alarm_never() {
    let mut results = walk("..ss");
    results[0].held = vec![
        person(7, 0.0, Source::Detected),
        person(9, 50.0, Source::Detected),
    ];
    let changed = revise(&mut results, &RULES);
    assert_eq!(changed, [(1, 0)]);
    let told = |r: &FrameResult| {
        r.persons
            .iter()
            .map(|p| (p.track_id, p.source))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&results[0]), [(7, Source::Detected)]);
    assert_eq!(told(&results[1]), [(7, Source::Interpolated)]);
    assert!(results.iter().all(|r| r.held.is_empty()));
}

#[test]
fn frames_out_of_order_are_put_in_order_and_refused_ones_left_alone() {
    let mut results = walk("sspps");
    let mut refused = result(3, Vec::new());
    refused.time_s = f64::NAN;
    refused.error = Some(("ERR_POSE4D_FRAME_NUMBER", "3 again".into()));
    results.insert(0, refused);
    results.reverse();
    let changed = revise(&mut results, &RULES);
    assert_eq!(changed.len(), 2);
    assert!(
        results
            .last()
            .is_some_and(|r| r.error.is_some() && r.persons.is_empty())
    );
    results.reverse();
    for (n, x) in xs(&results[1..]).iter().enumerate() {
        assert!((x - n as f32).abs() < 1e-3, "{n}: {x}");
    }
}

#[test]
fn others_are_not_touched_and_records_stay_sorted() {
    let mut results = walk("s.s");
    results[1].persons = vec![
        person(3, 9.0, Source::Detected),
        person(12, 9.0, Source::Detected),
    ];
    assert_eq!(revise(&mut results, &RULES), [(1, 1)]);
    let ids: Vec<u32> = results[1].persons.iter().map(|p| p.track_id).collect();
    assert_eq!(ids, [3, 7, 12]);
    assert_eq!(results[1].persons[0], person(3, 9.0, Source::Detected));
}

#[test]
fn a_body_is_filled_by_its_rotations() {
    use crate::geometry::rotations::{IDENTITY, exp};
    let body = |turn: f64| Smpl {
        global_orient: exp([0.0, turn, 0.0]).map(|v| v as f32),
        body_pose: IDENTITY.map(|v| v as f32).repeat(23),
        betas: [turn as f32; 10],
    };
    let mut results = walk("s.s");
    for (n, turn) in [(0, 0.2), (2, 1.0)] {
        results[n].persons[0].smpl = Some(body(turn));
        results[n].persons[0].vertices = Some(vec![0.0; 9]);
    }
    revise(&mut results, &RULES);
    let found = &results[1].persons[0];
    let smpl = found.smpl.as_ref().unwrap();
    let expected = body(0.6);
    let apart = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    };
    assert!(apart(&smpl.global_orient, &expected.global_orient) < 1e-6);
    assert!(apart(&smpl.body_pose, &expected.body_pose) < 1e-6);
    assert!(apart(&smpl.betas, &expected.betas) < 1e-6);
    assert_eq!(found.vertices, None, "the surface is the model's to say");
}

#[test]
fn who_was_seen_is_smoothed_from_both_sides_and_stays_beside_as_measured() {
    use crate::geometry::rotations::exp;
    let mut results = walk("sssssssss..ssss");
    let tremble = |n: usize| if n.is_multiple_of(2) { 1.0 } else { -1.0 };
    for (n, result) in results.iter_mut().enumerate() {
        for person in &mut result.persons {
            person.keypoints[0].x += tremble(n);
            person.smpl = Some(Smpl {
                global_orient: exp([0.0, 0.1 * f64::from(tremble(n)), 0.0]).map(|v| v as f32),
                body_pose: Vec::new(),
                betas: [0.0; 10],
            });
        }
    }
    let measured = results.clone();
    revise(
        &mut results,
        &Rules {
            smooth: true,
            ..RULES
        },
    );
    for (n, (result, before)) in results.iter().zip(&measured).enumerate() {
        let [person] = result.persons.as_slice() else {
            panic!("{n}");
        };
        let Some(before) = before.persons.first() else {
            assert_eq!((person.source, &person.raw), (Source::Interpolated, &None));
            continue;
        };
        assert_eq!(person.raw.as_deref(), Some(&before.measured()), "{n}");
        assert_eq!((person.bbox, person.score), (before.bbox, before.score));
        let off = (person.keypoints[0].x - n as f32).abs();
        assert!(off < 0.6, "{n}: {off}");
        let turn = person.smpl.as_ref().map(|s| s.global_orient[2].abs());
        assert!(turn.is_some_and(|turn| turn < 0.06), "{n}: {turn:?}");
    }
}

#[test]
fn smoothing_does_not_reach_across_a_cut() {
    let mut results = walk("ssssss");
    for (n, result) in results.iter_mut().enumerate() {
        result.starts_shot = n == 3;
        result.persons[0].keypoints[0].x = if n < 3 { 0.0 } else { 500.0 };
    }
    revise(
        &mut results,
        &Rules {
            smooth: true,
            ..RULES
        },
    );
    let places: Vec<f32> = results
        .iter()
        .map(|r| r.persons[0].keypoints[0].x.round())
        .collect();
    assert_eq!(places, [0.0, 0.0, 0.0, 500.0, 500.0, 500.0]);
}

/// As [`walk`], of somebody large enough, far from the sides, who walks on at four pixels a frame.
fn stroll(seen: &str) -> Vec<FrameResult> {
    let mut results = walk(seen);
    for (n, result) in results.iter_mut().enumerate() {
        for person in &mut result.persons {
            let x = 300.0 + 4.0 * n as f32;
            person.bbox = BBox::new(x, 100.0, x + 60.0, 300.0);
            person.keypoints[0].x = x + 30.0;
        }
    }
    results
}

fn sources(results: &[FrameResult]) -> String {
    let letter = |r: &FrameResult| match r.persons.first().map(|p| p.source) {
        None => '.',
        Some(Source::Detected) => 's',
        Some(Source::Recovered) => 'r',
        Some(Source::Predicted) => 'p',
        Some(Source::Interpolated) => 'i',
    };
    results.iter().map(letter).collect()
}

#[test]
fn before_the_first_sight_people_are_guessed_by_the_rules_of_after_the_last() {
    let mut results = stroll("........ssss");
    revise(&mut results, &RULES);
    assert_eq!(sources(&results), "ppppppppssss");
    let (near, far) = (&results[7].persons[0], &results[0].persons[0]);
    assert!((near.tracking_confidence - (-0.1f32).exp()).abs() < 1e-3);
    assert!((far.tracking_confidence - (-0.8f32).exp()).abs() < 1e-3);
    assert!((near.keypoints[0].x - 358.0).abs() < 1.5, "they walk");
    assert!(near.bbox.x1 < 332.0 && far.bbox.x1 < near.bbox.x1);
    assert_eq!(near.keypoints[0].confidence, 0.8 * near.tracking_confidence);

    let mut results = stroll("........ssss");
    revise(
        &mut results,
        &Rules {
            max_predicted: 3,
            ..RULES
        },
    );
    assert_eq!(sources(&results), ".....pppssss");
    let mut results = stroll("....s");
    revise(&mut results, &RULES);
    assert_eq!(sources(&results), "...ps", "a glimpse earns one guess");
}

#[test]
fn nothing_reaches_across_a_cut() {
    let mut results = stroll("ssspppppssss");
    results[5].starts_shot = true;
    revise(&mut results, &RULES);
    assert_eq!(
        sources(&results),
        "ssspppppssss",
        "guessed from either side"
    );
    let x = |n: usize| results[n].persons[0].bbox.x1;
    assert!(x(5) < x(8) && x(4) >= x(2), "{} {}", x(4), x(5));
    assert!(results[5].persons[0].tracking_confidence < results[7].persons[0].tracking_confidence);

    let mut results = stroll("sssppppp");
    results[5].starts_shot = true;
    revise(&mut results, &RULES);
    assert_eq!(sources(&results), "ssspp...");
    let mut results = stroll(".....sss");
    results[3].starts_shot = true;
    revise(&mut results, &RULES);
    assert_eq!(sources(&results), "...ppsss");
}

#[test]
fn where_somebody_else_is_nobody_is_guessed() {
    let mut results = stroll("......ssss");
    let other = Person {
        bbox: BBox::new(310.0, 100.0, 370.0, 300.0),
        ..person(3, 0.0, Source::Predicted)
    };
    results[2].persons = vec![other.clone()];
    revise(&mut results, &RULES);
    let ids = |r: &FrameResult| r.persons.iter().map(|p| p.track_id).collect::<Vec<_>>();
    assert_eq!(ids(&results[2]), [3]);
    assert!(results[1].persons.is_empty(), "nor beyond them");
    assert_eq!(ids(&results[3]), [7]);
}

#[test]
fn people_found_in_earlier_frames_are_told_there_and_close_the_gap() {
    let mut results = stroll("......ssss");
    let found = |n: u32| {
        let x = 300.0 + 4.0 * n as f32;
        let person = Person {
            bbox: BBox::new(x, 100.0, x + 60.0, 300.0),
            ..person(7, 0.0, Source::Recovered)
        };
        (f64::from(n), person)
    };
    // One of a frame that is no part of the record, and one of a frame that showed them after all.
    results[8].earlier = vec![found(5), found(2), found(99), found(7)];
    let interpolated = revise(&mut results, &RULES);
    assert_eq!(sources(&results), "ppriirssss");
    assert_eq!(interpolated, [(3, 0), (4, 0)]);
    assert!(results.iter().all(|r| r.earlier.is_empty()));
}
