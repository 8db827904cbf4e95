//! Which model family the addon runs, and how it is made.

use crate::pipeline::config::EngineConfig;
use crate::pipeline::error::EngineError;

/// What workers run.
pub type Model = crate::pipeline::blazepose::BlazePosePerception;

/// The model's public name.
pub const NAME: &str = "blazepose";

/// Reads the networks; for a thread that may take its time.
pub fn load(
    config: &EngineConfig,
    detector: Vec<u8>,
    landmark: Vec<u8>,
) -> Result<Model, EngineError> {
    Model::new(config, detector, landmark)
}
