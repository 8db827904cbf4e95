//! A convolution with what follows it: a normalisation and a rectifier.

use tch::{Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::weights::{Param, Weights, WeightsError};

/// detectron2's epsilon of batch normalisation.
const BATCH_EPS: f64 = 1e-5;
/// ViTDet's epsilon of layer normalisation over channels.
const LAYER_EPS: f64 = 1e-6;

/// `(out, in / groups, k, k)` weights; batch normalisation is folded into them.
pub struct Conv {
    weight: Param,
    bias: Option<Param>,
    /// Layer normalisation over the channels of each place: weight and bias.
    norm: Option<(Param, Param)>,
    stride: i64,
    groups: i64,
    relu: bool,
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
        let shape = own
            .shape("weight")
            .unwrap_or_else(|| vec![0, in_channels, 1, 1]);
        let out = shape[0];
        let groups = in_channels / shape[1].max(1);
        let mut weight = own.get("weight", &shape)?;
        let mut bias = match own.contains("bias") {
            true => Some(own.get("bias", &[out])?),
            false => None,
        };
        let norm_weights = weights.sub(norm);
        let mut layer = None;
        if norm_weights.contains("running_mean") {
            let (folded, shift) = fold(&norm_weights, &weight, bias.as_deref(), out)?;
            (weight, bias) = (folded, Some(shift));
        } else if norm_weights.contains("weight") {
            let get = |part| norm_weights.get(part, &[out]);
            layer = Some((get("weight")?, get("bias")?));
        }
        Ok(Self {
            weight,
            bias,
            norm: layer,
            stride,
            groups,
            relu,
        })
    }

    pub fn out_channels(&self) -> i64 {
        self.weight.size()[0]
    }

    /// `(n, in, h, w)` → `(n, out, h / stride, w / stride)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let padding = self.weight.size()[2] / 2;
        let one = [1, 1];
        let y = x.f_conv2d(
            &self.weight,
            self.bias.as_deref(),
            [self.stride, self.stride],
            [padding, padding],
            one,
            self.groups,
        )?;
        let mut y = match &self.norm {
            Some((weight, bias)) => channel_norm(&y, weight, bias)?,
            None => y,
        };
        if self.relu { y.f_relu_() } else { Ok(y) }
    }
}

/// Layer normalisation over dimension 1 of `(n, c, h, w)`.
pub fn channel_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    let channels = x.size()[1];
    x.f_permute([0, 2, 3, 1])?
        .f_layer_norm([channels], Some(weight), Some(bias), LAYER_EPS, false)?
        .f_permute([0, 3, 1, 2])
}

/// Weights and bias that do convolution and batch normalisation in one.
fn fold(
    norm: &Weights,
    weight: &Tensor,
    bias: Option<&Tensor>,
    out: i64,
) -> Result<(Param, Param), WeightsError> {
    let kind = weight.kind();
    let wide = |t: &Tensor| t.f_to_kind(Kind::Double);
    let get = |part: &str| -> Result<Tensor, WeightsError> {
        let param = norm.get(part, &[out])?;
        Ok(wide(&param)?)
    };
    if norm.contains("num_batches_tracked") {
        norm.get_exact("num_batches_tracked", &[], DType::I64)?;
    }
    let (gamma, beta) = (get("weight")?, get("bias")?);
    let (mean, variance) = (get("running_mean")?, get("running_var")?);
    let scale = gamma.f_div(&variance.f_add_scalar(BATCH_EPS)?.f_sqrt()?)?;
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
