//! What the caller wants loaded, and what of it is fixed.

use tch::Device;

use crate::checkpoint::dtype::DType;

/// A setting: the caller's word, or what suits best where nothing was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// Nothing was said; the plan may change it.
    Auto(T),
    /// Never overridden.
    Fixed(T),
}

impl<T: Copy> Asked<T> {
    pub fn value(self) -> T {
        match self {
            Self::Auto(value) | Self::Fixed(value) => value,
        }
    }

    pub fn is_fixed(self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

/// How people are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    VitDet,
    RegNetY,
    /// Boxes come from the caller or are the whole image: nothing is loaded.
    None,
}

/// What is to be loaded. HMR2 and ViTPose are loaded when their sizes are known (`Sizes`).
///
/// The plan reckons with one network at a time on each device (one thread owns its tensors), and
/// with different devices at work at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    pub detector: Asked<Detector>,
    pub detector_device: Asked<Device>,
    /// Of HMR2 with its body, and of PHALP's networks.
    pub hmr2_device: Device,
    pub vitpose_device: Device,
    /// Of every network: F32, BF16 or F16.
    pub precision: Asked<DType>,
    /// Crops in one forward pass, at most; 0 counts as 1.
    pub batch: usize,
    /// Decoded frames alive at the same time, bytes.
    pub frame_bytes: u64,
}
