//! The crop a landmark network sees: a rotated square resampled in OpenCV's integer arithmetic.
//!
//! The networks amplify noise: a crop that differs by a few grey levels moves landmarks by pixels.
//! So every rounding of MediaPipe's OpenCV path (OpenCV 3.4: `boxPoints`, `getPerspectiveTransform`,
//! `warpPerspective` with `INTER_LINEAR`) is followed here, in the same precision and order.

use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;
#[cfg(target_arch = "x86_64")]
use crate::imaging::warp_avx2::Avx2Floats;

/// What lies outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Black.
    Zero,
    /// The nearest edge pixel.
    Replicate,
}

/// Positions are kept in 1/32 px.
pub(super) const SUBPIXEL_BITS: u32 = 5;
pub(super) const SUBPIXELS: i32 = 1 << SUBPIXEL_BITS;
/// OpenCV steps along a row from a new base every so many pixels, which shows in the last bits.
pub(super) const RUN: usize = 64;

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
    let mut table = [0.0; 256];
    for (byte, slot) in (0u8..=255).zip(table.iter_mut()) {
        *slot = f32::from(byte) * scale + offset;
    }
    let portable = Floats { table };
    #[cfg(target_arch = "x86_64")]
    if let Some(writer) = Avx2Floats::new(scale, offset, &portable) {
        return warp(image, corners, out, border, dst, &writer);
    }
    warp(image, corners, out, border, dst, &portable);
}

/// How a crop is written: the portable way, or the processor's own.
pub(super) trait Writer<T: Copy> {
    fn value(&self, byte: u8) -> T;

    fn locate(&self, run: &mut Run, map: &[f64; 9], x: usize, y: usize, len: usize) {
        run.locate(map, x, y, len);
    }

    /// Positions whose four neighbours are all in the image; `to` has three values for each.
    fn inside(&self, source: &Source, x: &[i32], y: &[i32], to: &mut [T]) {
        for (pixel, (&x, &y)) in to.chunks_exact_mut(3).zip(x.iter().zip(y)) {
            for (value, byte) in pixel.iter_mut().zip(source.blend_inside(x, y)) {
                *value = self.value(byte);
            }
        }
    }

    /// As `inside`, for any positions.
    fn anywhere(&self, source: &Source, x: &[i32], y: &[i32], to: &mut [T]) {
        for (pixel, (&x, &y)) in to.chunks_exact_mut(3).zip(x.iter().zip(y)) {
            for (value, byte) in pixel.iter_mut().zip(source.blend_anywhere(x, y)) {
                *value = self.value(byte);
            }
        }
    }
}

struct Bytes;

impl Writer<u8> for Bytes {
    fn value(&self, byte: u8) -> u8 {
        byte
    }
}

pub(super) struct Floats {
    table: [f32; 256],
}

impl Writer<f32> for Floats {
    fn value(&self, byte: u8) -> f32 {
        self.table[usize::from(byte)]
    }
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
    let Some(source) = Source::new(image, border) else {
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

/// Up to [`RUN`] positions along one row of the crop, in 1/32 px of the image.
pub(super) struct Run {
    pub(super) x: [i32; RUN],
    pub(super) y: [i32; RUN],
    pub(super) len: usize,
    /// No position is to the left of, or above, the first, or beyond the second.
    pub(super) bounds: [[i32; 2]; 2],
}

impl Default for Run {
    fn default() -> Self {
        Self {
            x: [0; RUN],
            y: [0; RUN],
            len: 0,
            bounds: [[0; 2]; 2],
        }
    }
}

/// Where a run lies as a whole.
enum Place {
    /// Every pixel and its right and lower neighbour are in the image.
    Inside,
    /// Nothing of it touches the image, and outside is black.
    Outside,
    Across,
}

impl Run {
    fn locate(&mut self, m: &[f64; 9], x: usize, y: usize, len: usize) {
        let [base_x, base_y, base_w] = base(m, x, y);
        self.len = len.min(RUN);
        self.bounds = [[i32::MAX; 2], [i32::MIN; 2]];
        let [low, high] = &mut self.bounds;
        let slots = self.x.iter_mut().zip(self.y.iter_mut()).take(self.len);
        for (step, (slot_x, slot_y)) in slots.enumerate() {
            let step = step as f64;
            let w = base_w + m[6] * step;
            let scale = if w == 0.0 {
                0.0
            } else {
                f64::from(SUBPIXELS) / w
            };
            let x = round_to_i32((base_x + m[0] * step) * scale);
            let y = round_to_i32((base_y + m[3] * step) * scale);
            *low = [low[0].min(x), low[1].min(y)];
            *high = [high[0].max(x), high[1].max(y)];
            (*slot_x, *slot_y) = (x, y);
        }
    }

    fn place(&self, source: &Source) -> Place {
        let [[left, top], [right, bottom]] = self.bounds.map(|p| p.map(|v| v >> SUBPIXEL_BITS));
        let (last_x, last_y) = (source.last_x, source.last_y);
        if left >= 0 && top >= 0 && right < last_x && bottom < last_y {
            Place::Inside
        } else if source.border == Border::Zero
            && (right < -1 || bottom < -1 || left > last_x || top > last_y)
        {
            Place::Outside
        } else {
            Place::Across
        }
    }
}

/// Where a run starts; each pixel is a step from here. The products and sums are in OpenCV's order.
pub(super) fn base(m: &[f64; 9], x: usize, y: usize) -> [f64; 3] {
    let (x, y) = (x as f64, y as f64);
    [0, 3, 6].map(|row| m[row] * x + m[row + 1] * y + m[row + 2])
}

/// The image with the facts the inner loops need.
pub(super) struct Source<'a> {
    pub(super) data: &'a [u8],
    /// Bytes per row.
    pub(super) stride: usize,
    pub(super) last_x: i32,
    pub(super) last_y: i32,
    pub(super) border: Border,
}

impl<'a> Source<'a> {
    /// `None` where there is nothing to read, or less than the size promises.
    fn new(image: &'a Rgb8, border: Border) -> Option<Self> {
        let stride = image.width.checked_mul(3)?;
        let whole = image.data.len() >= stride.checked_mul(image.height)?;
        (whole && image.width > 0 && image.height > 0).then_some(())?;
        Some(Self {
            data: &image.data,
            stride,
            last_x: i32::try_from(image.width - 1).ok()?,
            last_y: i32::try_from(image.height - 1).ok()?,
            border,
        })
    }

