//! Floor 1: plain geometry of boxes, regions, joints and cameras; std only.

pub mod angles;
pub mod body_angles;
pub mod body_joints;
pub mod boxes;
pub mod camera;
pub mod depth_map;
pub mod joints;
pub mod oks;
pub mod roi;
pub mod rotations;
