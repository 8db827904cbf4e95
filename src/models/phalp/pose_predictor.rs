//! The next pose of a person: a transformer over the last frames in which frames without a
//! detection are filled in.
//!
//! Paper: Rajasegaran et al., "On the Benefits of 3D Pose and Tracking for Human Action
//! Recognition", CVPR 2023; source: PHALP 96f7e6c, `phalp/models/predictor/pose_transformer_v2.py`;
//! weights `pose_predictor.pth`, configuration `pose_predictor.yaml`. The original's loader leaves
//! the pose's encoder at random values (it strips `encoder.` from the middle of names too); here
//! it is loaded.

use std::path::Path;

use tch::{Device, TchError, Tensor};

use super::body_head::{Body, CAMERA};
use super::encoder_layer::Layer;
use super::predictor_config::PredictorConfig;
use crate::checkpoint::report::{LoadReport, Tolerance};
use crate::layers::linear::Linear;
use crate::layers::weights::{Options, Param, Weights, WeightsError};
use crate::models::error::ModelError;

/// Never used, or used in training only.
const TOLERANCE: Tolerance = Tolerance {
    missing: &[],
    unused: &[
        "mean",
        "std",
        "encoder.pe",
        "encoder.pos_embedding",
        "encoder.transformer.*",
        "encoder.smpl_head.*",
        "encoder.loca_head.*",
        "encoder.action_head_ava.*",
    ],
};

/// The files of the model.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    pub weights: &'a Path,
    /// `pose_predictor.yaml`
    pub config: &'a Path,
    /// `mean_std.npy`: of the first numbers of a pose; the others are left as they are.
    pub mean_std: &'a Path,
}

/// One frame of somebody's past.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub time: i64,
    /// [`POSE`] numbers.
    pub pose: &'a [f32],
}

/// Numbers of a pose: rotation matrices `[24, 3, 3]`, ten betas, camera `x y z/200`.
pub const POSE: i64 = 229;

pub struct PosePredictor {
    config: PredictorConfig,
    /// `[1, 1, 229]`
    mean: Tensor,
    deviation: Tensor,
    embed: [Linear; 2],
    mask_token: Param,
    class_token: Param,
    position1: Param,
    position2: Param,
    transformer1: Vec<Layer>,
    transformer2: Vec<Layer>,
    encode: Convolution,
    decode: Convolution,
    body: Body,
    place: [Linear; 3],
    action: Linear,
    device: Device,
}

/// What is read off the tokens; f32.
pub struct Readout {
    /// `[batch, frames, 229]`
    pub pose_camera: Tensor,
    /// `[batch, frames, classes]`: AVA's actions, before the sigmoid.
    pub actions: Tensor,
}

impl PosePredictor {
    pub fn open(files: Files, options: Options) -> Result<(Self, LoadReport), ModelError> {
        let config = PredictorConfig::open(files.config)?;
        let weights = Weights::open(files.weights, options)?;
        let encoder = weights.sub("encoder");
        if !encoder.contains("mask_token") {
            return Err(ModelError::Unfit(format!(
                "{}: not the weights of PHALP's pose predictor, which have `encoder.mask_token`",
                files.weights.display()
            )));
        }
        let (mean, deviation) = normalisation(files.mean_std, options)?;
        let model = Self::load(&encoder, config, mean, deviation)?;
        Ok((model, weights.finish(&TOLERANCE)?))
    }

