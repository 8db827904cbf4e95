//! Floor 4: one file or folder per network.

pub mod blazepose;
pub mod regnety;
pub mod vit;
