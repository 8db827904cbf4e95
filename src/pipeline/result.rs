//! What the pipeline says about a frame, in plain Rust.

use std::sync::Arc;

use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;

/// How a record came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Detected,
    Recovered,
    Predicted,
    Interpolated,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Recovered => "recovered",
            Self::Predicted => "predicted",
            Self::Interpolated => "interpolated",
        }
    }
}

/// One keypoint; its name follows from the set's order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    pub name: &'static str,
    /// Pixels of the input image.
    pub x: f32,
    pub y: f32,
    /// Metres relative to the pelvis, away from the camera positive.
    pub z: Option<f32>,
    /// 0..=1, from the network.
    pub confidence: f32,
}

/// A pinhole camera that looks along +z; x right, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Metres; a joint in camera space is `joint + translation`.
    pub translation: [f32; 3],
    /// Pixels.
    pub focal_length: f32,
    /// Pixels.
    pub center: [f32; 2],
}

/// Where in a region of the frame a person is.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// `[256, 256]`, row-major over the region: that the person covers it, 0..=1.
    pub mask: Arc<[f32]>,
    /// Pixels of the input image.
    pub region: Roi,
}

/// One person in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub track_id: u32,
    pub bbox: BBox,
    /// The detector's score, 0..=1.
    pub score: f32,
    pub source: Source,
    /// 1 = seen in this frame; decays while not seen.
    pub tracking_confidence: f32,
    pub keypoints: Vec<Keypoint>,
    /// `[J, 3]` metres, camera axes, origin at the pelvis.
    pub joints3d: Option<Vec<[f32; 3]>>,
    /// Degrees, in a fixed order.
    pub joint_angles3d: Option<Vec<(&'static str, f32)>>,
    pub camera: Option<Camera>,
    /// Where it was asked for and the person was seen.
    pub segmentation: Option<Segmentation>,
}

/// Everything about one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameResult {
    /// As the caller gave it; NaN where it was not a number.
    pub frame_number: f64,
    pub width: u32,
    pub height: u32,
    pub persons: Vec<Person>,
    pub processing_time_ms: f64,
    /// Milliseconds per stage.
    pub timings: Vec<(&'static str, f64)>,
    pub model_version: String,
    /// A bad frame is data: stable code and message.
    pub error: Option<(&'static str, String)>,
}
