//! The map of the floors, lowest first; a module imports only from floors below its own.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "a test may stop at libtorch's error"
    )
)]

pub mod geometry; // 1  boxes, regions, rotations, cameras, joint sets and angles (std only)

pub mod checkpoint; // 2  file → named tensors, weights and graphs
pub mod imaging; // 2  decode with limits, warp, draw
pub mod runtime; // 2  libtorch, devices, threads, memory readings

pub mod cache; // 3  model files: manifest, store, download, verify, convert
pub mod layers; // 3  convolution blocks shared by models

pub mod models; // 4  one file or folder per network
pub mod tracking; // 4  identity over time: tracker, assignment, filters (no tensors)

pub mod pipeline; // 5  engine, queues, workers, frame order, people search, results

mod bindings; // 6  the only user of napi
