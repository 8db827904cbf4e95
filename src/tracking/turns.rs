//! One-euro filters for rotations: each turns from where it was towards where it is seen, by the part
//! that its speed allows.

use serde::{Deserialize, Serialize};

use super::one_euro::{Clock, OneEuroConfig, alpha};
use crate::geometry::rotations::{exp, log, product, transposed};

/// One joint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Turn {
    /// As last seen, and as last told: rotation matrices, row-major.
    raw: [f32; 9],
    told: [f32; 9],
    /// Radians a second about each axis, low-passed.
    speed: [f64; 3],
}

impl Turn {
    fn start(value: [f32; 9]) -> Self {
        Self {
            raw: value,
            told: value,
            speed: [0.0; 3],
        }
    }

    fn apply(&mut self, config: &OneEuroConfig, frequency: f64, value: [f32; 9]) -> [f32; 9] {
        let between = |from: &[f32; 9]| {
            let from = from.map(f64::from);
            log(&product(&transposed(&from), &value.map(f64::from)))
        };
        let (change, part) = (
            between(&self.raw),
            f64::from(alpha(config.derivative_cutoff, frequency)),
        );
        self.speed = std::array::from_fn(|axis| {
            part * change[axis] * frequency + (1.0 - part) * self.speed[axis]
        });
        let speed = self.speed.iter().map(|v| v * v).sum::<f64>().sqrt();
        let part = f64::from(alpha(config.min_cutoff + config.beta * speed, frequency));
        // Backward from what is seen: rounding does not add up from frame to frame.
        let back = between(&self.told).map(|v| (part - 1.0) * v);
        self.raw = value;
        self.told = product(&value.map(f64::from), &exp(back)).map(|v| v as f32);
        self.told
    }
}

/// Filters for any number of rotations that are measured together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    config: OneEuroConfig,
    clock: Clock,
    joints: Vec<Turn>,
}

impl Turns {
    /// Cutoffs in hertz, speeds in radians a second.
    pub fn new(config: OneEuroConfig) -> Self {
        Self {
            config,
            clock: Clock::default(),
            joints: Vec::new(),
        }
    }

    /// Smooths the rotations of one frame, row-major matrices, in place. A frame that is not later
    /// than the last one is left as it is; where their number changes, or one is not finite, filters
    /// start anew.
    pub fn apply(&mut self, time_s: f64, rotations: &mut [[f32; 9]]) {
        let Some(frequency) = self.clock.tick(time_s) else {
            return;
        };
        if self.joints.len() != rotations.len() {
            self.joints = rotations.iter().map(|&r| Turn::start(r)).collect();
            return;
        }
        for (joint, rotation) in self.joints.iter_mut().zip(rotations) {
            let told = joint.apply(&self.config, frequency, *rotation);
            if told.iter().all(|v| v.is_finite()) {
                *rotation = told;
            } else {
                *joint = Turn::start(*rotation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: OneEuroConfig = OneEuroConfig::ROTATION;

    fn turn(angle: f64) -> [f32; 9] {
        exp([0.0, angle, 0.0]).map(|v| v as f32)
    }

    fn angle(of: &[f32; 9]) -> f64 {
        log(&of.map(f64::from))[1]
    }

    /// Turns told of the angles seen at thirty frames a second.
    fn told(angles: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut filter = Turns::new(SEEN);
        let one = |(n, seen): (usize, f64)| {
            let mut rotations = [turn(seen)];
            filter.apply(n as f64 / 30.0, &mut rotations);
            angle(&rotations[0])
        };
        angles.enumerate().map(one).collect()
    }

    #[test]
    fn a_still_joint_loses_its_tremble_and_a_fast_one_keeps_up() {
        let tremble = |n: i32| if n % 2 == 0 { 0.03 } else { -0.03 };
        let still = told((0..60).map(|n| 0.4 + tremble(n)));
        let rough = |v: &[f64]| v.windows(2).map(|w| (w[1] - w[0]).abs()).sum::<f64>();
        assert!(
            rough(&still[30..]) < 0.5 * 0.06 * 29.0,
            "{}",
            rough(&still[30..])
        );
        assert!(still[30..].iter().all(|v| (v - 0.4).abs() < 0.03));
        // Five radians a second: within a frame's turn of what is seen, past the half circle too.
        let fast = told((0..30).map(|n| 5.0 * f64::from(n) / 30.0));
        let lag = (25..30).map(|n| {
            let seen = turn(5.0 * f64::from(n) / 30.0);
            let there = product(
                &transposed(&turn(fast[n as usize]).map(f64::from)),
                &seen.map(f64::from),
            );
            log(&there)[1].abs()
        });
        assert!(lag.fold(0.0, f64::max) < 5.0 / 30.0);
    }

    #[test]
    fn what_is_told_stays_a_rotation() {
        let mut filter = Turns::new(SEEN);
        for n in 0..1000 {
            let seen = exp([(f64::from(n) * 0.1).sin(), f64::from(n) * 0.07, 0.3]);
            let mut rotations = [seen.map(|v| v as f32)];
            filter.apply(f64::from(n) / 30.0, &mut rotations);
            let m = rotations[0].map(f64::from);
            let whole = product(&m, &transposed(&m));
            let off = whole.iter().zip(crate::geometry::rotations::IDENTITY);
            let off = off.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-4, "{n} {off}");
        }
    }

    #[test]
    fn what_is_no_rotation_spoils_only_itself() {
        let mut filter = Turns::new(SEEN);
        for n in 0..4 {
            let broken = if n == 2 { [f32::NAN; 9] } else { turn(0.1) };
            let mut rotations = [broken, turn(0.2)];
            filter.apply(f64::from(n), &mut rotations);
            assert_eq!(rotations[0][0].is_nan(), n == 2);
            assert!((angle(&rotations[1]) - 0.2).abs() < 1e-6);
        }
        // Another number of joints: as seen.
        let mut one = [turn(1.0)];
        filter.apply(9.0, &mut one);
        assert_eq!(one, [turn(1.0)]);
        // Not later: as seen.
        let mut late = [turn(2.0)];
        filter.apply(9.0, &mut late);
        assert_eq!(late, [turn(2.0)]);
    }
}
