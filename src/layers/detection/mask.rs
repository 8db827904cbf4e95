//! Which pixels of a box belong to what was found in it.
//!
//! Source: detectron2 02b5c4e, `MaskRCNNConvUpsampleHead` and `layers/mask_ops.py`.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use super::boxes::Box4;
use super::conv::{Conv, Use};
use super::enlarge::{Enlarge, unfold};
use super::heads::Detection;
use super::rpn::floats;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Pooled places per side.
pub const POOLED: usize = 14;
/// A pixel this probable belongs to the object.
const THRESHOLD: f32 = 0.5;

/// No image has more.
const MOST_COLUMNS: usize = 1 << 24;

/// Convolutions, an enlargement, and a prediction per class.
pub struct MaskHead {
    convs: Vec<Conv>,
    deconv: Enlarge,
    /// `[classes, channels, 1, 1]`
    weight: Param,
    bias: Param,
}

impl MaskHead {
    /// Reads `mask_fcn1`, …, `deconv` and `predictor`.
    pub fn load(weights: &Weights, channels: i64) -> Result<Self, WeightsError> {
        let relu = Use {
            stride: 1,
            relu: true,
        };
        let mut convs: Vec<Conv> = Vec::new();
        let mut width = channels;
        loop {
            let name = format!("mask_fcn{}", convs.len() + 1);
            if !weights.contains(&format!("{name}.weight")) {
                break;
            }
            let conv = Conv::load(weights, &name, &format!("{name}.norm"), width, relu)?;
            width = conv.out_channels();
            convs.push(conv);
        }
        let deconv = Enlarge::load(&weights.sub("deconv"), width)?;
        let predictor = weights.sub("predictor");
        let classes = predictor.shape("bias").map_or(0, |shape| shape[0]);
        let weight = predictor.get("weight", &[classes, deconv.outputs(), 1, 1])?;
        Ok(Self {
            convs,
            weight,
            bias: predictor.get("bias", &[classes])?,
            deconv,
        })
    }

    /// `pooled`: `(boxes, channels, 14, 14)` → `(boxes, 28, 28)` probabilities of each box's class.
    pub fn forward(&self, pooled: &Tensor, classes: &[i64]) -> Result<Tensor, TchError> {
        let mut x = pooled.shallow_clone();
        for conv in &self.convs {
            x = conv.forward(&x)?;
        }
        let (n, channels, h, w) = x.size4()?;
        let places = x.f_permute([0, 2, 3, 1])?.f_reshape([-1, channels])?;
        let four = self.deconv.forward(&places)?.f_relu_()?;
        // One class for all, or each its own: only the row of the class that was found counts.
        let last = self.bias.size1()? - 1;
        let rows: Vec<i64> = classes.iter().map(|&c| c.min(last)).collect();
        let rows = Tensor::f_from_slice(&rows)?.f_to_device(x.device())?;
        let weight = self.weight.f_squeeze_dim(3)?.f_index_select(0, &rows)?;
        let bias = self.bias.f_index_select(0, &rows)?.f_reshape([n, 1, 1])?;
        let logits = four
            .f_reshape([n, 4 * h * w, self.deconv.outputs()])?
            .f_bmm(&weight)?
            .f_add(&bias)?
            .f_to_kind(Kind::Float)?
            .f_sigmoid()?;
        unfold(&logits.f_reshape([n, h, w, 2, 2, 1])?)?.f_squeeze_dim(3)
    }
}

/// The pixels of one object: a rectangle of the image, and which of its pixels are the object's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Mask {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    /// Row by row; `inside.len()` is a multiple of `width`.
    pub inside: Vec<bool>,
}

/// As it is stored: numbers that may contradict one another.
#[derive(Deserialize)]
struct Stored {
    left: usize,
    top: usize,
    width: usize,
    inside: Vec<bool>,
}

