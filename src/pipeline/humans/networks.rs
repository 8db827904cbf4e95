//! The networks at the desks: tensors in from plain memory, plain memory out.

use std::sync::{Arc, OnceLock};

use tch::{Device, Kind, TchError, Tensor};

use super::post::Network;
use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;
use crate::layers::detection::heads::Choice;
use crate::models::hmr2::config::{Config, SIDE};
use crate::models::hmr2::model::Hmr2;
use crate::models::person_detector::PersonDetector;
use crate::models::smpl::VERTICES;
use crate::models::smpl::rest::Rest;
use crate::models::vitpose::crop::Region;
use crate::models::vitpose::model::{Keypoints, VitPose, batch};

/// Finds people in whole images.
pub struct Finder {
    pub detector: PersonDetector,
    pub choice: Choice,
}

/// Somebody a detector believes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundBox {
    pub bbox: BBox,
    pub score: f32,
}

impl Network for Finder {
    type Item = Arc<Rgb8>;
    type Outcome = Vec<FoundBox>;

    fn run(&self, images: &[Arc<Rgb8>]) -> Result<Vec<Vec<FoundBox>>, TchError> {
        let find = |image: &Arc<Rgb8>| {
            let found = self.detector.detect(image, &self.choice)?;
            let place = |d: &crate::layers::detection::heads::Detection| {
                let [x1, y1, x2, y2] = d.bounds;
                FoundBox {
                    bbox: BBox::new(x1, y1, x2, y2),
                    score: d.score,
                }
            };
            Ok(found.iter().map(place).collect())
        };
        images.iter().map(find).collect()
    }
}

/// A person's crop on its way to HMR2.
pub struct BodyCrop {
    /// `[3, size, columns]`, normalised RGB: the columns that the trunk sees.
    pub pixels: Vec<f32>,
    /// Whether the vertices are wanted.
    pub mesh: bool,
}

/// What HMR2 makes of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyFound {
    /// `smplx45`, metres around SMPL's origin, in the camera's axes.
    pub joints45: Vec<[f32; 3]>,
    /// `hmr44`, likewise; 25 where no regressor is there.
    pub joints44: Vec<[f32; 3]>,
    /// `[24, 3, 3]`
    pub rotations: Vec<f32>,
    pub betas: [f32; 10],
    /// Scale and offset in the crop.
    pub camera: [f32; 3],
    /// `[6890, 3]`
    pub vertices: Option<Vec<f32>>,
}

/// What there is to know of HMR2 without asking its owner; set when it is loaded.
#[derive(Default)]
pub struct BodyFacts {
    pub config: OnceLock<Config>,
    /// The body before it is posed.
    pub rest: OnceLock<Rest>,
    /// Joints of `hmr44` that are there.
    pub joints: OnceLock<usize>,
}

/// HMR2 with its body.
pub struct Bodies {
    model: Hmr2,
    device: Device,
}

impl Bodies {
    pub fn new(model: Hmr2, device: Device, facts: &BodyFacts) -> Self {
        facts.config.get_or_init(|| model.config().clone());
        facts.rest.get_or_init(|| model.body().rest().clone());
        let joints = model.body().hmr_joint_count();
        facts
            .joints
            .get_or_init(|| usize::try_from(joints).unwrap_or(0));
        Self { model, device }
    }
}

impl Network for Bodies {
    type Item = BodyCrop;
    type Outcome = BodyFound;

    fn run(&self, crops: &[BodyCrop]) -> Result<Vec<BodyFound>, TchError> {
        let size = self.model.config().image_size;
        let pixels: Vec<f32> = crops
            .iter()
            .flat_map(|c| c.pixels.iter().copied())
            .collect();
        let input = Tensor::f_from_slice(&pixels)?
            .f_reshape([-1, 3, size, size - 2 * SIDE])?
            .f_to_device(self.device)?;
        drop(pixels);
        let people = self.model.forward_seen(&input)?;
        let joints45 = here(&people.joints45)?;
        let joints44 = here(&people.joints)?;
        let rotations = here(&people.parameters.rotations)?;
        let betas = here(&people.parameters.betas)?;
        let camera = here(&people.parameters.camera)?;
        let vertices = match crops.iter().any(|crop| crop.mesh) {
            true => Some(here(&people.vertices)?),
            false => None,
        };
        let person = |(at, crop): (usize, &BodyCrop)| {
            let vertices = match &vertices {
                Some(all) if crop.mesh => Some(row(all, at, 3 * VERTICES)?),
                _ => None,
            };
            Ok(BodyFound {
                joints45: triples(&row(&joints45, at, 3 * 45)?),
                joints44: triples(&row(
                    &joints44,
                    at,
                    joints44.numel() as i64 / input.size4()?.0,
                )?),
                rotations: row(&rotations, at, 24 * 9)?,
                betas: fixed(row(&betas, at, 10)?)?,
                camera: fixed(row(&camera, at, 3)?)?,
                vertices,
            })
        };
        crops.iter().enumerate().map(person).collect()
    }
}

/// On the CPU, contiguous, single precision.
fn here(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor
        .f_to_device(Device::Cpu)?
        .f_to_dtype(Kind::Float, false, false)?
        .f_contiguous()
}

/// Row `at` of a batch, `length` numbers.
fn row(batch: &Tensor, at: usize, length: i64) -> Result<Vec<f32>, TchError> {
    let flat = batch.f_select(0, at as i64)?.f_reshape([length])?;
    Vec::<f32>::try_from(flat)
}

fn triples(flat: &[f32]) -> Vec<[f32; 3]> {
    flat.as_chunks::<3>().0.to_vec()
}

fn fixed<const N: usize>(numbers: Vec<f32>) -> Result<[f32; N], TchError> {
    let count = numbers.len();
    numbers
        .try_into()
        .map_err(|_| TchError::Shape(format!("{count} numbers where {N} belong")))
}

/// A person's crop on its way to ViTPose.
pub struct PointsCrop {
    /// `[3, 256, 192]`, normalised RGB.
    pub pixels: Vec<f32>,
    pub region: Region,
}

impl Network for VitPose {
    type Item = PointsCrop;
    type Outcome = Keypoints;

    fn run(&self, crops: &[PointsCrop]) -> Result<Vec<Keypoints>, TchError> {
        let pixels: Vec<f32> = crops
            .iter()
            .flat_map(|c| c.pixels.iter().copied())
            .collect();
        let regions: Vec<Region> = crops.iter().map(|crop| crop.region).collect();
        let maps = self.heat_maps(&batch(&pixels)?)?;
        self.keypoints(&maps, &regions)
    }
}
