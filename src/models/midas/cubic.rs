//! Bicubic resizing as OpenCV and PyTorch do it: four neighbours each way, a = -0.75, the border
//! repeated, nothing smoothed.
//!
//! Source: OpenCV 4, `modules/imgproc/src/resize.cpp` (`interpolateCubic`); PyTorch 2.11,
//! `UpSampleKernel.cpp` (`HelperInterpCubic`).

use tch::TchError;

use crate::layers::number::Shared;
use crate::layers::parallel::split;

/// Numbers below which another thread costs more than it gives.
const GRAIN: usize = 1 << 15;

/// The four source places of one target place, and their weights.
pub struct Taps {
    pub at: [usize; 4],
    pub weights: [f32; 4],
}

/// Of every place of a line of `to` that shows one of `from`.
pub fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let last = from as i64 - 1;
    let one = |index: usize| {
        let place = ((index as f64 + 0.5) * scale - 0.5) as f32;
        let first = place.floor();
        Taps {
            at: std::array::from_fn(|k| (first as i64 + k as i64 - 1).clamp(0, last) as usize),
            weights: cubic(place - first),
        }
    };
    (0..to).map(one).collect()
}

/// The weights of the four places around `x` beyond the second.
fn cubic(x: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let outer = ((A * (x + 1.0) - 5.0 * A) * (x + 1.0) + 8.0 * A) * (x + 1.0) - 4.0 * A;
    let inner = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let (left, right) = (inner(x), inner(1.0 - x));
    [outer, left, right, 1.0 - outer - left - right]
}

/// Rows of `from[0]` numbers, `from[1]` of them, at the size `to`. Neither may be empty.
pub fn resize(values: &[f32], from: [usize; 2], to: [usize; 2]) -> Result<Vec<f32>, TchError> {
    let ([width, height], [to_width, to_height]) = (from, to);
    if values.len() != width * height || values.is_empty() || to_width * to_height == 0 {
        return Err(TchError::Shape(format!(
            "{} numbers as {width} x {height} to {to_width} x {to_height}",
            values.len()
        )));
    }
    let (columns, rows) = (taps(width, to_width), taps(height, to_height));
    let grain = (GRAIN / to_width).max(1);
    let wide = lines(height, to_width, grain, |row, out| {
        let line = &values[row * width..][..width];
        for (out, Taps { at, weights }) in out.iter_mut().zip(&columns) {
            let four = at
                .iter()
                .zip(weights)
                .map(|(&at, weight)| line[at] * weight);
            *out = four.sum();
        }
    })?;
    lines(to_height, to_width, grain, |row, out| {
        let Taps { at, weights } = &rows[row];
        let [a, b, c, d] = at.map(|at| &wide[at * to_width..][..to_width]);
        let four = a.iter().zip(b).zip(c.iter().zip(d));
        for (out, ((a, b), (c, d))) in out.iter_mut().zip(four) {
            *out = a * weights[0] + b * weights[1] + c * weights[2] + d * weights[3];
        }
    })
}

/// `count` lines of `length` numbers, each made by `work` on one of libtorch's threads.
fn lines(
    count: usize,
    length: usize,
    grain: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Vec<f32>, TchError> {
    let mut values = vec![0.0_f32; count * length];
    let place = Shared(values.as_mut_ptr());
    split(count, grain, |range| {
        for row in range {
            // SAFETY: the vector holds `count` lines, and no two ranges overlap.
            let line = unsafe { std::slice::from_raw_parts_mut(place.at(row * length), length) };
            work(row, line);
        }
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    #[test]
    fn it_is_libtorchs() {
        for (from, to) in [
            ([7, 5], [31, 40]),
            ([32, 32], [5, 3]),
            ([6, 4], [6, 4]),
            ([1, 1], [9, 2]),
        ] {
            let map = Tensor::randn([1, 1, from[1], from[0]], (Kind::Float, Device::Cpu));
            let expected = map.upsample_bicubic2d([to[1], to[0]], false, None, None);
            let values = Vec::<f32>::try_from(map.reshape([-1])).unwrap();
            let sides = |sides: [i64; 2]| sides.map(|side| side as usize);
            let found = resize(&values, sides(from), sides(to)).unwrap();
            let found = Tensor::from_slice(&found).reshape([1, 1, to[1], to[0]]);
            let apart = (found - expected).abs().max().double_value(&[]);
            // Places are single precision there.
            assert!(apart < 1e-5, "{from:?} to {to:?}: {apart}");
        }
    }

    #[test]
    fn nothing_is_an_error() {
        assert!(resize(&[], [0, 3], [4, 4]).is_err());
        assert!(resize(&[1.0; 6], [2, 3], [4, 0]).is_err());
        assert!(resize(&[1.0; 5], [2, 3], [4, 4]).is_err());
    }
}
