//! A network of the family: frames in, maps of relative inverse depth out.

use std::path::Path;

use tch::{Device, TchError, Tensor};

use super::cubic;
use super::decoder::{Decoder, Flavour};
use super::dpt::{Dpt, PATCH};
use super::efficientnet::EfficientNet;
use super::hybrid::Hybrid;
use super::input::{self, SizeError};
use super::kind::Kind;
use super::resnext::ResNext;
use super::transformer::{Readout, Size};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::{LoadReport, Tolerance};
use crate::imaging::pixels::Rgb8;
use crate::layers::weights::{Options, Weights};
use crate::models::error::ModelError;

/// What only training or another task needs.
const UNUSED: Tolerance = Tolerance {
    missing: &[],
    unused: &[
        "pretrained.model.norm.*",
        "pretrained.model.fc_norm.*",
        "pretrained.model.head.*",
        "pretrained.model.pre_logits.*",
        "auxlayer.*",
        "scratch.refinenet4.resConfUnit1.*",
    ],
};
/// Frames of one size that go through the network together on a card.
const TOGETHER: usize = 8;

/// Precision and place, and what no checkpoint tells.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of the weights: F32, BF16 or F16. Norms and the sum of a transformer's blocks are always F32.
    pub precision: DType,
    pub device: Device,
    /// Threads that read and cast.
    pub threads: usize,
    /// Pixels a side of the square the input is fitted to. `None`: of a DPT network that of its
    /// positions, of others the released networks' (384, small 256).
    pub side: Option<usize>,
    /// Attention heads. `None`: 64 features each, as all released networks have.
    pub heads: Option<i64>,
    /// The blocks whose tokens become maps; of DPT-Hybrid the last two count. `None`: a quarter of
    /// all blocks apart, as all released networks have them.
    pub hooks: Option<[usize; 4]>,
    /// `None`: [`Readout::Project`] where there are weights for it, else [`Readout::Ignore`].
    pub readout: Option<Readout>,
}

impl Settings {
    /// For a network of a released layout, of any size that its shapes tell.
    pub fn new(precision: DType, device: Device, threads: usize) -> Self {
        Self {
            precision,
            device,
            threads,
            side: None,
            heads: None,
            hooks: None,
            readout: None,
        }
    }
}

/// Why there is no depth.
#[derive(Debug, thiserror::Error)]
pub enum DepthError {
    /// The frame's fault; other frames are not concerned.
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Relative inverse depth: larger is nearer, without unit, scale or zero. Row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthMap {
    pub width: usize,
    pub height: usize,
    /// `height * width` numbers; the released networks give none below zero, bicubic resizing may.
    pub values: Vec<f32>,
}

impl DepthMap {
    /// The lowest and the highest value.
    pub fn range(&self) -> [f32; 2] {
        let start = [f32::INFINITY, f32::NEG_INFINITY];
        self.values
            .iter()
            .fold(start, |[low, high], &v| [low.min(v), high.max(v)])
    }
}

/// A depth network on one device.
pub struct Midas {
    kind: Kind,
    trunk: Trunk,
    decoder: Decoder,
    side: usize,
    device: Device,
}

enum Trunk {
    Dpt(Dpt),
    Hybrid(Box<Hybrid>),
    ResNext(ResNext),
    EfficientNet(EfficientNet),
}

impl Trunk {
    fn channels(&self) -> [i64; 4] {
        match self {
            Self::Dpt(trunk) => trunk.channels,
            Self::Hybrid(trunk) => trunk.channels,
            Self::ResNext(trunk) => trunk.channels(),
            Self::EfficientNet(trunk) => trunk.channels(),
        }
    }

