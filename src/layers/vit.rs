//! The parts of a plain vision transformer: patch embedding, blocks, and their perceptron.

use tch::{TchError, Tensor};

use crate::layers::attention::Attention;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Of the normalisations in all vision transformers here.
pub const NORM_EPS: f64 = 1e-6;
/// Hidden features of a block's perceptron, per feature of the block.
const MLP_RATIO: i64 = 4;

/// Square patches of an image as tokens: a convolution whose stride is its size.
pub struct PatchEmbed {
    weight: Param,
    bias: Param,
    patch: i64,
    padding: i64,
}

impl PatchEmbed {
    /// Takes `proj.weight` `[width, 3, patch, patch]` and `proj.bias`.
    pub fn load(
        weights: &Weights,
        width: i64,
        patch: i64,
        padding: i64,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get("proj.weight", &[width, 3, patch, patch])?,
            bias: weights.get("proj.bias", &[width])?,
            patch,
            padding,
        })
    }

    /// `[batch, 3, h, w]` to `[batch, width, rows, columns]`, in the weights' precision.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor, TchError> {
        let image = image.f_to_dtype(self.weight.f_kind()?, false, false)?;
        image.f_conv2d(
            &self.weight,
            Some(&*self.bias),
            [self.patch; 2],
            [self.padding; 2],
            [1, 1],
            1,
        )
    }
}

/// Two layers with GELU between them.
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    /// Takes `fc1` and `fc2`; where there is `expert`, it has the last outputs of the second
    /// layer.
    pub fn load(weights: &Weights, width: i64, hidden: i64) -> Result<Self, WeightsError> {
        let (shared, expert) = (weights.sub("fc2"), weights.sub("expert"));
        let own = expert.shape("bias").and_then(|s| s.first().copied());
        let fc2 = match own {
            Some(own) if (1..width).contains(&own) => {
                let join = |name: &str, inputs: &[i64]| -> Result<Param, WeightsError> {
                    let part = |weights: &Weights, outputs: i64| {
                        weights.get(name, &[&[outputs], inputs].concat())
                    };
                    let (shared, expert) = (part(&shared, width - own)?, part(&expert, own)?);
                    Ok(Param::from(Tensor::f_cat(&[&*shared, &*expert], 0)?))
                };
                Linear::new(join("weight", &[hidden])?, Some(join("bias", &[])?))?
            }
            _ => Linear::load(&shared, hidden, width, true)?,
        };
        Ok(Self {
            fc1: Linear::load(&weights.sub("fc1"), width, hidden, true)?,
            fc2,
        })
    }

    pub fn forward_add(&self, x: &Tensor, residual: Tensor) -> Result<Tensor, TchError> {
        self.fc2.forward_add(&self.fc1.forward_gelu(x)?, residual)
    }
}

/// Attention and perceptron, each after a normalisation and beside a way around it.
pub struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    pub fn load(weights: &Weights, width: i64, heads: i64) -> Result<Self, WeightsError> {
        Ok(Self {
            norm1: LayerNorm::load(&weights.sub("norm1"), width, NORM_EPS)?,
            attn: Attention::load(&weights.sub("attn"), width, heads)?,
            norm2: LayerNorm::load(&weights.sub("norm2"), width, NORM_EPS)?,
            mlp: Mlp::load(&weights.sub("mlp"), width, MLP_RATIO * width)?,
        })
    }

    /// `x` is `[batch, tokens, width]`, f32: the sum of all blocks so far keeps its precision
    /// whatever the weights have.
    pub fn forward(&self, x: Tensor) -> Result<Tensor, TchError> {
        let x = self.attn.forward_add(&self.norm1.forward(&x)?, x)?;
        self.mlp.forward_add(&self.norm2.forward(&x)?, x)
    }
}
