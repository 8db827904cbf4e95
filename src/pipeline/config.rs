//! What a caller may set, with the defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::geometry::joints::KeypointSet;
use crate::pipeline::depth::model::DepthModel;

/// Which landmark network runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Variant {
    /// "fast"
    Lite,
    Full,
    /// "accurate"
    Heavy,
}

impl Variant {
    /// Its name in MediaPipe's files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lite => "lite",
            Self::Full => "full",
            Self::Heavy => "heavy",
        }
    }
}

/// Which model family runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum Family {
    /// 4D-Humans where all its files are there, else BlazePose.
    #[cfg_attr(test, serde(rename = "auto"))]
    Auto,
    #[cfg_attr(test, serde(rename = "blazepose"))]
    BlazePose,
    #[cfg_attr(test, serde(rename = "4dhumans"))]
    Humans,
}

/// How 4D-Humans finds people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum DetectorChoice {
    /// ViTDet, or RegNetY where only that is there.
    Auto,
    VitDet,
    RegNetY,
    /// Nobody looks: every frame is taken for a picture of one person.
    #[cfg_attr(test, serde(rename = "full-image"))]
    FullImage,
}

/// The type that networks compute in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Precision {
    /// bf16 where the processor multiplies it natively, or on a card; else fp32.
    #[default]
    Auto,
    Fp32,
    Bf16,
    Fp16,
}

/// The engine as a whole. Mirrors `EngineConfig` in `index.d.ts`.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct EngineConfig {
    pub model: Family,
    pub device: String,
    pub detector: DetectorChoice,
    /// As `device`; `auto` is where the other networks are.
    pub detector_device: String,
    pub precision: Precision,
    /// MB (2²⁰ bytes) of RAM that this process may hold.
    pub memory_budget_mb: Option<u64>,
    /// Folder of the model cache; `None`: the usual one.
    pub cache_dir: Option<PathBuf>,
    /// The user's own SMPL model, used where it lies.
    pub smpl_path: Option<PathBuf>,

    /// Worker threads; 0: as many as the machine (or its cgroup) has cores.
    pub threads: usize,
    /// Frames accepted and not yet answered, over all calls; more is `ERR_POSE4D_QUEUE_FULL`.
    pub max_queued_frames: usize,
    pub max_persons: usize,
    /// `None`: the model's own.
    #[cfg_attr(test, serde(skip))]
    pub keypoints: Option<KeypointSet>,
    /// Pixels; `None`: assumed from the frame's size.
    pub focal_length: Option<f32>,
    pub max_pixels: u64,
    pub max_image_bytes: u64,
    pub blazepose: BlazePoseConfig,
    pub humans: HumansConfig,
    pub depth: DepthConfig,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            model: Family::Auto,
            device: "auto".into(),
            detector: DetectorChoice::Auto,
            detector_device: "auto".into(),
            precision: Precision::Auto,
            memory_budget_mb: None,
            cache_dir: None,
            smpl_path: None,
            threads: 0,
            max_queued_frames: 1024,
            max_persons: 20,
            keypoints: None,
            focal_length: None,
            max_pixels: 268_402_689,
            max_image_bytes: 256 << 20,
            blazepose: BlazePoseConfig::default(),
            humans: HumansConfig::default(),
            depth: DepthConfig::default(),
        }
    }
}

/// Which released weights of HMR2 run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum Weights {
    #[cfg_attr(test, serde(rename = "2.0a"))]
    A,
    #[cfg_attr(test, serde(rename = "2.0b"))]
    B,
}

/// Whose thresholds decide who is a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Preset {
    /// 4D-Humans' demo: scores above 0.5.
    Demo,
    /// PHALP's tracking: scores above 0.8.
    Phalp,
}

/// What people are followed by from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum TrackerChoice {
    /// PHALP where all its files are there, else joints.
    Auto,
    /// Predicted place, pose and appearance.
    Phalp,
    /// Projected joints and boxes; needs no files.
    Joints,
}

/// How PHALP weighs place, pose and appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum TrackerPreset {
    /// Fitted to PoseTrack (`EQ_019`), the original's default.
    PoseTrack,
    /// Fitted to AVA's films (`EQ_010`).
    Ava,
}

