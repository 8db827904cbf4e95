//! Working memory of each network beside its weights, as measured, and libtorch's own.

use crate::checkpoint::dtype::DType;

use super::sizes::Network;

const MB: u64 = 1 << 20;

/// Libtorch, oneDNN and the addon once everything has run, over what is resident before a model is
/// loaded.
pub const RUNTIME: u64 = 256 * MB;

/// Bytes that a forward pass takes beside the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkingSet {
    /// Whatever the batch.
    pub fixed: u64,
    pub per_crop: u64,
}

impl WorkingSet {
    pub fn bytes(self, batch: usize) -> u64 {
        let batch = u64::try_from(batch.max(1)).unwrap_or(u64::MAX);
        self.per_crop
            .saturating_mul(batch)
            .saturating_add(self.fixed)
    }
}

/// Of the released sizes (ViTPose: H); smaller networks take less.
pub fn working_set(network: Network, precision: DType) -> WorkingSet {
    let single = precision == DType::F32;
    let (fixed, per_crop) = match (network, single) {
        (Network::VitDet, true) => (3000, 0),
        (Network::VitDet, false) => (1700, 0),
        (Network::RegNetY, true) => (900, 0),
        (Network::RegNetY, false) => (600, 0),
        (Network::Hmr2, true) => (40, 24),
        (Network::Hmr2, false) => (40, 16),
        (Network::VitPose, true) => (40, 24),
        (Network::VitPose, false) => (40, 16),
    };
    WorkingSet {
        fixed: fixed * MB,
        per_crop: per_crop * MB,
    }
}
