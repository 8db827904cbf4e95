//! BlazePose: person detector and body landmarks, from MediaPipe's `.tflite` files.
//!
//! Networks: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking" (2020) and
//! Grishchenko et al., "BlazePose GHUM Holistic" (2022), Apache-2.0. The steps around them follow
//! google-ai-edge/mediapipe at commit 85c0cdc7d706; each file names the calculators it answers to.

pub mod anchors;
pub mod detector;
pub mod landmarker;
pub mod refine;
pub mod regions;

use crate::checkpoint::tflite::TfliteError;
use crate::layers::network::error::NetworkError;

pub use detector::{Detection, Detector};
pub use landmarker::{Landmarker, Landmarks};

/// Why a network cannot be loaded or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("{0}")]
    File(#[from] TfliteError),
    #[error("the file is not the {expected} network: {found}")]
    Shape {
        expected: &'static str,
        found: String,
    },
    #[error("{0}")]
    Network(#[from] NetworkError),
}
