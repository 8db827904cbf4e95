//! What the pipeline says about a frame, in plain Rust.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;
use crate::pipeline::depth::fit::Fit;
use crate::pipeline::words::{self, Word};
use crate::tracking::stored::{StoredBox, StoredRoi};

/// How a record came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keypoint {
    #[serde(with = "words::one")]
    pub name: Word,
    /// Pixels of the input image.
    pub x: f32,
    pub y: f32,
    /// Metres relative to the pelvis, away from the camera positive.
    pub z: Option<f32>,
    /// 0..=1, from the network.
    pub confidence: f32,
}

/// A pinhole camera that looks along +z; x right, y down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Metres; a joint in camera space is `joint + translation`.
    pub translation: [f32; 3],
    /// Pixels.
    pub focal_length: f32,
    /// Pixels.
    pub center: [f32; 2],
}

/// Where in a region of the frame a person is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segmentation {
    /// `[256, 256]`, row-major over the region: that the person covers it, 0..=1.
    pub mask: Arc<[f32]>,
    /// Pixels of the input image.
    #[serde(with = "StoredRoi")]
    pub region: Roi,
}

/// Who drew the box around a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoxSource {
    VitDet,
    RegNetY,
    /// Nobody looked: the whole image is taken for one person, as the caller asked.
    FullImage,
    /// The caller.
    Given,
}

impl BoxSource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VitDet => "vitdet",
            Self::RegNetY => "regnety",
            Self::FullImage => "full-image",
            Self::Given => "given",
        }
    }
}

/// Where keypoints come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeypointSource {
    /// Found in the image by a network for keypoints, each with its confidence.
    Measured,
    /// Joints of the 3D body, projected into the image.
    Projected,
}

impl KeypointSource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Projected => "projected",
        }
    }
}

/// The parameters of an SMPL body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smpl {
    /// `[3, 3]`: the pelvis against the camera's axes.
    pub global_orient: [f32; 9],
    /// `[23, 3, 3]`: every other joint against its parent.
    pub body_pose: Vec<f32>,
    pub betas: [f32; 10],
}

/// Somebody's numbers as they were measured, beside the smoothed ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    pub keypoints: Vec<Keypoint>,
    /// As in [`Person`].
    pub joints3d: Option<Vec<[f32; 3]>>,
    /// Degrees, in a fixed order.
    #[serde(with = "words::maybe_named")]
    pub joint_angles3d: Option<Vec<(Word, f32)>>,
    pub camera: Option<Camera>,
    pub smpl: Option<Smpl>,
}

/// One person in one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    pub track_id: u32,
    #[serde(with = "StoredBox")]
    pub bbox: BBox,
    /// The detector's score, 0..=1.
    pub score: f32,
    pub source: Source,
    /// 1 = seen in this frame; decays while not seen.
    pub tracking_confidence: f32,
    /// False while they may yet be a false alarm: such records are not told.
    pub confirmed: bool,
    pub keypoints: Vec<Keypoint>,
    /// `[J, 3]` metres, camera axes, origin at the pelvis.
    pub joints3d: Option<Vec<[f32; 3]>>,
    /// Degrees, in a fixed order.
    #[serde(with = "words::maybe_named")]
    pub joint_angles3d: Option<Vec<(Word, f32)>>,
    pub camera: Option<Camera>,
    /// Where it was asked for and the person was seen.
    pub segmentation: Option<Segmentation>,
    pub box_source: Option<BoxSource>,
    pub keypoint_source: Option<KeypointSource>,
    /// Of people seen in this frame by a model that has a body.
    pub smpl: Option<Smpl>,
    /// `[6890, 3]` metres, row-major, around the origin of `joints3d`.
    pub vertices: Option<Vec<f32>>,
    /// Of people seen in this frame whose numbers are smoothed: what was measured.
    pub raw: Option<Box<Raw>>,
    /// Of people seen in a frame whose depth was asked for.
    pub depth: Option<PersonDepth>,
}

/// A person in a depth map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PersonDepth {
    /// 0: nearest to the camera.
    pub order: u32,
    /// The map's, median over the body; larger is nearer.
    pub value: f32,
    /// On the body that it is the median of.
    pub places: u32,
    /// Along the camera's axis, by the frame's fit.
    pub metres: Option<f32>,
}

/// What a frame's depth map says on the whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameDepth {
    /// Which network, by its name in torch.hub.
    #[serde(with = "words::one")]
    pub model: Word,
    pub min: f32,
    pub max: f32,
    /// From its values to metres; `None` where nobody's distance is known.
    pub fit: Option<Fit>,
}

impl Person {
    /// A person of whom nothing is known but the place.
    pub fn at(track_id: u32, bbox: BBox, source: Source) -> Self {
        Self {
            track_id,
            bbox,
            score: 0.0,
            source,
            tracking_confidence: 0.0,
            confirmed: true,
            keypoints: Vec::new(),
            joints3d: None,
            joint_angles3d: None,
            camera: None,
            segmentation: None,
            box_source: None,
            keypoint_source: None,
            smpl: None,
            vertices: None,
            depth: None,
            raw: None,
        }
    }

    /// What was measured, to be kept while the numbers are smoothed.
    pub fn measured(&self) -> Raw {
        Raw {
            keypoints: self.keypoints.clone(),
            joints3d: self.joints3d.clone(),
            joint_angles3d: self.joint_angles3d.clone(),
            camera: self.camera,
            smpl: self.smpl.clone(),
        }
    }
}

/// Everything about one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameResult {
    /// As the caller gave it; NaN where it was not a number.
    pub frame_number: f64,
    /// Seconds in the clip; NaN for a frame that has no place in it.
    pub time_s: f64,
    pub width: u32,
    pub height: u32,
    pub persons: Vec<Person>,
    /// Seen and not told, since they may be false alarms; kept where a clip is gone over again.
    pub held: Vec<Person>,
    /// Another shot begins with this frame; known where a clip is gone over again.
    pub starts_shot: bool,
    /// People found in earlier frames, by their numbers, since this one showed them.
    pub earlier: Vec<(f64, Person)>,
    pub processing_time_ms: f64,
    /// Milliseconds per stage.
    #[serde(with = "words::named")]
    pub timings: Vec<(Word, f64)>,
    pub model_version: String,
    /// Where it was asked for and the frame could be read.
    pub depth: Option<FrameDepth>,
    /// Why there is none, of a frame that is good otherwise: stable code and message.
    #[serde(with = "words::coded")]
    pub depth_error: Option<(Word, String)>,
    /// A bad frame is data: stable code and message.
    #[serde(with = "words::coded")]
    pub error: Option<(Word, String)>,
}
