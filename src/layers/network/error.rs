//! Why a network does not run.

/// Why a network cannot be prepared or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}

impl From<tch::TchError> for NetworkError {
    fn from(error: tch::TchError) -> Self {
        Self::Failed(error.to_string())
    }
}
