//! 4D-Humans as the engine runs it: detector, HMR2 with its SMPL body, ViTPose, identities.

mod back;
mod bell;
mod desk;
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
mod post;
mod smooth;
pub mod trial;
