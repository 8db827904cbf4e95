//! The numbers of an SMPL body, from its file or from the buffers of a checkpoint.

use tch::{Device, Tensor};

use crate::checkpoint::dtype::DType;
use crate::geometry::body_joints::{OPENPOSE25_FROM_SMPLX45, SMPLX45_VERTICES};
use crate::layers::weights::{Integers, Weights};
use crate::models::error::ModelError;
use crate::models::smpl::{BETAS, JOINTS, POSE_FEATURES, REGRESSED, VERTICES};

/// What a body is made of; f32, on the CPU.
pub struct Parts {
    /// `[6890, 3]` metres.
    pub template: Tensor,
    /// `[6890, 3, 10]` metres per unit of shape.
    pub shape_dirs: Tensor,
    /// `[207, 6890 * 3]` metres per element of rotation beyond the identity.
    pub pose_dirs: Tensor,
    /// `[24, 6890]`
    pub joint_regressor: Tensor,
    /// `[6890, 24]`
    pub skinning: Tensor,
    /// The joint each joint hangs on; none for the pelvis. Parents come first.
    pub parents: Vec<Option<usize>>,
    /// `[13776, 3]` vertex numbers.
    pub faces: Vec<u32>,
    /// `[19, 6890]`, where one is given.
    pub extra_regressor: Option<Tensor>,
    /// The vertices that are joints 24 to 44 of smplx.
    pub joint_vertices: Vec<i64>,
    /// Which of smplx's 45 joints the first 25 of HMR2 are.
    pub joint_map: Vec<i64>,
}

/// Where the parts may be found: a checkpoint's buffers go before files, one by one.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// smplx's buffers, as a checkpoint of HMR2 holds them below `smpl.`.
    pub buffers: Option<&'a Weights>,
    /// `SMPL_NEUTRAL.pkl` or `basicModel_neutral_lbs_10_207_0_v1.0.0.pkl`.
    pub body: Option<&'a Weights>,
    /// `SMPL_to_J19.pkl`.
    pub regressor: Option<&'a Weights>,
}

impl Parts {
    pub fn load(sources: Sources) -> Result<Self, ModelError> {
        check_kind(sources)?;
        Ok(Self {
            template: sources.floats("v_template", "v_template", &[VERTICES, 3])?,
            shape_dirs: sources.shape_dirs()?,
            pose_dirs: sources.pose_dirs()?,
            joint_regressor: sources.floats("J_regressor", "J_regressor", &[JOINTS, VERTICES])?,
            skinning: sources.floats("lbs_weights", "weights", &[VERTICES, JOINTS])?,
            parents: sources.parents()?,
            faces: sources.faces()?,
            extra_regressor: sources.extra_regressor()?,
            joint_vertices: sources.indices(
                "vertex_joint_selector.extra_joints_idxs",
                SMPLX45_VERTICES.map(i64::from).as_slice(),
                VERTICES,
            )?,
            joint_map: sources.indices(
                "joint_map",
                OPENPOSE25_FROM_SMPLX45.map(i64::from).as_slice(),
                JOINTS + SMPLX45_VERTICES.len() as i64,
            )?,
        })
    }
}

/// Another body model is told from a damaged file by its number of vertices.
fn check_kind(sources: Sources) -> Result<(), ModelError> {
    let given = [sources.buffers, sources.body];
    let Some(weights) = given
        .into_iter()
        .flatten()
        .find(|w| w.contains("v_template"))
    else {
        let place = sources.body.map_or_else(String::new, |body| {
            format!("{} holds no `v_template`: ", body.path().display())
        });
        return Err(ModelError::Unfit(format!(
            "{place}no SMPL body; give SMPL_NEUTRAL.pkl or \
             basicModel_neutral_lbs_10_207_0_v1.0.0.pkl from https://smplify.is.tue.mpg.de"
        )));
    };
    let shape = weights.shape("v_template").unwrap_or_default();
    let kind = match shape.as_slice() {
        [VERTICES, 3] => return Ok(()),
        [10475, 3] => "this is SMPL-X",
        [778, 3] => "this is MANO, a hand",
        [5023, 3] => "this is FLAME, a head",
        _ => "this is another model",
    };
    Err(ModelError::Unfit(format!(
        "{}: `v_template` of shape {shape:?} where SMPL has [{VERTICES}, 3]: {kind}",
        weights.path().display()
    )))
}

