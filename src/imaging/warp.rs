//! The crop a landmark network sees: a rotated square resampled in OpenCV's integer arithmetic.
//!
//! The networks amplify noise: a crop that differs by a few grey levels moves landmarks by pixels.
//! So every rounding of MediaPipe's OpenCV path (OpenCV 3.4: `boxPoints`, `getPerspectiveTransform`,
//! `warpPerspective` with `INTER_LINEAR`) is followed here, in the same precision and order.

use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;
use crate::imaging::solve::solve;
#[cfg(target_arch = "x86_64")]
use crate::imaging::warp_avx2::Avx2Floats;
use crate::imaging::warp_runs::{Bytes, Floats, Place, RUN, Run, Source, Writer};

/// What lies outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Zero,
    /// The nearest edge pixel.
    Replicate,
}

/// Cuts `roi` out of `image` into `dst`: `out * out * 3` bytes, RGB, row-major.
///
/// Pixel `i` of the crop lies at `i / out` of the region's side (no half-pixel shift). A region
/// that is not a square of finite, positive size, or an image without pixels, gives black.
///
/// # Panics
/// If `dst.len() != out * out * 3`.
pub fn warp_roi(image: &Rgb8, roi: &Roi, out: usize, border: Border, dst: &mut [u8]) {
    warp(image, &corners(roi), out, border, dst, &Bytes);
}

/// As [`warp_roi`], each byte written as `byte * scale + offset` (`[out, out, 3]`, channels last).
///
/// # Panics
/// If `dst.len() != out * out * 3`.
pub fn warp_roi_f32(
    image: &Rgb8,
    roi: &Roi,
    out: usize,
    border: Border,
    scale: f32,
    offset: f32,
    dst: &mut [f32],
) {
    warp_corners_f32(image, &corners(roi), out, border, scale, offset, dst);
}

/// As [`warp_roi_f32`], of the square with these corners (see [`square`]).
///
/// # Panics
/// If `dst.len() != out * out * 3`.
pub fn warp_corners_f32(
    image: &Rgb8,
    corners: &[[f32; 2]; 4],
    out: usize,
    border: Border,
    scale: f32,
    offset: f32,
    dst: &mut [f32],
) {
    let portable = Floats::new(scale, offset);
    #[cfg(target_arch = "x86_64")]
    if let Some(writer) = Avx2Floats::new(scale, offset, &portable) {
        return warp(image, corners, out, border, dst, &writer);
    }
    warp(image, corners, out, border, dst, &portable);
}

fn warp<T: Copy>(
    image: &Rgb8,
    corners: &[[f32; 2]; 4],
    out: usize,
    border: Border,
    dst: &mut [T],
    writer: &impl Writer<T>,
) {
    assert_eq!(dst.len(), out * out * 3, "crop of {out}x{out}x3 values");
    let black = writer.value(0);
    let Some(source) = Source::new(image, border == Border::Replicate) else {
        return dst.fill(black);
    };
    let Some(map) = crop_to_image(corners, out) else {
        return dst.fill(black);
    };

    let mut run = Run::default();
    for (y, row) in dst.chunks_exact_mut(out.max(1) * 3).enumerate() {
        for (index, part) in row.chunks_mut(RUN * 3).enumerate() {
            writer.locate(&mut run, &map, index * RUN, y, part.len() / 3);
            let (x, y) = (&run.x[..run.len], &run.y[..run.len]);
            match run.place(&source) {
                Place::Inside => writer.inside(&source, x, y, part),
                Place::Outside => part.fill(black),
                Place::Across => writer.anywhere(&source, x, y, part),
            }
        }
    }
}

/// The homography from crop pixels to image pixels, row-major 3×3, found as MediaPipe finds it:
/// image → crop from four rounded corners, then inverted. `None` for a degenerate region.
fn crop_to_image(corners: &[[f32; 2]; 4], out: usize) -> Option<[f64; 9]> {
    let map = invert(&image_to_crop(corners, out as f32)?)?;
    map.iter().all(|value| value.is_finite()).then_some(map)
}

/// The angle takes MediaPipe's way from radians to OpenCV's degrees.
fn corners(roi: &Roi) -> [[f32; 2]; 4] {
    let degrees = (f64::from(roi.rotation * 180.0) / std::f64::consts::PI) as f32;
    square([roi.cx, roi.cy], roi.size, degrees)
}

/// A square's corners as OpenCV's `boxPoints` rounds them: lower left, upper left, upper right,
/// lower right (of the upright square), in `f32` throughout except for the angle.
pub fn square([cx, cy]: [f32; 2], size: f32, degrees: f32) -> [[f32; 2]; 4] {
    let angle = f64::from(degrees) * std::f64::consts::PI / 180.0;
    let cos = angle.cos() as f32 * 0.5;
    let sin = angle.sin() as f32 * 0.5;
    let a = [cx - sin * size - cos * size, cy + cos * size - sin * size];
    let b = [cx + sin * size - cos * size, cy - cos * size - sin * size];
    let opposite = |p: [f32; 2]| [2.0 * cx - p[0], 2.0 * cy - p[1]];
    [a, b, opposite(a), opposite(b)]
}

/// The homography that takes the corners to those of an `out`-pixel square: eight equations,
/// Gaussian elimination with row pivots in OpenCV's order of operations.
fn image_to_crop(corners: &[[f32; 2]; 4], out: f32) -> Option<[f64; 9]> {
    let targets = [[0.0, out], [0.0, 0.0], [out, 0.0], [out, out]];
    let mut rows = [[0.0f64; 8]; 8];
    let mut values = [0.0; 8];
    for (i, ([x, y], target)) in corners.iter().zip(targets).enumerate() {
        for (axis, value) in target.into_iter().enumerate() {
            let row = &mut rows[i + 4 * axis];
            let linear = [f64::from(*x), f64::from(*y), 1.0];
            row[3 * axis..3 * axis + 3].copy_from_slice(&linear);
            row[6] = f64::from(-x * value);
            row[7] = f64::from(-y * value);
            values[i + 4 * axis] = f64::from(value);
        }
    }
    let [a, b, c, d, e, f, g, h] = solve(rows, values)?;
    Some([a, b, c, d, e, f, g, h, 1.0])
}

/// By cofactors, each times the reciprocal of the determinant.
fn invert(m: &[f64; 9]) -> Option<[f64; 9]> {
    let minor = |a: usize, b: usize, c: usize, d: usize| m[a] * m[b] - m[c] * m[d];
    let determinant =
        m[0] * minor(4, 8, 5, 7) - m[1] * minor(3, 8, 5, 6) + m[2] * minor(3, 7, 4, 6);
    if determinant == 0.0 || !determinant.is_finite() {
        return None;
    }
    let scale = 1.0 / determinant;
    let cofactors = [
        minor(4, 8, 5, 7),
        minor(2, 7, 1, 8),
        minor(1, 5, 2, 4),
        minor(5, 6, 3, 8),
        minor(0, 8, 2, 6),
        minor(2, 3, 0, 5),
        minor(3, 7, 4, 6),
        minor(1, 6, 0, 7),
        minor(0, 4, 1, 3),
    ];
    Some(cofactors.map(|value| value * scale))
}

#[cfg(test)]
#[path = "warp_tests.rs"]
mod tests;
