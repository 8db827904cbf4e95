//! 4D-Humans as the engine runs it: detector, HMR2 with its SMPL body, ViTPose, identities.

mod back;
pub(super) mod bell;
pub(super) mod desk;
mod fault;
pub mod files;
mod follow;
mod identity;
mod look;
mod networks;
mod opening;
pub mod perception;
mod person;
mod phalp;
pub(super) mod post;
mod smooth;
pub mod trial;
