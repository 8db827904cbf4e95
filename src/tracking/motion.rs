//! Where somebody will be: smoothed velocity in the image, faded and doubted when extrapolated.

use serde::{Deserialize, Serialize};

use crate::tracking::config::TrackerConfig;

/// The motion of one person's root in the image. Places are measured well and kept as measured;
/// only the velocity is averaged over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// Seconds on the tracker's clock when last seen.
    seen_at: f64,
    /// Pixels, as last seen.
    position: [f64; 2],
    /// Pixels a second.
    velocity: [f64; 2],
    /// Mean squared change of the measured velocity, (pixels a second)².
    unsteadiness: f64,
    /// Share of the newest measurement in the velocity.
    gain: f64,
    velocities_measured: u32,
    /// Pixels, smoothed.
    size: f64,
}

impl Motion {
    pub fn new(time_s: f64, position: [f64; 2], size: f64) -> Self {
        Self {
            seen_at: time_s,
            position,
            velocity: [0.0; 2],
            unsteadiness: 0.0,
            gain: 1.0,
            velocities_measured: 0,
            size,
        }
    }

    pub fn position(&self) -> [f64; 2] {
        self.position
    }

    /// Pixels.
    pub fn velocity(&self) -> [f64; 2] {
        self.velocity
    }

    pub fn size(&self) -> f64 {
        self.size
    }

    pub fn seconds_unseen(&self, time_s: f64) -> f64 {
        (time_s - self.seen_at).max(0.0)
    }

    /// Whether there is a velocity yet.
    pub fn is_known(&self) -> bool {
        self.velocities_measured > 0
    }

    /// How fast the person may be going, whatever the direction: pixels a second.
    pub fn pace(&self) -> f64 {
        (self.velocity[0].powi(2) + self.velocity[1].powi(2) + self.unsteadiness).sqrt()
    }

    /// Takes in a new sight.
    pub fn see(&mut self, config: &TrackerConfig, time_s: f64, position: [f64; 2], size: f64) {
        let dt = time_s - self.seen_at;
        if dt > 0.0 {
            self.velocities_measured = self.velocities_measured.saturating_add(1);
            // The plain mean until the window is full, then the exponential one.
            self.gain = (1.0 - (-dt / config.velocity_seconds).exp())
                .max(1.0 / f64::from(self.velocities_measured));
            let measured = [0, 1].map(|k| (position[k] - self.position[k]) / dt);
            let change = [0, 1].map(|k| measured[k] - self.velocity[k]);
            self.velocity = [0, 1].map(|k| self.velocity[k] + self.gain * change[k]);
            let squared = change[0] * change[0] + change[1] * change[1];
            self.unsteadiness += self.gain * (squared - self.unsteadiness);
        }
        self.seen_at = time_s;
        self.position = position;
        // In the logarithm, since people grow and shrink by factors.
        self.size *= (size / self.size).powf(0.3);
    }

    /// How far the person is expected to have moved at that time, in pixels.
    ///
    /// Velocity counts by the share of it that is steady (`v² / (v² + its variance)`), fades with
    /// time and carries nobody farther than the limit: a wild guess is worse than the last place.
    pub fn displacement(&self, config: &TrackerConfig, time_s: f64) -> [f64; 2] {
        let speed2 = self.velocity[0].powi(2) + self.velocity[1].powi(2);
        // Variance of an exponential mean of independent measurements.
        let variance = self.unsteadiness * self.gain / (2.0 - self.gain);
        if speed2 <= 0.0 {
            return [0.0; 2];
        }
        let steady = speed2 / (speed2 + variance);
        let fade = config.coast_seconds;
        let seconds = fade * (1.0 - (-self.seconds_unseen(time_s) / fade).exp());
        let reach = speed2.sqrt() * steady * seconds;
        let limited = reach.min(config.coast_limit * self.size);
        let scale = steady * seconds * (limited / reach.max(f64::MIN_POSITIVE));
        self.velocity.map(|v| v * scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DT: f64 = 1.0 / 30.0;

    /// Somebody 100 pixels in size, seen at these x.
    fn seen_at(xs: impl IntoIterator<Item = f64>) -> (Motion, f64) {
        let config = TrackerConfig::default();
        let mut xs = xs.into_iter();
        let mut motion = Motion::new(0.0, [xs.next().unwrap(), 50.0], 100.0);
        let mut time = 0.0;
        for x in xs {
            time += DT;
            motion.see(&config, time, [x, 50.0], 100.0);
        }
        (motion, time)
    }

    fn ahead(motion: &Motion, time_s: f64) -> f64 {
        motion.displacement(&TrackerConfig::default(), time_s)[0]
    }

    #[test]
    fn a_steady_pace_is_carried_on_and_fades() {
        let (motion, time) = seen_at((0..30).map(|n| 6.0 * f64::from(n)));
        assert!((motion.pace() - 180.0).abs() < 5.0, "{}", motion.pace());
        assert!((ahead(&motion, time + DT) - 6.0).abs() < 0.3);
        let (half, long) = (ahead(&motion, time + 0.5), ahead(&motion, time + 60.0));
        assert!((50.0..90.0).contains(&half), "{half}");
        assert!(long > half && long < 0.6 * 180.0 + 1.0, "{long}");
        assert_eq!(ahead(&motion, time - 1.0), 0.0);
    }

    #[test]
    fn trembling_is_no_pace() {
        let (motion, time) = seen_at((0..31).map(|n| if n % 2 == 0 { 0.0 } else { 8.0 }));
        // The last step alone would carry 240 pixels a second: 80 in the next half second.
        assert!(
            ahead(&motion, time + 0.5).abs() < 8.0,
            "{}",
            ahead(&motion, time + 0.5)
        );
        assert!(
            motion.pace() > 100.0,
            "but they may have gone far: {}",
            motion.pace()
        );
    }

    #[test]
    fn nobody_is_carried_beyond_the_limit() {
        let (motion, time) = seen_at((0..30).map(|n| 60.0 * f64::from(n)));
        let limit = TrackerConfig::default().coast_limit * 100.0;
        assert!((ahead(&motion, time + 9.0) - limit).abs() < 1e-6);
    }

    #[test]
    fn times_that_stand_still_are_no_division() {
        let config = TrackerConfig::default();
        let (mut motion, time) = seen_at([0.0, 5.0]);
        motion.see(&config, time, [90.0, 50.0], 100.0);
        assert_eq!(motion.position(), [90.0, 50.0]);
        assert!(motion.pace().is_finite() && ahead(&motion, time + 1.0).is_finite());
    }
}
