//! Floor 3: blocks shared by models.

pub mod detection;
pub mod network;
pub mod weights;
