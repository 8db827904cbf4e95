//! Posing the body: blend shapes, blend skinning, and the joints measured on the outcome.

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::Tolerance;
use crate::layers::linear::Linear;
use crate::layers::weights::{Options, Param, Weights};
use crate::models::error::ModelError;
use crate::models::smpl::parts::{Parts, Sources};
use crate::models::smpl::rest::Rest;
use crate::models::smpl::skeleton::Skeleton;
use crate::models::smpl::{BETAS, JOINTS, POSE_FEATURES, VERTICES};

/// The files a body may be read from; what a checkpoint holds itself goes before both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// SMPL's own, in any form: as distributed (Python 2, chumpy), converted, compressed.
    pub body: Option<&'a Path>,
    /// `SMPL_to_J19.pkl`.
    pub regressor: Option<&'a Path>,
}

/// A body model in single precision on one device.
pub struct Body {
    /// Shape and pose to vertices before skinning: one product for both kinds of blend shapes.
    blend: Linear,
    /// `[24, 3]` joints of the template, and their change with shape `[10, 24 * 3]`.
    joints_template: Tensor,
    joints_dirs: Tensor,
    /// `[6890, 24]`
    skinning: Tensor,
    skeleton: Skeleton,
    /// `[9]`, the identity.
    identity: Tensor,
    joint_vertices: Tensor,
    joint_map: Tensor,
    /// `[19, 6890]`
    extra_regressor: Option<Tensor>,
    rest: Rest,
}

/// Bodies, posed: metres, the first joint of the rest pose where SMPL puts it.
pub struct Posed {
    /// `[batch, 6890, 3]`
    pub vertices: Tensor,
    /// `[batch, 45, 3]`: `smplx45`, whose first 24 are `smpl24`.
    pub joints45: Tensor,
}

impl Body {
    /// Reads the body from files alone.
    pub fn open(files: Files, device: Device) -> Result<Self, ModelError> {
        Self::load(None, files, device)
    }

    /// What there is of the body in the file `path` before it is posed.
    pub fn read_rest(path: &Path) -> Result<Rest, ModelError> {
        let files = Files {
            body: Some(path),
            regressor: None,
        };
        Ok(Self::open(files, Device::Cpu)?.rest)
    }

    /// Reads the body from `buffers` (a checkpoint's, below `smpl.`) and, for what they lack,
    /// from files.
    pub fn load(
        buffers: Option<&Weights>,
        files: Files,
        device: Device,
    ) -> Result<Self, ModelError> {
        let open = |path: &Path| Weights::open(path, Self::options());
        let body = files.body.map(open).transpose()?;
        let regressor = files.regressor.map(open).transpose()?;
        let parts = Parts::load(Sources {
            buffers,
            body: body.as_ref(),
            regressor: regressor.as_ref(),
        })?;
        // The files hold more than a body needs; what it needs and they lack is an error.
        let tolerance = Tolerance {
            missing: &[],
            unused: &["*"],
        };
        for weights in [body, regressor].into_iter().flatten() {
            weights.finish(&tolerance)?;
        }
        Self::new(parts, device)
    }

    fn options() -> Options {
        Options {
            precision: DType::F32,
            device: Device::Cpu,
            renames: &[],
            threads: 1,
        }
    }

    fn new(parts: Parts, device: Device) -> Result<Self, ModelError> {
        let double = |t: &Tensor| t.f_to_dtype(Kind::Double, false, false);
        let regressor = double(&parts.joint_regressor)?;
        let joints_template = regressor.f_matmul(&double(&parts.template)?)?;
        let shapes = double(&parts.shape_dirs)?.f_reshape([VERTICES, 3 * BETAS])?;
        let joints_dirs = regressor
            .f_matmul(&shapes)?
            .f_reshape([JOINTS * 3, BETAS])?
            .f_transpose(0, 1)?;
        let rest = Rest::new(&parts, &joints_template, &joints_dirs)?;
        let single = |t: &Tensor| -> Result<Tensor, TchError> {
            t.f_to_dtype(Kind::Float, false, false)?
                .f_to_device(device)?
                .f_contiguous()
        };
        let shapes = parts.shape_dirs.f_reshape([VERTICES * 3, BETAS])?;
        let dirs = Tensor::f_cat(&[shapes, parts.pose_dirs.f_transpose(0, 1)?], 1)?;
        let template = parts.template.f_reshape([VERTICES * 3])?;
        let index = |numbers: &[i64]| Tensor::f_from_slice(numbers)?.f_to_device(device);
        Ok(Self {
            blend: Linear::new(
                Param::from(single(&dirs)?),
                Some(Param::from(single(&template)?)),
            )?,
            joints_template: single(&joints_template)?,
            joints_dirs: single(&joints_dirs)?,
            skinning: single(&parts.skinning)?,
            skeleton: Skeleton::new(&parts.parents, device)?,
            identity: single(&Tensor::f_eye(3, (Kind::Float, Device::Cpu))?.f_reshape([9])?)?,
            joint_vertices: index(&parts.joint_vertices)?,
            joint_map: index(&parts.joint_map)?,
            extra_regressor: parts.extra_regressor.as_ref().map(single).transpose()?,
            rest,
        })
    }

