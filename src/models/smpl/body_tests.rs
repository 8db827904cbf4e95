//! A known body, posed and seen: joints by name, left and right, up and down, near and far.

use std::path::PathBuf;

use super::*;
use crate::checkpoint::convert;
use crate::checkpoint::write::{Entry, safetensors};
use crate::geometry::camera::project;
use crate::geometry::joints::KeypointSet;

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/goldens/smpl/a")
        .join(name)
}

fn body() -> Body {
    let files = Files {
        body: Some(&fixture("SMPL_NEUTRAL.pkl.gz")),
        regressor: Some(&fixture("SMPL_to_J19.pkl.gz")),
    };
    Body::open(files, Device::Cpu).unwrap()
}

/// Every joint as its parent has it, except those named: turned about an axis by degrees.
fn pose(turns: &[(&str, usize, f64)]) -> Tensor {
    let all = Tensor::eye(3, FLOAT).repeat([1, JOINTS, 1, 1]);
    for &(joint, axis, degrees) in turns {
        let (sin, cos) = (degrees.to_radians().sin(), degrees.to_radians().cos());
        let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut turn = [[0.0; 3]; 3];
        turn[axis][axis] = 1.0;
        (turn[a][a], turn[a][b], turn[b][a], turn[b][b]) = (cos, -sin, sin, cos);
        let turn = turn
            .as_flattened()
            .iter()
            .map(|&v| v as f32)
            .collect::<Vec<_>>();
        let place = all.select(1, index(joint) as i64).select(0, 0);
        place.view([9]).copy_(&Tensor::from_slice(&turn));
    }
    all
}

fn index(joint: &str) -> usize {
    let names = KeypointSet::Smpl24.names();
    names.iter().position(|n| *n == joint).unwrap()
}

/// The 24 joints by number.
fn joints(body: &Body, rotations: &Tensor) -> Vec<[f32; 3]> {
    let posed = body
        .pose(&Tensor::zeros([1, BETAS], FLOAT), rotations)
        .unwrap();
    let flat = Vec::<f32>::try_from(posed.joints45.narrow(1, 0, JOINTS).contiguous().view(-1));
    flat.unwrap().as_chunks().0.to_vec()
}

/// SMPL's axes are y up and the face towards z; a camera's are y down and z away from it.
const FACING: (&str, usize, f64) = ("pelvis", 0, 180.0);

#[test]
fn a_person_facing_the_camera_has_left_on_its_right() {
    let body = body();
    // The left arm forwards, towards the camera.
    let found = joints(&body, &pose(&[FACING, ("left_shoulder", 1, -80.0)]));
    let at = |name: &str| found[index(name)];
    let seen = |name: &str| {
        let [x, y, z] = at(name);
        project([x, y, z + 5.0], 1000.0, [500.0, 400.0])
    };
    for part in [
        "hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "hand",
    ] {
        let (left, right) = (
            seen(&format!("left_{part}")),
            seen(&format!("right_{part}")),
        );
        assert!(left[0] > right[0], "{part}: {left:?} {right:?}");
    }
    let downwards = [
        "head",
        "neck",
        "pelvis",
        "left_knee",
        "left_ankle",
        "left_foot",
    ];
    for (above, below) in downwards.iter().zip(&downwards[1..]) {
        assert!(
            seen(above)[1] < seen(below)[1],
            "{above} is not above {below}"
        );
    }
    assert!(
        at("left_wrist")[2] < at("right_wrist")[2] - 0.3,
        "the arm points away"
    );
    assert!(
        at("left_foot")[2] < at("left_ankle")[2],
        "the toes point away"
    );
}

