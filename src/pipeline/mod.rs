//! Floor 5: the engine: queues, workers, frame order, finding and following people, results.

pub mod admission;
mod ahead;
pub mod bench;
pub mod blazepose;
mod call;
pub mod clip;
pub mod config;
pub mod control;
mod cut;
pub mod device;
pub mod engine;
pub mod error;
#[cfg(test)]
mod fake;
pub mod halving;
pub mod handle;
pub mod humans;
mod kept;
mod lane;
mod memory;
pub mod order;
pub mod overlay;
pub mod people;
pub mod perception;
pub mod plan;
pub mod pool;
pub mod rehearsal;
pub mod result;
pub mod revise;
mod shared;
pub mod snapshot;
pub mod source;
pub mod stream;
pub mod warmup;
mod whole;
pub mod words;
