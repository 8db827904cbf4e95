//! Every constant of the tracker, with what it does.

use serde::{Deserialize, Serialize};

/// Joints below this confidence tell nothing about where somebody is.
pub(super) const MIN_CONFIDENCE: f32 = 0.3;

/// How people are followed. Sizes and distances are in body sizes (the square root of the area of
/// a person's joints in the image: about 0.6 of a standing person's height).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackerConfig {
    /// One observation of at least this score starts a confirmed track.
    pub instant_score: f32,
    /// A weaker one is confirmed after so many frames in a row, not counting those in which it
    /// looks like an older track seen in the same frame.
    pub n_init: u32,
    /// A missed person is guessed for at most so many frames, then forgotten.
    pub max_predicted: u32,
    /// Somebody last seen going out of the frame is guessed for at most so many.
    pub leaving_frames: u32,
    /// And for at most so many frames per frame seen, once that makes `n_init`; before that,
    /// for one frame only: a false alarm must not linger.
    pub predicted_per_sight: u32,
    /// Somebody who is guessed no more is remembered for so many frames: who is believed for the first
    /// time within these may be them …
    pub lost_frames: u32,
    /// … if not farther from where they are expected than this …
    pub lost_distance: f64,
    /// … and not dearer.
    pub lost_cost: f64,
    /// Confidence of a guess: `exp(-misses / decay_frames)` times the visible part of its box.
    pub decay_frames: f32,
    /// A guess of which less than this part is inside the frame ends the track.
    pub min_visible: f32,

    /// How far from the expected place somebody may turn up one frame later.
    pub gate_distance: f64,
    /// How much farther after the first sight of somebody, whose velocity is not known yet.
    pub gate_newborn: f64,
    /// How much farther for every second unseen, beside what the person's own pace allows.
    pub gate_growth: f64,
    /// And never farther than this.
    pub gate_limit: f64,
    /// Largest ratio of sizes between the last and the next observation.
    pub gate_size_ratio: f64,
    /// Weights of the parts of the cost, each part 0..=1: place, pose in the image, size, 3D pose …
    pub weight_place: f64,
    pub weight_pose: f64,
    pub weight_size: f64,
    pub weight_shape: f64,
    /// … and what they wear.
    pub weight_looks: f64,
    /// Share of the newest sight in what somebody is remembered to wear; sights in which boxes of
    /// others overlap theirs by more than this (intersection over union) are not counted.
    pub looks_share: f32,
    pub looks_overlap: f32,
    /// Added where the poses agree only with left and right exchanged.
    pub flip_cost: f64,
    /// Added for an unconfirmed track: who is known goes first.
    pub tentative_cost: f64,
    /// Added for a track just started, falling as it is seen more: an established identity is not
    /// lost to a double.
    pub junior_cost: f64,
    /// A pair dearer than this is no pair.
    pub max_cost: f64,

    /// Seconds over which velocity is averaged.
    pub velocity_seconds: f64,
    /// Seconds after which an unseen person is taken to stand still: velocity fades as
    /// `exp(-t / coast_seconds)`.
    pub coast_seconds: f64,
    /// An unseen person is moved by at most this.
    pub coast_limit: f64,

    /// Where this part of an unmatched observation's box lies on the expected box of somebody
    /// missed, it is more likely them, found badly, than somebody new: however sure, it is not
    /// confirmed at once.
    pub shadow_part: f32,
    /// Pose similarity from which, or distance of the trunks up to which, a young track is taken
    /// for a second pose of an older one.
    pub shadow_similarity: f32,
    pub shadow_distance: f64,
    /// Pose similarity from which an unmatched observation is a double of a matched one.
    pub double_similarity: f32,
    /// A sight that many times larger or smaller than usual is no model for guesses.
    pub template_size_ratio: f64,
    /// Pose similarity, and frames in a row of it, at which two tracks are one person.
    pub merge_similarity: f32,
    pub merge_frames: u32,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            instant_score: 0.5,
            n_init: 3,
            max_predicted: 30,
            leaving_frames: 5,
            predicted_per_sight: 2,
            lost_frames: 30,
            lost_distance: 2.5,
            lost_cost: 0.9,
            decay_frames: 10.0,
            min_visible: 0.15,
            gate_distance: 1.5,
            gate_newborn: 1.0,
            gate_growth: 2.0,
            gate_limit: 5.0,
            gate_size_ratio: 6.0,
            weight_place: 0.35,
            weight_pose: 0.35,
            weight_size: 0.1,
            weight_shape: 0.2,
            weight_looks: 0.25,
            looks_share: 0.1,
            looks_overlap: 0.1,
            flip_cost: 0.1,
            tentative_cost: 0.1,
            junior_cost: 0.15,
            max_cost: 1.2,
            velocity_seconds: 0.15,
            coast_seconds: 0.6,
            coast_limit: 3.0,
            shadow_part: 0.5,
            shadow_similarity: 0.35,
            shadow_distance: 0.3,
            double_similarity: 0.7,
            template_size_ratio: 2.0,
            merge_similarity: 0.8,
            merge_frames: 8,
        }
    }
}
