//! One layer of the pose predictor's transformers.

use tch::{Kind, TchError, Tensor};

use super::predictor_config::PredictorConfig;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::weights::{Weights, WeightsError};

const NORM_EPS: f64 = 1e-5;
/// The score of a frame that must not be looked at, as the original has it.
const UNSEEN_SCORE: f64 = -1e3;

/// Self-attention and a perceptron, each behind a normalisation.
pub struct Layer {
    attention_norm: LayerNorm,
    qkv: Linear,
    out: Option<Linear>,
    mlp_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: i64,
    head_width: i64,
}

impl Layer {
    pub fn load(weights: &Weights, config: &PredictorConfig) -> Result<Self, WeightsError> {
        let (width, inner) = (config.width, config.heads * config.head_width);
        let [attention, mlp] = [0, 1].map(|part| weights.sub(part));
        let net = mlp.sub("fn").sub("net");
        let projects = !(config.heads == 1 && config.head_width == width);
        let out = attention.sub("fn").sub("to_out").sub(0);
        Ok(Self {
            attention_norm: LayerNorm::load(&attention.sub("norm"), width, NORM_EPS)?,
            qkv: Linear::load(&attention.sub("fn").sub("to_qkv"), width, 3 * inner, false)?,
            out: projects
                .then(|| Linear::load(&out, inner, width, true))
                .transpose()?,
            mlp_norm: LayerNorm::load(&mlp.sub("norm"), width, NORM_EPS)?,
            fc1: Linear::load(&net.sub(0), width, config.hidden, true)?,
            fc2: Linear::load(&net.sub(3), config.hidden, width, true)?,
            heads: config.heads,
            head_width: config.head_width,
        })
    }

    /// `unseen` is `[batch, tokens]`: tokens that nobody looks at.
    pub fn forward(&self, x: Tensor, unseen: Option<&Tensor>) -> Result<Tensor, TchError> {
        let seen = self.look(&self.attention_norm.forward(&x)?, unseen)?;
        let x = match &self.out {
            Some(out) => out.forward_add(&seen, x)?,
            None => x.f_add(&seen)?,
        };
        let hidden = self.fc1.forward_gelu(&self.mlp_norm.forward(&x)?)?;
        self.fc2.forward_add(&hidden, x)
    }

    fn look(&self, x: &Tensor, unseen: Option<&Tensor>) -> Result<Tensor, TchError> {
        let (batch, tokens, _) = x.size3()?;
        let split = [batch, tokens, 3, self.heads, self.head_width];
        let qkv = self.qkv.forward(x)?.f_reshape(split)?;
        let qkv = qkv.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (qkv.f_get(0)?, qkv.f_get(1)?, qkv.f_get(2)?);
        let scale = (self.head_width as f64).powf(-0.5);
        let mut scores = q.f_matmul(&k.f_transpose(-1, -2)?)?.f_mul_scalar(scale)?;
        if let Some(unseen) = unseen {
            let mask = unseen.f_reshape([batch, 1, 1, tokens])?;
            scores = scores.f_masked_fill_(&mask, UNSEEN_SCORE)?;
        }
        scores
            .f_softmax(-1, None::<Kind>)?
            .f_matmul(&v)?
            .f_transpose(1, 2)?
            .f_reshape([batch, tokens, self.heads * self.head_width])
    }
}