#[test]
fn a_joint_moves_what_hangs_on_it() {
    let body = body();
    let rest = joints(&body, &pose(&[]));
    let bent = joints(&body, &pose(&[("right_elbow", 2, 70.0)]));
    for (joint, name) in KeypointSet::Smpl24.names().iter().enumerate() {
        let moved = (0..3).any(|k| (rest[joint][k] - bent[joint][k]).abs() > 1e-5);
        assert_eq!(
            moved,
            ["right_wrist", "right_hand"].contains(name),
            "{name}"
        );
    }
    let length = |j: &[[f32; 3]]| {
        let (a, b) = (j[index("right_elbow")], j[index("right_wrist")]);
        (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f32>().sqrt()
    };
    assert!((length(&rest) - length(&bent)).abs() < 1e-6);
}

#[test]
fn turning_the_whole_body_turns_the_mesh() {
    let body = body();
    let betas = Tensor::randn([1, BETAS], FLOAT);
    let still = body.pose(&betas, &pose(&[])).unwrap();
    let turned = body.pose(&betas, &pose(&[FACING])).unwrap();
    let pelvis = still.joints45.narrow(1, 0, 1);
    let around = |t: &Tensor| t - &pelvis;
    let expected = around(&still.vertices) * Tensor::from_slice(&[1f32, -1.0, -1.0]);
    let furthest = (around(&turned.vertices) - expected).abs().max();
    assert!(furthest.double_value(&[]) < 1e-5);
}

#[test]
fn joints_of_all_sets_are_where_their_names_say() {
    let body = body();
    let turns = [FACING, ("left_shoulder", 1, -80.0), ("right_knee", 0, 90.0)];
    let posed = body.pose(&Tensor::zeros([1, BETAS], FLOAT), &pose(&turns));
    let posed = posed.unwrap();
    let joints = body.hmr_joints(&posed, false).unwrap();
    let points = |t: &Tensor| -> Vec<[f32; 3]> {
        let flat = Vec::<f32>::try_from(t.contiguous().view(-1)).unwrap();
        flat.as_chunks().0.to_vec()
    };
    let (all, smplx) = (points(&joints), points(&posed.joints45));
    let (names, own) = (KeypointSet::Hmr44.names(), KeypointSet::Smplx45.names());
    assert_eq!((all.len(), smplx.len()), (names.len(), own.len()));
    // OpenPose's 25 are SMPL's joints and vertices of the same names, and seen where those are.
    let seen = |p: [f32; 3]| project([p[0], p[1], p[2] + 4.0], 900.0, [320.0, 240.0]);
    for (name, point) in names.iter().zip(&all).take(25) {
        let same = if *name == "mid_hip" { "pelvis" } else { name };
        let at = own.iter().position(|n| *n == same).unwrap();
        assert_eq!(seen(*point), seen(smplx[at]), "{name}");
    }
    let at = |name: &str| all[names.iter().position(|n| *n == name).unwrap()];
    for part in ["shoulder", "elbow", "hip", "knee", "ankle"] {
        let [left, right] = ["left", "right"].map(|side| seen(at(&format!("{side}_{part}"))));
        assert!(left[0] > right[0], "{part}: {left:?} {right:?}");
    }
    assert!(seen(at("neck"))[1] < seen(at("mid_hip"))[1]);
    // The left arm points at the camera; the right shin is bent away from it.
    assert!(at("left_wrist")[2] < at("right_wrist")[2] - 0.3);
    assert!(at("right_ankle")[2] > at("left_ankle")[2] + 0.3);
    assert!(seen(at("right_ankle"))[1] < seen(at("left_ankle"))[1]);
}

#[test]
fn every_form_of_the_file_gives_the_same_body() {
    let folder = tempfile::tempdir().unwrap();
    let regressor = fixture("SMPL_to_J19.pkl.gz");
    let betas = Tensor::randn([1, BETAS], FLOAT);
    let turns = [("spine2", 1, 30.0), ("left_elbow", 2, 70.0)];
    let expected = body().pose(&betas, &pose(&turns)).unwrap();
    let check = |path: &Path, regressor: &Path| {
        let files = Files {
            body: Some(path),
            regressor: Some(regressor),
        };
        let other = Body::open(files, Device::Cpu).unwrap();
        let posed = other.pose(&betas, &pose(&turns)).unwrap();
        assert!(posed.vertices.equal(&expected.vertices), "{path:?}");
        assert!(posed.joints45.equal(&expected.joints45), "{path:?}");
        let joints = other.hmr_joints(&posed, true).unwrap();
        let ours = body().hmr_joints(&expected, true).unwrap();
        assert!(joints.equal(&ours), "{regressor:?}");
    };
    for extension in ["safetensors", "pkl", "pt", "h5"] {
        let convert = |name: &str| {
            let path = folder.path().join(name).with_extension(extension);
            let options = convert::Options::default();
            let source = fixture(&format!("{name}.pkl.gz"));
            convert::convert(&source, &path, &options, &mut |_, _| true).unwrap();
            path
        };
        check(&convert("SMPL_NEUTRAL"), &convert("SMPL_to_J19"));
    }
    // Unpacked.
    let plain = folder.path().join("plain.pkl");
    let packed = std::fs::File::open(fixture("SMPL_NEUTRAL.pkl.gz")).unwrap();
    let mut unpacked = flate2::read::GzDecoder::new(packed);
    std::io::copy(&mut unpacked, &mut std::fs::File::create(&plain).unwrap()).unwrap();
    check(&plain, &regressor);
}

#[test]
fn a_file_of_another_body_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.safetensors");
    for (vertices, name) in [(10_475, "SMPL-X"), (778, "MANO"), (5_023, "FLAME")] {
        let entry = Entry {
            name: "v_template".into(),
            dtype: DType::F32,
            shape: vec![vertices, 3],
        };
        let mut file = std::fs::File::create(&path).unwrap();
        let zeros = vec![0; 12 * vertices as usize];
        safetensors::write(&mut file, &[entry], &[], &mut |_, sink| sink(&zeros)).unwrap();
        let files = Files {
            body: Some(&path),
            regressor: None,
        };
        let error = Body::open(files, Device::Cpu).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("6890"), "{error}");
    }
}

#[test]
fn the_other_models_of_the_family_are_told_apart() {
    let missing = Body::open(Files::default(), Device::Cpu).err().unwrap();
    assert!(
        missing.to_string().contains("SMPL_NEUTRAL.pkl"),
        "{missing}"
    );
    let place = "https://smplify.is.tue.mpg.de";
    assert!(missing.to_string().contains(place), "{missing}");
    let regressor = fixture("SMPL_to_J19.pkl.gz");
    let files = Files {
        body: Some(&regressor),
        regressor: None,
    };
    let wrong = Body::open(files, Device::Cpu).err().unwrap().to_string();
    assert!(
        wrong.contains("v_template") && wrong.contains("J19"),
        "{wrong}"
    );
    let body = fixture("SMPL_NEUTRAL.pkl.gz");
    let files = Files {
        body: Some(&body),
        regressor: Some(&body),
    };
    let wrong = Body::open(files, Device::Cpu).err().unwrap().to_string();
    assert!(wrong.contains("regressor"), "{wrong}");
}
