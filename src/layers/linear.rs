//! Fully connected layers in the weights' precision, packed for oneDNN where that is faster.

use tch::{Kind, TchError, Tensor};

use crate::layers::onednn::{Packed, Then};
use crate::layers::weights::{Param, Weights, WeightsError};

/// `y = x Wᵀ + b`. Inputs of another precision are brought to that of the weights.
pub struct Linear {
    weight: Weight,
    bias: Option<Param>,
    kind: Kind,
}

enum Weight {
    Packed(Packed),
    Plain(Param),
}

impl Linear {
    /// Takes `weight` `[outputs, inputs]` and, if there is one, `bias` `[outputs]`.
    pub fn load(
        weights: &Weights,
        inputs: i64,
        outputs: i64,
        bias: bool,
    ) -> Result<Self, WeightsError> {
        let bias = bias.then(|| weights.get("bias", &[outputs])).transpose()?;
        Self::new(weights.get("weight", &[outputs, inputs])?, bias)
    }

    /// From `weight` `[outputs, inputs]` and `bias` `[outputs]` of one type.
    pub fn new(weight: Param, bias: Option<Param>) -> Result<Self, WeightsError> {
        let kind = weight.f_kind()?;
        let weight = match Packed::new(&weight)? {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Plain(weight),
        };
        Ok(Self { weight, bias, kind })
    }

    /// `[…, inputs]` to `[…, outputs]` in the weights' precision.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.prepared(x)?;
        match &self.weight {
            Weight::Packed(packed) => packed.linear(&x, self.bias(), Then::Nothing),
            Weight::Plain(weight) => x.f_linear(weight, self.bias()),
        }
    }

    /// The layer, then GELU.
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.prepared(x)?;
        match &self.weight {
            Weight::Packed(packed) => packed.linear(&x, self.bias(), Then::Gelu),
            Weight::Plain(weight) => x.f_linear(weight, self.bias())?.f_gelu_("none"),
        }
    }

    /// The layer, then a rectifier.
    pub fn forward_relu(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.prepared(x)?;
        match &self.weight {
            Weight::Packed(packed) => packed.linear(&x, self.bias(), Then::Relu),
            Weight::Plain(weight) => x.f_linear(weight, self.bias())?.f_relu_(),
        }
    }

    /// The layer, then a rectifier that ends at six.
    pub fn forward_relu6(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.prepared(x)?;
        match &self.weight {
            Weight::Packed(packed) => packed.linear(&x, self.bias(), Then::Relu6),
            Weight::Plain(weight) => x.f_linear(weight, self.bias())?.f_clamp_(0.0, 6.0),
        }
    }

    /// `residual` and the layer's output added up, in the residual's precision.
    pub fn forward_add(&self, x: &Tensor, mut residual: Tensor) -> Result<Tensor, TchError> {
        let same = residual.f_kind()? == self.kind;
        match &self.weight {
            Weight::Packed(packed) if same => {
                packed.linear_add(&self.prepared(x)?, self.bias(), &residual)
            }
            _ => residual.f_add_(&self.forward(x)?),
        }
    }

    /// The weights' precision, which outputs have too.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn bias(&self) -> Option<&Tensor> {
        self.bias.as_deref()
    }

    fn prepared(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_to_dtype(self.kind, false, false)
    }
}
