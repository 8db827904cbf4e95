//! Floor 2: pixels: decoding with limits, warping, drawing.

pub mod affine;
pub mod blur;
pub mod buffers;
pub mod decode;
pub mod draw;
pub mod encode;
pub mod error;
mod jpeg;
#[cfg(target_arch = "x86_64")]
mod jpeg_avx2;
mod jpeg_kernels;
mod jpeg_pixels;
mod jpeg_stream;
pub mod limits;
pub mod pixels;
pub mod resize;
mod sniff;
mod solve;
pub mod warp;
#[cfg(target_arch = "x86_64")]
mod warp_avx2;
mod warp_runs;
