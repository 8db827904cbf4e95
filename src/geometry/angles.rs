//! Joint angles in degrees from BlazePose's 33 metric joints.

pub(super) type Vec3 = [f64; 3];

/// Limbs shorter than this many metres have no direction worth an angle.
const SHORTEST_LIMB: f64 = 1e-4;

/// `(name, a, b, c)`: the inner angle at joint `b` between the limbs to `a` and to `c`;
/// 180 is a straight limb. BlazePose's indices.
const INNER_ANGLES: [(&str, usize, usize, usize); 10] = [
    // Shoulder, elbow, wrist.
    ("left_elbow", 11, 13, 15),
    ("right_elbow", 12, 14, 16),
    // Hip, shoulder, elbow: 0 with the arm along the trunk, 180 with it overhead.
    ("left_shoulder", 23, 11, 13),
    ("right_shoulder", 24, 12, 14),
    // Shoulder, hip, knee: 180 upright, smaller as the trunk or the thigh folds.
    ("left_hip", 11, 23, 25),
    ("right_hip", 12, 24, 26),
    // Hip, knee, ankle.
    ("left_knee", 23, 25, 27),
    ("right_knee", 24, 26, 28),
    // Knee, ankle, tip of the foot: about 90 to 120 standing, larger on tiptoe.
    ("left_ankle", 25, 27, 31),
    ("right_ankle", 26, 28, 32),
];

/// Every name that [`blazepose_angles`] may give, in its order.
pub fn names() -> impl Iterator<Item = &'static str> {
    let inner = INNER_ANGLES.iter().map(|(name, ..)| *name);
    inner.chain(["neck", "trunk_lean"])
}

/// Joint angles of one person, in a fixed order, in degrees (0..=180).
///
/// `joints` is `[33, 3]` metres in camera axes (x right, y down, z forward). Beside the elbows,
/// shoulders, hips, knees and ankles (see [`INNER_ANGLES`] for the limbs of each):
/// - `neck`: at the middle of the shoulders, between the middle of the hips and the middle of the
///   ears; 180 with the head in line with the trunk;
/// - `trunk_lean`: between the line from the middle of the hips to the middle of the shoulders
///   and the image's upward direction; 0 upright, as far as the camera is level.
///
/// An angle is left out where a limb has no length or a joint is missing or not a number. Wrists
/// are left out altogether: BlazePose's hand points are too coarse for them.
pub fn blazepose_angles(joints: &[[f32; 3]]) -> Vec<(&'static str, f32)> {
    let at = |i: usize| joints.get(i).map(|j| j.map(f64::from));
    let middle = |a: usize, b: usize| {
        let (a, b) = (at(a)?, at(b)?);
        Some(std::array::from_fn(|k| 0.5 * (a[k] + b[k])))
    };
    let mut angles: Vec<_> = INNER_ANGLES
        .iter()
        .filter_map(|&(name, a, b, c)| Some((name, inner_angle(at(a)?, at(b)?, at(c)?)?)))
        .collect();

    let (hips, shoulders, ears) = (middle(23, 24), middle(11, 12), middle(7, 8));
    if let (Some(hips), Some(shoulders)) = (hips, shoulders) {
        if let Some(neck) = ears.and_then(|ears| inner_angle(hips, shoulders, ears)) {
            angles.push(("neck", neck));
        }
        let up = [0.0, -1.0, 0.0];
        if let Some(lean) = angle_between(minus(shoulders, hips), up) {
            angles.push(("trunk_lean", lean));
        }
    }
    angles
}

pub(super) fn inner_angle(a: Vec3, b: Vec3, c: Vec3) -> Option<f32> {
    angle_between(minus(a, b), minus(c, b))
}

pub(super) fn angle_between(u: Vec3, v: Vec3) -> Option<f32> {
    // NaN compares false, so it leaves here too.
    let long_enough = |w: Vec3| dot(w, w).sqrt() > SHORTEST_LIMB;
    if !(long_enough(u) && long_enough(v)) {
        return None;
    }
    let cross = [
        u[1] * v[2] - u[2] * v[1],
        u[2] * v[0] - u[0] * v[2],
        u[0] * v[1] - u[1] * v[0],
    ];
    // atan2 keeps its precision near 0 and 180, where acos loses it.
    let degrees = dot(cross, cross).sqrt().atan2(dot(u, v)).to_degrees();
    degrees.is_finite().then_some(degrees as f32)
}

