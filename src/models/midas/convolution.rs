//! Convolutions in TensorFlow's way: what lies beyond the map is split so that the larger half is
//! below and right.
//!
//! Source: timm 0.6.13 `StdConv2dSame`, gen-efficientnet-pytorch 1.0.2 `Conv2dSame`.

use tch::{Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::detection::conv::{channels_last, fold};
use crate::layers::linear::Linear;
use crate::layers::onednn::{self, Then, Window};
use crate::layers::weights::{Param, Weights, WeightsError};

/// timm's, of its ViT hybrids.
const STANDARD_EPS: f64 = 1e-8;

/// What is multiplied into the weights.
#[derive(Clone, Copy, Debug)]
pub enum Norm<'a> {
    /// The batch normalisation of this name and epsilon.
    Batch(&'a str, f64),
    /// The weights themselves: every output's have mean 0 and variance 1.
    Standardised,
}

/// Feature maps have a place's channels side by side in memory.
pub struct Convolution {
    kernel: Kernel,
    out_channels: i64,
    kind: Kind,
    then: Then,
}

enum Kernel {
    /// 1×1, stride 1.
    Product(Linear),
    /// `(out, in / groups, k, k)` weights, laid out for oneDNN or channels last in memory.
    Window {
        weight: Tensor,
        bias: Option<Param>,
        window: Window,
        /// Rows and columns of zeros, above or left, and below or right.
        around: Option<[i64; 2]>,
    },
}

impl Convolution {
    /// Reads `<name>.weight`, whose shape tells the sizes. Maps with `stride` 2 must be even.
    pub fn load(
        weights: &Weights,
        name: &str,
        norm: Norm,
        in_channels: i64,
        stride: i64,
        then: Then,
    ) -> Result<Self, WeightsError> {
        let own = weights.sub(name);
        let shape = match own.shape("weight").map(<[i64; 4]>::try_from) {
            Some(Ok(shape)) if shape[1] > 0 && in_channels % shape[1] == 0 => shape,
            // Asked for like this, it is reported with what it is and what it should be.
            Some(Ok([out, _, height, width])) => [out, in_channels, height, width],
            _ => [0, in_channels, 1, 1],
        };
        let [out, inputs, side, width] = shape;
        // What is multiplied into them is rounded once, afterwards.
        let weight = own.get_in("weight", &shape, DType::F32)?;
        let kind = weights.kind();
        let (weight, bias) = match norm {
            Norm::Batch(norm, eps) => {
                let (weight, bias) = fold(&weights.sub(norm), &weight, None, eps)?;
                (weight, Some(bias))
            }
            Norm::Standardised => (standardised(&weight, kind)?, None),
        };
        let groups = in_channels / inputs.max(1);
        let kernel = if side * width == 1 && stride == 1 && groups == 1 {
            let flat = weight.f_reshape([out, in_channels])?;
            Kernel::Product(Linear::new(Param::owned(flat), bias)?)
        } else {
            let even = side % 2 == 1 && stride == 1;
            let missing = (side - stride).max(0);
            let padding = if even { side / 2 } else { 0 };
            let window = Window {
                stride,
                padding,
                groups,
            };
            Kernel::Window {
                weight: onednn::lay_out(channels_last(&weight)?, window)?,
                bias,
                window,
                around: (!even && missing > 0).then_some([missing / 2, missing - missing / 2]),
            }
        };
        Ok(Self {
            kernel,
            out_channels: out,
            kind,
            then,
        })
    }

    pub fn out_channels(&self) -> i64 {
        self.out_channels
    }

    /// `[n, in, h, w]` → `[n, out, h / stride, w / stride]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_to_dtype(self.kind, false, false)?;
        match &self.kernel {
            Kernel::Product(linear) => {
                let places = x.f_permute([0, 2, 3, 1])?;
                let y = match self.then {
                    Then::Nothing => linear.forward(&places)?,
                    Then::Relu => linear.forward_relu(&places)?,
                    Then::Relu6 => linear.forward_relu6(&places)?,
                    Then::Gelu => linear.forward_gelu(&places)?,
                };
                y.f_permute([0, 3, 1, 2])
            }
            Kernel::Window {
                weight,
                bias,
                window,
                around,
            } => {
                let x = match *around {
                    Some([before, after]) => x.f_constant_pad_nd([before, after, before, after])?,
                    None => x,
                };
                self.slide(&x, weight, bias.as_deref(), *window)
            }
        }
    }

    /// The outcome added to `residual`, which has its shape.
    pub fn forward_add(&self, x: &Tensor, mut residual: Tensor) -> Result<Tensor, TchError> {
        match (&self.kernel, self.then) {
            (Kernel::Product(linear), Then::Nothing) => {
                let places = |t: &Tensor| t.f_permute([0, 2, 3, 1]);
                let sum = linear.forward_add(&places(x)?, places(&residual)?)?;
                sum.f_permute([0, 3, 1, 2])
            }
            _ => residual.f_add_(&self.forward(x)?),
        }
    }

    fn slide(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        window: Window,
    ) -> Result<Tensor, TchError> {
        if onednn::convolves(self.kind, x.device()) {
            return onednn::convolve(x, weight, bias, window, self.then);
        }
        let (stride, padding) = ([window.stride; 2], [window.padding; 2]);
        let mut y = x.f_conv2d(weight, bias, stride, padding, [1, 1], window.groups)?;
        match self.then {
            Then::Nothing => Ok(y),
            Then::Relu => y.f_relu_(),
            Then::Relu6 => y.f_clamp_(0.0, 6.0),
            Then::Gelu => y.f_gelu_("none"),
        }
    }
}

/// The weights of every output with mean 0 and variance 1.
fn standardised(weight: &Tensor, kind: Kind) -> Result<Param, WeightsError> {
    let shape = weight.size();
    let rows = weight.f_to_kind(Kind::Double)?.f_reshape([shape[0], -1])?;
    let centred = rows.f_sub(&rows.f_mean_dim([1].as_slice(), true, None)?)?;
    let variance = centred
        .f_square()?
        .f_mean_dim([1].as_slice(), true, None)?
        .f_add_scalar(STANDARD_EPS)?;
    let scaled = centred.f_div(&variance.f_sqrt()?)?;
    Ok(Param::owned(scaled.f_to_kind(kind)?.f_reshape(shape)?))
}
