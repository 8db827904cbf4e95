//! A network loaded for measuring, and its stages run.

use std::hint::black_box;

use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::open;
use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;
use crate::layers::detection::heads::Choice;
use crate::models::error::ModelError;
use crate::models::hmr2::config::SIDE;
use crate::models::hmr2::crop::{Cropper, Square};
use crate::models::hmr2::model::{self as hmr2, Hmr2};
use crate::models::person_detector::{self as detector, PersonDetector};
use crate::models::smpl::body;
use crate::models::vitpose::crop::Region;
use crate::models::vitpose::model::{self as vitpose, VitPose};
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT, MODEL_FILE};
use crate::pipeline::plan::sizes::{self, ModelSize};

use super::rates::{self, Product};
use super::request::{Network, Stage};
use super::work::Shapes;

/// The files of one network.
pub(super) struct Source<'a> {
    pub network: Network,
    pub path: &'a std::path::Path,
    pub config: Option<&'a std::path::Path>,
    pub body: body::Files<'a>,
    pub precision: DType,
    pub device: Device,
    pub threads: usize,
}

pub(super) struct Loaded {
    network: Net,
    shapes: Shapes,
    pub precision: DType,
    pub device: Device,
    pub weight_bytes: u64,
}

enum Net {
    Detector(Box<PersonDetector>, Choice),
    Hmr2(Box<Hmr2>),
    VitPose(Box<VitPose>),
}

/// GFLOP of a pass, and a pass; a detector's tells how many people it found.
type Prepared<'a> = (
    f64,
    Box<dyn FnMut() -> Result<Option<usize>, TchError> + 'a>,
);

fn unfit(error: impl std::fmt::Display) -> EngineError {
    EngineError::new(MODEL_FILE, error.to_string())
}

impl Loaded {
    pub fn open(source: &Source) -> Result<Self, EngineError> {
        let checkpoint = open::open(source.path).map_err(unfit)?;
        let network = match source.network {
            Network::VitDet => sizes::Network::VitDet,
            Network::RegNetY => sizes::Network::RegNetY,
            Network::Hmr2 => sizes::Network::Hmr2,
            Network::VitPose => sizes::Network::VitPose,
        };
        let weight_bytes = ModelSize::of(network, &checkpoint).bytes(source.precision);
        Ok(Self {
            shapes: Shapes::of(&checkpoint),
            weight_bytes,
            network: net(source).map_err(unfit)?,
            precision: source.precision,
            device: source.device,
        })
    }

    /// The matrix products whose rate the machine is measured with.
    pub fn products(&self, batch: usize) -> Vec<Product> {
        match &self.network {
            Net::Detector(detector, _) if detector.kind() == detector::Kind::RegNetY => {
                self.shapes.regnety_products()
            }
            Net::Detector(..) => self.shapes.vitdet_products(),
            Net::Hmr2(_) => self.shapes.person_products(batch),
            // With the mirror image.
            Net::VitPose(_) => self.shapes.person_products(2 * batch),
        }
    }

