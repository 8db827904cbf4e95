//! From a token to a body: the pose predictor's SMPL head.

use tch::{TchError, Tensor};

use crate::layers::linear::Linear;
use crate::layers::rotations::rotations;
use crate::layers::weights::{Weights, WeightsError};

/// Six numbers for each joint's rotation.
const POSE6D: i64 = 144;
const BETAS: i64 = 10;
/// Numbers of a camera.
pub const CAMERA: i64 = 3;
/// Times the body is refined.
const ITERATIONS: usize = 3;

/// Tokens to bodies, refined from the mean body in three steps.
pub struct Body {
    fc1: Linear,
    fc2: Linear,
    pose: Linear,
    betas: Linear,
    camera: Linear,
    /// `[1, 157]`: mean pose, shape and camera.
    start: Tensor,
}

impl Body {
    pub fn load(weights: &Weights, inputs: i64) -> Result<Self, WeightsError> {
        let hidden = weights
            .shape("fc1.bias")
            .and_then(|shape| shape.first().copied())
            .unwrap_or(1024);
        let body = POSE6D + BETAS + CAMERA;
        let linear =
            |name: &str, inputs, outputs| Linear::load(&weights.sub(name), inputs, outputs, true);
        let start = |name: &str, count| weights.get(name, &[1, count]);
        let start = [
            start("init_body_pose", POSE6D)?,
            start("init_betas", BETAS)?,
            start("init_cam", CAMERA)?,
        ];
        Ok(Self {
            fc1: linear("fc1", inputs + body, hidden)?,
            fc2: linear("fc2", hidden, hidden)?,
            pose: linear("decpose", hidden, POSE6D)?,
            betas: linear("decshape", hidden, BETAS)?,
            camera: linear("deccam", hidden, CAMERA)?,
            start: Tensor::f_cat(&start.each_ref().map(|part| &**part), 1)?,
        })
    }

    /// `[tokens, width]` to rotation matrices and betas, `[tokens, 226]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let tokens = x.size2()?.0;
        let mut body = self.start.f_expand([tokens, -1], false)?;
        for _ in 0..ITERATIONS {
            let joined = Tensor::f_cat(&[x, &body], 1)?;
            let hidden = self.fc1.forward(&joined)?.f_relu_()?;
            let hidden = self.fc2.forward(&hidden)?.f_relu_()?;
            let change = [&self.pose, &self.betas, &self.camera]
                .map(|layer| layer.forward(&hidden))
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?;
            body = body.f_add(&Tensor::f_cat(&change, 1)?)?;
        }
        let pose6d = body.f_narrow(1, 0, POSE6D)?.f_reshape([tokens, -1, 6])?;
        let turned = rotations(&pose6d)?.f_reshape([tokens, -1])?;
        Tensor::f_cat(&[turned, body.f_narrow(1, POSE6D, BETAS)?], 1)
    }
}
