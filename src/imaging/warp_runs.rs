//! Stretches of a crop's rows: where their pixels lie in the image, and how those are blended.

use crate::imaging::pixels::Rgb8;

/// Positions are kept in 1/32 px.
pub(super) const SUBPIXEL_BITS: u32 = 5;
pub(super) const SUBPIXELS: i32 = 1 << SUBPIXEL_BITS;
/// OpenCV steps along a row from a new base every so many pixels, which shows in the last bits.
pub(super) const RUN: usize = 64;

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

pub(super) struct Bytes;

impl Writer<u8> for Bytes {
    fn value(&self, byte: u8) -> u8 {
        byte
    }
}

/// By table.
pub(super) struct Floats {
    table: [f32; 256],
}

impl Floats {
    pub(super) fn new(scale: f32, offset: f32) -> Self {
        let mut table = [0.0; 256];
        for (byte, slot) in (0u8..=255).zip(table.iter_mut()) {
            *slot = f32::from(byte) * scale + offset;
        }
        Self { table }
    }
}

impl Writer<f32> for Floats {
    fn value(&self, byte: u8) -> f32 {
        self.table[usize::from(byte)]
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
pub(super) enum Place {
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

    pub(super) fn place(&self, source: &Source) -> Place {
        let [[left, top], [right, bottom]] = self.bounds.map(|p| p.map(|v| v >> SUBPIXEL_BITS));
        let (last_x, last_y) = (source.last_x, source.last_y);
        if left >= 0 && top >= 0 && right < last_x && bottom < last_y {
            Place::Inside
        } else if !source.replicate && (right < -1 || bottom < -1 || left > last_x || top > last_y)
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
    /// Outside is the nearest edge pixel, not black.
    pub(super) replicate: bool,
}

impl<'a> Source<'a> {
    /// `None` where there is nothing to read, or less than the size promises.
    pub(super) fn new(image: &'a Rgb8, replicate: bool) -> Option<Self> {
        let stride = image.width.checked_mul(3)?;
        let whole = image.data.len() >= stride.checked_mul(image.height)?;
        (whole && image.width > 0 && image.height > 0).then_some(())?;
        Some(Self {
            data: &image.data,
            stride,
            last_x: i32::try_from(image.width - 1).ok()?,
            last_y: i32::try_from(image.height - 1).ok()?,
            replicate,
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
        if !self.replicate && (near_x, near_y) != (x, y) {
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
