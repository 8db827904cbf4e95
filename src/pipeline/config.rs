//! What a caller may set, with the defaults.

use crate::geometry::joints::KeypointSet;

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

/// The engine as a whole. Mirrors `EngineConfig` in `index.d.ts`.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct EngineConfig {
    pub device: String,
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
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            threads: 0,
            max_queued_frames: 1024,
            max_persons: 20,
            keypoints: None,
            focal_length: None,
            max_pixels: 268_402_689,
            max_image_bytes: 256 << 20,
            blazepose: BlazePoseConfig::default(),
        }
    }
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
    /// One-euro smoothing of keypoints and joints (off: values as measured).
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
