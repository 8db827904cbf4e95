//! Floor 1: plain geometry of boxes, regions, joints and cameras; std only.

pub mod boxes;
pub mod joints;
pub mod oks;
pub mod roi;
