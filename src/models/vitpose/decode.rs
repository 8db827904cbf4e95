//! Heat maps to keypoints.
//!
//! Source: ViTPose's mmpose, `keypoints_from_heatmaps` and `post_dark_udp` in
//! `mmpose/core/evaluation/top_down_eval.py`; Zhang et al., "Distribution-Aware Coordinate
//! Representation for Human Pose Estimation", CVPR 2020.

use crate::models::vitpose::crop::{Region, Warp};

/// How a keypoint is found between a map's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// The top of the Gaussian that the blurred map is around its peak; for [`Warp::Unbiased`].
    Dark,
    /// A quarter of a step from the peak towards the higher neighbour; for [`Warp::Plain`].
    Quarter,
}

impl Decoding {
    /// The warp whose crops it is made for.
    pub fn warp(self) -> Warp {
        match self {
            Self::Dark => Warp::Unbiased,
            Self::Quarter => Warp::Plain,
        }
    }
}

/// Values on either side of the middle of the blur, and its standard deviation.
const REACH: i64 = 5;
const SIGMA: f64 = 2.0;
/// The blurred map is kept between these before its logarithm is taken.
const LOWEST: f32 = 0.001;
const HIGHEST: f32 = 50.0;

/// One keypoint's map, row by row.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    pub values: &'a [f32],
    pub width: usize,
}

impl HeatMap<'_> {
    fn height(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// `[x, y, confidence]`: pixels of the image, and the map's highest value.
    ///
    /// Where no value is above zero the network saw nothing: the place is upstream's (-1, -1) of
    /// the map, the confidence the value, or 0 where there is none that is finite.
    pub fn keypoint(&self, region: &Region, decoding: Decoding) -> [f32; 3] {
        let mut best = (0, f32::NEG_INFINITY);
        for (at, &value) in self.values.iter().enumerate() {
            if value > best.1 {
                best = (at, value);
            }
        }
        let (at, confidence) = best;
        let place = if confidence > 0.0 && self.width > 0 {
            let peak = [at % self.width, at / self.width];
            match decoding {
                Decoding::Dark => self.dark(peak),
                Decoding::Quarter => self.quarter(peak),
            }
        } else {
            [-1.0; 2]
        };
        let size = [self.width, self.height()];
        let [x, y] = region.to_image(place, size, decoding.warp());
        let known = confidence.is_finite();
        [x, y, if known { confidence } else { 0.0 }]
    }

    fn quarter(&self, [x, y]: [usize; 2]) -> [f32; 2] {
        let inside = |at: usize, count: usize| at > 1 && at + 1 < count;
        let mut place = [x as f32, y as f32];
        if inside(x, self.width) && inside(y, self.height()) {
            let at = |x: usize, y: usize| self.values[y * self.width + x];
            let slopes = [at(x + 1, y) - at(x - 1, y), at(x, y + 1) - at(x, y - 1)];
            for (place, slope) in place.iter_mut().zip(slopes) {
                *place += match slope {
                    s if s > 0.0 => 0.25,
                    s if s < 0.0 => -0.25,
                    _ => 0.0,
                };
            }
        }
        place
    }

    /// One step of Newton's method on the logarithm of the blurred map.
    fn dark(&self, peak: [usize; 2]) -> [f32; 2] {
        let [x, y] = peak.map(|p| p as i64);
        let at = |dx: i64, dy: i64| self.log_blurred(x + dx, y + dy);
        let (middle, right, left) = (at(0, 0), at(1, 0), at(-1, 0));
        let (below, above) = (at(0, 1), at(0, -1));
        let slope = [0.5 * (right - left), 0.5 * (below - above)].map(f64::from);
        let xx = right - 2.0 * middle + left;
        let yy = below - 2.0 * middle + above;
        let diagonal = at(1, 1) - right - below + middle + middle - left - above + at(-1, -1);
        let xy = f64::from(0.5 * diagonal);
        // Keeps a flat map from dividing by zero.
        let [xx, yy] = [xx, yy].map(|v| f64::from(v) + f64::from(f32::EPSILON));
        let determinant = xx * yy - xy * xy;
        let offset = [
            (yy * slope[0] - xy * slope[1]) / determinant,
            (xx * slope[1] - xy * slope[0]) / determinant,
        ];
        let place = peak.map(|p| p as f64);
        [0, 1].map(|axis| {
            let moved = (place[axis] - offset[axis]) as f32;
            if moved.is_finite() {
                moved
            } else {
                place[axis] as f32
            }
        })
    }

    /// Beyond the border the nearest value goes on.
    fn log_blurred(&self, x: i64, y: i64) -> f32 {
        let (width, height) = (self.width as i64, self.height() as i64);
        let (x, y) = (x.clamp(0, width - 1), y.clamp(0, height - 1));
        let weights = gaussian();
        let mut sum = 0.0;
        for (dy, wy) in (-REACH..).zip(weights) {
            let row = mirrored(y + dy, height) * self.width;
            for (dx, wx) in (-REACH..).zip(weights) {
                let value = self.values[row + mirrored(x + dx, width)];
                sum += wy * wx * f64::from(value);
            }
        }
        let kept = (sum as f32).clamp(LOWEST, HIGHEST);
        f64::from(kept).ln() as f32
    }
}

