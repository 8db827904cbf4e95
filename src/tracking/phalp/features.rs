//! What the tracker knows of a person in a frame.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::texture::Texture;

/// Numbers of a pose: rotation matrices `[24, 3, 3]`, ten betas, camera `x y z/200`.
pub const POSE: usize = 229;
/// Of these, what poses are compared by.
pub const COMPARED: usize = POSE - 3;

/// Where a person is, measured or predicted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The root (SMPL's origin) in the image, in units of the square that holds the frame.
    pub root: [f64; 2],
    /// Distance from the camera, metres.
    pub depth: f64,
    /// Half a prediction interval (95 %) of root and of depth; a detection carries its camera
    /// translation here, as the original does.
    pub doubt: [f64; 3],
}

impl Place {
    /// Of a detection: its root and camera translation.
    pub fn measured(root: [f64; 2], translation: [f64; 3]) -> Self {
        Self {
            root,
            depth: translation[2],
            doubt: translation,
        }
    }
}

/// One detected person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detection {
    /// The frame's number.
    pub time: i64,
    /// The detector's score.
    pub score: f64,
    pub pose: Arc<[f32]>,
    pub place: Place,
    /// Appearance as an embedding, thousandfold as the encoder gives it.
    pub embedding: Arc<[f32]>,
    /// Appearance as a map over the body's surface.
    pub texture: Option<Arc<Texture>>,
    /// Whether it may be somebody new; otherwise it counts only as somebody known.
    pub begins: bool,
}
