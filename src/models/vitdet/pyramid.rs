//! ViTDet's simple pyramid: five maps out of the trunk's last one.
//!
//! Source: detectron2 02b5c4e, `SimpleFeaturePyramid` in `modeling/backbone/vit.py`.

use tch::{TchError, Tensor};

use crate::layers::detection::conv::{Conv, Use};
use crate::layers::detection::enlarge::{Enlarge, unfold};
use crate::layers::detection::pyramid::with_top;
use crate::layers::vit::NORM_EPS;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Normalisation over the channels of each place.
struct Norm {
    weight: Param,
    bias: Param,
    channels: i64,
}

impl Norm {
    fn load(weights: &Weights, channels: i64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.get("weight", &[channels])?,
            bias: weights.get("bias", &[channels])?,
            channels,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (weight, bias) = (Some(&*self.weight), Some(&*self.bias));
        x.f_layer_norm([self.channels], weight, bias, NORM_EPS, false)
    }
}

/// One level: 1×1 and 3×3, each with a normalisation.
struct Level {
    narrow: Conv,
    smooth: Conv,
}

impl Level {
    fn load(weights: &Weights, first: i64, inputs: i64) -> Result<Self, WeightsError> {
        let plain = Use {
            stride: 1,
            relu: false,
        };
        let conv = |i: i64, inputs| {
            Conv::load(
                weights,
                &format!("{i}"),
                &format!("{i}.norm"),
                inputs,
                plain,
            )
        };
        let narrow = conv(first, inputs)?;
        Ok(Self {
            smooth: conv(first + 1, narrow.out_channels())?,
            narrow,
        })
    }

    /// `[1, channels, side, side]`, channels last in memory.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.smooth.forward(&self.narrow.forward(x)?)
    }
}

/// `simfp_2` to `simfp_5`.
pub struct Pyramid {
    first: Enlarge,
    norm: Norm,
    second: Enlarge,
    third: Enlarge,
    levels: [Level; 4],
}

impl Pyramid {
    pub fn load(weights: &Weights, width: i64) -> Result<Self, WeightsError> {
        let [p2, p3, p4, p5] = [2, 3, 4, 5].map(|level| weights.sub(format!("simfp_{level}")));
        let first = Enlarge::load(&p2.sub(0), width)?;
        let second = Enlarge::load(&p2.sub(3), first.outputs())?;
        let third = Enlarge::load(&p3.sub(0), width)?;
        Ok(Self {
            norm: Norm::load(&p2.sub(1), first.outputs())?,
            levels: [
                Level::load(&p2, 4, second.outputs())?,
                Level::load(&p3, 1, third.outputs())?,
                Level::load(&p4, 0, width)?,
                Level::load(&p5, 1, width)?,
            ],
            first,
            second,
            third,
        })
    }

    pub fn out_channels(&self) -> i64 {
        self.levels[0].smooth.out_channels()
    }

    /// The trunk's `[side * side, width]` → p2 to p6, `(1, channels, h, w)`, strides 4 to 64.
    pub fn forward(&self, tokens: &Tensor, side: i64) -> Result<Vec<Tensor>, TchError> {
        let tokens = &tokens.f_to_dtype(self.norm.weight.f_kind()?, false, false)?;
        let map = tokens
            .f_reshape([1, side, side, -1])?
            .f_permute([0, 3, 1, 2])?;
        let four = self
            .norm
            .forward(&self.first.forward(tokens)?)?
            .f_gelu_("none")?;
        let (four, eight) = (self.second.forward(&four)?, self.third.forward(tokens)?);
        let twice = |x: &Tensor, side: i64| {
            unfold(&x.f_reshape([1, side, side, 2, 2, -1])?)?.f_permute([0, 3, 1, 2])
        };
        // Each of a place's four became four: the inner ones are a row's or a column's neighbours.
        let outer = four.f_reshape([1, side, side, 2, 2, 4 * self.second.outputs()])?;
        let sixteen = twice(&unfold(&outer)?, 2 * side)?;
        let eight = twice(&eight, side)?;
        let half = map.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
        with_top(vec![
            self.levels[0].forward(&sixteen)?,
            self.levels[1].forward(&eight)?,
            self.levels[2].forward(&map)?,
            self.levels[3].forward(&half)?,
        ])
    }
}