    fn load(
        encoder: &Weights,
        config: PredictorConfig,
        mean: Tensor,
        deviation: Tensor,
    ) -> Result<Self, WeightsError> {
        let PredictorConfig { frames, width, .. } = config;
        let linear =
            |name: &str, inputs, outputs| Linear::load(&encoder.sub(name), inputs, outputs, true);
        let layers = |name: &str, depth| {
            let all = encoder.sub(name).sub("layers");
            (0..depth)
                .map(|i| Layer::load(&all.sub(i), &config))
                .collect::<Result<Vec<_>, WeightsError>>()
        };
        let positions = |name: &str| encoder.get(name, &[1, frames, width]);
        Ok(Self {
            mean,
            deviation,
            embed: [
                linear("pose_shape_encoder.0", POSE, config.pose_hidden)?,
                linear("pose_shape_encoder.2", config.pose_hidden, width)?,
            ],
            mask_token: encoder.get("mask_token", &[width])?,
            class_token: encoder.get("class_token", &[1, 1, width])?,
            position1: positions("pos_embedding_learned1")?,
            position2: positions("pos_embedding_learned2")?,
            transformer1: layers("transformer1", config.depth)?,
            transformer2: layers("transformer2", 1)?,
            encode: Convolution::load(&encoder.sub("conv_en"), &config)?,
            decode: Convolution::load(&encoder.sub("conv_de"), &config)?,
            body: Body::load(&encoder.sub("smpl_head.0"), width)?,
            place: [
                linear("loca_head.0.0", width, width)?,
                linear("loca_head.0.2", width, width)?,
                linear("loca_head.0.4", width, CAMERA)?,
            ],
            action: linear("action_head_ava.0.0", width, config.actions)?,
            device: encoder.device(),
            config,
        })
    }

    pub fn config(&self) -> &PredictorConfig {
        &self.config
    }

    /// The tokens of all frames behind a class token, `[batch, 1 + frames, width]`.
    ///
    /// `poses` is `[batch, frames, 229]`, already normalised; `seen` is `[batch, frames]`, 1 where
    /// a pose was seen.
    pub fn encode(&self, poses: &Tensor, seen: &Tensor) -> Result<Tensor, TchError> {
        let unseen = seen.f_eq(0.0)?;
        let hidden = self.embed[0].forward(poses)?.f_relu_()?;
        let mut x = self.embed[1].forward(&hidden)?;
        x = x.f_where_self(&unseen.f_logical_not()?.f_unsqueeze(2)?, &self.mask_token)?;
        x = x.f_add(&self.position1)?;
        for layer in &self.transformer1 {
            x = layer.forward(x, Some(&unseen))?;
        }
        x = self.smoothed(&x)?.f_add(&self.position2)?;
        for layer in &self.transformer2 {
            x = layer.forward(x, None)?;
        }
        let class = self.class_token.f_expand([x.size3()?.0, 1, -1], false)?;
        Tensor::f_cat(&[class, x], 1)
    }

    /// Fewer moments, and back.
    fn smoothed(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (stride, padding) = ([self.config.stride], [self.config.padding]);
        let (encode, decode) = (&self.encode, &self.decode);
        x.f_transpose(1, 2)?
            .f_conv1d(&encode.weight, Some(&*encode.bias), stride, padding, [1], 1)?
            .f_conv_transpose1d(
                &decode.weight,
                Some(&*decode.bias),
                stride,
                padding,
                [0],
                1,
                [1],
            )?
            .f_transpose(1, 2)?
            .f_contiguous()
    }

    /// What tokens `[batch, frames, width]`, without the class token, say.
    pub fn read_out(&self, tokens: &Tensor) -> Result<Readout, TchError> {
        let (batch, frames, width) = tokens.size3()?;
        let body = self.body.forward(&tokens.f_reshape([-1, width])?)?;
        let body = body.f_reshape([batch, frames, POSE - CAMERA])?;
        let hidden = self.place[0].forward(tokens)?.f_relu_()?;
        let hidden = self.place[1].forward(&hidden)?.f_relu_()?;
        let place = self.place[2].forward(&hidden)?;
        Ok(Readout {
            pose_camera: Tensor::f_cat(&[body, place], 2)?,
            actions: self.action.forward(tokens)?,
        })
    }

