//! Upright crops of an image blurred against aliasing, without blurring more than the crop shows.
//!
//! The values are those of a Gaussian over the whole image (scipy's `gaussian_filter` with
//! `mode='nearest'`, `truncate=4`) followed by OpenCV's `warpAffine`; both are sums over rows and
//! over columns, so each row of the crop is one sum over rows of the image and each of its pixels
//! one over columns.

use std::borrow::Cow;

use crate::imaging::affine::{Place, Places, STEPS};
use crate::imaging::pixels::Rgb8;

const CHANNELS: usize = 3;
/// Standard deviations to where the Gaussian is cut off.
const TRUNCATE: f64 = 4.0;
/// Rows added at a time, so that the sums are written a quarter as often.
const ROWS: usize = 4;

/// Blur and interpolation in one: for each 1/32 of a pixel, the weights of the pixels from
/// `radius` before to `radius + 1` after.
struct Kernels {
    radius: i64,
    taps: usize,
    /// The Gaussian alone.
    gaussian: Vec<f64>,
    weights: Vec<f32>,
}

impl Kernels {
    fn new(sigma: f64) -> Self {
        let radius = (TRUNCATE * sigma + 0.5) as i64;
        let value = |i: i64| (-0.5 / (sigma * sigma) * (i * i) as f64).exp();
        let values: Vec<f64> = (-radius..=radius).map(value).collect();
        let sum: f64 = values.iter().sum();
        let gaussian: Vec<f64> = values.iter().map(|v| v / sum).collect();
        let mut kernels = Self {
            radius,
            taps: gaussian.len() + 1,
            gaussian,
            weights: Vec::new(),
        };
        kernels.weights = (0..STEPS)
            .flat_map(|part| kernels.mixed(STEPS - part, part))
            .collect();
        kernels
    }

    /// The Gaussian around a pixel and around the next, weighed in 1/32.
    fn mixed(&self, here: i64, next: i64) -> impl Iterator<Item = f32> {
        let [here, next] = [here, next].map(|part| part as f64 / STEPS as f64);
        (0..self.taps).map(move |tap| {
            let at = |tap: usize| self.gaussian.get(tap).copied().unwrap_or(0.0);
            let before = tap.checked_sub(1).map_or(0.0, at);
            (at(tap) * here + before * next) as f32
        })
    }

    /// Weights for a place on an axis of `size` pixels; what lies beyond the border is black,
    /// though the blur itself sees the border's pixel go on.
    fn at(&self, place: Place, size: usize) -> Option<Cow<'_, [f32]>> {
        let inside = |pixel: i64| (0..size as i64).contains(&pixel);
        match (inside(place.pixel), inside(place.pixel + 1)) {
            (true, true) => {
                let from = place.part as usize * self.taps;
                self.weights.get(from..from + self.taps).map(Cow::Borrowed)
            }
            (true, false) => Some(self.mixed(STEPS - place.part, 0).collect()),
            (false, true) => Some(self.mixed(0, place.part).collect()),
            (false, false) => None,
        }
    }
}

/// Writes columns `columns` of the rows of an upright crop to `put(row, values)`: blurred RGB,
/// `[columns * 3]`, not rounded.
pub fn warp_blurred(
    image: &Rgb8,
    places: &Places,
    columns: std::ops::Range<usize>,
    rows: usize,
    sigma: f64,
    mut put: impl FnMut(usize, &[f32]),
) {
    let kernels = Kernels::new(sigma);
    let mut strip = Strip::default();
    let mut values = vec![0.0; columns.len() * CHANNELS];
    for y in 0..rows {
        let row = places.row(y);
        values.fill(0.0);
        let [_, down] = places.at(row, columns.start);
        if let Some(weights) = kernels.at(down, image.height) {
            let across: Vec<Place> = columns.clone().map(|x| places.at(row, x)[0]).collect();
            if strip.gather(image, &kernels, &across, down.pixel, &weights) {
                strip.sum(&kernels, &across, image.width, &mut values);
            }
        }
        put(y, &values);
    }
}

/// Rows of the image summed to one, as far as the crop's columns reach.
#[derive(Default)]
struct Strip {
    /// The image's column that `values` begin with; may lie before the first.
    from: i64,
    values: Vec<f32>,
    sums: Vec<f32>,
}

