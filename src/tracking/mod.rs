//! Floor 4: identity over time; pure Rust, no tensors.

pub mod assignment;
