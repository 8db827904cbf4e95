//! The parts that two-stage detectors share: anchors, proposals, pooling, box heads.
//!
//! Source: detectron2 02b5c4e, `detectron2/modeling` and `detectron2/layers`; torchvision's
//! `ops` for suppression and pooling.

pub mod anchors;
pub mod boxes;
pub mod clock;
pub mod conv;
pub mod enlarge;
pub mod finish;
pub mod heads;
pub mod input;
pub mod mask;
pub mod nms;
pub mod pyramid;
pub mod roi_align;
pub mod rpn;
