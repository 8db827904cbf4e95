//! MiDaS small's trunk: an EfficientNet-Lite3 in TensorFlow's flavour.
//!
//! Source: `midas/blocks.py` (`_make_efficientnet_backbone`), gen-efficientnet-pytorch 1.0.2
//! `tf_efficientnet_lite3`.

use tch::{TchError, Tensor};

use super::convolution::{Convolution, Norm};
use crate::layers::onednn::Then;
use crate::layers::weights::{Weights, WeightsError};

/// TensorFlow's epsilon of batch normalisation.
const EPS: f64 = 1e-3;
/// The stages of `layer1` to `layer4`: where they are, and the stride of their first block.
const STAGES: [&[(&str, i64)]; 4] = [
    &[("layer1.3", 1), ("layer1.4", 2)],
    &[("layer2.0", 2)],
    &[("layer3.0", 2), ("layer3.1", 1)],
    &[("layer4.0", 2), ("layer4.1", 1)],
];

pub struct EfficientNet {
    stem: Convolution,
    layers: Vec<Vec<Block>>,
}

impl EfficientNet {
    /// `pretrained`; sizes are those of the weights.
    pub fn load(weights: &Weights) -> Result<Self, WeightsError> {
        let norm = Norm::Batch("1", EPS);
        let stem = Convolution::load(&weights.sub("layer1"), "0", norm, 3, 2, Then::Relu6)?;
        let mut width = stem.out_channels();
        let mut layers = Vec::new();
        for stages in STAGES {
            let mut blocks = Vec::new();
            for (place, stride) in stages {
                let place = weights.sub(place);
                let mut count = 0;
                // The first is asked for in any case, so that its absence is reported.
                while count == 0 || place.contains(&format!("{count}.conv_dw.weight")) {
                    let stride = if count == 0 { *stride } else { 1 };
                    let block = Block::load(&place.sub(count), width, stride)?;
                    width = block.project.out_channels();
                    blocks.push(block);
                    count += 1;
                }
            }
            layers.push(blocks);
        }
        Ok(Self { stem, layers })
    }

    pub fn channels(&self) -> [i64; 4] {
        let last = |i: usize| self.layers.get(i).and_then(|blocks| blocks.last());
        std::array::from_fn(|i| last(i).map_or(0, |block| block.project.out_channels()))
    }

    /// `[n, 3, h, w]` → maps of strides 4, 8, 16 and 32.
    pub fn forward(&self, image: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let mut x = self.stem.forward(image)?;
        let mut maps = Vec::new();
        for blocks in &self.layers {
            for block in blocks {
                x = block.forward(x)?;
            }
            maps.push(x.shallow_clone());
        }
        Ok(maps)
    }
}

/// 1×1 to more channels where there are weights for it, each channel alone, 1×1 to fewer.
struct Block {
    expand: Option<Convolution>,
    depthwise: Convolution,
    project: Convolution,
    residual: bool,
}

impl Block {
    fn load(weights: &Weights, inputs: i64, stride: i64) -> Result<Self, WeightsError> {
        let conv = |name: &str, norm: &str, inputs, stride, then| {
            Convolution::load(weights, name, Norm::Batch(norm, EPS), inputs, stride, then)
        };
        let (expand, depthwise, project) = match weights.contains("conv_pwl.weight") {
            true => {
                let expand = conv("conv_pw", "bn1", inputs, 1, Then::Relu6)?;
                let hidden = expand.out_channels();
                let depthwise = conv("conv_dw", "bn2", hidden, stride, Then::Relu6)?;
                (
                    Some(expand),
                    depthwise,
                    conv("conv_pwl", "bn3", hidden, 1, Then::Nothing)?,
                )
            }
            false => (
                None,
                conv("conv_dw", "bn1", inputs, stride, Then::Relu6)?,
                conv("conv_pw", "bn2", inputs, 1, Then::Nothing)?,
            ),
        };
        Ok(Self {
            residual: stride == 1 && project.out_channels() == inputs,
            expand,
            depthwise,
            project,
        })
    }

    fn forward(&self, x: Tensor) -> Result<Tensor, TchError> {
        let y = match &self.expand {
            Some(expand) => self.depthwise.forward(&expand.forward(&x)?)?,
            None => self.depthwise.forward(&x)?,
        };
        match self.residual {
            true => self.project.forward_add(&y, x),
            false => self.project.forward(&y),
        }
    }
}
