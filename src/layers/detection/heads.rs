//! Box heads: from a pooled region to classes and a better box; and the final choice.

use tch::{Kind, TchError, Tensor};

use super::boxes::{self, Box4};
use super::conv::{Conv, Use};
use super::nms::batched_nms;
use super::rpn::floats;
use crate::layers::linear::Linear;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Pooled places per side.
pub const POOLED: usize = 7;

/// Convolutions, fully connected layers, and two linear predictors.
pub struct BoxHead {
    convs: Vec<Conv>,
    linears: Vec<Linear>,
    classes: Linear,
    deltas: Linear,
    /// Divisors of the deltas (x, y, width, height).
    pub weights: [f32; 4],
}

/// A layer and the number of its outputs, which its weights tell.
fn linear(weights: &Weights, name: &str, inputs: i64) -> Result<(Linear, i64), WeightsError> {
    let own = weights.sub(name);
    let out = own.shape("weight").map_or(0, |shape| shape[0]);
    Ok((Linear::load(&own, inputs, out, true)?, out))
}

/// The first layer after pooling: its inputs are sorted as pooled regions lie in memory, the
/// channels of a place side by side.
fn first(weights: &Weights, channels: i64) -> Result<(Linear, i64), WeightsError> {
    let out = weights.shape("weight").map_or(0, |shape| shape[0]);
    let side = POOLED as i64;
    let weight = weights.get("weight", &[out, channels * side * side])?;
    let sorted = weight
        .f_reshape([out, channels, side, side])?
        .f_permute([0, 2, 3, 1])?
        .f_reshape([out, -1])?;
    let bias = weights.get("bias", &[out])?;
    Ok((Linear::new(Param::owned(sorted), Some(bias))?, out))
}

/// What a head says of each box.
pub struct Predictions {
    /// `(boxes, classes + 1)`; the last column is "nothing".
    pub logits: Tensor,
    /// `(boxes, 4)`, or `(boxes, 4 * classes)` when each class has its own.
    pub deltas: Tensor,
}

impl BoxHead {
    /// Reads a head (`conv1`, …, `fc1`, …) and its predictor (`cls_score`, `bbox_pred`).
    pub fn load(
        head: &Weights,
        predictor: &Weights,
        channels: i64,
        weights: [f32; 4],
    ) -> Result<Self, WeightsError> {
        let mut convs: Vec<Conv> = Vec::new();
        let mut width = channels;
        while head.contains(&format!("conv{}.weight", convs.len() + 1)) {
            let name = format!("conv{}", convs.len() + 1);
            let relu = Use {
                stride: 1,
                relu: true,
            };
            let conv = Conv::load(head, &name, &format!("{name}.norm"), width, relu)?;
            width = conv.out_channels();
            convs.push(conv);
        }
        let (mut linears, mut inputs) = (Vec::new(), width);
        loop {
            let name = format!("fc{}", linears.len() + 1);
            let own = head.sub(&name);
            let (layer, out) = match linears.is_empty() {
                // Reported as missing where there is none.
                true => first(&own, width)?,
                false if own.contains("weight") => linear(head, &name, inputs)?,
                false => break,
            };
            linears.push(layer);
            inputs = out;
        }
        Ok(Self {
            convs,
            linears,
            classes: linear(predictor, "cls_score", inputs)?.0,
            deltas: linear(predictor, "bbox_pred", inputs)?.0,
            weights,
        })
    }

    /// `pooled`: `(boxes, channels, 7, 7)`.
    pub fn forward(&self, pooled: &Tensor) -> Result<Predictions, TchError> {
        let mut x = pooled.shallow_clone();
        for conv in &self.convs {
            x = conv.forward(&x)?;
        }
        let mut x = x.f_permute([0, 2, 3, 1])?.f_flatten(1, -1)?;
        for linear in &self.linears {
            x = linear.forward_relu(&x)?;
        }
        Ok(Predictions {
            logits: self.classes.forward(&x)?,
            deltas: self.deltas.forward(&x)?,
        })
    }
}

/// `(boxes, classes + 1)` probabilities, on the CPU in single precision.
pub fn probabilities(logits: &Tensor) -> Result<Tensor, TchError> {
    logits
        .f_softmax(-1, Kind::Float)?
        .f_to_device(tch::Device::Cpu)
}

impl Predictions {
    /// Every box moved by its deltas: one box each, or one per class.
    pub fn refine(&self, from: &[Box4], weights: [f32; 4]) -> Result<Vec<Vec<Box4>>, TchError> {
        let per_box = self.deltas.size()[1] as usize;
        let deltas = floats(&self.deltas)?;
        let refined = |(&b, deltas): (&Box4, &[f32])| {
            let (deltas, _) = deltas.as_chunks::<4>();
            deltas
                .iter()
                .map(|&d| boxes::apply_deltas(b, d, weights))
                .collect()
        };
        Ok(from
            .iter()
            .zip(deltas.chunks_exact(per_box.max(4)))
            .map(refined)
            .collect())
    }
}

/// Something found: where, what, how surely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    pub bounds: Box4,
    pub score: f32,
    pub class: usize,
}

/// Which detections are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// A class's probability must be above this to take part at all.
    pub score: f32,
    /// A person that is given must be above this.
    pub person: f32,
    /// Boxes of one class that overlap more are one.
    pub overlap: f32,
    /// Most detections of an image.
    pub top: usize,
}

/// The final detections of an image of `width` × `height`, best first.
///
/// `probabilities`: `(boxes, classes + 1)`; `boxes`: one box each, or one per class.
pub fn choose(
    boxes: &[Vec<Box4>],
    probabilities: &Tensor,
    (width, height): (f32, f32),
    choice: &Choice,
) -> Result<Vec<Detection>, TchError> {
    let columns = probabilities.size()[1] as usize;
    let scores = floats(probabilities)?;
    let mut found = Vec::new();
    for (own, scores) in boxes.iter().zip(scores.chunks_exact(columns)) {
        let whole =
            own.iter().all(|&b| boxes::is_finite(b)) && scores.iter().all(|s| s.is_finite());
        if !whole {
            continue;
        }
        for (class, &score) in scores[..columns - 1].iter().enumerate() {
            let Some(&b) = own.get(if own.len() == 1 { 0 } else { class }) else {
                continue;
            };
            if score > choice.score {
                let bounds = boxes::clip(b, width, height);
                found.push(Detection {
                    bounds,
                    score,
                    class,
                });
            }
        }
    }
    let bounds: Vec<Box4> = found.iter().map(|d| d.bounds).collect();
    let scores: Vec<f32> = found.iter().map(|d| d.score).collect();
    let classes: Vec<usize> = found.iter().map(|d| d.class).collect();
    let mut kept = batched_nms(&bounds, &scores, &classes, choice.overlap);
    kept.truncate(choice.top);
    Ok(kept.into_iter().map(|i| found[i]).collect())
}