    /// The pose of each person one frame after `unseen` frames without them; `[people, 229]`.
    ///
    /// Each past is in order and not empty. Times count from its first; what lies beyond the
    /// network's horizon counts as its last moment.
    pub fn predict_next(&self, pasts: &[Vec<Sight>], unseen: &[i64]) -> Result<Tensor, TchError> {
        let frames = self.config.frames;
        let people = pasts.len() as i64;
        let (mut poses, mut seen) = (self.blank(people)?, vec![0f32; (people * frames) as usize]);
        let mut ends = Vec::with_capacity(pasts.len());
        for (row, (past, unseen)) in pasts.iter().zip(unseen).enumerate() {
            let start = past.first().map_or(0, |sight| sight.time);
            let mut at = 0;
            for sight in past {
                at = (sight.time - start).clamp(0, frames - 1);
                let cell = (row as i64 * frames + at) as usize;
                let place = cell * POSE as usize;
                if let Some(place) = poses.get_mut(place..place + POSE as usize)
                    && sight.pose.len() == POSE as usize
                {
                    place.copy_from_slice(sight.pose);
                }
                seen[cell] = 1.0;
            }
            ends.push((at + unseen + 1).clamp(0, frames - 1));
        }
        let poses = Tensor::f_from_slice(&poses)?.f_reshape([people, frames, POSE])?;
        let seen = Tensor::f_from_slice(&seen)?.f_reshape([people, frames])?;
        let tokens = self.encode(&self.normalised(&poses)?, &seen.f_to_device(self.device)?)?;
        // Only the frame asked for is read out.
        let at = Tensor::f_from_slice(&ends)?
            .f_add_scalar(1)?
            .f_to_device(self.device)?
            .f_reshape([people, 1, 1])?
            .f_expand([people, 1, self.config.width], false)?;
        let token = tokens.f_gather(1, &at, false)?;
        self.read_out(&token)?.pose_camera.f_select(1, 0)
    }

    fn blank(&self, people: i64) -> Result<Vec<f32>, TchError> {
        let numbers = people
            .checked_mul(self.config.frames)
            .and_then(|n| usize::try_from(n.checked_mul(POSE)?).ok())
            .ok_or_else(|| TchError::Shape("too many people".into()))?;
        Ok(vec![0.0; numbers])
    }

    /// Poses as the network takes them.
    pub fn normalised(&self, poses: &Tensor) -> Result<Tensor, TchError> {
        poses
            .f_to_device(self.device)?
            .f_sub(&self.mean)?
            .f_div(&self.deviation.f_add_scalar(1e-10)?)
    }
}

/// Mean and deviation, `[1, 1, 229]` each.
fn normalisation(path: &Path, options: Options) -> Result<(Tensor, Tensor), ModelError> {
    let arrays = Weights::open(path, options)?;
    let shape = arrays.shape("arr_0").unwrap_or_default();
    let known = match *shape.as_slice() {
        [2, 1, known] if (1..=POSE).contains(&known) => known,
        _ => {
            return Err(ModelError::Unfit(format!(
                "{}: an array [2, 1, n] of means and deviations is expected, n up to {POSE}; \
                 found {shape:?}",
                path.display()
            )));
        }
    };
    let both = arrays.get("arr_0", &[2, 1, known])?;
    let padded = |row, value| {
        both.f_get(row)?
            .f_constant_pad_nd_with([0, POSE - known], value)?
            .f_unsqueeze(0)
    };
    Ok((padded(0, 0.0)?, padded(1, 1.0)?))
}

trait PadWith {
    fn f_constant_pad_nd_with(&self, pad: [i64; 2], value: f64) -> Result<Tensor, TchError>;
}

impl PadWith for Tensor {
    fn f_constant_pad_nd_with(&self, pad: [i64; 2], value: f64) -> Result<Tensor, TchError> {
        self.f_pad(pad, "constant", value)
    }
}

struct Convolution {
    weight: Param,
    bias: Param,
}

impl Convolution {
    fn load(weights: &Weights, config: &PredictorConfig) -> Result<Self, WeightsError> {
        let kernel = config.stride + 2 * config.padding;
        let width = config.width;
        Ok(Self {
            weight: weights.get("weight", &[width, width, kernel])?,
            bias: weights.get("bias", &[width])?,
        })
    }
}
