//! Which model family the addon runs, and how it is made.

use crate::pipeline::config::EngineConfig;
use crate::pipeline::error::EngineError;

/// LEAD: replace `placeholder` by `crate::pipeline::blazepose` (BlazePosePerception) and delete
/// placeholder.rs; nothing else in bindings/ knows the type.
pub type Model = super::placeholder::Nobody;

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
