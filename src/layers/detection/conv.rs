//! A convolution with what follows it: a normalisation and a rectifier.

use tch::{Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::linear::Linear;
use crate::layers::onednn::{self, Then, Window};
use crate::layers::weights::{Param, Weights, WeightsError};

/// detectron2's epsilon of batch normalisation.
const BATCH_EPS: f64 = 1e-5;
/// ViTDet's epsilon of layer normalisation over channels.
const LAYER_EPS: f64 = 1e-6;

/// Batch normalisation is folded into the weights. Feature maps lie in memory with a place's
/// channels side by side, so that a 1×1 convolution is one product.
pub struct Conv {
    kernel: Kernel,
    out_channels: i64,
    /// Layer normalisation over the channels of each place: weight and bias.
    norm: Option<(Param, Param)>,
    kind: Kind,
    relu: bool,
}

enum Kernel {
    /// 1×1, stride 1.
    Product(Linear),
    /// `(out, in / groups, k, k)` weights, laid out for oneDNN or channels last in memory.
    Window {
        weight: Tensor,
        bias: Option<Param>,
        window: Window,
    },
}

/// How a convolution is used; its sizes are those of its weights.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub stride: i64,
    pub relu: bool,
}

impl Conv {
    /// Reads `<name>.weight`, its bias, and the normalisation called `norm`, as far as they are there.
    pub fn load(
        weights: &Weights,
        name: &str,
        norm: &str,
        in_channels: i64,
        Use { stride, relu }: Use,
    ) -> Result<Self, WeightsError> {
        let own = weights.sub(name);
        let shape = match own.shape("weight").map(<[i64; 4]>::try_from) {
            Some(Ok(shape)) if shape[1] > 0 && in_channels % shape[1] == 0 => shape,
            // Asked for like this, it is reported with what it is and what it should be.
            Some(Ok([out, _, height, width])) => [out, in_channels, height, width],
            _ => [0, in_channels, 1, 1],
        };
        let [out, inputs, height, width] = shape;
        let groups = in_channels / inputs.max(1);
        let norm_weights = weights.sub(norm);
        let folds = norm_weights.contains("running_mean");
        // What is folded is rounded once, afterwards.
        let get = |name: &str, shape: &[i64]| match folds {
            true => own.get_in(name, shape, DType::F32),
            false => own.get(name, shape),
        };
        let mut weight = get("weight", &shape)?;
        let mut bias = match own.contains("bias") {
            true => Some(get("bias", &[out])?),
            false => None,
        };
        let mut layer = None;
        if folds {
            let (folded, shift) = fold(&norm_weights, &weight, bias.as_deref(), BATCH_EPS)?;
            (weight, bias) = (folded, Some(shift));
        } else if norm_weights.contains("weight") {
            let get = |part| norm_weights.get(part, &[out]);
            layer = Some((get("weight")?, get("bias")?));
        }
        let kind = weight.f_kind()?;
        let kernel = if height * width == 1 && stride == 1 && groups == 1 {
            // A copy: the weights may be a view of a mapped file.
            let flat = weight.f_view_copy([out, in_channels])?;
            Kernel::Product(Linear::new(Param::owned(flat), bias)?)
        } else {
            let window = Window {
                stride,
                padding: height / 2,
                groups,
            };
            Kernel::Window {
                weight: onednn::lay_out(channels_last(&weight)?, window)?,
                bias,
                window,
            }
        };
        Ok(Self {
            kernel,
            out_channels: out,
            norm: layer,
            kind,
            relu,
        })
    }

    pub fn out_channels(&self) -> i64 {
        self.out_channels
    }

