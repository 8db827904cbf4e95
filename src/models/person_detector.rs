//! People in a photo: the detectors behind one interface.

use std::path::Path;

use tch::{Device, TchError};

use super::error::ModelError;
use super::regnety::{self, RegNetY};
use super::vitdet::model::{self as vitdet, VitDet};
use super::vitdet::trunk::Size;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::LoadReport;
use crate::imaging::pixels::Rgb8;
use crate::layers::detection::finish::{Seen, finish};
use crate::layers::detection::heads::{Choice, Detection};
use crate::layers::weights::{Options, Weights};

/// COCO's number of "person" among the detectors' classes.
pub const PERSON: usize = 0;

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// ViTDet-H Cascade Mask R-CNN: the one 4D-Humans uses unless told otherwise.
    VitDet,
    /// RegNetY-4GF Mask R-CNN: the light one.
    RegNetY,
}

impl Kind {
    /// The thresholds of 4D-Humans' demo (`demo.py`, 6ec7965).
    pub fn choice(self) -> Choice {
        match self {
            Self::VitDet => vitdet::CHOICE,
            Self::RegNetY => regnety::CHOICE,
        }
    }

    /// The thresholds of PHALP's tracker (`phalp/trackers/PHALP.py` and `configs/base.py`, 96f7e6c).
    pub fn phalp_choice(self) -> Choice {
        Choice {
            score: 0.5,
            person: 0.8,
            ..self.choice()
        }
    }
}

/// Precision and place.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of the weights and features: F32, BF16 or F16. Boxes and scores are always F32.
    pub precision: DType,
    pub device: Device,
    /// Threads that read and cast weights; the rest runs on as many as libtorch is told to use.
    pub threads: usize,
}

/// Stages' names and seconds.
pub type Laps = Vec<(&'static str, f64)>;

/// A detector, loaded.
pub struct PersonDetector {
    network: Network,
    kind: Kind,
}

enum Network {
    VitDet(Box<VitDet>),
    RegNetY(Box<RegNetY>),
}

impl PersonDetector {
    /// Loads the detectron2 checkpoint at `path`; its sizes are those of its tensors.
    pub fn open(
        kind: Kind,
        path: &Path,
        settings: Settings,
    ) -> Result<(Self, LoadReport), ModelError> {
        Self::load(kind, path, settings, false)
    }

    /// As [`PersonDetector::open`], with the mask head.
    pub fn open_with_masks(
        kind: Kind,
        path: &Path,
        settings: Settings,
    ) -> Result<(Self, LoadReport), ModelError> {
        Self::load(kind, path, settings, true)
    }

    fn load(
        kind: Kind,
        path: &Path,
        settings: Settings,
        masks: bool,
    ) -> Result<(Self, LoadReport), ModelError> {
        let options = Options {
            precision: settings.precision,
            device: settings.device,
            renames: &[],
            threads: settings.threads,
        };
        let weights = Weights::open_unmapped(path, options)?;
        let (network, tolerance) = match kind {
            Kind::VitDet => {
                let size = Size::found(&weights.sub("backbone.net"));
                let size = size.ok_or_else(|| {
                    unfit(&weights, "ViTDet", "backbone.net.blocks.0.attn.rel_pos_h")
                })?;
                (
                    Network::VitDet(Box::new(VitDet::load(&weights, size, masks)?)),
                    &vitdet::TOLERANCE,
                )
            }
            Kind::RegNetY if !weights.contains(STEM) => {
                return Err(unfit(&weights, "RegNetY Mask R-CNN", STEM));
            }
            Kind::RegNetY => (
                Network::RegNetY(Box::new(RegNetY::load(&weights, masks)?)),
                &regnety::TOLERANCE,
            ),
        };
        let report = weights.finish(tolerance)?;
        let detector = Self { network, kind };
        Ok((detector, report))
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The people in `image`, in its pixels, best first; nobody is an empty list.
    pub fn detect(&self, image: &Rgb8, choice: &Choice) -> Result<Vec<Detection>, TchError> {
        self.detect_resized(&self.resized(image), image, choice)
    }

    /// As [`PersonDetector::detect`], with each person's mask where the detector was opened with
    /// [`PersonDetector::open_with_masks`].
    pub fn detect_with_masks(&self, image: &Rgb8, choice: &Choice) -> Result<Vec<Seen>, TchError> {
        Ok(self.look(&self.resized(image), image, choice, true)?.0)
    }

    /// As [`PersonDetector::detect`], from `image` and what it is in the network's size.
    pub fn detect_resized(
        &self,
        resized: &Rgb8,
        image: &Rgb8,
        choice: &Choice,
    ) -> Result<Vec<Detection>, TchError> {
        Ok(self.detect_timed(resized, image, choice)?.0)
    }

    /// As [`PersonDetector::detect_resized`], with the seconds each stage took.
    pub fn detect_timed(
        &self,
        resized: &Rgb8,
        image: &Rgb8,
        choice: &Choice,
    ) -> Result<(Vec<Detection>, Laps), TchError> {
        let (seen, laps) = self.look(resized, image, choice, false)?;
        Ok((seen.into_iter().map(|s| s.detection).collect(), laps))
    }

    /// `image` in the network's size: needs no network, and so may be done ahead on another thread.
    pub fn resized(&self, image: &Rgb8) -> Rgb8 {
        match &self.network {
            Network::VitDet(net) => net.resized(image),
            Network::RegNetY(net) => net.resized(image),
        }
    }

    fn look(
        &self,
        resized: &Rgb8,
        image: &Rgb8,
        choice: &Choice,
        masks: bool,
    ) -> Result<(Vec<Seen>, Laps), TchError> {
        let people = |found: &[Detection]| -> Vec<Detection> {
            let person = |d: &&Detection| d.class == PERSON && d.score > choice.person;
            found.iter().filter(person).copied().collect()
        };
        match &self.network {
            Network::VitDet(net) => {
                let stages = net.stages(resized, choice)?;
                let masks = net.masks(&stages).filter(|_| masks);
                let seen = finish(&people(&stages.detections), resized, image, masks)?;
                Ok((seen, stages.laps))
            }
            Network::RegNetY(net) => {
                let stages = net.stages(resized, choice)?;
                let masks = net.masks(&stages).filter(|_| masks);
                let seen = finish(&people(&stages.detections), resized, image, masks)?;
                Ok((seen, stages.laps))
            }
        }
    }
}

/// What every RegNet of detectron2 begins with.
const STEM: &str = "backbone.bottom_up.stem.conv.weight";

/// Told here, a wrong file is one clear sentence instead of hundreds of tensors.
fn unfit(weights: &Weights, name: &str, mark: &str) -> ModelError {
    let some: Vec<&str> = weights.names().take(3).collect();
    ModelError::Unfit(format!(
        "{}: not a checkpoint of {name}, which has `{mark}`; it begins with {some:?}",
        weights.path().display()
    ))
}

#[cfg(test)]
#[path = "person_detector_tests.rs"]
mod tests;
