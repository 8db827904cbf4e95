//! The region proposal network: at every place of every level, how likely is an object, and where.

use tch::{Device, Kind, TchError, Tensor};

use super::anchors;
use super::boxes::{self, Box4};
use super::conv::{Conv, Use};
use super::nms::batched_nms;
use crate::layers::weights::{Weights, WeightsError};

/// Proposals of each level before suppression, and of the whole image after it.
const TOP: usize = 1000;
const OVERLAP: f32 = 0.7;

/// Two 3×3 convolutions and two 1×1 heads, the same at every level.
pub struct Rpn {
    convs: Vec<Conv>,
    objectness: Conv,
    deltas: Conv,
}

/// What the network says of one level.
pub struct Level {
    /// `(1, 3, h, w)`
    pub logits: Tensor,
    /// `(1, 12, h, w)`: four numbers per anchor.
    pub deltas: Tensor,
}

/// A place where something may be, before it is known what.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    pub bounds: Box4,
    pub logit: f32,
}

impl Rpn {
    /// Reads `rpn_head.*`.
    pub fn load(weights: &Weights, channels: i64) -> Result<Self, WeightsError> {
        let head = weights.sub("rpn_head");
        let conv = |name: &str, relu| {
            Conv::load(
                &head,
                name,
                &format!("{name}.norm"),
                channels,
                Use { stride: 1, relu },
            )
        };
        // One convolution is called `conv`, several `conv.conv0`, `conv.conv1`, ….
        let mut convs = Vec::new();
        if head.contains("conv.weight") {
            convs.push(conv("conv", true)?);
        }
        while head.contains(&format!("conv.conv{}.weight", convs.len())) {
            convs.push(conv(&format!("conv.conv{}", convs.len()), true)?);
        }
        Ok(Self {
            convs,
            objectness: conv("objectness_logits", false)?,
            deltas: conv("anchor_deltas", false)?,
        })
    }

    pub fn forward(&self, level: &Tensor) -> Result<Level, TchError> {
        let mut x = level.shallow_clone();
        for conv in &self.convs {
            x = conv.forward(&x)?;
        }
        Ok(Level {
            logits: self.objectness.forward(&x)?,
            deltas: self.deltas.forward(&x)?,
        })
    }
}

/// The best proposals of all levels inside an image of `width` × `height`, best first.
pub fn propose(levels: &[Level], width: f32, height: f32) -> Result<Vec<Proposal>, TchError> {
    let mut found = Vec::new();
    let mut level_of = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let best = best_of_level(index, level)?;
        level_of.extend(std::iter::repeat_n(index, best.len()));
        found.extend(best);
    }
    let usable = |p: &Proposal| {
        let b = boxes::clip(p.bounds, width, height);
        let whole = boxes::is_finite(p.bounds) && p.logit.is_finite();
        (whole && b[2] > b[0] && b[3] > b[1]).then_some(Proposal { bounds: b, ..*p })
    };
    let (found, level_of): (Vec<Proposal>, Vec<usize>) = found
        .iter()
        .zip(level_of)
        .filter_map(|(p, level)| Some((usable(p)?, level)))
        .unzip();
    let bounds: Vec<Box4> = found.iter().map(|p| p.bounds).collect();
    let logits: Vec<f32> = found.iter().map(|p| p.logit).collect();
    let mut kept = batched_nms(&bounds, &logits, &level_of, OVERLAP);
    kept.truncate(TOP);
    Ok(kept.into_iter().map(|i| found[i]).collect())
}

fn best_of_level(index: usize, level: &Level) -> Result<Vec<Proposal>, TchError> {
    let size = level.logits.size();
    let width = size[3] as usize;
    let per_place = size[1];
    let count = (per_place * size[2] * size[3]).min(TOP as i64);
    let logits = level.logits.f_permute([0, 2, 3, 1])?.f_reshape([-1])?;
    let deltas = level
        .deltas
        .f_view([1, per_place, 4, size[2], size[3]])?
        .f_permute([0, 3, 4, 1, 2])?
        .f_reshape([-1, 4])?;
    let (logits, picked) = logits.f_topk(count, 0, true, true)?;
    let deltas: Vec<f32> = floats(&deltas.f_index_select(0, &picked)?)?;
    let logits = floats(&logits)?;
    let picked: Vec<i64> = Vec::try_from(picked.f_to_device(Device::Cpu)?)?;
    let cell = anchors::cell(index);
    let (deltas, _) = deltas.as_chunks::<4>();
    let proposal = |((&picked, &logit), &deltas): ((&i64, &f32), &[f32; 4])| {
        let anchor = anchors::at(&cell, index, width, picked as usize);
        Proposal {
            bounds: boxes::apply_deltas(anchor, deltas, [1.0; 4]),
            logit,
        }
    };
    Ok(picked
        .iter()
        .zip(&logits)
        .zip(deltas)
        .map(proposal)
        .collect())
}

/// All numbers of a tensor, row-major.
pub fn floats(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    Vec::try_from(flat.f_contiguous()?.f_flatten(0, -1)?)
}
