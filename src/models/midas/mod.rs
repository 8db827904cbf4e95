//! Relative depth from one image: DPT-Large, DPT-Hybrid, MiDaS v2.1 and its small sister.
//!
//! Papers: Ranftl et al., "Towards Robust Monocular Depth Estimation", TPAMI 2022 (MiDaS), and
//! "Vision Transformers for Dense Prediction", ICCV 2021 (DPT). Source: isl-org/MiDaS (MIT) at
//! 4545977; every file names what it answers to.

mod convolution;
mod cubic;
mod decoder;
mod dpt;
mod efficientnet;
mod hybrid;
mod input;
mod kind;
mod model;
mod reassemble;
mod resnext;
mod transformer;

pub use input::SizeError;
pub use kind::Kind;
pub use model::{DepthError, DepthMap, Midas, Settings, Stages, enlarge};
pub use transformer::Readout;
