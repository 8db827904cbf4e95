//! Depth maps: networks of the MiDaS family at their desk, frames through them, and people in them.

pub mod body;
pub mod fit;
pub mod map;
pub mod people;
#[cfg(test)]
mod scene;
