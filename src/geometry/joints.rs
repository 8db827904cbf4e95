//! The keypoint sets by name, their order, and which of them a model measures.

use super::body_joints::{HMR44, SMPLX45, SMPLX45_LIMBS};

/// An ordered, named set of body keypoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeypointSet {
    /// MediaPipe's 33 pose landmarks.
    Blazepose33,
    /// The 17 keypoints of COCO.
    Coco17,
    /// OpenPose's BODY_25.
    Openpose25,
    /// The 24 joints of the SMPL body.
    Smpl24,
    /// SMPL's joints with points of the face, the feet and the fingertips.
    Smplx45,
    /// HMR2's own: BODY_25 and 19 joints of other data sets.
    Hmr44,
}

const BLAZEPOSE33: [&str; 33] = [
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
];

const COCO17: [&str; 17] = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
];

const OPENPOSE25: [&str; 25] = [
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "mid_hip",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
];

const SMPL24: [&str; 24] = [
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
];

/// Which of BlazePose's points each COCO keypoint is: `coco[i] = blazepose[COCO17_FROM_BLAZEPOSE33[i]]`.
pub const COCO17_FROM_BLAZEPOSE33: [usize; 17] = [
    0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28,
];

/// COCO's per-keypoint standard deviations, in fractions of the square root of a person's area;
/// the constant `k` of OKS is twice these.
pub const COCO17_SIGMAS: [f32; 17] = [
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
];

/// The 12 body joints of `blazepose33` (shoulders, elbows, wrists, hips, knees, ankles) with
/// COCO's sigma for each: what people are compared by, since faces are small and hands wave.
pub const BLAZEPOSE33_BODY: [(usize, f32); 12] = [
    (11, 0.079),
    (12, 0.079),
    (13, 0.072),
    (14, 0.072),
    (15, 0.062),
    (16, 0.062),
    (23, 0.107),
    (24, 0.107),
    (25, 0.087),
    (26, 0.087),
    (27, 0.089),
    (28, 0.089),
];

const BLAZEPOSE33_EDGES: [(usize, usize); 35] = [
    (0, 1),
    (1, 2),
    (2, 3),
    (3, 7),
    (0, 4),
    (4, 5),
    (5, 6),
    (6, 8),
    (9, 10),
    (11, 12),
    (11, 13),
    (13, 15),
    (15, 17),
    (15, 19),
    (15, 21),
    (17, 19),
    (12, 14),
    (14, 16),
    (16, 18),
    (16, 20),
    (16, 22),
    (18, 20),
    (11, 23),
    (12, 24),
    (23, 24),
    (23, 25),
    (25, 27),
    (27, 29),
    (27, 31),
    (29, 31),
    (24, 26),
    (26, 28),
    (28, 30),
    (28, 32),
    (30, 32),
];

const COCO17_EDGES: [(usize, usize); 18] = [
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (5, 11),
    (6, 12),
    (11, 12),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
];

const OPENPOSE25_EDGES: [(usize, usize); 24] = [
    (1, 0),
    (0, 15),
    (15, 17),
    (0, 16),
    (16, 18),
    (1, 2),
    (2, 3),
    (3, 4),
    (1, 5),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (10, 11),
    (11, 24),
    (11, 22),
    (22, 23),
    (8, 12),
    (12, 13),
    (13, 14),
    (14, 21),
    (14, 19),
    (19, 20),
];

/// Parent and child of SMPL's kinematic tree.
const SMPL24_EDGES: [(usize, usize); 23] = [
    (0, 1),
    (0, 2),
    (0, 3),
    (1, 4),
    (2, 5),
    (3, 6),
    (4, 7),
    (5, 8),
    (6, 9),
    (7, 10),
    (8, 11),
    (9, 12),
    (9, 13),
    (9, 14),
    (12, 15),
    (13, 16),
    (14, 17),
    (16, 18),
    (17, 19),
    (18, 20),
    (19, 21),
    (20, 22),
    (21, 23),
];

const SMPLX45_EDGES: [(usize, usize); 44] = {
    let mut edges = [(0, 0); 44];
    let mut i = 0;
    while i < 44 {
        edges[i] = if i < 23 {
            SMPL24_EDGES[i]
        } else {
            SMPLX45_LIMBS[i - 23]
        };
        i += 1;
    }
    edges
};

/// The side of the body a keypoint lies on, as the person themselves would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
    Middle,
}

impl KeypointSet {
    pub const ALL: [Self; 6] = [
        Self::Blazepose33,
        Self::Coco17,
        Self::Openpose25,
        Self::Smpl24,
        Self::Smplx45,
        Self::Hmr44,
    ];

    /// The set of that public name (`"blazepose33"`, …); exact spelling.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.as_str() == name)
    }

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blazepose33 => "blazepose33",
            Self::Coco17 => "coco17",
            Self::Openpose25 => "openpose25",
            Self::Smpl24 => "smpl24",
            Self::Smplx45 => "smplx45",
            Self::Hmr44 => "hmr44",
        }
    }

    /// The keypoints' names in the set's order.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Blazepose33 => &BLAZEPOSE33,
            Self::Coco17 => &COCO17,
            Self::Openpose25 => &OPENPOSE25,
            Self::Smpl24 => &SMPL24,
            Self::Smplx45 => &SMPLX45,
            Self::Hmr44 => &HMR44,
        }
    }

    /// Pairs of keypoints to join when a skeleton is drawn.
    pub fn edges(self) -> &'static [(usize, usize)] {
        match self {
            Self::Blazepose33 => &BLAZEPOSE33_EDGES,
            Self::Coco17 => &COCO17_EDGES,
            Self::Openpose25 | Self::Hmr44 => &OPENPOSE25_EDGES,
            Self::Smpl24 => &SMPL24_EDGES,
            Self::Smplx45 => &SMPLX45_EDGES,
        }
    }

    /// `(left, right)` for every keypoint that exists on both sides.
    pub fn left_right_pairs(self) -> Vec<(usize, usize)> {
        let names = self.names();
        let right_of = |left: &str| {
            let mirrored = left.replace("left", "right");
            names.iter().position(|name| *name == mirrored)
        };
        (0..names.len())
            .filter(|&i| side_of(names[i]) == Side::Left)
            .filter_map(|left| Some((left, right_of(names[left])?)))
            .collect()
    }

    /// The side of the body keypoint `index` lies on; `Middle` for an index the set does not have.
    pub fn side(self, index: usize) -> Side {
        self.names().get(index).map_or(Side::Middle, |n| side_of(n))
    }
}

fn side_of(name: &str) -> Side {
    if name.contains("left") {
        Side::Left
    } else if name.contains("right") {
        Side::Right
    } else {
        Side::Middle
    }
}

/// Whether BlazePose measures every point of the set. SMPL's spine and collars and OpenPose's
/// small toes would have to be invented, so those sets are refused.
pub fn measured_by_blazepose(set: KeypointSet) -> bool {
    matches!(set, KeypointSet::Blazepose33 | KeypointSet::Coco17)
}

/// For each keypoint of `set`, the BlazePose point it is; `None` for a set BlazePose does not measure.
pub fn map_from_blazepose(set: KeypointSet) -> Option<Vec<usize>> {
    match set {
        KeypointSet::Blazepose33 => Some((0..BLAZEPOSE33.len()).collect()),
        KeypointSet::Coco17 => Some(COCO17_FROM_BLAZEPOSE33.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "joints_tests.rs"]
mod tests;
