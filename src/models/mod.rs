//! Floor 4: one file or folder per network.

pub mod blazepose;
pub mod error;
pub mod hmr2;
pub mod midas;
pub mod person_detector;
pub mod phalp;
pub mod regnety;
pub mod smpl;
pub mod vit;
pub mod vitdet;
pub mod vitpose;
