//! Features to heat maps: two deconvolutions, or one convolution of the enlarged features.
//!
//! Source: ViTPose's mmpose, `mmpose/models/heads/topdown_heatmap_simple_head.py`.

use tch::{Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::weights::{Param, Weights, WeightsError};

/// How often the simple head repeats each feature before its convolution.
const ENLARGED: i64 = 4;
/// Of the deconvolutions' normalisation.
const NORM_EPS: f64 = 1e-5;

/// The classic head where there are deconvolutions, the simple one otherwise.
pub struct Head {
    deconvolutions: Vec<Deconvolution>,
    weight: Param,
    bias: Param,
}

/// A deconvolution that doubles the size, with its normalisation multiplied in, and a ReLU.
struct Deconvolution {
    /// `[inputs, outputs, kernel, kernel]`
    weight: Tensor,
    bias: Tensor,
    padding: i64,
    output_padding: i64,
}

impl Head {
    /// Takes `final_layer` and, where they are there, `deconv_layers`; `width` features come in.
    pub fn load(weights: &Weights, width: i64, keypoints: i64) -> Result<Self, WeightsError> {
        let mut deconvolutions = Vec::new();
        let mut features = width;
        // A deconvolution, its normalisation and the ReLU are three layers.
        for layer in (0..).step_by(3) {
            let place = weights.sub("deconv_layers");
            let Some(shape) = place.sub(layer).shape("weight") else {
                break;
            };
            let outputs = shape.get(1).copied().unwrap_or(features);
            let kernel = shape.get(2).copied().unwrap_or(4);
            deconvolutions.push(Deconvolution::load(
                &place,
                layer,
                [features, outputs],
                kernel,
            )?);
            features = outputs;
        }
        let last = weights.sub("final_layer");
        let shape = last.shape("weight").unwrap_or_default();
        let kernel = shape.get(2).copied().unwrap_or(1);
        Ok(Self {
            deconvolutions,
            weight: last.get("weight", &[keypoints, features, kernel, kernel])?,
            bias: last.get("bias", &[keypoints])?,
        })
    }

    /// `[batch, width, rows, columns]` to f32 `[batch, keypoints, 4 rows, 4 columns]`.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor, TchError> {
        let mut x = features.f_to_dtype(self.weight.f_kind()?, false, false)?;
        for layer in &self.deconvolutions {
            x = layer.forward(&x)?;
        }
        if self.deconvolutions.is_empty() {
            let (_, _, rows, columns) = x.size4()?;
            let size = [rows, columns].map(|side| side * ENLARGED);
            x = x.f_relu()?.f_upsample_bilinear2d(size, false, None, None)?;
        }
        let padding = self.weight.size4()?.2 / 2;
        let bias = Some(&*self.bias);
        x.f_conv2d(&self.weight, bias, [1, 1], [padding; 2], [1, 1], 1)?
            .f_to_dtype(Kind::Float, false, false)
    }
}

impl Deconvolution {
    fn load(
        weights: &Weights,
        layer: i64,
        [inputs, outputs]: [i64; 2],
        kernel: i64,
    ) -> Result<Self, WeightsError> {
        let raw = weights.sub(layer);
        let raw = raw.get_in("weight", &[inputs, outputs, kernel, kernel], DType::F32)?;
        let norm = weights.sub(layer + 1);
        let get = |name: &str| norm.get_in(name, &[outputs], DType::F32);
        let (gain, bias) = (get("weight")?, get("bias")?);
        let (mean, variance) = (get("running_mean")?, get("running_var")?);
        let gain = gain.f_mul(&variance.f_add_scalar(NORM_EPS)?.f_rsqrt()?)?;
        let bias = bias.f_sub(&mean.f_mul(&gain)?)?;
        let kind = weights.kind();
        // Kernels of 4, 3 and 2 are all that upstream knows; each doubles the size.
        let (padding, output_padding) = match kernel {
            2 => (0, 0),
            3 => (1, 1),
            _ => (1, 0),
        };
        Ok(Self {
            weight: raw
                .f_mul(&gain.f_reshape([1, outputs, 1, 1])?)?
                .f_to_dtype(kind, false, false)?,
            bias: bias.f_to_dtype(kind, false, false)?,
            padding,
            output_padding,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_conv_transpose2d(
            &self.weight,
            Some(&self.bias),
            [2, 2],
            [self.padding; 2],
            [self.output_padding; 2],
            1,
            [1, 1],
        )?
        .f_relu_()
    }
}
