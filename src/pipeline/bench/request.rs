//! What a test stand is asked, and what it answers; JSON on its way from and to the command line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A network with its own stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    VitDet,
    RegNetY,
    Hmr2,
    VitPose,
}

/// Something that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The image's bytes to pixels.
    Decode,
    /// HMR2's crop of one person.
    Crop,
    /// Whole image to people.
    Detect,
    /// Crops to bodies and cameras.
    Hmr2,
    /// The trunk alone.
    Hmr2Trunk,
    /// Decoder head and SMPL, from features.
    Hmr2Head,
    /// The body alone.
    Smpl,
    /// Crops to heat maps, with the mirror image as published, and keypoints read off them.
    VitPose,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    tag = "do",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Request {
    /// The image that everything looks at: a file, or noise of this size.
    Image {
        path: Option<PathBuf>,
        width: usize,
        height: usize,
        /// A person, pixels; the middle of the image where it is not given.
        person: Option<[f32; 4]>,
    },
    /// One network instead of the one before.
    Load {
        network: Network,
        path: PathBuf,
        /// HMR2's.
        config: Option<PathBuf>,
        body: Option<PathBuf>,
        regressor: Option<PathBuf>,
        precision: String,
        device: String,
    },
    Release {},
    /// Once to warm up, then `repeat` times.
    Run {
        stage: Stage,
        batch: usize,
        repeat: usize,
    },
    /// The machine's rate for the matrix products of the network that is loaded.
    Matrix {
        batch: usize,
        repeat: usize,
    },
    Memory {},
}

/// Every answer; what does not belong to it is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// One figure per pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<Vec<f64>>,
    /// Multiply-adds of one pass, times two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflop: Option<f64>,
    /// Of the machine's matrix products.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflop_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    /// Of the network's parameters, as the memory plan reckons them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_bytes: Option<u64>,
    /// People found by a detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// Resident memory before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss: Option<u64>,
    /// The most that was resident meanwhile; absent where the system cannot say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss: Option<u64>,
}