impl TryFrom<Stored> for Mask {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored {
            left,
            top,
            width,
            inside,
        } = stored;
        // Nothing of a box may lie within the image.
        let empty = inside.is_empty() && width <= MOST_COLUMNS;
        let whole = empty || inside.len().checked_rem(width) == Some(0);
        let mask = Self {
            left,
            top,
            width,
            inside,
        };
        whole.then_some(mask).ok_or("a mask of no size")
    }
}

impl Mask {
    /// Whether the image's pixel `x`, `y` is the object's.
    pub fn contains(&self, x: usize, y: usize) -> bool {
        let (Some(x), Some(y)) = (x.checked_sub(self.left), y.checked_sub(self.top)) else {
            return false;
        };
        x < self.width && self.inside.get(y * self.width + x) == Some(&true)
    }
}

/// `probabilities` `(boxes, side, side)` as masks of an image of `width` × `height`.
pub fn paste(
    probabilities: &Tensor,
    found: &[Detection],
    width: usize,
    height: usize,
) -> Result<Vec<Mask>, TchError> {
    let side = probabilities.size().last().map_or(0, |&s| s as usize);
    let values = floats(probabilities)?;
    let each = values.chunks_exact((side * side).max(1));
    Ok(found
        .iter()
        .zip(each)
        .map(|(d, values)| paste_one(values, side, d.bounds, width, height))
        .collect())
}

fn paste_one(values: &[f32], side: usize, b: Box4, width: usize, height: usize) -> Mask {
    let along = |low: f32, high: f32, length: usize| {
        let first = ((low.floor() - 1.0).max(0.0) as usize).min(length);
        let end = ((high.ceil() + 1.0).max(0.0) as usize).min(length);
        let taps = (first..end).map(|i| {
            let at = (i as f32 + 0.5 - low) / (high - low) * 2.0 - 1.0;
            let at = (at + 1.0).mul_add(side as f32 / 2.0, -0.5);
            (at.floor(), at - at.floor())
        });
        (first, taps.collect::<Vec<_>>())
    };
    let (left, columns) = along(b[0], b[2], width);
    let (top, rows) = along(b[1], b[3], height);
    // Beyond the square of probabilities all is zero.
    let value = |y: f32, x: f32| {
        let within = |v: f32| (0.0..side as f32).contains(&v);
        match within(y) && within(x) {
            true => values[y as usize * side + x as usize],
            false => 0.0,
        }
    };
    let mut inside = Vec::with_capacity(rows.len() * columns.len());
    for &(y, south) in &rows {
        for &(x, east) in &columns {
            let (north, west) = (1.0 - south, 1.0 - east);
            // Rounded as libtorch's `grid_sample` is compiled, so that edges fall on its pixels.
            let sum = value(y, x) * (north * west);
            let sum = value(y, x + 1.0).mul_add(north * east, sum);
            let sum = value(y + 1.0, x).mul_add(south * west, sum);
            let sum = value(y + 1.0, x + 1.0).mul_add(south * east, sum);
            inside.push(sum >= THRESHOLD);
        }
    }
    Mask {
        left,
        top,
        width: columns.len(),
        inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mask_fills_its_box_and_no_more() {
        let mask = paste_one(&[1.0; 16], 4, [2.0, 3.0, 10.0, 7.0], 20, 20);
        for y in 0..20 {
            for x in 0..20 {
                let within = (2..10).contains(&x) && (3..7).contains(&y);
                assert_eq!(mask.contains(x, y), within, "{x}, {y}");
            }
        }
    }

    #[test]
    fn a_box_at_the_border_stays_inside_the_image() {
        for b in [
            [-5.0, -5.0, 3.0, 3.0],
            [8.0, 8.0, 30.0, 30.0],
            [50.0, 50.0, 60.0, 60.0],
        ] {
            let mask = paste_one(&[1.0; 784], 28, b, 10, 10);
            assert!(mask.left + mask.width <= 10);
            assert_eq!(mask.inside.len() % mask.width.max(1), 0);
            assert!(mask.top + mask.inside.len() / mask.width.max(1) <= 10);
        }
    }
}
