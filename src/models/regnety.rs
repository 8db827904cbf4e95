//! RegNetY-4GF Mask R-CNN, the light person detector.
//!
//! Paper: Radosavovic et al., "Designing Network Design Spaces"; weights and layout: detectron2
//! 02b5c4e, `configs/new_baselines/mask_rcnn_regnety_4gf_dds_FPN_400ep_LSJ.py`
//! (`model_final_ef3a80.pkl`), used by 4D-Humans' demo with `--detector regnety`.

use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::report::Tolerance;
use crate::imaging::pixels::Rgb8;
use crate::imaging::resize::resize_bilinear;
use crate::layers::detection::boxes::Box4;
use crate::layers::detection::clock::Clock;
use crate::layers::detection::conv::{Conv, Use};
use crate::layers::detection::finish::Masks;
use crate::layers::detection::heads::{self, BoxHead, Choice, Detection, POOLED};
use crate::layers::detection::input::{Normalise, fit};
use crate::layers::detection::mask::MaskHead;
use crate::layers::detection::pyramid::Fpn;
use crate::layers::detection::roi_align::Pooler;
use crate::layers::detection::rpn::{self, Level, Rpn};
use crate::layers::weights::{Weights, WeightsError};

/// Sides of the input: the short one, and the most the long one may be.
pub const SHORT_SIDE: usize = 800;
pub const LONG_SIDE: usize = 1333;
/// Widths and heights are filled up to multiples of the coarsest stride.
const STRIDE: usize = 32;
const NORMALISE: Normalise = Normalise {
    bgr: true,
    mean: [103.53, 116.28, 123.675],
    deviation: [57.375, 57.12, 58.395],
};
/// As 4D-Humans' demo sets them.
pub const CHOICE: Choice = Choice {
    score: 0.5,
    person: 0.5,
    overlap: 0.4,
    top: 100,
};
/// The mask head is read where masks are wanted.
pub const TOLERANCE: Tolerance = Tolerance {
    missing: &[],
    unused: &["roi_heads.mask_head.*"],
};
/// Divisors of the box head's deltas.
const DELTAS: [f32; 4] = [10.0, 10.0, 5.0, 5.0];

/// The whole detector. Sizes are those of the checkpoint.
pub struct RegNetY {
    bottom_up: BottomUp,
    fpn: Fpn,
    rpn: Rpn,
    head: BoxHead,
    masks: Option<MaskHead>,
    kind: Kind,
    device: Device,
}

/// Everything on the way to the result, for comparison with the original.
pub struct Stages {
    /// The network's input, `(1, 3, h, w)`.
    pub input: Tensor,
    /// p2 to p6, `(1, channels, h, w)` with strides 4 to 64.
    pub pyramid: Vec<Tensor>,
    pub rpn: Vec<Level>,
    pub proposals: Vec<rpn::Proposal>,
    /// `(proposals, classes + 1)`
    pub logits: Tensor,
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

impl RegNetY {
    /// `masks`: whether the mask head is wanted.
    pub fn load(weights: &Weights, masks: bool) -> Result<Self, WeightsError> {
        let backbone = weights.sub("backbone");
        let bottom_up = BottomUp::load(&backbone.sub("bottom_up"))?;
        let fpn = Fpn::load(&backbone, &bottom_up.channels())?;
        let channels = fpn.out_channels();
        let heads = weights.sub("roi_heads");
        let head = BoxHead::load(
            &heads.sub("box_head"),
            &heads.sub("box_predictor"),
            channels,
            DELTAS,
        )?;
        Ok(Self {
            bottom_up,
            rpn: Rpn::load(&weights.sub("proposal_generator"), channels)?,
            fpn,
            head,
            masks: masks
                .then(|| MaskHead::load(&heads.sub("mask_head"), channels))
                .transpose()?,
            kind: weights.kind(),
            device: weights.device(),
        })
    }

    /// What masks are made of; `None` where the mask head was not loaded.
    pub fn masks<'a>(&'a self, stages: &'a Stages) -> Option<Masks<'a>> {
        let (head, pooler) = (self.masks.as_ref()?, &stages.pooler);
        Some(Masks { head, pooler })
    }

    /// `(boxes, classes + 1)` logits of the box head alone, from boxes inside the image.
    pub fn logits(&self, stages: &Stages, boxes: &[Box4]) -> Result<Tensor, TchError> {
        let pooled = stages.pooler.pool(boxes, POOLED)?;
        Ok(self.head.forward(&pooled)?.logits)
    }

    /// `image` in the size the network was trained for.
    pub fn resized(&self, image: &Rgb8) -> Rgb8 {
        let (width, height) = fit(image.width, image.height, SHORT_SIDE, LONG_SIDE);
        resize_bilinear(image, width, height)
    }