    /// For positions whose four neighbours are all in the image.
    #[inline(always)]
    fn blend_inside(&self, x: i32, y: i32) -> [u8; 3] {
        let column = (x >> SUBPIXEL_BITS) as usize * 3;
        let upper = (y >> SUBPIXEL_BITS) as usize * self.stride + column;
        let lower = upper + self.stride;
        let a = &self.data[upper..upper + 6];
        let b = &self.data[lower..lower + 6];
        let [w00, w01, w10, w11] = weights(x, y);
        std::array::from_fn(|c| {
            let sum = w00 * u32::from(a[c])
                + w01 * u32::from(a[c + 3])
                + w10 * u32::from(b[c])
                + w11 * u32::from(b[c + 3]);
            rounded(sum)
        })
    }

    /// For any position; neighbours outside the image follow the border rule.
    fn blend_anywhere(&self, x: i32, y: i32) -> [u8; 3] {
        let (left, top) = (x >> SUBPIXEL_BITS, y >> SUBPIXEL_BITS);
        let corners = [
            self.pixel(left, top),
            self.pixel(left + 1, top),
            self.pixel(left, top + 1),
            self.pixel(left + 1, top + 1),
        ];
        let weights = weights(x, y);
        std::array::from_fn(|c| {
            let terms = corners.iter().zip(weights);
            rounded(terms.map(|(pixel, w)| w * u32::from(pixel[c])).sum())
        })
    }

    fn pixel(&self, x: i32, y: i32) -> [u8; 3] {
        let (near_x, near_y) = (x.clamp(0, self.last_x), y.clamp(0, self.last_y));
        if self.border == Border::Zero && (near_x, near_y) != (x, y) {
            return [0; 3];
        }
        let at = near_y as usize * self.stride + near_x as usize * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }
}

/// Bilinear weights of the four neighbours, 1024 in all. OpenCV's table holds 32 times these
/// (its one exception, weight 32767 at a whole pixel, rounds to the same byte).
#[inline(always)]
fn weights(x: i32, y: i32) -> [u32; 4] {
    let mask = SUBPIXELS - 1;
    let (right, lower) = ((x & mask) as u32, (y & mask) as u32);
    let (left, upper) = (SUBPIXELS as u32 - right, SUBPIXELS as u32 - lower);
    [left * upper, right * upper, left * lower, right * lower]
}

#[inline(always)]
fn rounded(sum: u32) -> u8 {
    ((sum + 512) >> 10) as u8
}

/// To the nearest integer, halves to even. Adding 1.5·2^52 leaves the rounded integer in the low
/// bits of the mantissa, in one step that vectorises on every x86-64 and ARM.
#[inline(always)]
fn round_to_i32(value: f64) -> i32 {
    let value = value.min(f64::from(i32::MAX)).max(f64::from(i32::MIN));
    (value + ROUNDER).to_bits() as i32
}

/// 1.5·2^52.
pub(super) const ROUNDER: f64 = 6_755_399_441_055_744.0;

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
    let mut rows = [[0.0f64; 9]; 8]; // eight unknowns and the right-hand side
    for (i, ([x, y], target)) in corners.iter().zip(targets).enumerate() {
        for (axis, value) in target.into_iter().enumerate() {
            let row = &mut rows[i + 4 * axis];
            let linear = [f64::from(*x), f64::from(*y), 1.0];
            row[3 * axis..3 * axis + 3].copy_from_slice(&linear);
            row[6] = f64::from(-x * value);
            row[7] = f64::from(-y * value);
            row[8] = f64::from(value);
        }
    }
    let [a, b, c, d, e, f, g, h] = solve(rows)?;
    Some([a, b, c, d, e, f, g, h, 1.0])
}

fn solve(mut rows: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for i in 0..8 {
        let mut pivot = i;
        for j in i + 1..8 {
            if rows[j][i].abs() > rows[pivot][i].abs() {
                pivot = j;
            }
        }
        let size = rows[pivot][i].abs();
        if size.is_nan() || size < f64::EPSILON * 100.0 {
            return None;
        }
        rows.swap(i, pivot);
        let top = rows[i];
        let factor = -1.0 / top[i];
        for row in &mut rows[i + 1..] {
            let alpha = row[i] * factor;
            for k in i + 1..9 {
                row[k] += alpha * top[k];
            }
        }
    }
    let mut x = [0.0; 8];
    for i in (0..8).rev() {
        let mut sum = rows[i][8];
        for k in i + 1..8 {
            sum -= rows[i][k] * x[k];
        }
        x[i] = sum / rows[i][i];
    }
    Some(x)
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
