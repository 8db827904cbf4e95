//! Where a track will be: ridge regressions over its last places, with prediction intervals.

use super::features::Place;

/// Strength of the ridge: of the logarithm of depth, of x, of y.
const ALPHA_DEPTH: f64 = 5.0;
const ALPHA_X: f64 = 1.2;
const ALPHA_Y: f64 = 2.0;
/// Frames ahead beyond which a track is taken to stand.
const HORIZON: u32 = 48;
/// Student's t, 97.5 %, by degrees of freedom from 1.
const STUDENT: [f64; 30] = [
    12.706_204_736_432_1,
    4.302_652_729_696_14,
    3.182_446_305_284_26,
    2.776_445_105_198,
    2.570_581_835_636_31,
    2.446_911_848_791_68,
    2.364_624_251_592_78,
    2.306_004_135_204_17,
    2.262_157_162_740_99,
    2.228_138_851_964_94,
    2.200_985_160_082_95,
    2.178_812_829_663_42,
    2.160_368_656_461_01,
    2.144_786_687_916_93,
    2.131_449_545_559_32,
    2.119_905_299_221_01,
    2.109_815_577_833_18,
    2.100_922_040_240_96,
    2.093_024_054_408_26,
    2.085_963_447_265_84,
    2.079_613_844_727_66,
    2.073_873_067_904_02,
    2.068_657_610_419_04,
    2.063_898_561_628_02,
    2.059_538_552_753_29,
    2.055_529_438_642_86,
    2.051_830_516_480_28,
    2.048_407_141_795_24,
    2.045_229_642_132_7,
    2.042_272_456_301_24,
];

/// The place `unseen + 1` frames after the last of `past`, which are `(time, place)` in order;
/// `None` for an empty past.
pub fn predict(past: &[(i64, Place)], unseen: u32) -> Option<Place> {
    let (last, _) = past.last()?;
    let times: Vec<f64> = past.iter().map(|(time, _)| *time as f64).collect();
    let at = *last as f64 + f64::from(unseen.min(HORIZON)) + 1.0;
    let fit = |alpha, value: &dyn Fn(&Place) -> f64| {
        let values: Vec<f64> = past.iter().map(|(_, place)| value(place)).collect();
        Ridge::fit(&times, &values, alpha).predict(at)
    };
    let (depth, depth_doubt) = fit(ALPHA_DEPTH, &|p| p.depth.ln());
    let (x, x_doubt) = fit(ALPHA_X, &|p| p.root[0]);
    let (y, y_doubt) = fit(ALPHA_Y, &|p| p.root[1]);
    // The fewer moments the past really has, the less is known, and the larger is this divisor.
    let changes = times.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let share = (past.len() - changes) as f64;
    Some(Place {
        root: [x, y],
        depth: depth.exp(),
        doubt: [x_doubt / share, y_doubt / share, depth_doubt.exp() / share],
    })
}

/// A line through values over time, its slope held back by `alpha`.
struct Ridge {
    mean_time: f64,
    mean_value: f64,
    slope: f64,
    /// Sum of squared distances of the times from their mean.
    spread: f64,
    /// Sum of squared residuals.
    residual: f64,
    count: usize,
}

impl Ridge {
    fn fit(times: &[f64], values: &[f64], alpha: f64) -> Self {
        let count = times.len();
        let mean = |list: &[f64]| list.iter().sum::<f64>() / count as f64;
        let (mean_time, mean_value) = (mean(times), mean(values));
        let pairs = || times.iter().zip(values);
        let spread: f64 = times.iter().map(|t| (t - mean_time).powi(2)).sum();
        let joint: f64 = pairs()
            .map(|(t, v)| (t - mean_time) * (v - mean_value))
            .sum();
        let slope = joint / (spread + alpha);
        let line = |t: f64| mean_value + slope * (t - mean_time);
        Self {
            mean_time,
            mean_value,
            slope,
            spread,
            residual: pairs().map(|(t, v)| (v - line(*t)).powi(2)).sum(),
            count,
        }
    }

    /// The value at `time`, and half its prediction interval.
    fn predict(&self, time: f64) -> (f64, f64) {
        let value = self.mean_value + self.slope * (time - self.mean_time);
        let freedom = self.count.saturating_sub(2);
        if freedom == 0 || self.spread == 0.0 {
            // One moment, however often it was noted, says nothing about any other.
            return (value, 0.0);
        }
        let student = STUDENT.get(freedom - 1).copied().unwrap_or(1.96);
        let error = (self.residual / freedom as f64).sqrt();
        let far = (time - self.mean_time).powi(2) / self.spread;
        let interval = student * error * (1.0 + 1.0 / self.count as f64 + far).sqrt();
        (value, interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64) -> Place {
        Place::measured([x, 0.5], [0.0, 0.0, 10.0])
    }

    #[test]
    fn a_steady_walk_goes_on_a_little_slower() {
        let past: Vec<(i64, Place)> = (0..7).map(|t| (t, at(0.1 * t as f64))).collect();
        let next = predict(&past, 0).unwrap();
        // Slope 0.1 · 28 / (28 + 1.2), four frames after the mean.
        assert!((next.root[0] - (0.3 + 4.0 * 2.8 / 29.2)).abs() < 1e-12);
        assert!((next.depth - 10.0).abs() < 1e-9);
        let later = predict(&past, 500).unwrap();
        assert_eq!(later, predict(&past, HORIZON).unwrap());
        assert!(later.doubt[0] > next.doubt[0]);
    }

    #[test]
    fn one_moment_stands_still() {
        let next = predict(&[(5, at(0.4)); 7], 3).unwrap();
        assert!((next.root[0] - 0.4).abs() < 1e-12 && (next.root[1] - 0.5).abs() < 1e-12);
        assert!(next.doubt.iter().all(|d| d.is_finite()));
        assert_eq!(predict(&[], 0), None);
    }
}