    fn forward(&self, image: &Tensor) -> Result<Vec<Tensor>, TchError> {
        match self {
            Self::Dpt(trunk) => trunk.forward(image),
            Self::Hybrid(trunk) => trunk.forward(image),
            Self::ResNext(trunk) => trunk.forward(image),
            Self::EfficientNet(trunk) => trunk.forward(image),
        }
    }
}

/// Everything on the way to the result, for comparison with the original.
pub struct Stages {
    /// The trunk's maps `[n, channels, h, w]`, strides 4, 8, 16 and 32: `layer_1` to `layer_4`.
    pub layers: [Tensor; 4],
    /// `[n, h, w]`, f32.
    pub depth: Tensor,
}

impl Midas {
    /// Opens a checkpoint in the release's layout, in any format the vault reads.
    pub fn load(
        path: &Path,
        kind: Kind,
        settings: Settings,
    ) -> Result<(Self, LoadReport), ModelError> {
        let options = Options {
            precision: settings.precision,
            device: settings.device,
            renames: &[],
            threads: settings.threads,
        };
        let weights = Weights::open_unmapped(path, options)?;
        check(&weights, kind)?;
        let pretrained = weights.sub("pretrained");
        let (trunk, side) = match kind {
            Kind::DptLarge | Kind::DptHybrid => transformer(&pretrained, kind, settings)?,
            Kind::MidasV21 => (Trunk::ResNext(ResNext::load(&pretrained)?), kind.side()),
            Kind::MidasSmall => (
                Trunk::EfficientNet(EfficientNet::load(&pretrained)?),
                kind.side(),
            ),
        };
        let flavour = Flavour {
            rectified: kind == Kind::MidasV21,
            aligned_head: matches!(kind, Kind::DptLarge | Kind::DptHybrid),
        };
        let model = Self {
            kind,
            decoder: Decoder::load(&weights.sub("scratch"), trunk.channels(), flavour)?,
            trunk,
            side: settings.side.unwrap_or(side),
            device: settings.device,
        };
        let report = weights.finish(&UNUSED)?;
        Ok((model, report))
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Pixels a side of the square that inputs are fitted to.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Width and height of the input for a frame, or why it cannot have one. Frames for which it
    /// is the same can go through together. Costs nothing.
    pub fn input_size(&self, width: usize, height: usize) -> Result<[usize; 2], SizeError> {
        input::fit(self.kind, self.side, width, height)
    }

    /// `[1, 3, h, w]`, f32, on the model's device, channels last in memory: the frame as the
    /// original prepares it.
    pub fn input(&self, image: &Rgb8) -> Result<Tensor, DepthError> {
        let size = self.input_size(image.width, image.height)?;
        let [width, height] = size.map(|side| side as i64);
        let values = Tensor::f_from_slice(&input::pixels(self.kind, image, size))?;
        Ok(values
            .f_reshape([1, height, width, 3])?
            .f_to_device(self.device)?
            .f_permute([0, 3, 1, 2])?)
    }

    /// `batch` `[n, 3, h, w]` as [`Midas::input`] gives it → `[n, h, w]`, f32.
    ///
    /// On the CPU frames go through one after the other: each keeps to the caches, takes no more
    /// memory, and is to the bit what it is alone.
    pub fn forward(&self, batch: &Tensor) -> Result<Tensor, TchError> {
        let count = batch.size4()?.0;
        if self.device != Device::Cpu || count == 1 {
            return self.pass(batch);
        }
        let rows: Vec<Tensor> = (0..count)
            .map(|row| self.pass(&batch.f_narrow(0, row, 1)?))
            .collect::<Result<_, _>>()?;
        Tensor::f_cat(&rows, 0)
    }

    /// As [`Midas::forward`], with what lies between.
    pub fn stages(&self, batch: &Tensor) -> Result<Stages, TchError> {
        let layers = self.layers(batch)?;
        let depth = self
            .decoder
            .forward(layers.each_ref().map(Tensor::shallow_clone))?;
        Ok(Stages { layers, depth })
    }

    /// A map for each frame, of the frame's size, in their order. Frames that follow each other
    /// and have inputs of one size go through together.
    pub fn depth(&self, images: &[&Rgb8]) -> Result<Vec<DepthMap>, DepthError> {
        let mut found = Vec::with_capacity(images.len());
        let sizes = images
            .iter()
            .map(|image| self.input_size(image.width, image.height))
            .collect::<Result<Vec<_>, _>>()?;
        let mut at = 0;
        for run in sizes.chunk_by(|a, b| a == b) {
            for images in images[at..at + run.len()].chunks(TOGETHER) {
                let inputs: Vec<Tensor> = images
                    .iter()
                    .map(|image| self.input(image))
                    .collect::<Result<_, _>>()?;
                let maps = self.forward(&Tensor::f_cat(&inputs, 0)?)?;
                for (row, image) in images.iter().enumerate() {
                    found.push(enlarge(&maps.f_narrow(0, row as i64, 1)?, image)?);
                }
            }
            at += run.len();
        }
        Ok(found)
    }

    fn pass(&self, batch: &Tensor) -> Result<Tensor, TchError> {
        self.decoder.forward(self.layers(batch)?)
    }

    fn layers(&self, batch: &Tensor) -> Result<[Tensor; 4], TchError> {
        let batch = batch.f_to_device(self.device)?;
        self.trunk
            .forward(&batch)?
            .try_into()
            .map_err(|maps: Vec<Tensor>| TchError::Shape(format!("{} maps, not four", maps.len())))
    }
}

/// `map` `[1, h, w]` at the frame's size: bicubic, corners not aligned, as `run.py` does it.
pub fn enlarge(map: &Tensor, image: &Rgb8) -> Result<DepthMap, TchError> {
    let (_, height, width) = map.size3()?;
    let values = Vec::<f32>::try_from(map.f_to_device(Device::Cpu)?.f_reshape([-1])?)?;
    let from = [width as usize, height as usize];
    Ok(DepthMap {
        width: image.width,
        height: image.height,
        values: cubic::resize(&values, from, [image.width, image.height])?,
    })
}

/// A trunk with a transformer, and the side of the square its positions are for.
fn transformer(
    weights: &Weights,
    kind: Kind,
    settings: Settings,
) -> Result<(Trunk, usize), ModelError> {
    let model = weights.sub("model");
    let wrong = |what: String| ModelError::Unfit(format!("{}: {what}", weights.path().display()));
    let size = Size::found(&model, settings.heads).map_err(wrong)?;
    let depth = size.depth as usize;
    let quarters = std::array::from_fn(|i| ((i + 1) * depth / 4).max(1) - 1);
    let hooks = settings.hooks.unwrap_or(quarters);
    let counted = match kind {
        Kind::DptHybrid => &hooks[2..],
        _ => &hooks[..],
    };
    if counted.iter().any(|&hook| hook >= depth) || !counted.is_sorted() {
        return Err(wrong(format!("hooks {hooks:?} in {depth} blocks")));
    }
    let projects = weights.contains("act_postprocess4.0.project.0.weight");
    let usual = match projects {
        true => Readout::Project,
        false => Readout::Ignore,
    };
    let readout = settings.readout.unwrap_or(usual);
    let trunk = match kind {
        Kind::DptHybrid => {
            let hooks = [hooks[2], hooks[3]];
            Trunk::Hybrid(Box::new(Hybrid::load(weights, size, readout, hooks)?))
        }
        _ => Trunk::Dpt(Dpt::load(weights, size, readout, hooks)?),
    };
    Ok((trunk, (size.side * PATCH) as usize))
}

/// Told here, a wrong file is one clear sentence instead of hundreds of tensors.
fn check(weights: &Weights, kind: Kind) -> Result<(), ModelError> {
    let place = weights.path().display();
    match Kind::of(weights) {
        Some(found) if found == kind => Ok(()),
        Some(found) => Err(ModelError::Unfit(format!(
            "{place}: a checkpoint of {found}, not of {kind}"
        ))),
        None => {
            let some: Vec<&str> = weights.names().take(3).collect();
            Err(ModelError::Unfit(format!(
                "{place}: not a checkpoint of {kind}, which has `pretrained.*` and \
                 `scratch.layer1_rn.weight`; it begins with {some:?}"
            )))
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
