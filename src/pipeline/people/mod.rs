//! Finding people in a frame and following them through a clip, with BlazePose.

pub mod back;
pub mod candidates;
mod carried;
pub mod follow;
pub mod person;
pub mod pose;
pub mod search;
pub mod select;
pub mod tiles;
pub mod watch;
pub mod worker;