/// OpenCV's `getGaussianKernel`, in single precision.
fn gaussian() -> [f64; 2 * REACH as usize + 1] {
    let raw = std::array::from_fn::<_, { 2 * REACH as usize + 1 }, _>(|i| {
        let far = i as f64 - REACH as f64;
        (-0.5 * far * far / (SIGMA * SIGMA)).exp()
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|w| f64::from((w / sum) as f32))
}

/// The map goes on beyond its border as in a mirror that stands on the last value.
fn mirrored(mut at: i64, count: i64) -> usize {
    if count == 1 {
        return 0;
    }
    while !(0..count).contains(&at) {
        at = if at < 0 { -at } else { 2 * (count - 1) - at };
    }
    at as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: Region = Region {
        center: [100.0, 80.0],
        scale: [0.24, 0.32],
    };

    fn map(width: usize, height: usize, value: impl Fn(f32, f32) -> f32) -> Vec<f32> {
        let place = |i: usize| value((i % width) as f32, (i / width) as f32);
        (0..width * height).map(place).collect()
    }

    #[test]
    fn a_gaussian_is_found_between_the_values() {
        let values = map(48, 64, |x, y| {
            0.8 * (-((x - 20.3).powi(2) + (y - 40.8).powi(2)) / 8.0).exp()
        });
        let map = HeatMap {
            values: &values,
            width: 48,
        };
        let found = map.keypoint(&REGION, Decoding::Dark);
        // 48 pixels are 47 steps; 64 are 63.
        let expected = [76.0 + 20.3 * 48.0 / 47.0, 48.0 + 40.8 * 64.0 / 63.0];
        for axis in 0..2 {
            assert!((found[axis] - expected[axis]).abs() < 0.01, "{found:?}");
        }
        assert!((found[2] - 0.78).abs() < 0.02, "{found:?}");
        let quarter = map.keypoint(&REGION, Decoding::Quarter);
        assert_eq!(quarter[..2], [76.0 + 20.25, 48.0 + 40.75]);
    }

    #[test]
    fn every_map_gives_finite_numbers() {
        let decodings = [Decoding::Dark, Decoding::Quarter];
        for (value, confidence) in [
            (0.0, 0.0),
            (-3.0, -3.0),
            (0.7, 0.7),
            (f32::NAN, 0.0),
            (f32::INFINITY, 0.0),
        ] {
            for (width, height) in [(48, 64), (1, 1), (2, 3)] {
                let values = map(width, height, |_, _| value);
                let map = HeatMap {
                    values: &values,
                    width,
                };
                for decoding in decodings {
                    if decoding == Decoding::Dark && width == 1 {
                        continue;
                    }
                    let found = map.keypoint(&REGION, decoding);
                    assert!(found.iter().all(|v| v.is_finite()), "{value}: {found:?}");
                    assert_eq!(found[2], confidence);
                }
            }
        }
    }

    #[test]
    fn a_peak_in_the_corner_stays_near_it() {
        let values = map(48, 64, |x, y| (-(x * x + y * y) / 8.0).exp());
        let map = HeatMap {
            values: &values,
            width: 48,
        };
        let [x, y, _] = map.keypoint(&REGION, Decoding::Dark);
        assert!((74.0..78.0).contains(&x) && (46.0..50.0).contains(&y));
        let quarter = map.keypoint(&REGION, Decoding::Quarter);
        assert_eq!(quarter, [76.0, 48.0, 1.0]);
    }

    #[test]
    fn mirrors_stand_on_the_last_value() {
        let found: Vec<usize> = (-4..8).map(|at| mirrored(at, 4)).collect();
        assert_eq!(found, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(mirrored(-9, 1), 0);
    }
}
