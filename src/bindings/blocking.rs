//! Work that may take its time, away from the threads that wait.

use crate::pipeline::error::{EngineError, INTERNAL};

/// Runs `work` on a thread of its own.
pub async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| EngineError::new(INTERNAL, format!("loading the model failed: {e}")))?
}
