//! MiDaS v2.1's trunk: a ResNeXt-101 32x8d trained on weak labels.
//!
//! Source: `midas/blocks.py` (`_make_resnet_backbone`), facebookresearch/WSL-Images,
//! torchvision's `ResNet` with `Bottleneck`.

use tch::{TchError, Tensor};

use crate::layers::detection::conv::{Conv, Use};
use crate::layers::weights::{Weights, WeightsError};

pub struct ResNext {
    stem: Conv,
    /// `layer1` to `layer4`
    stages: Vec<Vec<Bottleneck>>,
}

impl ResNext {
    /// `pretrained`; sizes and groups are those of the weights.
    pub fn load(weights: &Weights) -> Result<Self, WeightsError> {
        let first = weights.sub("layer1");
        let halving = Use {
            stride: 2,
            relu: true,
        };
        let stem = Conv::load(&first, "0", "1", 3, halving)?;
        let mut width = stem.out_channels();
        let mut stages = Vec::new();
        let places = [
            first.sub(4),
            weights.sub("layer2"),
            weights.sub("layer3"),
            weights.sub("layer4"),
        ];
        for (index, place) in places.iter().enumerate() {
            let mut blocks: Vec<Bottleneck> = Vec::new();
            // The first is asked for in any case, so that its absence is reported.
            while blocks.is_empty() || place.contains(&format!("{}.conv1.weight", blocks.len())) {
                let stride = if index > 0 && blocks.is_empty() { 2 } else { 1 };
                let block = Bottleneck::load(&place.sub(blocks.len()), width, stride)?;
                width = block.conv3.out_channels();
                blocks.push(block);
            }
            stages.push(blocks);
        }
        Ok(Self { stem, stages })
    }

    pub fn channels(&self) -> [i64; 4] {
        let last = |i: usize| self.stages.get(i).and_then(|blocks| blocks.last());
        std::array::from_fn(|i| last(i).map_or(0, |block| block.conv3.out_channels()))
    }

    /// `[n, 3, h, w]` → maps of strides 4, 8, 16 and 32.
    pub fn forward(&self, image: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let mut x =
            self.stem
                .forward(image)?
                .f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
        let mut maps = Vec::new();
        for blocks in &self.stages {
            for block in blocks {
                x = block.forward(x)?;
            }
            maps.push(x.shallow_clone());
        }
        Ok(maps)
    }
}

/// 1×1, grouped 3×3, 1×1, and a way around them.
struct Bottleneck {
    conv1: Conv,
    conv2: Conv,
    conv3: Conv,
    downsample: Option<Conv>,
}

impl Bottleneck {
    fn load(weights: &Weights, inputs: i64, stride: i64) -> Result<Self, WeightsError> {
        let conv = |name: &str, norm: &str, inputs, stride, relu| {
            Conv::load(weights, name, norm, inputs, Use { stride, relu })
        };
        let conv1 = conv("conv1", "bn1", inputs, 1, true)?;
        let conv2 = conv("conv2", "bn2", conv1.out_channels(), stride, true)?;
        let downsample = match weights.contains("downsample.0.weight") {
            true => Some(conv("downsample.0", "downsample.1", inputs, stride, false)?),
            false => None,
        };
        Ok(Self {
            conv3: conv("conv3", "bn3", conv2.out_channels(), 1, false)?,
            conv1,
            conv2,
            downsample,
        })
    }

    fn forward(&self, x: Tensor) -> Result<Tensor, TchError> {
        let y = self.conv2.forward(&self.conv1.forward(&x)?)?;
        let around = match &self.downsample {
            Some(conv) => conv.forward(&x)?,
            // Nobody looks at it again: a stage's last map is the input of a block with a convolution.
            None => x,
        };
        self.conv3.forward_add(&y, around)?.f_relu_()
    }
}