impl Sources<'_> {
    fn floats(self, buffer: &str, stored: &str, shape: &[i64]) -> Result<Tensor, ModelError> {
        match (self.buffers.filter(|b| b.contains(buffer)), self.body) {
            (Some(buffers), _) => own(buffers, buffer, shape),
            (None, Some(body)) => own(body, stored, shape),
            (None, None) => Err(self.lacks(buffer)),
        }
    }

    fn lacks(self, part: &str) -> ModelError {
        ModelError::Unfit(format!(
            "no SMPL file is given, and the checkpoint holds no `smpl.{part}`"
        ))
    }

    fn shape_dirs(self) -> Result<Tensor, ModelError> {
        let buffers = self.buffers.filter(|b| b.contains("shapedirs"));
        let weights = buffers
            .or(self.body)
            .ok_or_else(|| self.lacks("shapedirs"))?;
        // Files hold 10 to 300 shapes, the most important ones first.
        let stored = weights.shape("shapedirs").unwrap_or_default();
        let shapes = stored.get(2).copied().unwrap_or(BETAS).max(BETAS);
        let all = own(weights, "shapedirs", &[VERTICES, 3, shapes])?;
        Ok(all.f_narrow(2, 0, BETAS)?.f_contiguous()?)
    }

    fn pose_dirs(self) -> Result<Tensor, ModelError> {
        if let Some(buffers) = self.buffers.filter(|b| b.contains("posedirs")) {
            return own(buffers, "posedirs", &[POSE_FEATURES, VERTICES * 3]);
        }
        let body = self.body.ok_or_else(|| self.lacks("posedirs"))?;
        let stored = own(body, "posedirs", &[VERTICES, 3, POSE_FEATURES])?;
        let flat = stored.f_reshape([VERTICES * 3, POSE_FEATURES])?;
        Ok(flat.f_transpose(0, 1)?.f_contiguous()?)
    }

    fn extra_regressor(self) -> Result<Option<Tensor>, ModelError> {
        let shape = [REGRESSED, VERTICES];
        if let Some(buffers) = self.buffers.filter(|b| b.contains("joint_regressor_extra")) {
            return own(buffers, "joint_regressor_extra", &shape).map(Some);
        }
        let Some(file) = self.regressor else {
            return Ok(None);
        };
        // A bare array has no name of its own.
        let name = file.names().next().map(str::to_owned);
        let found = name.as_deref().and_then(|name| file.shape(name));
        match name {
            Some(name) if found.as_deref() == Some(&shape) => own(file, &name, &shape).map(Some),
            _ => Err(ModelError::Unfit(format!(
                "{}: a regressor of shape {shape:?} expected, {found:?} found",
                file.path().display()
            ))),
        }
    }

    fn integers(self, buffer: &str, stored: &str) -> Result<(Integers, String), ModelError> {
        let found = match self.buffers {
            Some(buffers) => buffers.integers(buffer)?.map(|i| (i, buffers)),
            None => None,
        };
        let found = match (found, self.body) {
            (None, Some(body)) => body.integers(stored)?.map(|i| (i, body)),
            (found, _) => found,
        };
        let (integers, weights) = found.ok_or_else(|| self.lacks(buffer))?;
        Ok((integers, weights.path().display().to_string()))
    }

    fn parents(self) -> Result<Vec<Option<usize>>, ModelError> {
        // The file's table has a second row that counts the joints.
        let (table, path) = self.integers("parents", "kintree_table")?;
        let row: Vec<i64> = table.values.into_iter().take(JOINTS as usize).collect();
        let parent = |(joint, &parent): (usize, &i64)| match usize::try_from(parent) {
            // The pelvis hangs on nothing, which files spell −1 or 2³² − 1.
            _ if joint == 0 => Some(None),
            Ok(parent) if parent < joint => Some(Some(parent)),
            _ => None,
        };
        let parents: Option<Vec<_>> = row.iter().enumerate().map(parent).collect();
        match parents {
            Some(parents) if parents.len() == JOINTS as usize => Ok(parents),
            _ => Err(ModelError::Unfit(format!(
                "{path}: a kinematic tree of {JOINTS} joints expected, parents {row:?} found"
            ))),
        }
    }

    fn faces(self) -> Result<Vec<u32>, ModelError> {
        let (table, path) = self.integers("faces_tensor", "f")?;
        let corner = |&v: &i64| u32::try_from(v).ok().filter(|&v| i64::from(v) < VERTICES);
        let faces: Option<Vec<u32>> = table.values.iter().map(corner).collect();
        match (faces, table.shape.as_slice()) {
            (Some(faces), [_, 3]) => Ok(faces),
            (_, shape) => Err(ModelError::Unfit(format!(
                "{path}: triangles of vertices 0 to {} expected, a table of shape {shape:?} found",
                VERTICES - 1
            ))),
        }
    }

    /// The checkpoint's own table of indices, or the usual one.
    fn indices(self, buffer: &str, usual: &[i64], below: i64) -> Result<Vec<i64>, ModelError> {
        let Some(buffers) = self.buffers else {
            return Ok(usual.to_vec());
        };
        let Some(found) = buffers.integers(buffer)? else {
            return Ok(usual.to_vec());
        };
        let fits = found.values.len() == usual.len()
            && found.values.iter().all(|index| (0..below).contains(index));
        if fits {
            return Ok(found.values);
        }
        Err(ModelError::Unfit(format!(
            "{}: `smpl.{buffer}` should hold {} numbers below {below}",
            buffers.path().display(),
            usual.len()
        )))
    }
}

/// A tensor that owns its memory.
fn own(weights: &Weights, name: &str, shape: &[i64]) -> Result<Tensor, ModelError> {
    let param = weights.get_in(name, shape, DType::F32)?;
    Ok(param.f_detach_copy()?.f_to_device(Device::Cpu)?)
}
