//! People in made-up scenes whose depth is known.

use super::*;
use crate::pipeline::depth::fit::Method;
use crate::pipeline::depth::scene::{A, B, HEIGHT, WALL, WIDTH, draw, figure, said, stand, wall};

/// Figures at these places, the map of them, and what is measured.
fn scene(places: &[[f32; 3]]) -> (DepthMap, Vec<Person>, FrameDepth) {
    let mut map = wall();
    let mut people: Vec<Person> = (1..)
        .zip(places)
        .map(|(id, place)| figure(id, *place))
        .collect();
    people.iter().for_each(|person| draw(&mut map, person));
    let frame = measure(&map, &mut people, "DPT_Large");
    (map, people, frame)
}

fn orders(people: &[Person]) -> Vec<Option<u32>> {
    people
        .iter()
        .map(|p| p.depth.map(|depth| depth.order))
        .collect()
}

/// As near as a body is thick.
fn assert_metres(person: &Person, expected: f32) {
    let metres = person.depth.unwrap().metres.unwrap();
    assert!(
        (metres / expected - 1.0).abs() < 0.05,
        "{metres} m, expected {expected}"
    );
}

#[test]
fn people_side_by_side_are_ordered_and_the_map_becomes_metres() {
    let (_, people, frame) = scene(&[[-1.2, 0.0, 6.0], [0.0, 0.0, 3.0], [1.2, 0.0, 4.0]]);
    assert_eq!(orders(&people), [Some(2), Some(0), Some(1)]);
    for (person, metres) in people.iter().zip([6.0, 3.0, 4.0]) {
        assert_metres(person, metres);
        let value = person.depth.unwrap().value;
        assert!((value / said(metres) - 1.0).abs() < 0.05);
    }
    let fit = frame.fit.unwrap();
    assert_eq!((fit.method, fit.people), (Method::ScaleAndShift, 3));
    assert!((fit.scale * A - 1.0).abs() < 0.03, "{fit:?}");
    assert!((fit.shift + B / A).abs() < 0.01, "{fit:?}");
    assert!(fit.residual < 0.005, "{fit:?}");
    let wall = fit.metres(said(WALL)).unwrap();
    assert!((wall / WALL - 1.0).abs() < 0.25, "{wall}");
    assert_eq!(frame.model, "DPT_Large");
    assert_eq!(frame.min, said(WALL));
}

#[test]
fn whoever_is_half_hidden_by_another_is_measured_where_they_are_seen() {
    // The nearer one covers more than half of the farther one's trunk.
    for shift in [0.16, 0.25, 0.4] {
        let (_, people, frame) = scene(&[[0.0, 0.0, 3.0], [shift * 5.0 / 3.0, 0.0, 5.0]]);
        assert_eq!(orders(&people), [Some(0), Some(1)], "{shift}");
        assert_metres(&people[0], 3.0);
        assert_metres(&people[1], 5.0);
        assert_eq!(frame.fit.unwrap().people, 2);
    }
}

#[test]
fn a_child_before_a_grown_up_is_nearer_though_all_of_it_lies_within_the_other() {
    let mut map = wall();
    let mut child = figure(2, [0.0, 0.25, 2.5]);
    // Half as large, wherever it is.
    for joint in child.joints3d.iter_mut().flatten() {
        *joint = joint.map(|v| v * 0.5);
    }
    let camera = child.camera.unwrap();
    for (point, joint) in child
        .keypoints
        .iter_mut()
        .zip(child.joints3d.as_ref().unwrap())
    {
        let z = joint[2] + camera.translation[2];
        point.x = camera.center[0] + camera.focal_length * (joint[0] + camera.translation[0]) / z;
        point.y = camera.center[1] + camera.focal_length * (joint[1] + camera.translation[1]) / z;
    }
    let mut people = vec![figure(1, [0.0, 0.0, 2.9]), child];
    people.iter().for_each(|person| draw(&mut map, person));
    measure(&map, &mut people, "MiDaS");
    assert_eq!(orders(&people), [Some(1), Some(0)]);
}

#[test]
fn a_table_before_somebody_and_the_wall_behind_change_nothing() {
    let mut map = wall();
    let mut people = vec![figure(1, [-0.5, 0.0, 4.0]), figure(2, [0.9, 0.0, 6.0])];
    people.iter().for_each(|person| draw(&mut map, person));
    // From the hips down, near the camera.
    stand(&mut map, 1.0, 0..WIDTH, 250..HEIGHT);
    let frame = measure(&map, &mut people, "MiDaS");
    assert_eq!(orders(&people), [Some(0), Some(1)]);
    assert_metres(&people[0], 4.0);
    assert_metres(&people[1], 6.0);
    assert!(frame.fit.unwrap().residual < 0.01);
}

#[test]
fn hidden_joints_and_those_beyond_the_frame_are_not_asked() {
    let mut map = wall();
    let mut people = vec![figure(1, [0.0, 0.0, 3.0])];
    draw(&mut map, &people[0]);
    // A counter hides nearly everything below the shoulders, and the pose model says so.
    stand(&mut map, 1.2, 0..WIDTH, 170..HEIGHT);
    for point in &mut people[0].keypoints {
        let above = ["nose", "left_shoulder", "right_shoulder"].contains(&point.name);
        point.confidence = if above { 0.9 } else { 0.2 };
    }
    measure(&map, &mut people, "MiDaS");
    let value = people[0].depth.unwrap().value;
    assert!((value / said(3.0) - 1.0).abs() < 0.05, "{value}");

    // Half of the body lies to the left of the picture.
    let (_, people, _) = scene(&[[-1.9, 0.0, 3.0]]);
    let depth = people[0].depth.unwrap();
    assert!((depth.value / said(3.0) - 1.0).abs() < 0.05, "{depth:?}");
    assert!(depth.places < 100, "{depth:?}");
}

#[test]
fn one_person_gives_the_scale_and_says_so() {
    let (_, people, frame) = scene(&[[0.3, 0.0, 3.5]]);
    let fit = frame.fit.unwrap();
    assert_eq!((fit.method, fit.people, fit.shift), (Method::Scale, 1, 0.0));
    assert_eq!(fit.residual, 0.0);
    assert_metres(&people[0], 3.5);
}

#[test]
fn without_cameras_there_is_an_order_and_no_metres() {
    let mut map = wall();
    let mut people = vec![figure(1, [-0.8, 0.0, 5.0]), figure(2, [0.6, 0.0, 3.0])];
    people.iter().for_each(|person| draw(&mut map, person));
    people.iter_mut().for_each(|person| person.camera = None);
    let frame = measure(&map, &mut people, "MiDaS");
    assert_eq!(orders(&people), [Some(1), Some(0)]);
    assert!(frame.fit.is_none() && people[0].depth.unwrap().metres.is_none());
}

#[test]
fn who_was_not_seen_and_who_has_no_joints_has_no_depth() {
    let mut map = wall();
    let mut people = vec![
        figure(1, [-0.8, 0.0, 5.0]),
        figure(2, [0.6, 0.0, 3.0]),
        Person::at(
            3,
            crate::geometry::boxes::BBox::new(0.0, 0.0, 9.0, 9.0),
            Source::Detected,
        ),
    ];
    draw(&mut map, &people[1]);
    people[0].source = Source::Predicted;
    let frame = measure(&map, &mut people, "MiDaS");
    assert_eq!(orders(&people), [None, Some(0), None]);
    assert_eq!(frame.fit.unwrap().people, 1);
    let nobody = measure(&map, &mut [], "MiDaS");
    assert!(nobody.fit.is_none());
}
