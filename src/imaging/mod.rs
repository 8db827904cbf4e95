//! Floor 2: pixels: decoding with limits, warping, drawing.

pub mod pixels;
pub mod warp;