/// How 4D-Humans looks for people and follows them. Mirrors `HumansConfig` in `index.d.ts`.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct HumansConfig {
    pub weights: Weights,
    /// `auto`: a ViTPose whose file is there; `off`; or the name of a model file.
    pub vitpose: String,
    pub preset: Preset,
    /// Detector score above which somebody is believed; `None`: the preset's.
    pub score_threshold: Option<f32>,
    /// Intersection over union above which boxes are one; `None`: the detector's own.
    pub nms_iou: Option<f32>,
    /// Crops of people in one forward pass, at most; 0: what suits the device.
    pub batch_size: usize,
    /// A missed person gets `predicted` records for at most so many frames.
    pub max_predicted: u32,
    /// Rotations, place and shape smoothed over time; what was measured is kept beside.
    pub smoothing: bool,
    pub tracker: TrackerChoice,
    pub tracker_preset: TrackerPreset,
    /// Files of the caller's in the place of those of the cache, by model name.
    #[cfg_attr(test, serde(skip))]
    pub files: BTreeMap<String, PathBuf>,
}

impl Default for HumansConfig {
    fn default() -> Self {
        Self {
            weights: Weights::B,
            vitpose: "auto".into(),
            preset: Preset::Demo,
            score_threshold: None,
            nms_iou: None,
            batch_size: 0,
            max_predicted: 30,
            smoothing: false,
            tracker: TrackerChoice::Auto,
            tracker_preset: TrackerPreset::PoseTrack,
            files: BTreeMap::new(),
        }
    }
}

/// Which depth network runs and how. Mirrors `DepthConfig` in `index.d.ts`.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct DepthConfig {
    /// Where a call does not say.
    pub model: DepthModel,
    /// `Auto`: the engine's, and where that is left open what suits the device.
    pub precision: Precision,
    /// Frames in one run, at most; 0: what suits the device.
    pub batch_size: usize,
    /// Attention heads of a DPT file whose width no released one has.
    pub heads: Option<u32>,
    /// Files of the caller's in the place of those of the cache, by model name.
    #[cfg_attr(test, serde(skip))]
    pub files: BTreeMap<String, PathBuf>,
}

/// How BlazePose looks for people and follows them. Mirrors `BlazePoseConfig` in `index.d.ts`.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct BlazePoseConfig {
    pub variant: Variant,
    /// Tiles as fractions of the frame's long side, largest first; empty: the whole frame only,
    /// as MediaPipe does.
    pub tile_scales: Vec<f32>,
    /// Overlap of neighbouring tiles, as a fraction of a tile.
    pub tile_overlap: f32,
    /// Detector score from which a place is looked at.
    pub detection_threshold: f32,
    /// IoU above which detections are one (weighted NMS).
    pub nms_iou: f32,
    /// Pose flag of the landmark network from which a pose is kept.
    pub pose_threshold: f32,
    /// Quality (pose flag × heat × agreement of two crops) from which somebody new in a clip is
    /// believed.
    pub min_quality: f32,
    /// The same in a single frame, where nothing false can linger.
    pub min_quality_photo: f32,
    /// One more crop from the auxiliary points of the first.
    pub refine: bool,
    /// Frames from one full search of a clip to the next; 0: only when somebody is lost.
    pub search_every: u32,
    /// Between searches, look where something moves that nobody known accounts for.
    pub watch: bool,
    /// Keypoints and joints smoothed over time; what was measured is kept beside.
    pub smoothing: bool,
    /// Bone lengths of a track held constant in `joints3d`.
    pub constant_bones: bool,
    /// Side of the heat-map window, cells.
    pub heatmap_kernel: usize,
    /// A missed person gets `predicted` records for at most so many frames.
    pub max_predicted: u32,
    /// Every seen person's outline as well; without it that branch of the network is not built.
    pub segmentation: bool,
}

impl Default for BlazePoseConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Full,
            tile_scales: vec![0.6, 0.45, 0.33],
            tile_overlap: 0.5,
            detection_threshold: 0.3,
            nms_iou: 0.3,
            pose_threshold: 0.5,
            min_quality: 0.3,
            min_quality_photo: 0.18,
            refine: true,
            search_every: 8,
            watch: true,
            smoothing: false,
            constant_bones: true,
            heatmap_kernel: 7,
            max_predicted: 30,
            segmentation: false,
        }
    }
}
