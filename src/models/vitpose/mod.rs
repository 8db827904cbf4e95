//! ViTPose: a person's box to the 17 keypoints of COCO, each with a measured confidence.
//!
//! Paper: Xu et al., "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation",
//! NeurIPS 2022. Source: ViTAE-Transformer/ViTPose (Apache-2.0) at c050ed2.

pub mod crop;
pub mod decode;
pub mod head;
mod layouts;
pub mod model;
