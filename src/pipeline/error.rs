//! What can go wrong, each with its stable code.

/// `code` is part of the public interface; `message` says what was expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    pub code: &'static str,
    pub message: String,
}

impl EngineError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

pub const INVALID_ARGUMENT: &str = "ERR_POSE4D_INVALID_ARGUMENT";
pub const FRAME_SOURCE: &str = "ERR_POSE4D_FRAME_SOURCE";
pub const FRAME_NUMBER: &str = "ERR_POSE4D_FRAME_NUMBER";
pub const FRAME_ORDER: &str = "ERR_POSE4D_FRAME_ORDER";
pub const FRAME_DUPLICATE: &str = "ERR_POSE4D_FRAME_DUPLICATE";
pub const IMAGE_NOT_FOUND: &str = "ERR_POSE4D_IMAGE_NOT_FOUND";
pub const IMAGE_EMPTY: &str = "ERR_POSE4D_IMAGE_EMPTY";
pub const IMAGE_FORMAT: &str = "ERR_POSE4D_IMAGE_FORMAT";
pub const IMAGE_CORRUPT: &str = "ERR_POSE4D_IMAGE_CORRUPT";
pub const IMAGE_TOO_LARGE: &str = "ERR_POSE4D_IMAGE_TOO_LARGE";
/// The image is too long and narrow for a network.
pub const IMAGE_SHAPE: &str = "ERR_POSE4D_IMAGE_SHAPE";
pub const IMAGE_BASE64: &str = "ERR_POSE4D_IMAGE_BASE64";
pub const ABORTED: &str = "ERR_POSE4D_ABORTED";
pub const TIMEOUT: &str = "ERR_POSE4D_TIMEOUT";
pub const QUEUE_FULL: &str = "ERR_POSE4D_QUEUE_FULL";
pub const CLOSED: &str = "ERR_POSE4D_CLOSED";
pub const KEYPOINT_SET: &str = "ERR_POSE4D_KEYPOINT_SET";
/// The bytes are no snapshot of a clip, or of none that this engine can go on with.
pub const SNAPSHOT: &str = "ERR_POSE4D_SNAPSHOT";
/// The bytes are no look at a frame, or none at this one with this engine.
pub const LOOK: &str = "ERR_POSE4D_LOOK";
pub const DEVICE: &str = "ERR_POSE4D_DEVICE";
pub const MODEL_FILE: &str = "ERR_POSE4D_MODEL_FILE";
pub const MODEL_UNAVAILABLE: &str = "ERR_POSE4D_MODEL_UNAVAILABLE";
/// The models do not fit into the memory there is.
pub const MEMORY: &str = "ERR_POSE4D_MEMORY";
pub const RUNTIME_MISSING: &str = "ERR_POSE4D_RUNTIME_MISSING";
pub const INTERNAL: &str = "ERR_POSE4D_INTERNAL";

/// Errors that end the call; every other is the frame's own.
pub(super) fn ends_call(error: &EngineError) -> bool {
    matches!(
        error.code,
        ABORTED | TIMEOUT | CLOSED | DEVICE | MODEL_FILE | MODEL_UNAVAILABLE | RUNTIME_MISSING
    )
}
