//! A known body, posed and seen: every keypoint set by name, left and right, up and down, near and far.

use std::path::PathBuf;

use tch::{Device, Kind, Tensor};

use super::*;
use crate::models::smpl::body::{Body, Files};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/goldens")
        .join(name)
}

fn config() -> Config {
    Config::open(&fixture("hmr2/a/model_config.yaml")).unwrap()
}

/// Facing the camera, the left arm stretched out towards it.
pub fn sighting() -> Sighting {
    let files = Files {
        body: Some(&fixture("smpl/a/SMPL_NEUTRAL.pkl.gz")),
        regressor: Some(&fixture("smpl/a/SMPL_to_J19.pkl.gz")),
    };
    let body = Body::open(files, Device::Cpu).unwrap();
    let float = (Kind::Float, Device::Cpu);
    let rotations = Tensor::eye(3, float).repeat([1, 24, 1, 1]);
    let turn = |joint: i64, matrix: [f32; 9]| {
        let mut place = rotations.select(0, 0).select(0, joint).view([9]);
        place.copy_(&Tensor::from_slice(&matrix));
    };
    turn(0, [1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0]);
    turn(16, [0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    let posed = body
        .pose(&Tensor::zeros([1, 10], float), &rotations)
        .unwrap();
    let flat = |t: &Tensor| Vec::<f32>::try_from(t.contiguous().view(-1)).unwrap();
    let triples = |t: &Tensor| flat(t).as_chunks::<3>().0.to_vec();
    Sighting {
        bbox: BBox::new(500.0, 100.0, 700.0, 600.0),
        score: 0.83,
        box_source: BoxSource::VitDet,
        square: Square {
            center: [600.0, 350.0],
            side: 500.0,
        },
        body: BodyFound {
            joints45: triples(&posed.joints45),
            joints44: triples(&body.hmr_joints(&posed, false).unwrap()),
            rotations: flat(&rotations),
            betas: [0.0; 10],
            camera: [0.9, 0.05, 0.3],
            vertices: Some(flat(&posed.vertices)),
        },
        points: None,
        texture: None,
    }
}

pub fn person(set: KeypointSet, sighting: &Sighting) -> Person {
    let shape = Shape::new(set, None).unwrap();
    shape.person(&mut sighting.clone(), &config(), WIDTH, HEIGHT)
}

fn at<'a>(person: &'a Person, name: &str) -> &'a Keypoint {
    let found = person.keypoints.iter().find(|k| k.name == name);
    found.unwrap_or_else(|| panic!("no keypoint {name}"))
}

const SETS: [KeypointSet; 5] = [
    KeypointSet::Smpl24,
    KeypointSet::Smplx45,
    KeypointSet::Openpose25,
    KeypointSet::Hmr44,
    KeypointSet::Coco17,
];

#[test]
fn every_set_has_its_names_and_left_is_left() {
    let sighting = sighting();
    for set in SETS {
        let person = person(set, &sighting);
        let names: Vec<_> = person.keypoints.iter().map(|k| k.name).collect();
        assert_eq!(names, set.names());
        assert_eq!(person.joints3d.as_ref().unwrap().len(), names.len());
        // Who faces the camera has their left on the picture's right.
        for part in ["hip", "knee", "ankle", "shoulder", "elbow"] {
            let (left, right) = (format!("left_{part}"), format!("right_{part}"));
            let (left, right) = (at(&person, &left), at(&person, &right));
            assert!(left.x > right.x, "{} {part}", set.as_str());
        }
        for pair in ["left_shoulder", "left_hip", "left_knee", "left_ankle"].windows(2) {
            let (above, below) = (at(&person, pair[0]), at(&person, pair[1]));
            assert!(above.y < below.y, "{} {pair:?}", set.as_str());
        }
        // Towards the camera is negative.
        let (near, far) = (at(&person, "left_wrist"), at(&person, "right_wrist"));
        assert!(near.z.unwrap() < far.z.unwrap() - 0.3, "{}", set.as_str());
    }
    let smpl = person(KeypointSet::Smpl24, &sighting);
    assert_eq!(at(&smpl, "pelvis").z, Some(0.0));
    assert!(at(&smpl, "head").y < at(&smpl, "pelvis").y);
}

#[test]
fn sets_agree_where_they_name_the_same_joint() {
    let sighting = sighting();
    let smpl = person(KeypointSet::Smplx45, &sighting);
    for set in SETS {
        let person = person(set, &sighting);
        let mut common = 0;
        for point in &person.keypoints {
            let name = if point.name == "mid_hip" {
                "pelvis"
            } else {
                point.name
            };
            let Some(same) = smpl.keypoints.iter().find(|k| k.name == name) else {
                continue;
            };
            common += 1;
            assert!((point.x - same.x).hypot(point.y - same.y) < 1e-3, "{name}");
            assert_eq!(point.z, same.z, "{name}");
        }
        assert!(common >= 17, "{}: {common}", set.as_str());
    }
}

