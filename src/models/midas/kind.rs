//! The four networks: what they are called, where they are told apart, what they want to see.

use crate::layers::weights::Weights;

/// A network of the family, by its torch.hub name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `dpt_large_384.pt`: a vision transformer, ViT-L/16.
    DptLarge,
    /// `dpt_hybrid_384.pt`: ViT-B/16 on the maps of a ResNet-50.
    DptHybrid,
    /// `midas_v21_384.pt`: a ResNeXt-101 32x8d.
    MidasV21,
    /// `midas_v21_small_256.pt`: an EfficientNet-Lite3.
    MidasSmall,
}

/// How a frame is brought to the network's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The side that needs the least scaling becomes the network's.
    Minimal,
    /// No side is longer than the network's.
    UpperBound,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::DptLarge,
        Self::DptHybrid,
        Self::MidasV21,
        Self::MidasSmall,
    ];

    /// As `torch.hub.load("isl-org/MiDaS", …)` knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DptLarge => "DPT_Large",
            Self::DptHybrid => "DPT_Hybrid",
            Self::MidasV21 => "MiDaS",
            Self::MidasSmall => "MiDaS_small",
        }
    }

    /// The inverse of [`Kind::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The network whose tensors these are; `None` where they are of none.
    pub fn of(weights: &Weights) -> Option<Self> {
        let has = |name: &str| weights.contains(name);
        if !has("scratch.layer1_rn.weight") {
            return None;
        }
        if has("pretrained.model.pos_embed") {
            let hybrid = has("pretrained.model.patch_embed.backbone.stem.conv.weight");
            return Some(match hybrid {
                true => Self::DptHybrid,
                false => Self::DptLarge,
            });
        }
        let resnext = has("pretrained.layer1.4.0.conv1.weight");
        let small = has("pretrained.layer1.3.0.conv_dw.weight");
        match (resnext, small) {
            (true, _) => Some(Self::MidasV21),
            (_, true) => Some(Self::MidasSmall),
            _ => None,
        }
    }

    /// Pixels a side of the released network's square input.
    pub fn side(self) -> usize {
        match self {
            Self::MidasSmall => 256,
            _ => 384,
        }
    }

    /// `hubconf.py`, `transforms`: mean and deviation of each channel, red first, of values 0 to 1.
    pub(super) fn statistics(self) -> [[f64; 3]; 2] {
        match self {
            Self::DptLarge | Self::DptHybrid => [[0.5; 3]; 2],
            Self::MidasV21 | Self::MidasSmall => [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
        }
    }

    pub(super) fn fit(self) -> Fit {
        match self {
            Self::DptLarge | Self::DptHybrid => Fit::Minimal,
            Self::MidasV21 | Self::MidasSmall => Fit::UpperBound,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
