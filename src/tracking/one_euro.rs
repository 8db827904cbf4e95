//! MediaPipe's one-euro filter for landmarks: still points held still, fast ones followed closely.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// Frames a second before the times of two frames are known.
const FIRST_FREQUENCY: f64 = 30.0;

/// People smaller than this many pixels are left unsmoothed.
const MIN_OBJECT_SCALE: f32 = 1e-6;

/// Share of the newest value in a smoothed visibility.
const VISIBILITY_ALPHA: f32 = 0.1;

/// How strongly to smooth. Cutoffs in hertz.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneEuroConfig {
    /// Cutoff for what does not move.
    pub min_cutoff: f64,
    /// How much the cutoff rises per unit of speed.
    pub beta: f64,
    /// Cutoff for the speed itself.
    pub derivative_cutoff: f64,
}

impl OneEuroConfig {
    /// MediaPipe's for image landmarks (`pose_landmark_filtering.pbtxt`): pixels, with the
    /// person's size given to [`LandmarkFilter::apply`].
    pub const IMAGE: Self = Self::new(0.05, 80.0);
    /// For world landmarks: metres, no size.
    pub const WORLD: Self = Self::new(0.1, 40.0);
    /// For the two auxiliary points that place the next crop: pixels, with the size.
    pub const AUXILIARY: Self = Self::new(0.01, 10.0);

    /// For rotations, speeds in radians a second: as for world landmarks, of which a limb's end half a
    /// metre from its joint is one.
    pub const ROTATION: Self = Self::new(0.1, 20.0);
    /// For what hardly changes.
    pub const STEADY: Self = Self::new(0.1, 0.0);

    const fn new(min_cutoff: f64, beta: f64) -> Self {
        Self {
            min_cutoff,
            beta,
            derivative_cutoff: 1.0,
        }
    }
}

/// `stored = alpha * value + (1 - alpha) * stored`, in MediaPipe's mix of precisions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct LowPass {
    raw: f32,
    stored: f32,
}

impl LowPass {
    fn start(value: f32) -> Self {
        Self {
            raw: value,
            stored: value,
        }
    }

    fn apply(&mut self, value: f32, alpha: f32) -> f32 {
        let kept = (1.0 - f64::from(alpha)) * f64::from(self.stored);
        self.raw = value;
        self.stored = (f64::from(alpha * value) + kept) as f32;
        self.stored
    }
}

/// One coordinate: its value and its speed, both low-passed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Channel {
    value: LowPass,
    speed: LowPass,
}

impl Channel {
    fn start(value: f32) -> Self {
        Self {
            value: LowPass::start(value),
            speed: LowPass::start(0.0),
        }
    }

    fn apply(&mut self, config: &OneEuroConfig, frequency: f64, scale: f32, value: f32) -> f32 {
        // From the previous value as it came, not as it was smoothed.
        let change = f64::from(value) - f64::from(self.value.raw);
        let speed = (change * f64::from(scale) * frequency) as f32;
        let smooth_speed = self
            .speed
            .apply(speed, alpha(config.derivative_cutoff, frequency));
        let cutoff = config.min_cutoff + config.beta * f64::from(smooth_speed).abs();
        self.value.apply(value, alpha(cutoff, frequency))
    }
}

/// The times of frames → how many there are a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Clock {
    frequency: f64,
    last: Option<f64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            frequency: FIRST_FREQUENCY,
            last: None,
        }
    }
}

impl Clock {
    /// `None` for a frame that is not later than the last one.
    pub fn tick(&mut self, time_s: f64) -> Option<f64> {
        if !time_s.is_finite() || self.last.is_some_and(|last| last >= time_s) {
            return None;
        }
        if let Some(last) = self.last.replace(time_s) {
            self.frequency = 1.0 / (time_s - last);
        }
        Some(self.frequency)
    }
}

/// The part of the newest value in a low-pass of that cutoff, both in hertz.
pub(super) fn alpha(cutoff: f64, frequency: f64) -> f32 {
    let tau = 1.0 / (TAU * cutoff);
    (1.0 / (1.0 + tau * frequency)) as f32
}

