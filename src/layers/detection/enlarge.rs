//! A 2×2 convolution the other way, stride 2: every place becomes four.

use tch::{TchError, Tensor};

use crate::layers::linear::Linear;
use crate::layers::weights::{Param, Weights, WeightsError};

/// As no two inputs meet in an output, it is one product.
pub struct Enlarge {
    linear: Linear,
    outputs: i64,
}

impl Enlarge {
    /// Takes `weight` `[inputs, outputs, 2, 2]` and `bias` `[outputs]`.
    pub fn load(weights: &Weights, inputs: i64) -> Result<Self, WeightsError> {
        let stored = weights.shape("weight");
        let outputs = stored.and_then(|s| s.get(1).copied()).unwrap_or(0);
        let weight = weights
            .get("weight", &[inputs, outputs, 2, 2])?
            .f_permute([2, 3, 1, 0])?
            .f_reshape([4 * outputs, inputs])?;
        let bias = weights.get("bias", &[outputs])?.f_repeat([4])?;
        Ok(Self {
            linear: Linear::new(Param::owned(weight), Some(Param::owned(bias)))?,
            outputs,
        })
    }

    pub fn outputs(&self) -> i64 {
        self.outputs
    }

    /// `[places, inputs]` → `[places * 4, outputs]`: of each place above left, above right, below
    /// left, below right.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.linear.forward(x)?.f_reshape([-1, self.outputs])
    }
}

/// `[n, h, w, 2, 2, c]` → `[n, 2 h, 2 w, c]`.
pub fn unfold(x: &Tensor) -> Result<Tensor, TchError> {
    let size = x.size();
    x.f_permute([0, 1, 3, 2, 4, 5])?
        .f_reshape([size[0], 2 * size[1], 2 * size[2], size[5]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn it_is_the_transposed_convolution() {
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let (weight, bias, x) = (random(&[3, 5, 2, 2]), random(&[5]), random(&[2, 3, 4, 6]));
        let expected = x.conv_transpose2d(&weight, Some(&bias), [2, 2], [0, 0], [0, 0], 1, [1, 1]);
        let enlarge = Enlarge {
            linear: Linear::new(
                Param::owned(weight.permute([2, 3, 1, 0]).reshape([20, 3])),
                Some(Param::owned(bias.repeat([4]))),
            )
            .unwrap(),
            outputs: 5,
        };
        let places = x.permute([0, 2, 3, 1]).reshape([-1, 3]);
        let four = enlarge.forward(&places).unwrap();
        let found = unfold(&four.reshape([2, 4, 6, 2, 2, 5])).unwrap();
        let apart = found.permute([0, 3, 1, 2]) - expected;
        assert!(apart.abs().max().double_value(&[]) < 1e-5);
    }
}
