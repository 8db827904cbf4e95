//! What can go wrong with the model cache, each with its stable code.

use crate::checkpoint::error::{CheckpointError, Kind};

/// `code` is part of the public interface; `message` says what was expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CacheError {
    pub code: &'static str,
    pub message: String,
}

/// No model file of that name is in the manifest.
pub const MODEL_UNKNOWN: &str = "ERR_POSE4D_MODEL_UNKNOWN";
/// A file is needed that is not there.
pub const MODEL_UNAVAILABLE: &str = "ERR_POSE4D_MODEL_UNAVAILABLE";
/// A file is there and cannot be used: unreadable, of another shape, of no known format.
pub const MODEL_FILE: &str = "ERR_POSE4D_MODEL_FILE";
/// A file is cut off, or its bytes are not those that were published.
pub const MODEL_CORRUPT: &str = "ERR_POSE4D_MODEL_CORRUPT";
/// A file tries to run code, or claims sizes out of proportion.
pub const MODEL_HOSTILE: &str = "ERR_POSE4D_MODEL_HOSTILE";
/// The file comes under a licence that only the user can accept; it is never fetched.
pub const LICENCE: &str = "ERR_POSE4D_LICENCE";
/// A download is needed, and offline mode forbids it.
pub const OFFLINE: &str = "ERR_POSE4D_OFFLINE";
/// No source delivered the file.
pub const DOWNLOAD: &str = "ERR_POSE4D_DOWNLOAD";
/// The disk has no room for the file.
pub const DISK_FULL: &str = "ERR_POSE4D_DISK_FULL";
/// The cache folder cannot be read or written.
pub const CACHE_IO: &str = "ERR_POSE4D_CACHE_IO";
/// The caller's signal ended it.
pub const ABORTED: &str = "ERR_POSE4D_ABORTED";
/// Options that contradict themselves or lack what is needed.
pub const INVALID_ARGUMENT: &str = "ERR_POSE4D_INVALID_ARGUMENT";

impl CacheError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<CheckpointError> for CacheError {
    fn from(error: CheckpointError) -> Self {
        let code = match error.kind {
            Kind::NotFound | Kind::Missing => MODEL_UNAVAILABLE,
            Kind::Io => CACHE_IO,
            Kind::Corrupt => MODEL_CORRUPT,
            Kind::Hostile => MODEL_HOSTILE,
            Kind::Cancelled => ABORTED,
            Kind::Format | Kind::Unsupported => MODEL_FILE,
        };
        Self::new(code, error.to_string())
    }
}