/// One-euro filters for any number of values that are measured together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneEuro {
    config: OneEuroConfig,
    clock: Clock,
    channels: Vec<Channel>,
}

impl OneEuro {
    pub fn new(config: OneEuroConfig) -> Self {
        Self {
            config,
            clock: Clock::default(),
            channels: Vec::new(),
        }
    }

    /// Smooths the values of one frame in place. `time_s` is the frame's time in seconds,
    /// `value_scale` what makes speeds comparable between people: one over their size.
    ///
    /// As in MediaPipe, a frame that is not later than the last one is left as it is. Where the
    /// number of values changes, or some are not numbers, those filters start anew.
    pub fn apply(&mut self, time_s: f64, value_scale: f32, values: &mut [f32]) {
        let Some(frequency) = self.clock.tick(time_s) else {
            return;
        };
        if self.channels.len() != values.len() {
            self.channels = values.iter().map(|&v| Channel::start(v)).collect();
            return;
        }
        for (channel, value) in self.channels.iter_mut().zip(values) {
            let smoothed = channel.apply(&self.config, frequency, value_scale, *value);
            if smoothed.is_finite() {
                *value = smoothed;
            } else {
                *channel = Channel::start(*value);
            }
        }
    }
}

/// MediaPipe's smoothing of a set of landmarks: positions by one-euro filters, confidences by a
/// plain low-pass. One for each person and set; drop it when the person is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandmarkFilter {
    positions: OneEuro,
    visibilities: Vec<LowPass>,
}

impl LandmarkFilter {
    pub fn new(config: OneEuroConfig) -> Self {
        Self {
            positions: OneEuro::new(config),
            visibilities: Vec::new(),
        }
    }

    /// Smooths `[x, y, z]` and the visibilities (0..=1; may be empty) of one frame in place.
    ///
    /// `object_scale` is the person's size in the unit of the positions: for image landmarks the
    /// side of the unscaled region, twice the distance of the auxiliary points in pixels; `None`
    /// for metres.
    pub fn apply(
        &mut self,
        time_s: f64,
        object_scale: Option<f32>,
        positions: &mut [[f32; 3]],
        visibilities: &mut [f32],
    ) {
        self.smooth_visibilities(visibilities);
        let scale = match object_scale {
            None => 1.0,
            Some(size) if size >= MIN_OBJECT_SCALE => 1.0 / size,
            Some(_) => return,
        };
        self.positions
            .apply(time_s, scale, positions.as_flattened_mut());
    }

