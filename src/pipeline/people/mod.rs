//! Finding people in a frame and following them through a clip, with BlazePose.

pub mod tiles;
