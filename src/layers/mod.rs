//! Floor 3: blocks shared by models.

pub mod attention;
pub mod detection;
pub mod group_norm;
pub mod linear;
pub mod network;
pub mod norm;
pub mod number;
pub mod onednn;
pub mod parallel;
pub mod rotations;
pub mod softmax;
pub mod vit;
pub mod weights;
