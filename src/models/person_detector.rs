//! People in a photo: the detectors behind one interface.

use std::path::Path;

use tch::{Device, TchError};

use super::error::ModelError;
use super::regnety::{self, RegNetY};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::LoadReport;
use crate::imaging::pixels::Rgb8;
use crate::layers::detection::heads::{Choice, Detection};
use crate::layers::weights::{Options, Weights};

/// COCO's number of "person" among the detectors' classes.
pub const PERSON: usize = 0;

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RegNetY-4GF Mask R-CNN: the light one.
    RegNetY,
}

impl Kind {
    /// The thresholds of 4D-Humans' demo (`demo.py`, 6ec7965).
    pub fn choice(self) -> Choice {
        match self {
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
    /// Threads that read and cast weights, and pool regions.
    pub threads: usize,
}

/// A detector, loaded.
pub struct PersonDetector {
    network: Network,
    kind: Kind,
    threads: usize,
}

enum Network {
    RegNetY(RegNetY),
}

impl PersonDetector {
    /// Loads the detectron2 checkpoint at `path`; its sizes are those of its tensors.
    pub fn open(
        kind: Kind,
        path: &Path,
        settings: Settings,
    ) -> Result<(Self, LoadReport), ModelError> {
        let options = Options {
            precision: settings.precision,
            device: settings.device,
            renames: &[],
            threads: settings.threads,
        };
        let weights = Weights::open_unmapped(path, options)?;
        check(kind, &weights)?;
        let (network, tolerance) = match kind {
            Kind::RegNetY => (
                Network::RegNetY(RegNetY::load(&weights)?),
                &regnety::TOLERANCE,
            ),
        };
        let report = weights.finish(tolerance)?;
        let detector = Self {
            network,
            kind,
            threads: settings.threads,
        };
        Ok((detector, report))
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The people in `image`, in its pixels, best first; nobody is an empty list.
    pub fn detect(&self, image: &Rgb8, choice: &Choice) -> Result<Vec<Detection>, TchError> {
        let mut found = match &self.network {
            Network::RegNetY(net) => net.detect(image, choice, self.threads)?,
        };
        found.retain(|d| d.class == PERSON && d.score > choice.person);
        Ok(found)
    }
}

/// Told here, a wrong file is one clear sentence instead of hundreds of tensors.
fn check(kind: Kind, weights: &Weights) -> Result<(), ModelError> {
    let (name, mark) = match kind {
        Kind::RegNetY => ("RegNetY Mask R-CNN", "backbone.bottom_up.stem.conv.weight"),
    };
    if weights.contains(mark) {
        return Ok(());
    }
    let some: Vec<&str> = weights.names().take(3).collect();
    Err(ModelError::Unfit(format!(
        "{}: not a checkpoint of {name}, which has `{mark}`; it begins with {some:?}",
        weights.path().display()
    )))
}
