//! Floor 3: blocks shared by models.

pub mod attention;
pub mod detection;
pub mod linear;
pub mod network;
pub mod norm;
mod onednn;
pub mod rotations;
pub mod vit;
pub mod weights;