    /// `(n, in, h, w)` → `(n, out, h / stride, w / stride)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_to_dtype(self.kind, false, false)?;
        let relu = self.relu && self.norm.is_none();
        let y = self.convolve(&x, relu)?;
        match &self.norm {
            Some((weight, bias)) if self.relu => channel_norm(&y, weight, bias)?.f_relu_(),
            Some((weight, bias)) => channel_norm(&y, weight, bias),
            None => Ok(y),
        }
    }

    /// The outcome, without a rectifier, added to `residual` `(n, out, h / stride, w / stride)`.
    pub fn forward_add(&self, x: &Tensor, mut residual: Tensor) -> Result<Tensor, TchError> {
        if let (Kernel::Product(linear), None) = (&self.kernel, &self.norm) {
            let places = |t: &Tensor| t.f_permute([0, 2, 3, 1]);
            let sum = linear.forward_add(&places(x)?, places(&residual)?)?;
            return sum.f_permute([0, 3, 1, 2]);
        }
        let y = self.convolve(&x.f_to_dtype(self.kind, false, false)?, false)?;
        match &self.norm {
            Some((weight, bias)) => residual.f_add_(&channel_norm(&y, weight, bias)?),
            None => residual.f_add_(&y),
        }
    }

    fn convolve(&self, x: &Tensor, relu: bool) -> Result<Tensor, TchError> {
        match &self.kernel {
            Kernel::Product(linear) => {
                let places = x.f_permute([0, 2, 3, 1])?;
                let y = match relu {
                    true => linear.forward_relu(&places)?,
                    false => linear.forward(&places)?,
                };
                y.f_permute([0, 3, 1, 2])
            }
            Kernel::Window {
                weight,
                bias,
                window,
            } if onednn::convolves(self.kind, x.device()) => {
                let then = if relu { Then::Relu } else { Then::Nothing };
                onednn::convolve(x, weight, bias.as_deref(), *window, then)
            }
            Kernel::Window {
                weight,
                bias,
                window,
            } => {
                let (stride, padding) = ([window.stride; 2], [window.padding; 2]);
                let bias = bias.as_deref();
                let y = x.f_conv2d(weight, bias, stride, padding, [1, 1], window.groups)?;
                if relu { y.f_relu() } else { Ok(y) }
            }
        }
    }
}

/// A copy of `(n, c, h, w)` with the channels of a place side by side.
pub fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    let (n, c, h, w) = x.size4()?;
    let mut copy = Tensor::f_empty([n, h, w, c], (x.f_kind()?, x.device()))?;
    copy.f_copy_(&x.f_permute([0, 2, 3, 1])?)?;
    copy.f_permute([0, 3, 1, 2])
}

/// Layer normalisation over dimension 1 of `(n, c, h, w)`.
pub fn channel_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    let channels = x.size()[1];
    x.f_permute([0, 2, 3, 1])?
        .f_layer_norm([channels], Some(weight), Some(bias), LAYER_EPS, false)?
        .f_permute([0, 3, 1, 2])
}

/// Weights and bias, in the working precision, that do convolution and the batch normalisation
/// `norm` in one.
pub fn fold(
    norm: &Weights,
    weight: &Tensor,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<(Param, Param), WeightsError> {
    let (kind, out) = (norm.kind(), weight.size4()?.0);
    let wide = |t: &Tensor| t.f_to_kind(Kind::Double);
    let get = |part: &str| -> Result<Tensor, WeightsError> {
        let param = norm.get_in(part, &[out], DType::F32)?;
        Ok(wide(&param)?)
    };
    if norm.contains("num_batches_tracked") {
        norm.get_exact("num_batches_tracked", &[], DType::I64)?;
    }
    let (gamma, beta) = (get("weight")?, get("bias")?);
    let (mean, variance) = (get("running_mean")?, get("running_var")?);
    let scale = gamma.f_div(&variance.f_add_scalar(eps)?.f_sqrt()?)?;
    let mut shift = beta.f_sub(&mean.f_mul(&scale)?)?;
    if let Some(bias) = bias {
        shift = shift.f_add(&wide(bias)?.f_mul(&scale)?)?;
    }
    let folded = wide(weight)?.f_mul(&scale.f_reshape([-1, 1, 1, 1])?)?;
    Ok((
        Param::owned(folded.f_to_kind(kind)?),
        Param::owned(shift.f_to_kind(kind)?),
    ))
}
