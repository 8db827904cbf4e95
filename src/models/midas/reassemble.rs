//! Tokens back to maps: the class token read out, a 1×1 convolution, a map of another size.
//!
//! Source: `midas/backbones/utils.py` (`make_backbone_default`, `ProjectReadout`).

use tch::{TchError, Tensor};

use super::transformer::Readout;
use crate::layers::detection::conv::{Conv, Use};
use crate::layers::linear::Linear;
use crate::layers::weights::{Param, Weights, WeightsError};

/// One of `act_postprocess1` to `act_postprocess4`.
pub struct Reassemble {
    readout: Readout,
    project: Option<Project>,
    narrow: Linear,
    resize: Resize,
}

/// How the map changes its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Larger,
    Same,
    Half,
}

enum Resize {
    Larger(Spread),
    Same,
    Half(Conv),
}

impl Reassemble {
    pub fn load(
        weights: &Weights,
        width: i64,
        readout: Readout,
        change: Change,
    ) -> Result<Self, WeightsError> {
        let stored = weights.shape("3.weight").unwrap_or_default();
        let features = stored.first().copied().unwrap_or(width);
        let narrow = weights
            .get("3.weight", &[features, width, 1, 1])?
            .f_view_copy([features, width])?;
        let bias = weights.get("3.bias", &[features])?;
        Ok(Self {
            readout,
            project: match readout {
                Readout::Project => Some(Project::load(&weights.sub("0.project.0"), width)?),
                _ => None,
            },
            narrow: Linear::new(Param::owned(narrow), Some(bias))?,
            resize: match change {
                Change::Larger => Resize::Larger(Spread::load(&weights.sub(4), features)?),
                Change::Same => Resize::Same,
                Change::Half => {
                    let halving = Use {
                        stride: 2,
                        relu: false,
                    };
                    Resize::Half(Conv::load(weights, "4", "", features, halving)?)
                }
            },
        })
    }

    /// `x` `[n, 1 + rows * columns, width]`, the class token first → `[n, features, h, w]`.
    pub fn forward(&self, x: &Tensor, [rows, columns]: [i64; 2]) -> Result<Tensor, TchError> {
        let (batch, count, _) = x.size3()?;
        let (class, tokens) = (x.f_narrow(1, 0, 1)?, x.f_narrow(1, 1, count - 1)?);
        let read = match (&self.project, self.readout) {
            (Some(project), _) => project.forward(&tokens, &class)?,
            (None, Readout::Add) => tokens.f_add(&class)?,
            (None, _) => tokens.f_contiguous()?,
        };
        let map = self
            .narrow
            .forward(&read)?
            .f_reshape([batch, rows, columns, -1])?;
        match &self.resize {
            Resize::Larger(spread) => spread.forward(&map),
            Resize::Same => map.f_permute([0, 3, 1, 2]),
            Resize::Half(conv) => conv.forward(&map.f_permute([0, 3, 1, 2])?),
        }
    }
}

/// A layer over each token beside the class token. What that adds is the same for all tokens, so
/// that it is computed once.
struct Project {
    tokens: Linear,
    class: Linear,
}

impl Project {
    /// Takes `weight` `[width, 2 * width]`, the token's features first, and `bias`.
    fn load(weights: &Weights, width: i64) -> Result<Self, WeightsError> {
        let both = weights.get("weight", &[width, 2 * width])?;
        let half = |first: i64| -> Result<Param, WeightsError> {
            let part = Tensor::f_empty([width, width], (both.f_kind()?, both.device()))?;
            let mut place = part.shallow_clone();
            place.f_copy_(&both.f_narrow(1, first, width)?)?;
            Ok(Param::owned(part))
        };
        Ok(Self {
            tokens: Linear::new(half(0)?, None)?,
            class: Linear::new(half(width)?, Some(weights.get("bias", &[width])?))?,
        })
    }

    fn forward(&self, tokens: &Tensor, class: &Tensor) -> Result<Tensor, TchError> {
        let class = self.class.forward(class)?;
        self.tokens
            .forward(&tokens.f_contiguous()?)?
            .f_add_(&class)?
            .f_gelu_("none")
    }
}

/// A convolution the other way whose stride is its size: as no two inputs meet in an output, it is
/// one product.
struct Spread {
    linear: Linear,
    side: i64,
    outputs: i64,
}

impl Spread {
    /// Takes `weight` `[inputs, outputs, side, side]` and `bias`.
    fn load(weights: &Weights, inputs: i64) -> Result<Self, WeightsError> {
        let stored = weights.shape("weight").unwrap_or_default();
        let [_, outputs, side, _] = stored[..] else {
            // Asked for like this, it is reported with what it is and what it should be.
            return Ok(Self {
                linear: Linear::load(weights, inputs, inputs, true)?,
                side: 1,
                outputs: inputs,
            });
        };
        let weight = weights
            .get("weight", &[inputs, outputs, side, side])?
            .f_permute([2, 3, 1, 0])?
            .f_reshape([side * side * outputs, inputs])?
            .f_contiguous()?;
        let bias = weights.get("bias", &[outputs])?.f_repeat([side * side])?;
        Ok(Self {
            linear: Linear::new(Param::owned(weight), Some(Param::owned(bias)))?,
            side,
            outputs,
        })
    }

    /// `[n, h, w, inputs]` → `[n, outputs, side * h, side * w]`, channels last in memory.
    fn forward(&self, map: &Tensor) -> Result<Tensor, TchError> {
        let (batch, height, width, _) = map.size4()?;
        let (side, outputs) = (self.side, self.outputs);
        self.linear
            .forward(map)?
            .f_reshape([batch, height, width, side, side, outputs])?
            .f_permute([0, 1, 3, 2, 4, 5])?
            .f_reshape([batch, side * height, side * width, outputs])?
            .f_permute([0, 3, 1, 2])
    }
}