    /// Corners of the mesh's triangles, three vertex numbers each.
    pub fn faces(&self) -> &[u32] {
        &self.rest.faces
    }

    /// The body before it is posed.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Joints that [`Body::hmr_joints`] gives: 44, or 25 without a regressor for the rest.
    pub fn hmr_joint_count(&self) -> i64 {
        25 + self
            .extra_regressor
            .as_ref()
            .map_or(0, |r| r.size().first().copied().unwrap_or(0))
    }

    /// Bodies of shape `betas` `[batch, 10]`, every joint turned against its parent by
    /// `rotations` `[batch, 24, 3, 3]`, the first against the axes; both f32.
    pub fn pose(&self, betas: &Tensor, rotations: &Tensor) -> Result<Posed, TchError> {
        let batch = rotations.size().first().copied().unwrap_or(0);
        let turned = rotations
            .f_narrow(1, 1, JOINTS - 1)?
            .f_reshape([batch, JOINTS - 1, 9])?
            .f_sub(&self.identity)?
            .f_reshape([batch, POSE_FEATURES])?;
        let features = Tensor::f_cat(&[betas, &turned], 1)?;
        let blended = self
            .blend
            .forward(&features)?
            .f_reshape([batch, VERTICES, 3])?;
        let rest = self.rest_joints(betas, batch)?;
        let transforms = self.skeleton.pose(rotations, &rest)?;
        let vertices = self.skin(&transforms.matrices, &blended, batch)?;
        let points = vertices.f_index_select(1, &self.joint_vertices)?;
        Ok(Posed {
            joints45: Tensor::f_cat(&[transforms.joints, points], 1)?,
            vertices,
        })
    }

    /// Each shape's joints in the rest pose, `[batch, 24, 3]`.
    fn rest_joints(&self, betas: &Tensor, batch: i64) -> Result<Tensor, TchError> {
        // Elements and a sum: a product's rounding would depend on the size of the batch.
        betas
            .f_unsqueeze(-1)?
            .f_mul(&self.joints_dirs)?
            .f_sum_dim_intlist([1].as_slice(), false, Kind::Float)?
            .f_reshape([batch, JOINTS, 3])?
            .f_add(&self.joints_template)
    }

    /// Moves every vertex by the mean of its joints' transforms.
    fn skin(&self, matrices: &Tensor, blended: &Tensor, batch: i64) -> Result<Tensor, TchError> {
        let weights = self
            .skinning
            .f_unsqueeze(0)?
            .f_expand([batch, -1, -1], false)?;
        let moves = weights
            .f_bmm(&matrices.f_reshape([batch, JOINTS, 12])?)?
            .f_reshape([batch, VERTICES, 3, 4])?;
        moves
            .f_narrow(3, 0, 3)?
            .f_mul(&blended.f_unsqueeze(2)?)?
            .f_sum_dim_intlist([-1].as_slice(), false, Kind::Float)?
            .f_add(&moves.f_select(3, 3)?)
    }

    /// HMR2's joints, `[batch, 44, 3]`: OpenPose's 25, then those regressed from the mesh.
    ///
    /// `update_hips` moves OpenPose's hips outwards and up, as 4D-Humans' switch of that name.
    pub fn hmr_joints(&self, posed: &Posed, update_hips: bool) -> Result<Tensor, TchError> {
        let mut joints = posed.joints45.f_index_select(1, &self.joint_map)?;
        if update_hips {
            joints = moved_hips(&joints)?;
        }
        let Some(regressor) = &self.extra_regressor else {
            return Ok(joints);
        };
        let batch = posed.vertices.size().first().copied().unwrap_or(0);
        let regressor = regressor.f_unsqueeze(0)?.f_expand([batch, -1, -1], false)?;
        Tensor::f_cat(&[joints, regressor.f_bmm(&posed.vertices)?], 1)
    }
}

/// OpenPose's mid hip, right hip and left hip.
const HIPS: [i64; 3] = [8, 9, 12];

/// `hip + 0.25 (hip − other) + 0.5 (mid − mean of both)` for both hips.
fn moved_hips(joints: &Tensor) -> Result<Tensor, TchError> {
    let [middle, right, left] = HIPS.map(|joint| joints.f_select(1, joint));
    let (middle, right, left) = (middle?, right?, left?);
    let up = middle
        .f_sub(&right.f_add(&left)?.f_mul_scalar(0.5)?)?
        .f_mul_scalar(0.5)?;
    let out = right.f_sub(&left)?.f_mul_scalar(0.25)?;
    let moved = joints.f_detach_copy()?;
    let place = |joint: i64, value: Tensor| moved.f_select(1, joint)?.f_copy_(&value);
    place(HIPS[1], right.f_add(&out)?.f_add(&up)?)?;
    place(HIPS[2], left.f_sub(&out)?.f_add(&up)?)?;
    Ok(moved)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
