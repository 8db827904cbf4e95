//! Floor 5: the engine: queues, workers, frame order, finding and following people, results.

pub mod config;
pub mod error;
pub mod people;
pub mod overlay;
pub mod result;
