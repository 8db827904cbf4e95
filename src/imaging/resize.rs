//! Pillow's antialiased bilinear resize of 8-bit images, to the bit.
//!
//! Pillow (`src/libImaging/Resample.c`, 8 bits per channel): a triangle filter as wide as the
//! reduction, weights in 22-bit fixed point, first along rows, then along columns, each pass
//! rounded to 8 bits.

use super::pixels::Rgb8;

const PRECISION: u32 = 22;

/// The source pixels of one target pixel, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// `image` at `width` × `height` pixels.
pub fn resize_bilinear(image: &Rgb8, width: usize, height: usize) -> Rgb8 {
    let mut rows = image.clone();
    if width != image.width {
        rows = along_rows(image, &taps(image.width, width));
    }
    if height != image.height {
        rows = along_columns(&rows, &taps(image.height, height));
    }
    rows
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let taps = |index: usize| {
        let centre = (index as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let triangle = |x: usize| (1.0 - ((x as f64 - centre + 0.5) / support).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |w: &f64| (0.5 + w / sum * f64::from(1_u32 << PRECISION)) as i32;
        Taps {
            first,
            weights: weights.iter().map(fixed).collect(),
        }
    };
    (0..to).map(taps).collect()
}

fn along_rows(image: &Rgb8, taps: &[Taps]) -> Rgb8 {
    let mut data = Vec::with_capacity(taps.len() * image.height * 3);
    for row in image.data.chunks_exact(image.width * 3) {
        for Taps { first, weights } in taps {
            let mut sum = [1_i32 << (PRECISION - 1); 3];
            for (pixel, &w) in row[first * 3..].chunks_exact(3).zip(weights) {
                for (sum, &value) in sum.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * w;
                }
            }
            data.extend(sum.map(|s| (s >> PRECISION).clamp(0, 255) as u8));
        }
    }
    Rgb8 {
        width: taps.len(),
        height: image.height,
        data,
    }
}

fn along_columns(image: &Rgb8, taps: &[Taps]) -> Rgb8 {
    let length = image.width * 3;
    let mut data = Vec::with_capacity(taps.len() * length);
    let mut sums = vec![0_i32; length];
    for Taps { first, weights } in taps {
        sums.fill(1 << (PRECISION - 1));
        let rows = image.data[first * length..].chunks_exact(length);
        for (row, &w) in rows.zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * w;
            }
        }
        data.extend(sums.iter().map(|s| (s >> PRECISION).clamp(0, 255) as u8));
    }
    Rgb8 {
        width: image.width,
        height: taps.len(),
        data,
    }
}
