//! Fixed-size convolutional networks: a small graph, read from `.tflite`, and two ways to run it.

pub mod aligned;
pub mod arena;
pub mod eager;
pub mod error;
pub mod graph;
pub mod kernels;
pub mod lower;
pub mod runner;
pub mod sparse;
pub mod xnn;
pub mod xnn_ffi;
