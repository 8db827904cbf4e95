//! The whole of ViTDet: trunk, pyramid, proposals, and a cascade of three box heads.
//!
//! Papers: Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection"; Cai and
//! Vasconcelos, "Cascade R-CNN". Weights and layout: detectron2 02b5c4e,
//! `projects/ViTDet/configs/COCO/cascade_mask_rcnn_vitdet_h_75ep.py` (`model_final_f05665.pkl`).

use tch::{Device, Kind, TchError, Tensor};

use super::pyramid::Pyramid;
use super::trunk::{Size, Trunk};
use crate::checkpoint::report::Tolerance;
use crate::imaging::pixels::Rgb8;
use crate::imaging::resize::resize_bilinear;
use crate::layers::detection::boxes::{self, Box4};
use crate::layers::detection::clock::Clock;
use crate::layers::detection::finish::Masks;
use crate::layers::detection::heads::{self, BoxHead, Choice, Detection, POOLED};
use crate::layers::detection::input::{Normalise, fit};
use crate::layers::detection::mask::MaskHead;
use crate::layers::detection::roi_align::Pooler;
use crate::layers::detection::rpn::{self, Level, Proposal, Rpn};
use crate::layers::weights::{Weights, WeightsError};

const NORMALISE: Normalise = Normalise {
    bgr: false,
    mean: [123.675, 116.28, 103.53],
    deviation: [58.395, 57.12, 57.375],
};
/// As 4D-Humans' demo sets them.
pub const CHOICE: Choice = Choice {
    score: 0.25,
    person: 0.5,
    overlap: 0.5,
    top: 100,
};
/// The mask head is read where masks are wanted.
pub const TOLERANCE: Tolerance = Tolerance {
    missing: &[],
    unused: &["roi_heads.mask_head.*"],
};
/// Divisors of each stage's deltas.
const DELTAS: [[f32; 4]; 3] = [
    [10.0, 10.0, 5.0, 5.0],
    [20.0, 20.0, 10.0, 10.0],
    [30.0, 30.0, 15.0, 15.0],
];

/// The detector. Sizes are those of the checkpoint.
pub struct VitDet {
    trunk: Trunk,
    pyramid: Pyramid,
    rpn: Rpn,
    heads: [BoxHead; 3],
    masks: Option<MaskHead>,
    kind: Kind,
    device: Device,
}

/// One stage of the cascade.
pub struct Stage {
    /// Where it looked: inside the image.
    pub from: Vec<Box4>,
    /// `(boxes, classes + 1)`
    pub logits: Tensor,
    /// Where it says the objects are.
    pub to: Vec<Box4>,
}

/// Everything on the way to the result, for comparison with the original.
pub struct Stages {
    /// The network's input, `(1, 3, side, side)`.
    pub input: Tensor,
    /// p2 to p6, `(1, channels, h, w)` with strides 4 to 64.
    pub pyramid: Vec<Tensor>,
    pub rpn: Vec<Level>,
    pub proposals: Vec<Proposal>,
    pub cascade: Vec<Stage>,
    /// In pixels of the resized image.
    pub detections: Vec<Detection>,
    pooler: Pooler,
    /// Seconds of input, trunk, pyramid, proposals and heads; on a device that works ahead, until
    /// the work was given to it.
    pub laps: Vec<(&'static str, f64)>,
}

impl Stages {
    /// What regions are pooled from.
    pub fn pooler(&self) -> &Pooler {
        &self.pooler
    }
}

impl VitDet {
    /// `size` is [`Size::found`] in `backbone.net`; `masks`: whether the mask head is wanted.
    pub fn load(weights: &Weights, size: Size, masks: bool) -> Result<Self, WeightsError> {
        let backbone = weights.sub("backbone");
        let pyramid = Pyramid::load(&backbone, size.width)?;
        let channels = pyramid.out_channels();
        let heads = weights.sub("roi_heads");
        let head = |i: usize| {
            BoxHead::load(
                &heads.sub("box_head").sub(i),
                &heads.sub("box_predictor").sub(i),
                channels,
                DELTAS[i],
            )
        };
        Ok(Self {
            trunk: Trunk::load(&backbone.sub("net"), size)?,
            rpn: Rpn::load(&weights.sub("proposal_generator"), channels)?,
            heads: [head(0)?, head(1)?, head(2)?],
            pyramid,
            masks: masks
                .then(|| MaskHead::load(&heads.sub("mask_head"), channels))
                .transpose()?,
            kind: weights.kind(),
            device: weights.device(),
        })
    }

