//! Places on a body, and its outline.

use super::*;
use crate::geometry::roi::Roi;
use crate::pipeline::depth::scene::{draw, figure, said, wall};

#[test]
fn every_place_is_on_the_body_and_within_its_outline() {
    let person = figure(1, [0.2, 0.0, 3.0]);
    let mut map = wall();
    draw(&mut map, &person);
    let body = Body::of(&person).unwrap();
    assert_eq!(body.places.len(), PLACES * (PLACES + LIMBS.len() + 1));
    for place in &body.places {
        let value = map.at(place.x, place.y).unwrap();
        assert!(
            (value / said(place.z) - 1.0).abs() < 0.06,
            "{place:?}: {value}"
        );
        assert!(body.covers(place.x, place.y), "{place:?}");
    }
    // Of the outline, nearly all that the figure covers, and little beside it.
    let (mut both, mut only_map, mut only_body) = (0.0, 0.0, 0.0);
    for row in 0..map.height {
        for column in 0..map.width {
            let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
            let there = map.at(x, y).unwrap() > said(5.0);
            match (there, body.covers(x, y)) {
                (true, true) => both += 1.0,
                (true, false) => only_map += 1.0,
                (false, true) => only_body += 1.0,
                (false, false) => {}
            }
        }
    }
    assert!(
        only_map / both < 0.1 && only_body / both < 0.25,
        "{both} {only_map} {only_body}"
    );
}

#[test]
fn a_mask_overrules_the_outline() {
    let mut person = figure(1, [0.0, 0.0, 3.0]);
    let all = Body::of(&person).unwrap().places.len();
    // The right half of the picture is the person's, in a region turned by a quarter.
    let mask: Vec<f32> = (0..256 * 256)
        .map(|cell| if cell / 256 < 128 { 1.0 } else { 0.0 })
        .collect();
    person.segmentation = Some(Segmentation {
        mask: mask.into(),
        region: Roi {
            cx: 320.0,
            cy: 240.0,
            size: 600.0,
            rotation: std::f32::consts::FRAC_PI_2,
        },
    });
    let body = Body::of(&person).unwrap();
    assert!(body.places.iter().all(|place| place.x >= 320.0));
    assert!(body.places.len() * 3 > all && body.places.len() < all);
    assert!(body.covers(340.0, 100.0) && !body.covers(300.0, 240.0));
}

#[test]
fn too_few_joints_are_no_body() {
    let mut person = figure(1, [0.0, 0.0, 3.0]);
    person.keypoints.retain(|point| point.name == "nose");
    assert!(Body::of(&person).is_none());
    person.keypoints.clear();
    assert!(Body::of(&person).is_none());
}
