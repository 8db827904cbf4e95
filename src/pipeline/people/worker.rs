//! What a worker thread owns: its own copy of the two networks.

use tch::Device;

use crate::layers::network::runner::Executor;
use crate::models::blazepose::{Detector, Landmarker, ModelError};
use crate::runtime::threads::ComputeScope;

/// The networks of one thread.
pub struct Networks {
    pub detector: Detector,
    pub landmarker: Landmarker,
    /// Belongs to the thread, as the networks do.
    _scope: ComputeScope,
}

impl Networks {
    pub fn load(
        detector: &[u8],
        landmark: &[u8],
        segmentation: bool,
        device: Device,
    ) -> Result<Self, ModelError> {
        let scope = ComputeScope::enter();
        Ok(Self {
            _scope: scope,
            detector: Detector::load(detector, device, Executor::Best)?,
            landmarker: Landmarker::load(landmark, segmentation, device, Executor::Best)?,
        })
    }
}
