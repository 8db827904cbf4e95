//! HMR2 (4D-Humans): a person's crop to SMPL parameters, mesh, joints and camera.
//!
//! Source: 4D-Humans (MIT), `hmr2/models/hmr2.py` and `hmr2/models/heads/smpl_head.py`.

pub mod camera;
pub mod config;
pub mod crop;
mod decoder;
mod head;
pub mod model;
