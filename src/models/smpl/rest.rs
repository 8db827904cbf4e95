//! The body before it is posed, in plain memory: what a file for other programs needs of it.

use tch::{Device, Kind, TchError, Tensor};

use crate::models::smpl::BETAS;
use crate::models::smpl::parts::Parts;

/// Shape coefficients, `[10]`.
pub type Betas = [f32; BETAS as usize];

/// The rest pose of every shape, and what moves each vertex.
#[derive(Clone, Debug)]
pub struct Rest {
    /// `[6890 * 3]` metres, and their change with shape `[6890 * 3, 10]`.
    template: Vec<f32>,
    shape_dirs: Vec<f32>,
    /// `[24 * 3]` metres, and their change with shape `[24 * 3, 10]`.
    joints: Vec<f32>,
    joint_dirs: Vec<f32>,
    /// `[6890, 24]`; a row sums to 1.
    pub skinning: Vec<f32>,
    /// The joint each joint hangs on; −1 for the pelvis.
    pub parents: Vec<i32>,
    /// `[13776 * 3]` vertex numbers.
    pub faces: Vec<u32>,
}

/// One shape, in the rest pose.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped {
    /// `[6890 * 3]` metres.
    pub vertices: Vec<f32>,
    /// `[24 * 3]` metres.
    pub joints: Vec<f32>,
}

impl Rest {
    /// `joints` `[24, 3]` and `joint_dirs` `[10, 24 * 3]`: as the body poses with.
    pub(super) fn new(
        parts: &Parts,
        joints: &Tensor,
        joint_dirs: &Tensor,
    ) -> Result<Self, TchError> {
        let number = |joint: &Option<usize>| joint.and_then(|j| i32::try_from(j).ok());
        Ok(Self {
            template: plain(&parts.template)?,
            shape_dirs: plain(&parts.shape_dirs)?,
            joints: plain(joints)?,
            joint_dirs: plain(&joint_dirs.f_transpose(0, 1)?)?,
            skinning: plain(&parts.skinning)?,
            parents: parts
                .parents
                .iter()
                .map(|p| number(p).unwrap_or(-1))
                .collect(),
            faces: parts.faces.clone(),
        })
    }

    /// The body of shape `betas`.
    pub fn shaped(&self, betas: &Betas) -> Shaped {
        Shaped {
            vertices: shape(&self.template, &self.shape_dirs, betas),
            joints: shape(&self.joints, &self.joint_dirs, betas),
        }
    }
}

fn shape(mean: &[f32], dirs: &[f32], betas: &Betas) -> Vec<f32> {
    let rows = dirs.as_chunks::<{ BETAS as usize }>().0;
    let moved = |(mean, row): (&f32, &Betas)| {
        let change: f64 = row
            .iter()
            .zip(betas)
            .map(|(d, b)| f64::from(*d) * f64::from(*b))
            .sum();
        (f64::from(*mean) + change) as f32
    };
    mean.iter().zip(rows).map(moved).collect()
}

fn plain(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat = tensor
        .f_to_device(Device::Cpu)?
        .f_to_dtype(Kind::Float, false, false)?
        .f_contiguous()?
        .f_reshape([-1])?;
    Vec::<f32>::try_from(flat)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::models::smpl::body::{Body, Files};
    use crate::models::smpl::{JOINTS, VERTICES};

    const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn body() -> Body {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/goldens/smpl/a");
        let files = Files {
            body: Some(&folder.join("SMPL_NEUTRAL.pkl.gz")),
            regressor: None,
        };
        Body::open(files, Device::Cpu).unwrap()
    }

    #[test]
    fn a_shape_is_the_body_posed_with_every_joint_at_rest() {
        let body = body();
        let betas: Betas = std::array::from_fn(|i| 0.4 * i as f32 - 1.5);
        let rotations = Tensor::eye(3, FLOAT).repeat([1, JOINTS, 1, 1]);
        let posed = body
            .pose(&Tensor::from_slice(&betas).view([1, BETAS]), &rotations)
            .unwrap();
        let shaped = body.rest().shaped(&betas);
        let far = |found: &[f32], expected: &Tensor| {
            let expected = plain(expected).unwrap();
            assert_eq!(found.len(), expected.len());
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            apart.fold(0.0, f32::max)
        };
        assert!(far(&shaped.vertices, &posed.vertices) < 1e-5);
        assert!(far(&shaped.joints, &posed.joints45.narrow(1, 0, JOINTS)) < 1e-5);
        let mean = body.rest().shaped(&[0.0; BETAS as usize]);
        assert_ne!(mean.vertices, shaped.vertices);
    }

    #[test]
    fn every_vertex_is_moved_by_its_joints_and_the_tree_begins_at_the_pelvis() {
        let body = body();
        let rest = body.rest();
        let rows = rest.skinning.as_chunks::<{ JOINTS as usize }>().0;
        assert_eq!(rows.len(), VERTICES as usize);
        for row in rows {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        }
        assert_eq!(rest.parents.len(), JOINTS as usize);
        assert_eq!(rest.parents.first(), Some(&-1));
        assert_eq!(rest.faces, body.faces());
    }
}
