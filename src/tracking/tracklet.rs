//! One person being followed: last sight, motion, and how long since.

use serde::{Deserialize, Serialize};

use crate::tracking::config::TrackerConfig;
use crate::tracking::looks::Looks;
use crate::tracking::motion::Motion;
use crate::tracking::observation::{Observation, Origin, Record};

/// A person being followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracklet {
    id: u32,
    age: u32,
    /// Frames in which it was seen as somebody of its own, not as a shadow of an older track.
    sights: u32,
    misses: u32,
    confirmed: bool,
    /// Sure enough to be confirmed by its first sight alone.
    instant: bool,
    /// The frame, counted by the tracker, of the first observation.
    born: u64,
    pub(super) motion: Motion,
    last: Observation,
    /// The last sight of an ordinary size, at the place of the last: what a guess looks like.
    template: Observation,
    /// What they wore so far, in sights in which nobody was before them.
    looks: Option<Looks>,
    matched: Option<usize>,
}

impl Tracklet {
    pub(super) fn start(
        config: &TrackerConfig,
        id: u32,
        (frame, time_s): (u64, f64),
        index: usize,
        observation: Observation,
        instantly: bool,
    ) -> Self {
        Self {
            id,
            age: 0,
            sights: 0,
            misses: 0,
            confirmed: false,
            instant: instantly && observation.score >= config.instant_score,
            born: frame,
            motion: Motion::new(time_s, observation.root(), observation.size()),
            template: observation.clone(),
            looks: observation.looks,
            last: observation,
            matched: Some(index),
        }
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// Frames in a row without an observation.
    pub fn misses(&self) -> u32 {
        self.misses
    }

    /// Frames since the first observation.
    pub fn age(&self) -> u32 {
        self.age
    }

    pub(super) fn looks(&self) -> Option<&Looks> {
        self.looks.as_ref()
    }

    /// As last seen.
    pub fn last(&self) -> &Observation {
        &self.last
    }

    pub(super) fn matched(&self) -> Option<usize> {
        self.matched
    }

    pub(super) fn born(&self) -> u64 {
        self.born
    }

    pub(super) fn see(
        &mut self,
        config: &TrackerConfig,
        time_s: f64,
        index: usize,
        observation: Observation,
        alone: bool,
    ) {
        if alone && let Some(seen) = &observation.looks {
            let share = config.looks_share;
            self.looks.get_or_insert(*seen).learn(seen, share);
        }
        let (root, size) = (observation.root(), observation.size());
        let ratio = size / self.motion.size();
        let limit = config.template_size_ratio;
        if ratio < limit && ratio > 1.0 / limit {
            self.template = observation.clone();
        } else {
            // Most likely a collapsed pose; if not, the smoothed size soon follows.
            let from = self.template.root();
            self.template = self.template.moved([root[0] - from[0], root[1] - from[1]]);
        }
        self.motion.see(config, time_s, root, size);
        self.age = self.age.saturating_add(1);
        self.misses = 0;
        self.last = observation;
        self.matched = Some(index);
    }

    /// Counts the sight of this frame, unless it was but the shadow of an older track.
    pub(super) fn count_sight(&mut self, config: &TrackerConfig, alone: bool) {
        if alone {
            self.sights = self.sights.saturating_add(1);
            self.confirmed |= self.instant || self.sights >= config.n_init;
        }
        self.instant = false;
    }

    /// How well established it is, 0 to 1.
    pub(super) fn seniority(&self) -> f64 {
        let sights = f64::from(self.sights);
        sights / (sights + 10.0)
    }

    pub(super) fn miss(&mut self) {
        self.age = self.age.saturating_add(1);
        self.misses = self.misses.saturating_add(1);
        self.matched = None;
    }

    /// Goes on under this id with what `other` saw.
    pub(super) fn take_over(&mut self, other: Self) {
        self.sights = self.sights.saturating_add(other.sights);
        self.misses = other.misses;
        self.confirmed |= other.confirmed;
        self.motion = other.motion;
        self.last = other.last;
        self.template = other.template;
        self.looks = self.looks.or(other.looks);
        self.matched = other.matched;
    }

    /// Whether it was seen in this frame or may be guessed.
    pub(super) fn is_alive(&self, config: &TrackerConfig, time_s: f64, frame: (f32, f32)) -> bool {
        let earned = if self.sights < config.n_init {
            1
        } else {
            self.sights.saturating_mul(config.predicted_per_sight)
        };
        if self.misses == 0 {
            return true;
        }
        let expected = self.expected(config, time_s);
        let allowed = if self.is_leaving(&expected, frame) {
            config.leaving_frames
        } else {
            config.max_predicted
        };
        self.misses <= allowed.min(earned) && expected.visible_part(frame) >= config.min_visible
    }

    /// Whether it is worth remembering when it is guessed no more: somebody known who did not leave.
    pub(super) fn is_memorable(
        &self,
        config: &TrackerConfig,
        time_s: f64,
        frame: (f32, f32),
    ) -> bool {
        let expected = self.expected(config, time_s);
        self.confirmed
            && self.sights >= config.n_init
            && !self.is_leaving(&expected, frame)
            && expected.visible_part(frame) >= config.min_visible
    }

    /// Goes on under the number of somebody who was lost.
    pub(super) fn continue_as(&mut self, lost: &Self) {
        self.id = lost.id;
        self.age = self.age.saturating_add(lost.age);
        self.sights = self.sights.saturating_add(lost.sights);
    }

    /// Whether it was last going out through the side of the frame that it touches.
    fn is_leaving(&self, expected: &Observation, frame: (f32, f32)) -> bool {
        let (b, [dx, dy]) = (&expected.bbox, self.motion.velocity());
        (b.x1 <= 0.0 && dx < 0.0)
            || (b.x2 >= frame.0 && dx > 0.0)
            || (b.y1 <= 0.0 && dy < 0.0)
            || (b.y2 >= frame.1 && dy > 0.0)
    }

    /// The last ordinary sight, moved to where the person is expected.
    pub(super) fn expected(&self, config: &TrackerConfig, time_s: f64) -> Observation {
        self.template
            .moved(self.motion.displacement(config, time_s))
    }

    /// The confidence of a guess.
    pub(super) fn confidence(
        &self,
        config: &TrackerConfig,
        expected: &Observation,
        frame: (f32, f32),
    ) -> f32 {
        let decay = (-(self.misses as f32) / config.decay_frames.max(1e-3)).exp();
        decay * expected.visible_part(frame)
    }

    pub(super) fn record(&self, config: &TrackerConfig, time_s: f64, frame: (f32, f32)) -> Record {
        let (origin, observation, confidence) = if self.matched.is_some() {
            (Origin::Seen, self.last.clone(), 1.0)
        } else {
            let mut expected = self.expected(config, time_s);
            let confidence = self.confidence(config, &expected, frame);
            for point in &mut expected.keypoints {
                point[2] *= confidence;
            }
            (Origin::Guessed, expected, confidence)
        };
        Record {
            track_id: self.id,
            origin,
            confidence,
            matched: self.matched,
            observation,
            age: self.age,
            misses: self.misses,
            confirmed: self.confirmed,
        }
    }
}
