//! ViTDet-H Cascade Mask R-CNN, the person detector of 4D-Humans.

mod attention;
pub mod model;
mod pyramid;
pub mod trunk;
mod windows;
