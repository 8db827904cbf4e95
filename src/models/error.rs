//! Why a network cannot be loaded or run.

use tch::TchError;

use crate::checkpoint::error::CheckpointError;
use crate::layers::weights::WeightsError;

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A file that can be read, and is not what it should be.
    #[error("{0}")]
    Unfit(String),
}
