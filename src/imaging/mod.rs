//! Floor 2: pixels: decoding with limits, warping, drawing.

pub mod decode;
pub mod draw;
pub mod encode;
pub mod error;
mod jpeg;
mod jpeg_pixels;
pub mod limits;
pub mod pixels;
mod sniff;
pub mod warp;
#[cfg(target_arch = "x86_64")]
mod warp_avx2;
