//! The SMPL body: shape and pose to a mesh of 6,890 vertices and named joints.
//!
//! Source: smplx (`lbs.py`, `body_models.py`, `vertex_joint_selector.py`) and 4D-Humans
//! (`hmr2/models/smpl_wrapper.py`).

pub mod body;
mod parts;
pub mod rest;
mod skeleton;

pub const VERTICES: i64 = 6890;
pub const JOINTS: i64 = 24;
/// Shape coefficients in use.
pub const BETAS: i64 = 10;
/// Joints that `SMPL_to_J19` finds from the mesh.
pub const REGRESSED: i64 = 19;
/// Elements of the rotations of all joints but the pelvis.
const POSE_FEATURES: i64 = 9 * (JOINTS - 1);
