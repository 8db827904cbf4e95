//! Floor 2: the ground under the models: libtorch, threads, memory readings.

pub mod gpu;
pub mod heap;
pub mod libtorch;
pub mod memory;
pub mod symbols;
pub mod threads;
