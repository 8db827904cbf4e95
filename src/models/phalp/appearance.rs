//! The encoder of texture maps, the half of HMAR's autoencoder that tracking needs.
//!
//! Paper: Rajasegaran et al., "Tracking People with 3D Representations", NeurIPS 2021; source:
//! PHALP 96f7e6c, `phalp/models/heads/encoding_head.py`; weights `hmar_v2_weights.pth`.

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::report::{LoadReport, Tolerance};
use crate::layers::detection::conv::{Conv, Use};
use crate::layers::weights::{Options, Weights};
use crate::models::error::ModelError;

/// The rest of HMAR, which HMR2 replaces.
const TOLERANCE: Tolerance = Tolerance {
    missing: &[],
    unused: &["*"],
};
/// The convolutions in order, and whether the map is halved behind each.
const LAYERS: [(&str, bool); 6] = [
    ("conv1x", true),
    ("conv2", true),
    ("conv3", true),
    ("conv4", true),
    ("conv5", false),
    ("conv5_1", false),
];
/// Colour and where the body was seen.
const CHANNELS: i64 = 4;

/// No normalisation follows a convolution; a rectifier does.
const NO_NORM: &str = "none";
const PLAIN: Use = Use {
    stride: 1,
    relu: true,
};

pub struct AppearanceEncoder {
    layers: Vec<Layer>,
    device: Device,
    kind: Kind,
}

struct Layer {
    conv: Conv,
    halves: bool,
}

impl AppearanceEncoder {
    pub fn open(path: &Path, options: Options) -> Result<(Self, LoadReport), ModelError> {
        let weights = Weights::open(path, options)?;
        let head = weights.sub("hmar").sub("encoding_head");
        if !head.contains("conv1x.weight") {
            return Err(ModelError::Unfit(format!(
                "{}: not the weights of HMAR, which have `hmar.encoding_head.conv1x.weight`",
                path.display()
            )));
        }
        let mut inputs = CHANNELS;
        let mut layers = Vec::new();
        for (name, halves) in LAYERS {
            let conv = Conv::load(&head, name, NO_NORM, inputs, PLAIN)?;
            inputs = conv.out_channels();
            layers.push(Layer { conv, halves });
        }
        let encoder = Self {
            layers,
            device: weights.device(),
            kind: weights.kind(),
        };
        Ok((encoder, weights.finish(&TOLERANCE)?))
    }

    /// `[batch, 4, side, side]` maps, 1 or -1 in the last channel, to `[batch, 16, side / 16,
    /// side / 16]`, f32.
    pub fn encode(&self, maps: &Tensor) -> Result<Tensor, TchError> {
        let mut x = maps
            .f_to_device(self.device)?
            .f_to_kind(self.kind)?
            // A texel's channels side by side, as the convolutions have them.
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?
            .f_permute([0, 3, 1, 2])?;
        for Layer { conv, halves } in &self.layers {
            x = conv.forward(&x)?;
            if *halves {
                x = x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
            }
        }
        x.f_to_kind(Kind::Float)
    }

    pub fn device(&self) -> Device {
        self.device
    }
}
