//! The trunks of DPT-Large and DPT-Hybrid: a transformer on patches, or on a ResNet's maps.
//!
//! Source: `midas/backbones/vit.py` (`_make_vit_b16_backbone`, `_make_vit_b_rn50_backbone`).

use tch::{TchError, Tensor};

use super::reassemble::{Change, Reassemble};
use super::transformer::{Readout, Size, Transformer};
use crate::layers::linear::Linear;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Pixels a side of a token.
pub const PATCH: i64 = 16;

/// DPT-Large's trunk; sizes are the checkpoint's.
pub struct Dpt {
    patches: Patches,
    transformer: Transformer,
    reassemble: Vec<Reassemble>,
    hooks: Vec<usize>,
    pub channels: [i64; 4],
}

impl Dpt {
    /// `pretrained`; `hooks` are the blocks whose tokens become maps.
    pub fn load(
        weights: &Weights,
        size: Size,
        readout: Readout,
        hooks: [usize; 4],
    ) -> Result<Self, WeightsError> {
        let model = weights.sub("model");
        let changes = [Change::Larger, Change::Larger, Change::Same, Change::Half];
        let part = |i: usize| weights.sub(format!("act_postprocess{}", i + 1));
        let reassemble = changes
            .iter()
            .enumerate()
            .map(|(i, &change)| Reassemble::load(&part(i), size.width, readout, change));
        Ok(Self {
            patches: Patches::load(&model.sub("patch_embed.proj"), size.width)?,
            transformer: Transformer::load(&model, size)?,
            reassemble: reassemble.collect::<Result<_, _>>()?,
            hooks: hooks.to_vec(),
            channels: std::array::from_fn(|i| {
                let shape = part(i).shape("3.weight").unwrap_or_default();
                shape.first().copied().unwrap_or(0)
            }),
        })
    }

    /// `[n, 3, h, w]` → maps of strides 4, 8, 16 and 32.
    pub fn forward(&self, image: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let (_, _, height, width) = image.size4()?;
        let grid = [height / PATCH, width / PATCH];
        let tokens = self.patches.forward(image)?;
        self.transformer
            .forward(&tokens, grid, &self.hooks, |which, x| {
                self.reassemble[which].forward(x, grid)
            })
    }
}

/// Square patches of an image as tokens: as they do not overlap, one product.
struct Patches {
    linear: Linear,
}

impl Patches {
    /// Takes `weight` `[width, 3, 16, 16]` and `bias`.
    fn load(weights: &Weights, width: i64) -> Result<Self, WeightsError> {
        let weight = weights.get("weight", &[width, 3, PATCH, PATCH])?;
        // The order in which an image with its channels last is cut up.
        let weight = weight
            .f_permute([0, 2, 3, 1])?
            .f_reshape([width, -1])?
            .f_contiguous()?;
        let bias = weights.get("bias", &[width])?;
        Ok(Self {
            linear: Linear::new(Param::owned(weight), Some(bias))?,
        })
    }

    /// `[n, 3, h, w]` → `[n, tokens, width]`.
    fn forward(&self, image: &Tensor) -> Result<Tensor, TchError> {
        let (batch, channels, height, width) = image.size4()?;
        let (rows, columns) = (height / PATCH, width / PATCH);
        let cut = image
            .f_permute([0, 2, 3, 1])?
            .f_reshape([batch, rows, PATCH, columns, PATCH, channels])?
            .f_permute([0, 1, 3, 2, 4, 5])?
            .f_reshape([batch, rows * columns, PATCH * PATCH * channels])?;
        self.linear.forward(&cut)
    }
}
