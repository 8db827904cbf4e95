//! Working memory of each network beside its weights, as measured, and libtorch's own.

use crate::checkpoint::dtype::DType;

use super::sizes::Network;
use crate::models::midas::Kind;

const MB: u64 = 1 << 20;

/// Libtorch, oneDNN and the addon once everything has run, over what is resident before a model is
/// loaded: 90 to 160 MB in `scripts/campaigns/memory.mjs`; the rest is for what the heap cannot
/// give back, and for layouts padded to the processor's tiles (45 MB for ViTDet).
pub const RUNTIME: u64 = 256 * MB;

/// What is left free of everything, as a part of what is needed: for the code of libtorch, which a
/// full cgroup throws out and reads again and again, for the kernel's own, for gaps in the heap.
/// A plan that filled 8 GB to the last byte made the process stand still.
pub const FREE_PART: u64 = 16;

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

/// Of the released sizes (ViTPose: H, with the mirror image); smaller networks take less.
///
/// A quarter more than `scripts/campaigns/memory.mjs --sizes` measured on two cores with libtorch
/// 2.11 (docs/memory.md has the figures). Not measured on a card, where the same is assumed.
pub fn working_set(network: Network, precision: DType) -> WorkingSet {
    let single = precision == DType::F32;
    let (fixed, per_crop) = match (network, single) {
        (Network::VitDet, true) => (900, 0),
        (Network::VitDet, false) => (750, 0),
        (Network::RegNetY, true) => (850, 0),
        (Network::RegNetY, false) => (600, 0),
        (Network::Hmr2, true) => (32, 21),
        (Network::Hmr2, false) => (32, 15),
        (Network::VitPose, true) => (80, 34),
        (Network::VitPose, false) => (48, 36),
        (Network::Phalp, true) => (47, 0),
        (Network::Phalp, false) => (50, 0),
        // By frames; of 1920 x 1080, a long one more.
        (Network::Depth(Kind::DptLarge), true) => (0, 474),
        (Network::Depth(Kind::DptLarge), false) => (0, 262),
        (Network::Depth(Kind::DptHybrid), true) => (0, 529),
        (Network::Depth(Kind::DptHybrid), false) => (0, 283),
        (Network::Depth(Kind::MidasV21), true) => (0, 235),
        (Network::Depth(Kind::MidasV21), false) => (0, 113),
        (Network::Depth(Kind::MidasSmall), true) => (0, 68),
        (Network::Depth(Kind::MidasSmall), false) => (0, 60),
    };
    WorkingSet {
        fixed: fixed * MB,
        per_crop: per_crop * MB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Precision, batch and MB as `scripts/campaigns/memory.mjs --sizes` printed them.
    const MEASURED: [(Network, DType, usize, u64); 22] = [
        (Network::Hmr2, DType::BF16, 1, 31),
        (Network::Hmr2, DType::BF16, 8, 115),
        (Network::Hmr2, DType::F32, 1, 31),
        (Network::Hmr2, DType::F32, 8, 155),
        (Network::VitPose, DType::BF16, 1, 52),
        (Network::VitPose, DType::BF16, 8, 257),
        (Network::VitPose, DType::F32, 1, 91),
        (Network::VitPose, DType::F32, 8, 275),
        (Network::RegNetY, DType::BF16, 1, 474),
        (Network::RegNetY, DType::F32, 1, 679),
        (Network::VitDet, DType::BF16, 1, 600),
        (Network::VitDet, DType::F32, 1, 721),
        // As `cargo bench --bench phalp` printed them.
        (Network::Phalp, DType::BF16, 1, 40),
        (Network::Phalp, DType::F32, 1, 37),
        // As `scripts/campaigns/depth_memory.mjs` printed them.
        (Network::Depth(Kind::DptLarge), DType::BF16, 1, 209),
        (Network::Depth(Kind::DptLarge), DType::F32, 1, 379),
        (Network::Depth(Kind::DptHybrid), DType::BF16, 1, 226),
        (Network::Depth(Kind::DptHybrid), DType::F32, 1, 423),
        (Network::Depth(Kind::MidasV21), DType::BF16, 1, 90),
        (Network::Depth(Kind::MidasV21), DType::F32, 1, 188),
        (Network::Depth(Kind::MidasSmall), DType::BF16, 1, 48),
        (Network::Depth(Kind::MidasSmall), DType::F32, 1, 54),
    ];

    #[test]
    fn the_plan_reckons_with_more_than_was_measured_and_not_with_twice_as_much() {
        for (network, precision, batch, measured) in MEASURED {
            let reckoned = working_set(network, precision).bytes(batch) / MB;
            assert!(
                reckoned >= measured * 5 / 4 - 1,
                "{network:?} {precision} {batch}"
            );
            assert!(reckoned < measured * 2, "{network:?} {precision} {batch}");
        }
    }
}
