//! The networks at the desks: tensors in from plain memory, plain memory out.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::post::Network;
use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;
use crate::layers::detection::heads::{Choice, Detection};
use crate::layers::detection::mask::Mask;
use crate::models::hmr2::config::{Config, SIDE};
use crate::models::hmr2::model::Hmr2;
use crate::models::person_detector::PersonDetector;
use crate::models::smpl::VERTICES;
use crate::models::smpl::rest::Rest;
use crate::models::vitpose::crop::Region;
use crate::models::vitpose::model::{Keypoints, VitPose, batch};
use crate::tracking::stored::StoredBox;

/// Finds people in whole images.
pub struct Finder {
    pub detector: PersonDetector,
    pub choice: Choice,
    /// Whether it tells which pixels are a person's; the detector has its mask head then.
    pub masks: bool,
}

/// Somebody a detector believes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundBox {
    #[serde(with = "StoredBox")]
    pub bbox: BBox,
    pub score: f32,
    /// The person's pixels, where they were asked for.
    pub mask: Option<Mask>,
}

impl Network for Finder {
    type Item = Arc<Rgb8>;
    type Outcome = Vec<FoundBox>;

    fn run(&self, images: &[Arc<Rgb8>]) -> Result<Vec<Vec<FoundBox>>, TchError> {
        let find = |image: &Arc<Rgb8>| {
            let place = |found: &Detection, mask: Option<Mask>| {
                let [x1, y1, x2, y2] = found.bounds;
                FoundBox {
                    bbox: BBox::new(x1, y1, x2, y2),
                    score: found.score,
                    mask,
                }
            };
            if self.masks {
                let found = self.detector.detect_with_masks(image, &self.choice)?;
                let found = found.into_iter();
                return Ok(found
                    .map(|seen| place(&seen.detection, seen.mask))
                    .collect());
            }
            let found = self.detector.detect(image, &self.choice)?;
            Ok(found.iter().map(|found| place(found, None)).collect())
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

/// A body whose parameters are known.
pub struct Posing {
    /// `[24, 3, 3]`
    pub rotations: Vec<f32>,
    pub betas: [f32; 10],
    /// Whether the vertices are wanted.
    pub mesh: bool,
}

/// What HMR2's owner does for others.
pub enum BodyWork {
    Crop(BodyCrop),
    Pose(Posing),
}

impl BodyWork {
    fn crop(&self) -> Option<&BodyCrop> {
        match self {
            Self::Crop(crop) => Some(crop),
            Self::Pose(_) => None,
        }
    }

    fn posing(&self) -> Option<&Posing> {
        match self {
            Self::Pose(posing) => Some(posing),
            Self::Crop(_) => None,
        }
    }
}

/// What HMR2 makes of a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredBody")]
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

/// As it is stored: lists that may be of any length.
#[derive(Deserialize)]
struct StoredBody {
    joints45: Vec<[f32; 3]>,
    joints44: Vec<[f32; 3]>,
    rotations: Vec<f32>,
    betas: [f32; 10],
    camera: [f32; 3],
    vertices: Option<Vec<f32>>,
}

impl TryFrom<StoredBody> for BodyFound {
    type Error = &'static str;

    fn try_from(stored: StoredBody) -> Result<Self, Self::Error> {
        let StoredBody {
            joints45,
            joints44,
            rotations,
            betas,
            camera,
            vertices,
        } = stored;
        let most = usize::try_from(VERTICES).unwrap_or(0) * 3;
        let whole = (joints45.len(), rotations.len()) == (45, 24 * 9)
            && joints44.len() <= 44
            && vertices.as_ref().is_none_or(|v| v.len() == most);
        let body = Self {
            joints45,
            joints44,
            rotations,
            betas,
            camera,
            vertices,
        };
        whole.then_some(body).ok_or("a body of another make")
    }
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
    type Item = BodyWork;
    type Outcome = BodyFound;

    fn run(&self, work: &[BodyWork]) -> Result<Vec<BodyFound>, TchError> {
        let crops: Vec<&BodyCrop> = work.iter().filter_map(BodyWork::crop).collect();
        let posings: Vec<&Posing> = work.iter().filter_map(BodyWork::posing).collect();
        let mut seen = self.see(&crops)?.into_iter();
        let mut posed = self.pose(&posings)?.into_iter();
        let next = |work: &BodyWork| match work {
            BodyWork::Crop(_) => seen.next(),
            BodyWork::Pose(_) => posed.next(),
        };
        Ok(work.iter().filter_map(next).collect())
    }
}

/// What a batch of bodies is read from; on any device.
struct Batch<'a> {
    vertices: &'a Tensor,
    joints45: &'a Tensor,
    joints44: &'a Tensor,
    rotations: &'a Tensor,
    betas: &'a Tensor,
    camera: &'a Tensor,
}

impl Bodies {
    fn see(&self, crops: &[&BodyCrop]) -> Result<Vec<BodyFound>, TchError> {
        if crops.is_empty() {
            return Ok(Vec::new());
        }
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
        let batch = Batch {
            vertices: &people.vertices,
            joints45: &people.joints45,
            joints44: &people.joints,
            rotations: &people.parameters.rotations,
            betas: &people.parameters.betas,
            camera: &people.parameters.camera,
        };
        let meshes: Vec<bool> = crops.iter().map(|crop| crop.mesh).collect();
        batch.read(&meshes)
    }

    fn pose(&self, posings: &[&Posing]) -> Result<Vec<BodyFound>, TchError> {
        if posings.is_empty() {
            return Ok(Vec::new());
        }
        let count = posings.len() as i64;
        let all = |part: fn(&Posing) -> &[f32], shape: &[i64]| {
            let flat: Vec<f32> = posings.iter().flat_map(|p| part(p)).copied().collect();
            Tensor::f_from_slice(&flat)?
                .f_reshape(shape)?
                .f_to_device(self.device)
        };
        let rotations = all(|p| &p.rotations, &[count, 24, 3, 3])?;
        let betas = all(|p| &p.betas, &[count, 10])?;
        let body = self.model.body();
        let posed = body.pose(&betas, &rotations)?;
        let joints = body.hmr_joints(&posed, self.model.config().update_hips)?;
        let batch = Batch {
            vertices: &posed.vertices,
            joints45: &posed.joints45,
            joints44: &joints,
            rotations: &rotations,
            betas: &betas,
            camera: &Tensor::f_zeros([count, 3], (Kind::Float, self.device))?,
        };
        let meshes: Vec<bool> = posings.iter().map(|posing| posing.mesh).collect();
        batch.read(&meshes)
    }
}

impl Batch<'_> {
    /// One body per row, with its mesh where that is wanted.
    fn read(&self, meshes: &[bool]) -> Result<Vec<BodyFound>, TchError> {
        let joints45 = here(self.joints45)?;
        let joints44 = here(self.joints44)?;
        let rotations = here(self.rotations)?;
        let betas = here(self.betas)?;
        let camera = here(self.camera)?;
        let vertices = match meshes.contains(&true) {
            true => Some(here(self.vertices)?),
            false => None,
        };
        let rows = meshes.len().max(1) as i64;
        let person = |(at, mesh): (usize, &bool)| {
            let vertices = match &vertices {
                Some(all) if *mesh => Some(row(all, at, 3 * VERTICES)?),
                _ => None,
            };
            let joints = row(&joints44, at, joints44.numel() as i64 / rows)?;
            Ok(BodyFound {
                joints45: triples(&row(&joints45, at, 3 * 45)?),
                joints44: triples(&joints),
                rotations: row(&rotations, at, 24 * 9)?,
                betas: fixed(row(&betas, at, 10)?)?,
                camera: fixed(row(&camera, at, 3)?)?,
                vertices,
            })
        };
        meshes.iter().enumerate().map(person).collect()
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