pub(super) fn minus(a: Vec3, b: Vec3) -> Vec3 {
    std::array::from_fn(|k| a[k] - b[k])
}

fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upright, arms hanging, legs straight, feet forward (towards the camera).
    fn standing() -> Vec<[f32; 3]> {
        let mut joints = vec![[0.0f32, -0.7, 0.0]; 33];
        for (side, x) in [(0, 0.2f32), (1, -0.2)] {
            joints[7 + side] = [0.4 * x, -0.75, 0.0];
            joints[11 + side] = [x, -0.5, 0.0];
            joints[13 + side] = [x, -0.2, 0.0];
            joints[15 + side] = [x, 0.05, 0.0];
            joints[23 + side] = [x, 0.0, 0.0];
            joints[25 + side] = [x, 0.4, 0.0];
            joints[27 + side] = [x, 0.8, 0.0];
            joints[31 + side] = [x, 0.8, -0.15];
        }
        joints
    }

    fn angle(joints: &[[f32; 3]], name: &str) -> Option<f32> {
        let found = blazepose_angles(joints);
        found.into_iter().find(|(n, _)| *n == name).map(|(_, a)| a)
    }

    #[track_caller]
    fn assert_angle(joints: &[[f32; 3]], name: &str, expected: f32) {
        let got = angle(joints, name).unwrap();
        assert!((got - expected).abs() < 1e-3, "{name}: {got}");
    }

    #[test]
    fn a_standing_figure_has_the_angles_of_its_definitions() {
        let joints = standing();
        for (name, expected) in [
            ("left_elbow", 180.0),
            ("right_shoulder", 0.0),
            ("left_hip", 180.0),
            ("right_knee", 180.0),
            ("left_ankle", 90.0),
            ("neck", 180.0),
            ("trunk_lean", 0.0),
        ] {
            assert_angle(&joints, name, expected);
        }
        assert_eq!(blazepose_angles(&joints).len(), 12);
    }

    #[test]
    fn bending_one_joint_moves_its_own_angle() {
        let mut joints = standing();
        joints[15] = [0.2, -0.2, -0.25]; // left forearm forward
        joints[28] = [-0.2, 0.4 + 0.2, 0.2 * 3f32.sqrt()]; // right shank 60 degrees back
        assert_angle(&joints, "left_elbow", 90.0);
        assert_angle(&joints, "right_knee", 120.0);
        assert_angle(&joints, "right_elbow", 180.0);
        assert_angle(&joints, "left_knee", 180.0);
    }

    #[test]
    fn leaning_is_measured_from_the_vertical_whatever_the_direction() {
        let lean = |offset: [f32; 3]| {
            let mut joints = standing();
            for i in [11, 12] {
                for k in 0..3 {
                    joints[i][k] += offset[k];
                }
            }
            joints
        };
        assert_angle(&lean([0.5, 0.0, 0.0]), "trunk_lean", 45.0);
        assert_angle(&lean([0.0, 0.0, 0.5]), "trunk_lean", 45.0);
        assert_angle(&lean([0.5, 0.5, 0.0]), "trunk_lean", 90.0);
    }

    #[test]
    fn what_is_degenerate_or_missing_is_left_out() {
        let mut joints = standing();
        joints[15] = joints[13];
        joints[26] = [f32::NAN; 3];
        for gone in ["left_elbow", "right_knee", "right_hip", "right_ankle"] {
            assert_eq!(angle(&joints, gone), None, "{gone}");
        }
        assert_angle(&joints, "left_knee", 180.0);
        assert!(blazepose_angles(&[]).is_empty());
        assert!(blazepose_angles(&[[0.0; 3]; 33]).is_empty());
        let inf = vec![[f32::INFINITY; 3]; 33];
        assert!(blazepose_angles(&inf).is_empty());
        // Without feet the ankles go and nothing else does.
        assert_eq!(blazepose_angles(&standing()[..29]).len(), 10);
    }
}
