//! 4D-Humans as the engine runs it: detector, HMR2 with its SMPL body, ViTPose, identities.

mod bell;
mod desk;
mod fault;
pub mod files;
mod follow;
mod look;
mod networks;
pub mod perception;
mod person;
mod post;
pub mod trial;
