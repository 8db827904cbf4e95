//! Image features to SMPL parameters: the decoder, what is read off its token, rotations.

use tch::{Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::linear::Linear;
use crate::layers::rotations::rotations;
use crate::layers::weights::Weights;
use crate::models::error::ModelError;
use crate::models::hmr2::config::Config;
use crate::models::hmr2::decoder::Decoder;
use crate::models::smpl::{BETAS, JOINTS};

/// Numbers of a pose: six for each joint's rotation.
const POSE: i64 = 6 * JOINTS;
/// Scale and offset.
const CAMERA: i64 = 3;

/// What the head says about a batch of people; f32.
pub struct Parameters {
    /// `[batch, width]`: the decoder's token.
    pub token: Tensor,
    /// `[batch, 144]`: six numbers for each joint's rotation.
    pub pose6d: Tensor,
    /// `[batch, 24, 3, 3]`: each joint against its parent, the first against the camera's axes.
    pub rotations: Tensor,
    /// `[batch, 10]`
    pub betas: Tensor,
    /// `[batch, 3]`: scale, and offset in metres, of the crop.
    pub camera: Tensor,
}

pub struct Head {
    decoder: Decoder,
    pose: Readout,
    betas: Readout,
    camera: Readout,
    mean_shape_input: bool,
    iterations: i64,
}

/// One layer read off the token, in single precision, and the value it refines.
struct Readout {
    layer: Linear,
    /// `[1, outputs]`
    mean: Tensor,
}

impl Head {
    /// `means` is `smpl_mean_params.npz`, for what the checkpoint's `init_*` do not say.
    pub fn load(
        weights: &Weights,
        config: &Config,
        means: Option<&Weights>,
    ) -> Result<Self, ModelError> {
        let inputs = match config.mean_shape_input {
            true => POSE + BETAS + CAMERA,
            false => 1,
        };
        let readout = |layer: &str, outputs: i64, init: &str, mean: &str| {
            let layer = weights.sub(layer);
            let shape = [outputs, config.decoder.width];
            let bias = layer.get_in("bias", &[outputs], DType::F32)?;
            Ok::<_, ModelError>(Readout {
                layer: Linear::new(layer.get_in("weight", &shape, DType::F32)?, Some(bias))?,
                mean: initial(weights, init, means, mean, outputs)?,
            })
        };
        Ok(Self {
            decoder: Decoder::load(&weights.sub("transformer"), config.decoder, inputs)?,
            pose: readout("decpose", POSE, "init_body_pose", "pose")?,
            betas: readout("decshape", BETAS, "init_betas", "shape")?,
            camera: readout("deccam", CAMERA, "init_cam", "cam")?,
            mean_shape_input: config.mean_shape_input,
            iterations: config.iterations,
        })
    }

    /// `features` is `[batch, tokens, width]`.
    pub fn forward(&self, features: &Tensor) -> Result<Parameters, TchError> {
        let batch = features.size3()?.0;
        let start = |readout: &Readout| readout.mean.f_expand([batch, -1], false);
        let mut pose6d = start(&self.pose)?;
        let mut betas = start(&self.betas)?;
        let mut camera = start(&self.camera)?;
        let nothing = Tensor::f_zeros([batch, 1, 1], (Kind::Float, features.device()))?;
        let mut token = nothing.f_alias()?;
        for _ in 0..self.iterations {
            let input = if self.mean_shape_input {
                Tensor::f_cat(&[&pose6d, &betas, &camera], 1)?.f_unsqueeze(1)?
            } else {
                nothing.f_alias()?
            };
            token = self.decoder.forward(&input, features)?;
            pose6d = self.pose.refine(&token, &pose6d)?;
            betas = self.betas.refine(&token, &betas)?;
            camera = self.camera.refine(&token, &camera)?;
        }
        Ok(Parameters {
            rotations: rotations(&pose6d.f_reshape([batch, JOINTS, 6])?)?,
            token,
            pose6d,
            betas,
            camera,
        })
    }
}

impl Readout {
    fn refine(&self, token: &Tensor, value: &Tensor) -> Result<Tensor, TchError> {
        self.layer.forward(token)?.f_add(value)
    }
}

/// The checkpoint's own starting value, or that of the mean parameters.
fn initial(
    weights: &Weights,
    init: &str,
    means: Option<&Weights>,
    mean: &str,
    count: i64,
) -> Result<Tensor, ModelError> {
    if weights.contains(init) {
        let value = weights.get_in(init, &[1, count], DType::F32)?;
        return Ok(value.f_detach_copy()?);
    }
    let Some(means) = means else {
        return Err(ModelError::Unfit(format!(
            "{}: no `smpl_head.{init}`, and no smpl_mean_params.npz is given",
            weights.path().display()
        )));
    };
    if !means.contains(mean) {
        return Err(ModelError::Unfit(format!(
            "{}: no array {mean:?}; smpl_mean_params.npz has `pose`, `shape` and `cam`",
            means.path().display()
        )));
    }
    let value = means.get_in(mean, &[count], DType::F32)?;
    Ok(value
        .f_unsqueeze(0)?
        .f_to_device(weights.device())?
        .f_detach_copy()?)
}
