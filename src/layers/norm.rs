//! Layer normalisation in single precision, whatever the rest computes in.

use tch::{TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Over the last dimension.
pub struct LayerNorm {
    weight: Param,
    bias: Param,
    features: i64,
    eps: f64,
}

impl LayerNorm {
    /// Takes `weight` and `bias` `[features]`.
    pub fn load(weights: &Weights, features: i64, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get_in("weight", &[features], DType::F32)?,
            bias: weights.get_in("bias", &[features], DType::F32)?,
            features,
            eps,
        })
    }

    /// `x` is `[…, features]`, f32.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_layer_norm(
            [self.features],
            Some(&*self.weight),
            Some(&*self.bias),
            self.eps,
            true,
        )
    }
}
