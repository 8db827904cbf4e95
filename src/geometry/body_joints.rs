//! The joints measured on an SMPL body: 45 of smplx, and the 44 of HMR2 drawn from them.

/// SMPL's 24 joints, 11 vertices of the face and feet, and the fingertips, in the order of
/// smplx's `VertexJointSelector`.
pub const SMPLX45: [&str; 45] = [
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
    "nose",
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
    "left_thumb_tip",
    "left_index_tip",
    "left_middle_tip",
    "left_ring_tip",
    "left_pinky_tip",
    "right_thumb_tip",
    "right_index_tip",
    "right_middle_tip",
    "right_ring_tip",
    "right_pinky_tip",
];

/// The vertices of the SMPL mesh that the last 21 of [`SMPLX45`] are.
pub const SMPLX45_VERTICES: [u16; 21] = [
    332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787, 2746, 2319, 2445, 2556, 2673,
    6191, 5782, 5905, 6016, 6133,
];

/// HMR2's joints: OpenPose's BODY_25, then 19 that a regressor (`SMPL_to_J19`) finds from the
/// mesh, each named for the data set whose annotators' habits it follows (LSP, MPII, Human3.6M).
pub const HMR44: [&str; 44] = [
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
    "lsp_right_ankle",
    "lsp_right_knee",
    "lsp_right_hip",
    "lsp_left_hip",
    "lsp_left_knee",
    "lsp_left_ankle",
    "lsp_right_wrist",
    "lsp_right_elbow",
    "lsp_right_shoulder",
    "lsp_left_shoulder",
    "lsp_left_elbow",
    "lsp_left_wrist",
    "lsp_neck",
    "lsp_head_top",
    "mpii_pelvis",
    "mpii_thorax",
    "h36m_spine",
    "h36m_jaw",
    "h36m_head",
];

/// Which of [`SMPLX45`] each of OpenPose's 25 keypoints is, as 4D-Humans maps them.
pub const OPENPOSE25_FROM_SMPLX45: [u8; 25] = [
    24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34,
];

/// A joint beside the skeleton of SMPL, and the joint it hangs on.
pub const SMPLX45_LIMBS: [(usize, usize); 21] = [
    (15, 24),
    (24, 25),
    (24, 26),
    (25, 27),
    (26, 28),
    (10, 29),
    (10, 30),
    (7, 31),
    (11, 32),
    (11, 33),
    (8, 34),
    (22, 35),
    (22, 36),
    (22, 37),
    (22, 38),
    (22, 39),
    (23, 40),
    (23, 41),
    (23, 42),
    (23, 43),
    (23, 44),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::joints::KeypointSet;

    #[test]
    fn the_sets_share_their_beginnings() {
        assert_eq!(SMPLX45[..24], *KeypointSet::Smpl24.names());
        assert_eq!(HMR44[..25], *KeypointSet::Openpose25.names());
    }

    #[test]
    fn openpose_joints_are_the_smplx_joints_of_the_same_name() {
        let renamed = |name: &'static str| match name {
            "pelvis" => "mid_hip",
            same => same,
        };
        for (name, from) in HMR44.iter().zip(OPENPOSE25_FROM_SMPLX45) {
            assert_eq!(*name, renamed(SMPLX45[usize::from(from)]));
        }
    }
}
