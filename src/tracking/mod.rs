//! Floor 4: identity over time; pure Rust, no tensors.

pub mod assignment;
pub mod bones;
pub mod config;
pub mod cost;
pub mod infill;
pub mod lead;
pub mod looks;
pub mod motion;
pub mod observation;
pub mod one_euro;
pub mod phalp;
pub mod stored;
pub mod tracker;
pub mod tracklet;
pub mod turns;
