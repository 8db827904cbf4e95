//! The keypoint sets by name, their order, and which of them a model measures.

/// An ordered, named set of body keypoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeypointSet {
    Blazepose33,
    Coco17,
    Openpose25,
    Smpl24,
}