    pub fn size(&self) -> &Size {
        &self.trunk.size
    }

    /// What masks are made of; `None` where the mask head was not loaded.
    pub fn masks<'a>(&'a self, stages: &'a Stages) -> Option<Masks<'a>> {
        let (head, pooler) = (self.masks.as_ref()?, &stages.pooler);
        Some(Masks { head, pooler })
    }

    /// `image` with its long side as long as the network's input.
    pub fn resized(&self, image: &Rgb8) -> Rgb8 {
        let side = self.trunk.size.pixels();
        let (width, height) = fit(image.width, image.height, side, side);
        resize_bilinear(image, width, height)
    }

    /// Finds objects of all COCO classes in an image that [`VitDet::resized`] gave.
    pub fn stages(&self, resized: &Rgb8, choice: &Choice) -> Result<Stages, TchError> {
        let side = self.trunk.size.pixels();
        let mut clock = Clock::start();
        let input = NORMALISE.tensor(resized, [side, side], (self.kind, self.device))?;
        clock.lap("input");
        let tokens = self.trunk.forward(&input)?;
        clock.lap("trunk");
        let pyramid = self.pyramid.forward(&tokens, self.trunk.size.side)?;
        clock.lap("pyramid");
        let levels = pyramid
            .iter()
            .map(|p| self.rpn.forward(p))
            .collect::<Result<Vec<_>, _>>()?;
        let size = (resized.width as f32, resized.height as f32);
        let proposals = rpn::propose(&levels, size.0, size.1)?;
        clock.lap("rpn");
        let pooler = Pooler::new(&pyramid[..4])?;
        let cascade = self.cascade(&pooler, &proposals, size)?;
        let detections = found(&cascade, size, choice)?;
        clock.lap("heads");
        Ok(Stages {
            input,
            pyramid,
            rpn: levels,
            proposals,
            cascade,
            detections,
            pooler,
            laps: clock.laps,
        })
    }

    /// Every stage starts from the boxes of the one before, clipped to the image.
    fn cascade(
        &self,
        pooler: &Pooler,
        proposals: &[Proposal],
        (width, height): (f32, f32),
    ) -> Result<Vec<Stage>, TchError> {
        let mut from: Vec<Box4> = proposals.iter().map(|p| p.bounds).collect();
        let mut stages = Vec::new();
        for head in &self.heads {
            let stage = Stage::run(head, pooler, from)?;
            let inside = |&b: &Box4| boxes::clip(b, width, height);
            from = stage.to.iter().map(inside).collect();
            stages.push(stage);
        }
        Ok(stages)
    }

    /// Stage `index` of the cascade alone, from boxes inside the image.
    pub fn stage(&self, index: usize, stages: &Stages, from: Vec<Box4>) -> Result<Stage, TchError> {
        Stage::run(&self.heads[index.min(2)], &stages.pooler, from)
    }
}

impl Stage {
    fn run(head: &BoxHead, pooler: &Pooler, from: Vec<Box4>) -> Result<Self, TchError> {
        let predictions = head.forward(&pooler.pool(&from, POOLED)?)?;
        let refined = predictions.refine(&from, head.weights)?;
        Ok(Self {
            from,
            logits: predictions.logits,
            to: refined.into_iter().flatten().collect(),
        })
    }
}

/// Boxes of the last stage with the mean of all stages' probabilities.
fn found(cascade: &[Stage], size: (f32, f32), choice: &Choice) -> Result<Vec<Detection>, TchError> {
    let Some(last) = cascade.last() else {
        return Ok(Vec::new());
    };
    let mut sum = heads::probabilities(&last.logits)?.f_zeros_like()?;
    for stage in cascade {
        sum = sum.f_add_(&heads::probabilities(&stage.logits)?)?;
    }
    let mean = sum.f_mul_scalar_(1.0 / cascade.len() as f64)?;
    let boxes: Vec<Vec<Box4>> = last.to.iter().map(|&b| vec![b]).collect();
    heads::choose(&boxes, &mean, size, choice)
}
