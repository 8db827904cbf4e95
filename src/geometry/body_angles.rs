//! Joint angles in degrees from the 45 joints measured on an SMPL body.

use super::angles::{Vec3, angle_between, inner_angle, minus};
use super::body_joints::SMPLX45;

/// A joint of `smplx45`, or the middle of two.
#[derive(Clone, Copy)]
enum Point {
    Joint(usize),
    Middle(usize, usize),
}

use Point::{Joint, Middle};

const HIPS: Point = Middle(1, 2);
const SHOULDERS: Point = Middle(16, 17);
const EARS: Point = Middle(27, 28);

/// `(name, a, b, c)`: the inner angle at `b` between the limbs to `a` and to `c`; 180 is a straight
/// limb. Where BlazePose has an angle of the same name, it is between the same joints.
const INNER_ANGLES: [(&str, Point, Point, Point); 14] = [
    // Shoulder, elbow, wrist.
    ("left_elbow", Joint(16), Joint(18), Joint(20)),
    ("right_elbow", Joint(17), Joint(19), Joint(21)),
    // Hip, shoulder, elbow: 0 with the arm along the trunk, 180 with it overhead.
    ("left_shoulder", Joint(1), Joint(16), Joint(18)),
    ("right_shoulder", Joint(2), Joint(17), Joint(19)),
    // Shoulder, hip, knee: 180 upright, smaller as the trunk or the thigh folds.
    ("left_hip", Joint(16), Joint(1), Joint(4)),
    ("right_hip", Joint(17), Joint(2), Joint(5)),
    // Hip, knee, ankle.
    ("left_knee", Joint(1), Joint(4), Joint(7)),
    ("right_knee", Joint(2), Joint(5), Joint(8)),
    // Knee, ankle, big toe: larger on tiptoe.
    ("left_ankle", Joint(4), Joint(7), Joint(29)),
    ("right_ankle", Joint(5), Joint(8), Joint(32)),
    // Elbow, wrist, hand: 180 with the hand in line with the forearm.
    ("left_wrist", Joint(18), Joint(20), Joint(22)),
    ("right_wrist", Joint(19), Joint(21), Joint(23)),
    // Pelvis, second joint of the spine, neck: smaller as the trunk bends or arches.
    ("spine", Joint(0), Joint(6), Joint(12)),
    // Middle of the hips, of the shoulders, of the ears: 180 with the head in line with the trunk.
    ("neck", HIPS, SHOULDERS, EARS),
];

/// Every name that [`body_angles`] may give, in its order.
pub fn names() -> impl Iterator<Item = &'static str> {
    let inner = INNER_ANGLES.iter().map(|(name, ..)| *name);
    inner.chain(["trunk_lean"])
}

/// Joint angles of one person, in a fixed order, in degrees (0..=180).
///
/// `joints` is `smplx45`, `[45, 3]` metres in camera axes (x right, y down, z forward). Beside the
/// inner angles (see [`INNER_ANGLES`] for the joints of each) there is `trunk_lean`: between the
/// line from the middle of the hips to the middle of the shoulders and the image's upward
/// direction; 0 upright, as far as the camera is level.
///
/// An angle is left out where a limb has no length or a joint is missing or not a number.
pub fn body_angles(joints: &[[f32; 3]]) -> Vec<(&'static str, f32)> {
    let joint = |i: usize| joints.get(i).map(|j| j.map(f64::from));
    let at = |point: Point| -> Option<Vec3> {
        match point {
            Joint(i) => joint(i),
            Middle(i, k) => {
                let (a, b) = (joint(i)?, joint(k)?);
                Some(std::array::from_fn(|axis| 0.5 * (a[axis] + b[axis])))
            }
        }
    };
    let mut angles: Vec<_> = INNER_ANGLES
        .iter()
        .filter_map(|&(name, a, b, c)| Some((name, inner_angle(at(a)?, at(b)?, at(c)?)?)))
        .collect();
    let up = [0.0, -1.0, 0.0];
    let lean = at(HIPS)
        .zip(at(SHOULDERS))
        .and_then(|(hips, shoulders)| angle_between(minus(shoulders, hips), up));
    angles.extend(lean.map(|lean| ("trunk_lean", lean)));
    angles
}

