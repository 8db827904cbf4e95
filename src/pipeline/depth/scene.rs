//! A made-up scene whose depth is known: figures at given distances, drawn into a map as a network
//! of the family would say it.

use super::map::DepthMap;
use crate::geometry::boxes::BBox;
use crate::pipeline::result::{Camera, Keypoint, Person, Source};

pub const WIDTH: usize = 640;
pub const HEIGHT: usize = 480;
pub const FOCAL: f32 = 500.0;
/// What the made-up network says of a distance: `A / distance + B`.
pub const A: f32 = 1200.0;
pub const B: f32 = 90.0;
/// Of the wall behind everybody, metres.
pub const WALL: f32 = 30.0;

/// A standing figure's joints, metres around its pelvis: x right, y down, z forward.
const JOINTS: [(&str, [f32; 3]); 13] = [
    ("nose", [0.0, -0.72, -0.08]),
    ("left_shoulder", [0.18, -0.5, 0.0]),
    ("right_shoulder", [-0.18, -0.5, 0.0]),
    ("left_elbow", [0.28, -0.22, 0.02]),
    ("right_elbow", [-0.28, -0.22, 0.02]),
    ("left_wrist", [0.3, 0.02, -0.1]),
    ("right_wrist", [-0.3, 0.02, -0.1]),
    ("left_hip", [0.1, 0.0, 0.0]),
    ("right_hip", [-0.1, 0.0, 0.0]),
    ("left_knee", [0.11, 0.42, -0.03]),
    ("right_knee", [-0.11, 0.42, -0.03]),
    ("left_ankle", [0.11, 0.85, 0.02]),
    ("right_ankle", [-0.11, 0.85, 0.02]),
];
/// Its flesh: between which joints, how thick in metres.
const FLESH: [(usize, usize, f32); 14] = [
    (1, 3, 0.055),
    (3, 5, 0.045),
    (2, 4, 0.055),
    (4, 6, 0.045),
    (7, 9, 0.085),
    (9, 11, 0.06),
    (8, 10, 0.085),
    (10, 12, 0.06),
    (1, 8, 0.12),
    (2, 7, 0.12),
    (1, 2, 0.08),
    (7, 8, 0.12),
    (1, 0, 0.08),
    (2, 0, 0.08),
];

/// A figure whose pelvis is at `place`, metres before the camera.
pub fn figure(track_id: u32, place: [f32; 3]) -> Person {
    let center = [WIDTH as f32 / 2.0, HEIGHT as f32 / 2.0];
    let keypoint = |&(name, joint): &(&'static str, [f32; 3])| {
        let z = joint[2] + place[2];
        Keypoint {
            name,
            x: center[0] + FOCAL * (joint[0] + place[0]) / z,
            y: center[1] + FOCAL * (joint[1] + place[1]) / z,
            z: Some(joint[2]),
            confidence: 0.9,
        }
    };
    let keypoints: Vec<Keypoint> = JOINTS.iter().map(keypoint).collect();
    let xs = || keypoints.iter().map(|p| p.x);
    let ys = || keypoints.iter().map(|p| p.y);
    let bbox = BBox::new(
        xs().fold(f32::INFINITY, f32::min),
        ys().fold(f32::INFINITY, f32::min),
        xs().fold(f32::NEG_INFINITY, f32::max),
        ys().fold(f32::NEG_INFINITY, f32::max),
    );
    Person {
        keypoints,
        joints3d: Some(JOINTS.iter().map(|(_, joint)| *joint).collect()),
        camera: Some(Camera {
            translation: place,
            focal_length: FOCAL,
            center,
        }),
        ..Person::at(track_id, bbox, Source::Detected)
    }
}

/// What the made-up network says of a distance in metres.
pub fn said(metres: f32) -> f32 {
    A / metres + B
}

/// A map with nothing but the wall.
pub fn wall() -> DepthMap {
    DepthMap {
        width: WIDTH,
        height: HEIGHT,
        values: vec![said(WALL); WIDTH * HEIGHT],
    }
}

/// Draws somebody's flesh, nearest first: whoever is before them stays before them.
pub fn draw(map: &mut DepthMap, person: &Person) {
    let pelvis = person.camera.unwrap().translation;
    let joints = person.joints3d.as_ref().unwrap();
    for (from, to, radius) in FLESH {
        for step in 0..=60 {
            let part = step as f32 / 60.0;
            let at: [f32; 3] = std::array::from_fn(|axis| {
                joints[from][axis] * (1.0 - part) + joints[to][axis] * part + pelvis[axis]
            });
            ball(map, at, radius);
        }
    }
}

fn ball(map: &mut DepthMap, at: [f32; 3], radius: f32) {
    let side = FOCAL * radius / at[2];
    let x = WIDTH as f32 / 2.0 + FOCAL * at[0] / at[2];
    let y = HEIGHT as f32 / 2.0 + FOCAL * at[1] / at[2];
    let rows = (y - side).max(0.0) as usize..((y + side).max(0.0) as usize + 1).min(HEIGHT);
    for row in rows {
        let columns = (x - side).max(0.0) as usize..((x + side).max(0.0) as usize + 1).min(WIDTH);
        for column in columns {
            let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
            if dx * dx + dy * dy <= side * side {
                let value = &mut map.values[row * WIDTH + column];
                *value = value.max(said(at[2]));
            }
        }
    }
}

/// A thing that stands upright before the camera, from and to these pixels.
pub fn stand(
    map: &mut DepthMap,
    metres: f32,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) {
    for row in rows {
        for column in columns.clone() {
            let value = &mut map.values[row * WIDTH + column];
            *value = value.max(said(metres));
        }
    }
}
