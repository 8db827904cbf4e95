//! The tracker's settings and the published presets.

use serde::{Deserialize, Serialize};

/// How the three distances become one cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    pub texture: f64,
    pub pose: f64,
    /// Divides the distance in the image.
    pub place: f64,
    /// Divides the ratio of depths.
    pub depth: f64,
    /// Squared pose distances above this count as this.
    pub pose_cap: f64,
}

/// `EQ_019` of the original, fitted to PoseTrack.
pub const EQ_019: Weights = Weights {
    texture: 4.0536,
    pose: 1.3070,
    place: 0.3792,
    depth: 4.1658,
    pose_cap: 1.5,
};

/// `EQ_010` of the original, fitted to AVA.
pub const EQ_010: Weights = Weights {
    texture: 3.8303,
    pose: 1.5207,
    place: 0.4930,
    depth: 4.5831,
    pose_cap: 1.2,
};

/// `EQ_010` in the first frame after a cut: places mean nothing there, appearance more.
pub const EQ_010_CUT: Weights = Weights {
    texture: 7.8303,
    place: 1e100,
    depth: 1e100,
    ..EQ_010
};

/// What appearance is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Appearance {
    /// The texture map of the body where both see it (`T` of the original's `predict`).
    Texture,
    /// The embedding of the last detection (`A`).
    Embedding,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub weights: Weights,
    /// In the first frame after a cut; `None`: cuts are not minded.
    pub cut: Option<Weights>,
    pub appearance: Appearance,
    /// Poses are predicted (`P`); otherwise the last one is compared.
    pub predict_pose: bool,
    /// Places are predicted (`L`); otherwise the last one is compared.
    pub predict_place: bool,
    /// Costs above this are no match.
    pub most: f64,
    /// Past detections a prediction is made from.
    pub history: usize,
    /// Past predictions a detection is compared with; the nearest counts.
    pub lookback: usize,
    /// Frames unseen after which a track ends.
    pub max_age: u32,
    /// Detections in a row that confirm a track.
    pub hits: u32,
    /// Share of a new texture in the blended one, times its confidence squared.
    pub blend: f64,
    /// Appearance is compared also where it cannot change the assignment, as the original does.
    pub every_cost: bool,
}

impl Default for Config {
    /// As the original's configuration has it.
    fn default() -> Self {
        Self {
            weights: EQ_019,
            cut: None,
            appearance: Appearance::Texture,
            predict_pose: true,
            predict_place: true,
            most: 100.0,
            history: 7,
            lookback: 1,
            max_age: 50,
            hits: 5,
            blend: 0.1,
            every_cost: false,
        }
    }
}

impl Config {
    /// Fitted to AVA's films, aware of cuts.
    pub fn films() -> Self {
        Self {
            weights: EQ_010,
            cut: Some(EQ_010_CUT),
            ..Self::default()
        }
    }
}