// The tables above rest on these places.
const _: () = assert!(SMPLX45.len() == 45);

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str) -> usize {
        SMPLX45.iter().position(|known| *known == name).unwrap()
    }

    /// Upright, seen from the front: the person's left is on the picture's right. Arms hang, feet
    /// point to the camera.
    fn standing() -> Vec<[f32; 3]> {
        let mut joints = vec![[f32::NAN; 3]; 45];
        let mut put = |name: &str, place: [f32; 3]| joints[index(name)] = place;
        for (name, y) in [
            ("pelvis", 0.0),
            ("spine1", -0.1),
            ("spine2", -0.25),
            ("spine3", -0.3),
            ("neck", -0.5),
            ("head", -0.6),
        ] {
            put(name, [0.0, y, 0.0]);
        }
        for (side, x) in [("left", 0.2f32), ("right", -0.2)] {
            let mut put = |name: &str, place| put(&format!("{side}_{name}"), place);
            put("ear", [0.4 * x, -0.75, 0.0]);
            put("shoulder", [x, -0.5, 0.0]);
            put("elbow", [x, -0.2, 0.0]);
            put("wrist", [x, 0.05, 0.0]);
            put("hand", [x, 0.15, 0.0]);
            put("hip", [x, 0.0, 0.0]);
            put("knee", [x, 0.4, 0.0]);
            put("ankle", [x, 0.8, 0.0]);
            put("foot", [x, 0.85, -0.1]);
            put("big_toe", [x, 0.8, -0.15]);
        }
        joints
    }

    fn angle(joints: &[[f32; 3]], name: &str) -> Option<f32> {
        let found = body_angles(joints);
        found.into_iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }

    #[track_caller]
    fn assert_angle(joints: &[[f32; 3]], name: &str, expected: f32) {
        let got = angle(joints, name).unwrap();
        assert!((got - expected).abs() < 1e-3, "{name}: {got}");
    }

    fn with(changes: &[(&str, [f32; 3])]) -> Vec<[f32; 3]> {
        let mut joints = standing();
        for (name, place) in changes {
            joints[index(name)] = *place;
        }
        joints
    }

    #[test]
    fn a_standing_body_has_the_angles_of_its_definitions() {
        let joints = standing();
        for side in ["left", "right"] {
            for (name, expected) in [
                ("elbow", 180.0),
                ("shoulder", 0.0),
                ("hip", 180.0),
                ("knee", 180.0),
                ("ankle", 90.0),
                ("wrist", 180.0),
            ] {
                assert_angle(&joints, &format!("{side}_{name}"), expected);
            }
        }
        for (name, expected) in [("spine", 180.0), ("neck", 180.0), ("trunk_lean", 0.0)] {
            assert_angle(&joints, name, expected);
        }
        let given: Vec<_> = body_angles(&joints).into_iter().map(|(n, _)| n).collect();
        assert_eq!(given, names().collect::<Vec<_>>());
    }

    #[test]
    fn bending_one_joint_moves_its_own_angle_on_its_own_side() {
        let root = 3f32.sqrt();
        for (changes, name, expected) in [
            // The left forearm towards the camera, hand in line.
            (
                vec![
                    ("left_wrist", [0.2, -0.2, -0.25]),
                    ("left_hand", [0.2, -0.2, -0.35]),
                ],
                "left_elbow",
                90.0,
            ),
            // The right shank 60 degrees back, foot with it.
            (
                vec![
                    ("right_ankle", [-0.2, 0.6, 0.2 * root]),
                    ("right_big_toe", [-0.2, 0.7, 0.1 * root]),
                ],
                "right_knee",
                120.0,
            ),
            // The right hand bent by 45 degrees.
            (
                vec![("right_hand", [-0.2, 0.1, 0.05])],
                "right_wrist",
                135.0,
            ),
            // On tiptoe.
            (
                vec![("left_big_toe", [0.2, 0.8 + 0.15, -0.15])],
                "left_ankle",
                135.0,
            ),
        ] {
            let joints = with(&changes);
            assert_angle(&joints, name, expected);
            let upright = standing();
            for (other, before) in body_angles(&upright) {
                if other != name && !other.ends_with("ankle") {
                    assert_angle(&joints, other, before);
                }
            }
        }
    }

    #[test]
    fn arms_and_trunk_move_as_they_are_said_to() {
        let raised = with(&[("left_elbow", [0.5, -0.5, 0.0])]);
        assert_angle(&raised, "left_shoulder", 90.0);
        let overhead = with(&[("right_elbow", [-0.2, -0.8, 0.0])]);
        assert_angle(&overhead, "right_shoulder", 180.0);
        let knee_up = with(&[("left_knee", [0.2, 0.0, -0.4])]);
        assert_angle(&knee_up, "left_hip", 90.0);
        let bowed = with(&[("neck", [0.0, -0.25, -0.25])]);
        assert_angle(&bowed, "spine", 90.0);
        let nodding = with(&[
            ("left_ear", [0.08, -0.5, -0.25]),
            ("right_ear", [-0.08, -0.5, -0.25]),
        ]);
        assert_angle(&nodding, "neck", 90.0);
        let leaning = with(&[
            ("left_shoulder", [0.7, -0.5, 0.0]),
            ("right_shoulder", [0.3, -0.5, 0.0]),
        ]);
        assert_angle(&leaning, "trunk_lean", 45.0);
    }

    #[test]
    fn blazeposes_angles_are_among_them() {
        let own: Vec<_> = names().collect();
        for name in crate::geometry::angles::names() {
            assert!(own.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_is_degenerate_or_missing_is_left_out() {
        let mut joints = standing();
        joints[index("left_wrist")] = joints[index("left_elbow")];
        joints[index("right_knee")] = [f32::NAN; 3];
        for gone in [
            "left_elbow",
            "left_wrist",
            "right_knee",
            "right_hip",
            "right_ankle",
        ] {
            assert_eq!(angle(&joints, gone), None, "{gone}");
        }
        assert_angle(&joints, "left_knee", 180.0);
        assert!(body_angles(&[]).is_empty());
        assert!(body_angles(&[[0.0; 3]; 45]).is_empty());
        // The skeleton alone, without points on the skin.
        assert_eq!(body_angles(&standing()[..24]).len(), 12);
    }
}
