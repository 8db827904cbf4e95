//! DPT-Hybrid's trunk: a ResNet-50 with standardised weights, and a transformer on its last map.
//!
//! Source: `midas/backbones/vit.py` (`_make_vit_b_rn50_backbone`), timm 0.6.13
//! `vit_base_r50_s16_384`: `ResNetV2` without pre-activation.

use tch::{TchError, Tensor};

use super::convolution::{Convolution, Norm};
use super::dpt::PATCH;
use super::reassemble::{Change, Reassemble};
use super::transformer::{Readout, Size, Transformer};
use crate::checkpoint::dtype::DType;
use crate::layers::detection::conv::{Conv, Use};
use crate::layers::group_norm::GroupNorm;
use crate::layers::onednn::Then;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Groups of channels that are normalised together, and the normalisation's epsilon.
const GROUPS: i64 = 32;
const GROUP_EPS: f64 = 1e-5;

pub struct Hybrid {
    stem: Normed,
    stages: Vec<Vec<Bottleneck>>,
    /// `patch_embed.proj`
    proj: Conv,
    transformer: Transformer,
    /// `act_postprocess3` and `act_postprocess4`
    reassemble: [Reassemble; 2],
    hooks: [usize; 2],
    pub channels: [i64; 4],
}

impl Hybrid {
    /// `pretrained`; `hooks` are the two blocks whose tokens become maps.
    pub fn load(
        weights: &Weights,
        size: Size,
        readout: Readout,
        hooks: [usize; 2],
    ) -> Result<Self, WeightsError> {
        let model = weights.sub("model");
        let embed = model.sub("patch_embed");
        let backbone = embed.sub("backbone");
        let stem = Normed::load(&backbone.sub("stem"), ["conv", "norm"], 3, 2, true)?;
        let mut width = stem.out_channels();
        let mut stages = Vec::new();
        for index in 0..3 {
            let place = backbone.sub("stages").sub(index).sub("blocks");
            let mut blocks: Vec<Bottleneck> = Vec::new();
            // The first is asked for in any case, so that its absence is reported.
            while blocks.is_empty() || place.contains(&format!("{}.conv1.weight", blocks.len())) {
                let stride = if index > 0 && blocks.is_empty() { 2 } else { 1 };
                let block = Bottleneck::load(&place.sub(blocks.len()), width, stride)?;
                width = block.third.out_channels();
                blocks.push(block);
            }
            stages.push(blocks);
        }
        let plain = Use {
            stride: 1,
            relu: false,
        };
        let part = |i: usize| weights.sub(format!("act_postprocess{i}"));
        let map = |stage: usize| {
            let last: Option<&Bottleneck> = stages.get(stage).and_then(|b: &Vec<_>| b.last());
            last.map_or(0, |block| block.third.out_channels())
        };
        let token_map = |i: usize| {
            let shape = part(i).shape("3.weight").unwrap_or_default();
            shape.first().copied().unwrap_or(0)
        };
        Ok(Self {
            channels: [map(0), map(1), token_map(3), token_map(4)],
            proj: Conv::load(&embed, "proj", "", width, plain)?,
            transformer: Transformer::load(&model, size)?,
            reassemble: [
                Reassemble::load(&part(3), size.width, readout, Change::Same)?,
                Reassemble::load(&part(4), size.width, readout, Change::Half)?,
            ],
            stem,
            stages,
            hooks,
        })
    }

    /// `[n, 3, h, w]` → maps of strides 4, 8, 16 and 32.
    pub fn forward(&self, image: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let (_, _, height, width) = image.size4()?;
        let grid = [height / PATCH, width / PATCH];
        // Upstream's pool sees less than anything below and right; after a rectifier zero is as little.
        let mut x = self
            .stem
            .forward(image, None)?
            .f_constant_pad_nd([0, 1, 0, 1])?
            .f_max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], false)?;
        let mut maps = Vec::new();
        for blocks in &self.stages {
            for block in blocks {
                x = block.forward(&x)?;
            }
            maps.push(x.shallow_clone());
        }
        maps.truncate(2);
        let tokens = self.proj.forward(&x)?.f_flatten(2, 3)?.f_transpose(1, 2)?;
        let look = |which: usize, x: &Tensor| self.reassemble[which].forward(x, grid);
        maps.extend(self.transformer.forward(&tokens, grid, &self.hooks, look)?);
        Ok(maps)
    }
}

/// A convolution with standardised weights, and a normalisation over groups of its channels.
struct Normed {
    conv: Convolution,
    weight: Param,
    bias: Param,
    /// After what is added.
    relu: bool,
}

impl Normed {
    fn load(
        weights: &Weights,
        [conv, norm]: [&str; 2],
        inputs: i64,
        stride: i64,
        relu: bool,
    ) -> Result<Self, WeightsError> {
        let conv = Convolution::load(
            weights,
            conv,
            Norm::Standardised,
            inputs,
            stride,
            Then::Nothing,
        )?;
        let norm = weights.sub(norm);
        let get = |name: &str| norm.get_in(name, &[conv.out_channels()], DType::F32);
        let (weight, bias) = (get("weight")?, get("bias")?);
        Ok(Self {
            conv,
            weight,
            bias,
            relu,
        })
    }

    fn out_channels(&self) -> i64 {
        self.conv.out_channels()
    }

    fn forward(&self, x: &Tensor, add: Option<&Tensor>) -> Result<Tensor, TchError> {
        let norm = GroupNorm {
            groups: GROUPS,
            weight: &self.weight,
            bias: &self.bias,
            eps: GROUP_EPS,
            relu: self.relu,
        };
        norm.forward(self.conv.forward(x)?, add)
    }
}

/// 1×1, 3×3, 1×1, and a way around them.
struct Bottleneck {
    first: Normed,
    second: Normed,
    third: Normed,
    downsample: Option<Normed>,
}

impl Bottleneck {
    fn load(weights: &Weights, inputs: i64, stride: i64) -> Result<Self, WeightsError> {
        let first = Normed::load(weights, ["conv1", "norm1"], inputs, 1, true)?;
        let second = Normed::load(
            weights,
            ["conv2", "norm2"],
            first.out_channels(),
            stride,
            true,
        )?;
        let third = Normed::load(weights, ["conv3", "norm3"], second.out_channels(), 1, true)?;
        let around = weights.sub("downsample");
        let downsample = match around.contains("conv.weight") {
            true => Some(Normed::load(
                &around,
                ["conv", "norm"],
                inputs,
                stride,
                false,
            )?),
            false => None,
        };
        Ok(Self {
            first,
            second,
            third,
            downsample,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let y = self.second.forward(&self.first.forward(x, None)?, None)?;
        let around = match &self.downsample {
            Some(conv) => &conv.forward(x, None)?,
            None => x,
        };
        self.third.forward(&y, Some(around))
    }
}