impl Strip {
    /// False where no column of the crop lies in the image.
    fn gather(
        &mut self,
        image: &Rgb8,
        kernels: &Kernels,
        across: &[Place],
        row: i64,
        weights: &[f32],
    ) -> bool {
        let (width, height) = (image.width as i64, image.height as i64);
        let seen = across.iter().map(|p| p.pixel);
        let seen = seen.filter(|p| (-1..width).contains(p));
        let Some((first, last)) = seen.fold(None, |range, p| match range {
            None => Some((p, p)),
            Some((low, high)) => Some((p.min(low), p.max(high))),
        }) else {
            return false;
        };
        self.from = first - kernels.radius;
        let to = last + kernels.radius + 2;
        let (start, end) = (self.from.clamp(0, width - 1), to.clamp(1, width));
        let span = start as usize * CHANNELS..end as usize * CHANNELS;
        self.sums.clear();
        self.sums.resize(span.len(), 0.0);
        let stride = image.width * CHANNELS;
        let pixels = |row: i64| {
            let at = row as usize * stride;
            image
                .data
                .get(at + span.start..at + span.end)
                .unwrap_or_default()
        };
        // Weights of rows beyond the border fall on the border's row.
        let mut rows: Vec<(i64, f32)> = Vec::with_capacity(weights.len());
        for (tap, &weight) in weights.iter().enumerate() {
            let source = (row - kernels.radius + tap as i64).clamp(0, height - 1);
            match rows.last_mut() {
                Some((last, sum)) if *last == source => *sum += weight,
                _ => rows.push((source, weight)),
            }
        }
        for group in rows.chunks(ROWS) {
            let mut sources = [pixels(group[0].0); ROWS];
            let mut factors = [0.0; ROWS];
            for (i, &(source, weight)) in group.iter().enumerate() {
                (sources[i], factors[i]) = (pixels(source), weight);
            }
            add_rows(&mut self.sums, sources, factors);
        }
        self.spread(start, end, to);
        true
    }

    /// The border's columns go on to either side, as far as the blur reaches.
    fn spread(&mut self, start: i64, end: i64, to: i64) {
        self.values.clear();
        let edge = |at: Option<&[f32]>| at.map_or([0.0; CHANNELS], |p| [p[0], p[1], p[2]]);
        let left = edge(self.sums.get(..CHANNELS));
        for _ in self.from..start {
            self.values.extend(left);
        }
        self.values.extend(&self.sums);
        let right = edge(
            self.sums
                .len()
                .checked_sub(CHANNELS)
                .and_then(|at| self.sums.get(at..)),
        );
        for _ in end..to {
            self.values.extend(right);
        }
    }

    /// Sums over columns, pixel by pixel.
    fn sum(&self, kernels: &Kernels, across: &[Place], width: usize, out: &mut [f32]) {
        for (place, out) in across.iter().zip(out.chunks_exact_mut(CHANNELS)) {
            let Some(weights) = kernels.at(*place, width) else {
                continue;
            };
            let from = (place.pixel - kernels.radius - self.from).max(0) as usize * CHANNELS;
            let pixels = self.values.get(from..).unwrap_or_default();
            let mut sum = [0.0; CHANNELS];
            for (pixel, weight) in pixels.chunks_exact(CHANNELS).zip(weights.iter()) {
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * value;
                }
            }
            out.copy_from_slice(&sum);
        }
    }
}

/// `sums += Σ factor · row`, element by element.
fn add_rows(sums: &mut [f32], rows: [&[u8]; ROWS], factors: [f32; ROWS]) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has been asked.
        return unsafe { add_rows_avx2(sums, rows, factors) };
    }
    add_rows_plain(sums, rows, factors);
}

/// The same loop, compiled for wider vectors; no fused operations, so the sums are the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_rows_avx2(sums: &mut [f32], rows: [&[u8]; ROWS], factors: [f32; ROWS]) {
    add_rows_plain(sums, rows, factors);
}

#[inline(always)]
fn add_rows_plain(sums: &mut [f32], [a, b, c, d]: [&[u8]; ROWS], factors: [f32; ROWS]) {
    let rows = a.iter().zip(b).zip(c).zip(d);
    for (sum, (((a, b), c), d)) in sums.iter_mut().zip(rows) {
        *sum += (f32::from(*a) * factors[0] + f32::from(*b) * factors[1])
            + (f32::from(*c) * factors[2] + f32::from(*d) * factors[3]);
    }
}