    fn smooth_visibilities(&mut self, values: &mut [f32]) {
        if self.visibilities.len() != values.len() {
            self.visibilities = values.iter().map(|&v| LowPass::start(v)).collect();
            return;
        }
        for (filter, value) in self.visibilities.iter_mut().zip(values) {
            let smoothed = filter.apply(*value, VISIBILITY_ALPHA);
            if smoothed.is_finite() {
                *value = smoothed;
            } else {
                *filter = LowPass::start(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: OneEuroConfig = OneEuroConfig {
        min_cutoff: 1.0,
        beta: 0.5,
        derivative_cutoff: 1.0,
    };

    fn one(filter: &mut OneEuro, time_s: f64, scale: f32, value: f32) -> f32 {
        let mut values = [value];
        filter.apply(time_s, scale, &mut values);
        values[0]
    }

    #[track_caller]
    fn close(got: f32, want: f64) {
        assert!((f64::from(got) - want).abs() < 1e-6, "{got} {want}");
    }

    /// Ten frames a second, scale 2: alpha(c) = 1 / (1 + 10 / (2 pi c)), alpha(1) = 0.385869.
    /// 0 -> 1: speed 1 * 2 * 10 = 20, smoothed 7.717391, cutoff 1 + 3.858695 = 4.858695,
    /// alpha 0.753258, value 0.753258.
    /// 1 -> 3: speed from the raw 1: 40, smoothed 0.385869 * 40 + 0.614131 * 7.717391 = 20.174267,
    /// cutoff 11.087133, alpha 0.874470, value 3 * 0.874470 + 0.125530 * 0.753258 = 2.717967.
    #[test]
    fn follows_the_hand_worked_sequence() {
        let mut filter = OneEuro::new(PLAIN);
        assert_eq!(one(&mut filter, 5.0, 2.0, 0.0), 0.0);
        close(one(&mut filter, 5.1, 2.0, 1.0), 0.753_257_5);
        close(one(&mut filter, 5.2, 2.0, 3.0), 2.717_967_4);
    }

    #[test]
    fn frames_that_do_not_advance_pass_unchanged() {
        let mut filter = OneEuro::new(PLAIN);
        one(&mut filter, 1.0, 1.0, 0.0);
        let mut twin = filter.clone();
        for time in [1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert_eq!(one(&mut filter, time, 1.0, 7.0), 7.0);
        }
        let later = one(&mut filter, 1.1, 1.0, 1.0);
        assert_eq!(later, one(&mut twin, 1.1, 1.0, 1.0));
        assert!(later < 1.0);
    }

    #[test]
    fn numbers_that_are_none_spoil_only_themselves() {
        let mut filter = OneEuro::new(PLAIN);
        let mut clean = OneEuro::new(PLAIN);
        for n in 0..6 {
            let value = if n == 2 { f32::NAN } else { n as f32 };
            let mut values = [value, n as f32];
            filter.apply(f64::from(n), 1.0, &mut values);
            assert_eq!(values[1], one(&mut clean, f64::from(n), 1.0, n as f32));
            assert_eq!(values[0].is_finite(), n != 2);
        }
    }

    #[test]
    fn still_points_lose_their_jitter_and_fast_ones_keep_their_place() {
        let mut filter = LandmarkFilter::new(OneEuroConfig::IMAGE);
        let (mut raw, mut smooth) = (Vec::new(), Vec::new());
        for n in 0..200 {
            let jitter = if n % 2 == 0 { 0.5 } else { -0.5 };
            let x = 100.0
                + jitter
                + if n >= 150 {
                    20.0 * (n - 150) as f32
                } else {
                    0.0
                };
            let mut points = [[x, 50.0, 0.0]];
            filter.apply(f64::from(n) / 30.0, Some(400.0), &mut points, &mut []);
            raw.push(x);
            smooth.push(points[0][0]);
        }
        let roughness = |v: &[f32]| v.windows(2).map(|w| (w[1] - w[0]).abs()).sum::<f32>();
        assert!(roughness(&smooth[50..150]) < 0.5 * roughness(&raw[50..150]));
        assert!(
            (smooth[199] - raw[199]).abs() < 5.0,
            "{} {}",
            smooth[199],
            raw[199]
        );
    }

    #[test]
    fn visibilities_follow_by_a_tenth() {
        let mut filter = LandmarkFilter::new(OneEuroConfig::WORLD);
        let mut seen = [0.2f32, 1.0];
        filter.apply(0.0, None, &mut [], &mut seen);
        assert_eq!(seen, [0.2, 1.0]);
        let mut seen = [1.0f32, 0.0];
        filter.apply(0.1, None, &mut [], &mut seen);
        assert!(
            (seen[0] - 0.28).abs() < 1e-6 && (seen[1] - 0.9).abs() < 1e-6,
            "{seen:?}"
        );
    }

    #[test]
    fn a_person_without_size_or_with_other_points_starts_anew() {
        let mut filter = LandmarkFilter::new(OneEuroConfig::IMAGE);
        for (n, count) in [(0, 3), (1, 3), (2, 5)] {
            let mut points = vec![[n as f32; 3]; count];
            filter.apply(f64::from(n), Some(100.0), &mut points, &mut []);
            assert_eq!(points[0][0] == n as f32, n != 1);
        }
        let mut points = [[9.0f32; 3]; 5];
        filter.apply(3.0, Some(0.0), &mut points, &mut []);
        assert_eq!(points, [[9.0; 3]; 5]);
    }
}
