//! Depth maps: networks of the MiDaS family at their desks, frames through them, and people in them.

mod body;
pub mod estimate;
pub mod fit;
pub mod map;
pub mod model;
mod network;
mod people;
mod room;
#[cfg(test)]
mod scene;
pub mod stand;
pub mod trial;