    /// Finds objects of all COCO classes in an image that [`RegNetY::resized`] gave.
    pub fn stages(&self, resized: &Rgb8, choice: &Choice) -> Result<Stages, TchError> {
        let (width, height) = (resized.width, resized.height);
        let padded = [
            width.next_multiple_of(STRIDE),
            height.next_multiple_of(STRIDE),
        ];
        let mut clock = Clock::start();
        let input = NORMALISE.tensor(resized, padded, (self.kind, self.device))?;
        clock.lap("input");
        let maps = self.bottom_up.forward(&input)?;
        clock.lap("trunk");
        let pyramid = self.fpn.forward(&maps)?;
        clock.lap("pyramid");
        let levels = pyramid
            .iter()
            .map(|p| self.rpn.forward(p))
            .collect::<Result<Vec<_>, _>>()?;
        let size = (width as f32, height as f32);
        let proposals = rpn::propose(&levels, size.0, size.1)?;
        clock.lap("rpn");
        let bounds: Vec<_> = proposals.iter().map(|p| p.bounds).collect();
        let pooler = Pooler::new(&pyramid[..pyramid.len() - 1])?;
        let pooled = pooler.pool(&bounds, POOLED)?;
        let predictions = self.head.forward(&pooled)?;
        let probabilities = heads::probabilities(&predictions.logits)?;
        let refined = predictions.refine(&bounds, self.head.weights)?;
        let detections = heads::choose(&refined, &probabilities, size, choice)?;
        clock.lap("heads");
        Ok(Stages {
            input,
            pyramid,
            rpn: levels,
            proposals,
            logits: predictions.logits,
            detections,
            pooler,
            laps: clock.laps,
        })
    }
}

/// The trunk: a stem and four stages of bottleneck blocks with squeeze-and-excitation.
struct BottomUp {
    stem: Conv,
    stages: Vec<Vec<Block>>,
}

impl BottomUp {
    fn load(weights: &Weights) -> Result<Self, WeightsError> {
        let halving = Use {
            stride: 2,
            relu: true,
        };
        let stem = Conv::load(weights, "stem.conv", "stem.bn", 3, halving)?;
        let mut width = stem.out_channels();
        let mut stages = Vec::new();
        while weights.contains(&format!("s{}.b1.f.a.weight", stages.len() + 1)) {
            let stage = weights.sub(format!("s{}", stages.len() + 1));
            let mut blocks: Vec<Block> = Vec::new();
            while stage.contains(&format!("b{}.f.a.weight", blocks.len() + 1)) {
                let stride = if blocks.is_empty() { 2 } else { 1 };
                let block =
                    Block::load(&stage.sub(format!("b{}", blocks.len() + 1)), width, stride)?;
                width = block.c.out_channels();
                blocks.push(block);
            }
            stages.push(blocks);
        }
        Ok(Self { stem, stages })
    }

    fn channels(&self) -> Vec<i64> {
        let last = |blocks: &Vec<Block>| blocks.last().map_or(0, |block| block.c.out_channels());
        self.stages.iter().map(last).collect()
    }

    /// The output of every stage, strides 4, 8, 16, 32.
    fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let mut x = self.stem.forward(x)?;
        let mut maps = Vec::new();
        for blocks in &self.stages {
            for block in blocks {
                x = block.forward(&x)?;
            }
            maps.push(x.shallow_clone());
        }
        Ok(maps)
    }
}

/// 1×1, grouped 3×3 with squeeze-and-excitation, 1×1; the names are the checkpoint's.
struct Block {
    proj: Option<Conv>,
    a: Conv,
    b: Conv,
    se: Option<[Conv; 2]>,
    c: Conv,
}

impl Block {
    fn load(weights: &Weights, inputs: i64, stride: i64) -> Result<Self, WeightsError> {
        let conv = |name: &str, norm: &str, inputs, stride, relu| {
            Conv::load(weights, name, norm, inputs, Use { stride, relu })
        };
        let a = conv("f.a", "f.a_bn", inputs, 1, true)?;
        let b = conv("f.b", "f.b_bn", a.out_channels(), stride, true)?;
        let width = b.out_channels();
        let se = match weights.contains("f.se.f_ex.0.weight") {
            true => {
                let squeeze = conv("f.se.f_ex.0", "", width, 1, true)?;
                let excite = conv("f.se.f_ex.2", "", squeeze.out_channels(), 1, false)?;
                Some([squeeze, excite])
            }
            false => None,
        };
        let proj = match weights.contains("proj.weight") {
            true => Some(conv("proj", "bn", inputs, stride, false)?),
            false => None,
        };
        let c = conv("f.c", "f.c_bn", width, 1, false)?;
        Ok(Self { proj, a, b, se, c })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let straight = match &self.proj {
            Some(proj) => proj.forward(x)?,
            None => x.shallow_clone(),
        };
        let mut y = self.b.forward(&self.a.forward(x)?)?;
        if let Some([squeeze, excite]) = &self.se {
            let mean = y.f_mean_dim([2_i64, 3].as_slice(), true, None)?;
            let gate = excite.forward(&squeeze.forward(&mean)?)?.f_sigmoid()?;
            y = y.f_mul(&gate)?;
        }
        straight.f_add(&self.c.forward(&y)?)?.f_relu_()
    }
}