    /// `stage`, ready to be run on `batch` people.
    pub fn stage<'a>(
        &'a self,
        stage: Stage,
        batch: usize,
        image: &'a Rgb8,
        person: BBox,
    ) -> Result<Prepared<'a>, EngineError> {
        let people = batch.max(1);
        let scale = people as f64;
        match (&self.network, stage) {
            (Net::Detector(detector, choice), Stage::Detect) => {
                let gflop = if detector.kind() == detector::Kind::RegNetY {
                    self.shapes.regnety(padded_pixels(image))
                } else {
                    self.shapes.vitdet()
                };
                let run = move || Ok(Some(detector.detect(image, choice)?.len()));
                Ok((gflop, Box::new(run)))
            }
            (Net::Hmr2(model), Stage::Crop) => {
                let config = model.config();
                let (side, size) = (SIDE as usize, config.image_size as usize);
                let cropper = Cropper::new(config, side..size.saturating_sub(side));
                let square = Square::around(person, config.box_shape)
                    .map_err(|e| EngineError::new(INVALID_ARGUMENT, e.to_string()))?;
                let mut out = vec![0.0; cropper.len()];
                let run = move || {
                    let done = cropper.crop(image, square, &mut out);
                    black_box(&out);
                    done.map_err(|e| TchError::Shape(e.to_string()))?;
                    Ok(None)
                };
                Ok((0.0, Box::new(run)))
            }
            (Net::Hmr2(model), _) => self.hmr2(model, stage, people),
            (Net::VitPose(model), Stage::VitPose) => {
                let region = Region::around(person)
                    .map_err(|e| EngineError::new(INVALID_ARGUMENT, e.to_string()))?;
                let regions = vec![region; people];
                let crops = model.crops(image, &regions).map_err(unfit)?;
                let crops = vitpose::batch(&crops).map_err(torch)?;
                let run = move || {
                    let maps = model.heat_maps(&crops)?;
                    black_box(model.keypoints(&maps, &regions)?);
                    Ok(None)
                };
                Ok((2.0 * scale * self.shapes.vitpose(), Box::new(run)))
            }
            _ => Err(EngineError::new(
                INVALID_ARGUMENT,
                format!("{stage:?} is no stage of the network that is loaded"),
            )),
        }
    }

    fn hmr2<'a>(
        &'a self,
        model: &'a Hmr2,
        stage: Stage,
        people: usize,
    ) -> Result<Prepared<'a>, EngineError> {
        let (work, scale) = (self.shapes.hmr2(), people as f64);
        let size = model.config().image_size;
        let shape = [people as i64, 3, size, size - 2 * SIDE];
        let crops = Tensor::f_randn(shape, (Kind::Float, Device::Cpu))
            .and_then(|crops| crops.f_to_device(self.device))
            .map_err(torch)?;
        let device = self.device;
        let done = move |result: Result<(), TchError>| {
            rates::finish(device);
            result.map(|()| None)
        };
        Ok(match stage {
            Stage::Hmr2 => (
                scale * work.whole(),
                Box::new(move || done(model.forward_seen(&crops).map(drop))),
            ),
            Stage::Hmr2Trunk => (
                scale * work.trunk,
                Box::new(move || done(model.features(&crops).map(drop))),
            ),
            Stage::Hmr2Head => {
                let features = model.features(&crops).map_err(torch)?;
                (
                    scale * (work.head + work.body),
                    Box::new(move || {
                        done(features.f_alias().and_then(|f| model.people(f)).map(drop))
                    }),
                )
            }
            Stage::Smpl => {
                let people = model.forward_seen(&crops).map_err(torch)?;
                (
                    scale * work.body,
                    Box::new(move || {
                        let parameters = &people.parameters;
                        let (betas, rotations) = (&parameters.betas, &parameters.rotations);
                        done(model.body().pose(betas, rotations).map(drop))
                    }),
                )
            }
            other => {
                let message = format!("{other:?} is no stage of HMR2");
                return Err(EngineError::new(INVALID_ARGUMENT, message));
            }
        })
    }
}

fn torch(error: TchError) -> EngineError {
    EngineError::new(
        crate::pipeline::error::INTERNAL,
        format!("libtorch: {error}"),
    )
}

fn net(source: &Source) -> Result<Net, ModelError> {
    let Source {
        precision,
        device,
        threads,
        ..
    } = *source;
    let detector = |kind: detector::Kind| {
        let settings = detector::Settings {
            precision,
            device,
            threads,
        };
        let (detector, _) = PersonDetector::open(kind, source.path, settings)?;
        Ok(Net::Detector(Box::new(detector), kind.choice()))
    };
    match source.network {
        Network::VitDet => detector(detector::Kind::VitDet),
        Network::RegNetY => detector(detector::Kind::RegNetY),
        Network::VitPose => {
            let settings = vitpose::Settings {
                precision,
                device,
                threads,
            };
            let (model, _) = VitPose::open(source.path, settings)?;
            Ok(Net::VitPose(Box::new(model)))
        }
        Network::Hmr2 => {
            let config = source
                .config
                .ok_or_else(|| ModelError::Unfit("HMR2 needs its model_config.yaml".to_owned()))?;
            let files = hmr2::Files {
                checkpoint: source.path,
                config,
                mean_params: None,
                body: source.body,
            };
            let settings = hmr2::Settings {
                precision,
                device,
                threads,
            };
            let (model, _) = Hmr2::open(files, settings)?;
            Ok(Net::Hmr2(Box::new(model)))
        }
    }
}

/// Pixels of RegNetY's input for `image`: short side 800, long side at most 1333, filled up to
/// multiples of 32.
fn padded_pixels(image: &Rgb8) -> usize {
    use crate::layers::detection::input::fit;
    use crate::models::regnety::{LONG_SIDE, SHORT_SIDE};
    let (width, height) = fit(image.width, image.height, SHORT_SIDE, LONG_SIDE);
    width.next_multiple_of(32) * height.next_multiple_of(32)
}