#[test]
fn keypoints_are_the_joints_seen_through_the_camera() {
    let sighting = sighting();
    for focal_length in [None, Some(1500.0)] {
        let shape = Shape::new(KeypointSet::Smpl24, focal_length).unwrap();
        let person = shape.person(&mut sighting.clone(), &config(), WIDTH, HEIGHT);
        let camera = person.camera.unwrap();
        assert_eq!(camera.center, [640.0, 360.0]);
        let usual = 5000.0 / 256.0 * 1280.0;
        assert_eq!(camera.focal_length, focal_length.unwrap_or(usual));
        for (point, joint) in person.keypoints.iter().zip(person.joints3d.unwrap()) {
            let [x, y, z] = [0, 1, 2].map(|k| joint[k] + camera.translation[k]);
            let seen = [x, y].map(|v| camera.focal_length * v / z);
            assert!((point.x - seen[0] - 640.0).abs() < 1e-2, "{}", point.name);
            assert!((point.y - seen[1] - 360.0).abs() < 1e-2, "{}", point.name);
        }
    }
}

#[test]
fn the_body_comes_with_its_parameters_mesh_and_angles() {
    let mut sighting = sighting();
    let shape = Shape::new(KeypointSet::Coco17, None).unwrap();
    let person = shape.person(&mut sighting, &config(), WIDTH, HEIGHT);
    assert_eq!(person.vertices.unwrap().len(), 3 * 6890);
    assert_eq!(sighting.body.vertices, None, "handed over, not copied");
    let smpl = person.smpl.unwrap();
    assert_eq!(
        smpl.global_orient,
        [1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0]
    );
    assert_eq!(smpl.body_pose.len(), 23 * 9);
    // The arm towards the camera is at about a right angle to the trunk, the other stretched out.
    let angles = person.joint_angles3d.unwrap();
    let angle = |name: &str| angles.iter().find(|(n, _)| *n == name).unwrap().1;
    for side in ["left", "right"] {
        let shoulder = angle(&format!("{side}_shoulder"));
        assert!((70.0..110.0).contains(&shoulder), "{side}: {shoulder}");
        assert!(angle(&format!("{side}_elbow")) > 160.0);
        assert!(angle(&format!("{side}_knee")) > 160.0);
    }
    assert!(angle("trunk_lean") < 5.0);
    assert!((person.score - 0.83).abs() < 1e-6);
    assert_eq!(person.box_source, Some(BoxSource::VitDet));
}

#[test]
fn confidence_is_measured_or_the_detectors_and_nothing_beyond_the_frame() {
    let mut sighting = sighting();
    let projected = person(KeypointSet::Coco17, &sighting);
    assert_eq!(projected.keypoint_source, Some(KeypointSource::Projected));
    for point in &projected.keypoints {
        let inside = (0.0..1280.0).contains(&point.x) && (0.0..720.0).contains(&point.y);
        assert_eq!(
            point.confidence,
            if inside { 0.83 } else { 0.0 },
            "{}",
            point.name
        );
    }
    sighting.square.center = [0.0, 350.0];
    let half = person(KeypointSet::Smpl24, &sighting);
    let (left, right) = (at(&half, "left_elbow"), at(&half, "right_elbow"));
    assert!(right.x < 0.0 && right.confidence == 0.0);
    assert!(left.confidence > 0.0);

    let measured: Keypoints =
        std::array::from_fn(|k| [10.0 * k as f32, 5.0 * k as f32, 0.05 * k as f32]);
    sighting.points = Some(measured);
    let coco = person(KeypointSet::Coco17, &sighting);
    assert_eq!(coco.keypoint_source, Some(KeypointSource::Measured));
    for (point, [x, y, confidence]) in coco.keypoints.iter().zip(measured) {
        assert_eq!([point.x, point.y, point.confidence], [x, y, confidence]);
        assert!(point.z.is_some());
    }
    // Of other sets the places stay those of the body; what was measured vouches for them.
    let smpl = person(KeypointSet::Smpl24, &sighting);
    assert_eq!(smpl.keypoint_source, Some(KeypointSource::Projected));
    assert_eq!(at(&smpl, "left_knee").x, at(&half, "left_knee").x);
    assert_eq!(at(&smpl, "left_knee").confidence, measured[13][2]);
    assert_eq!(at(&smpl, "left_elbow").confidence, measured[7][2]);
    let hmr = person(KeypointSet::Hmr44, &sighting);
    assert_eq!(at(&hmr, "lsp_right_ankle").confidence, measured[16][2]);
}

#[test]
fn a_set_that_no_body_has_is_refused() {
    assert!(Shape::new(KeypointSet::Blazepose33, None).is_none());
    let needs = |set| Shape::new(set, None).unwrap().needs();
    assert_eq!(SETS.map(needs), [0, 0, 25, 44, 19]);
}
