//! What can be wrong with a picture, in words a caller can act on.

use std::path::PathBuf;

/// Each variant stands for one stable code of the public interface (`pipeline::error`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("the image is empty (0 bytes); expected the bytes of a JPEG, PNG or WebP file")]
    Empty,
    /// `looks_like` is a noun phrase, such as "an HTML page".
    #[error("not a supported image: {looks_like}; expected JPEG, PNG or WebP. {hint}")]
    Format {
        looks_like: String,
        hint: &'static str,
    },
    #[error(
        "the {format} image is truncated or corrupt ({detail}); was the file completely written?"
    )]
    Corrupt {
        format: &'static str,
        detail: String,
    },
    #[error(
        "the image is {width}x{height} ({pixels} pixels), more than the limit of {limit} pixels; \
         make it smaller or raise maxPixels",
        pixels = u64::from(*width) * u64::from(*height)
    )]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error(
        "the image has {bytes} bytes, more than the limit of {limit} bytes; \
         make it smaller or raise maxImageBytes"
    )]
    TooManyBytes { bytes: u64, limit: u64 },
    #[error("no such image file: {}; check the path and the working directory", path.display())]
    NotFound { path: PathBuf },
    #[error("cannot read {} as an image file: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("invalid base64: {detail}; expected plain base64 or a data: URL with ;base64")]
    Base64 { detail: String },
    #[error(
        "raw pixels of {width}x{height} need width * height * 3 = {expected} bytes (RGB, 8 bits), \
         got {actual}; check width, height and that there is no alpha or row padding"
    )]
    RawSize {
        width: usize,
        height: usize,
        expected: String,
        actual: usize,
    },
}

impl ImageError {
    pub(super) fn corrupt(format: &'static str, detail: impl ToString) -> Self {
        Self::Corrupt {
            format,
            detail: detail.to_string(),
        }
    }
}
