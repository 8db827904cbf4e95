//! The whole network: crops in, bodies and cameras out.

use std::path::Path;

use tch::{Device, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::{LoadReport, Tolerance};
use crate::layers::weights::{Options, Weights};
use crate::models::error::ModelError;
use crate::models::hmr2::config::{Config, SIDE};
use crate::models::hmr2::head::{Head, Parameters};
use crate::models::smpl::body::{self, Body};
use crate::models::vit::{Trunk, TrunkSize};

/// Parts of a checkpoint that only training needs.
const UNUSED: Tolerance = Tolerance {
    missing: &[],
    unused: &["initialized", "discriminator.*", "smpl.*"],
};

/// The files of a model.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub checkpoint: &'a Path,
    /// `model_config.yaml`
    pub config: &'a Path,
    /// `smpl_mean_params.npz`; a checkpoint usually holds its own.
    pub mean_params: Option<&'a Path>,
    pub body: body::Files<'a>,
}

/// Precision and place.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of the trunk's and the decoder's weights: F32, BF16 or F16. Norms, what is read off, and
    /// the body are always F32.
    pub precision: DType,
    pub device: Device,
    /// Threads that read and cast.
    pub threads: usize,
}

/// HMR2 with its SMPL body on one device.
pub struct Hmr2 {
    config: Config,
    trunk: Trunk,
    head: Head,
    body: Body,
}

/// A batch of people; all f32, on the model's device.
pub struct People {
    /// `[batch, tokens, width]`: the trunk's, row by row of the crop.
    pub features: Tensor,
    pub parameters: Parameters,
    /// `[batch, 6890, 3]` metres, around SMPL's origin, in the camera's axes.
    pub vertices: Tensor,
    /// `[batch, 45, 3]`: `smplx45`, whose first 24 are `smpl24`.
    pub joints45: Tensor,
    /// `[batch, 44, 3]`: `hmr44`, whose first 25 are `openpose25`; 25 where no regressor is given.
    pub joints: Tensor,
    /// `[batch, 3]` metres: where the body stands before the camera of the crop.
    pub camera_translation: Tensor,
    /// `[batch, 44, 2]`: the joints in the crop, 0 at its middle, ±0.5 at its edges.
    pub points: Tensor,
}

impl Hmr2 {
    pub fn open(files: Files, settings: Settings) -> Result<(Self, LoadReport), ModelError> {
        let config = Config::open(files.config)?;
        let options = Options {
            precision: settings.precision,
            device: settings.device,
            renames: &[],
            threads: settings.threads,
        };
        let weights = Weights::open_unmapped(files.checkpoint, options)?;
        check_trunk(&weights, &config, files.config)?;
        let single = Options {
            precision: DType::F32,
            ..options
        };
        let open = |path| Weights::open(path, single);
        let means = files.mean_params.map(open).transpose()?;
        let model = Self {
            trunk: Trunk::load(&weights.sub("backbone"), config.trunk, tokens(&config))?,
            head: Head::load(&weights.sub("smpl_head"), &config, means.as_ref())?,
            body: Body::load(Some(&weights.sub("smpl")), files.body, settings.device)?,
            config,
        };
        let report = weights.finish(&UNUSED)?;
        Ok((model, report))
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn body(&self) -> &Body {
        &self.body
    }

    /// `crops` is `[batch, 3, size, size]`, normalised RGB.
    pub fn forward(&self, crops: &Tensor) -> Result<People, TchError> {
        let seen = self.config.image_size - 2 * SIDE;
        self.forward_seen(&crops.f_narrow(3, SIDE, seen)?)
    }

    /// As [`Hmr2::forward`], of crops without the columns that the trunk does not see.
    pub fn forward_seen(&self, crops: &Tensor) -> Result<People, TchError> {
        self.people(self.features(crops)?)
    }

    /// The trunk's features, `[batch, tokens, width]`, of crops as the trunk sees them.
    pub fn features(&self, crops: &Tensor) -> Result<Tensor, TchError> {
        self.trunk.forward(crops)
    }

    /// Bodies and cameras from the trunk's features.
    pub fn people(&self, features: Tensor) -> Result<People, TchError> {
        let parameters = self.head.forward(&features)?;
        let posed = self.body.pose(&parameters.betas, &parameters.rotations)?;
        let joints = self.body.hmr_joints(&posed, self.config.update_hips)?;
        let camera_translation = self.translation(&parameters.camera)?;
        let points = self.project(&joints, &camera_translation)?;
        Ok(People {
            features,
            parameters,
            vertices: posed.vertices,
            joints45: posed.joints45,
            joints,
            camera_translation,
            points,
        })
    }

    /// Scale and offset to a place in metres.
    fn translation(&self, camera: &Tensor) -> Result<Tensor, TchError> {
        let scaled = camera
            .f_select(1, 0)?
            .f_mul_scalar(self.config.image_size)?
            .f_add_scalar(1e-9)?;
        let depth = scaled
            .f_reciprocal()?
            .f_mul_scalar(2.0 * self.config.focal_length)?;
        Tensor::f_stack(&[camera.f_select(1, 1)?, camera.f_select(1, 2)?, depth], -1)
    }

    fn project(&self, joints: &Tensor, translation: &Tensor) -> Result<Tensor, TchError> {
        let places = joints.f_add(&translation.f_unsqueeze(1)?)?;
        let focal = self.config.focal_length / self.config.image_size as f64;
        places
            .f_narrow(2, 0, 2)?
            .f_div(&places.f_narrow(2, 2, 1)?)?
            .f_mul_scalar(focal)
    }

    /// `[batch, width, rows, columns]`: the trunk's features as upstream lays them out.
    pub fn feature_map(&self, features: &Tensor) -> Result<Tensor, TchError> {
        let (batch, _, width) = features.size3()?;
        let (rows, columns) = grid(&self.config);
        features
            .f_transpose(1, 2)?
            .f_reshape([batch, width, rows, columns])
    }
}

/// Rows and columns of patches.
fn grid(config: &Config) -> (i64, i64) {
    let size = config.image_size;
    (size / 16, (size - 2 * SIDE) / 16)
}

fn tokens(config: &Config) -> i64 {
    let (rows, columns) = grid(config);
    rows * columns
}

/// Told here, a wrong file is one clear sentence instead of hundreds of tensors.
fn check_trunk(weights: &Weights, config: &Config, path: &Path) -> Result<(), ModelError> {
    let place = weights.path().display();
    let found = TrunkSize::found(&weights.sub("backbone"));
    let reads = weights.contains("smpl_head.decpose.weight");
    let Some((width, depth)) = found.filter(|_| reads) else {
        let some: Vec<&str> = weights.names().take(3).collect();
        return Err(ModelError::Unfit(format!(
            "{place}: not a checkpoint of HMR2, which has `backbone.pos_embed` and \
             `smpl_head.decpose.weight`; it begins with {some:?}"
        )));
    };
    let stated = config.trunk;
    if (width, depth) == (stated.width, stated.depth) {
        return Ok(());
    }
    Err(ModelError::Unfit(format!(
        "{place} has a trunk of {depth} blocks and {width} features, {} describes one of {} and {}",
        path.display(),
        stated.depth,
        stated.width
    )))
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
