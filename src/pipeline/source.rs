//! A frame as the caller hands it over, and how it becomes pixels.

use std::path::PathBuf;

use super::error::{
    EngineError, FRAME_SOURCE, IMAGE_BASE64, IMAGE_CORRUPT, IMAGE_EMPTY, IMAGE_FORMAT,
    IMAGE_NOT_FOUND, IMAGE_TOO_LARGE,
};
use crate::geometry::boxes::BBox;
use crate::imaging::decode::{decode_base64, decode_bytes, decode_file, from_raw};
use crate::imaging::error::ImageError;
use crate::imaging::limits::DecodeLimits;
use crate::imaging::pixels::Rgb8;

/// Where a frame's pixels come from.
#[derive(Clone, Debug)]
pub enum FrameSource {
    /// Encoded JPEG, PNG or WebP.
    Bytes(Vec<u8>),
    /// Base64 of such bytes, plain or as a `data:` URL.
    Base64(String),
    Path(PathBuf),
    /// RGB, 8 bits, row-major.
    Pixels {
        data: Vec<u8>,
        width: u32,
        height: u32,
    },
    /// Already known to be unusable.
    Bad(EngineError),
}

/// One frame of a call.
#[derive(Clone, Debug)]
pub struct FrameInput {
    /// As the caller gave it; NaN where it was not a number.
    pub number: f64,
    pub source: FrameSource,
    pub timestamp_ms: Option<f64>,
    /// People given by the caller, pixels.
    pub boxes: Option<Vec<BBox>>,
    /// What a look at this frame came to, maybe elsewhere; hostile until checked.
    pub look: Option<Vec<u8>>,
}

impl FrameInput {
    pub fn new(number: f64, source: FrameSource) -> Self {
        Self {
            number,
            source,
            timestamp_ms: None,
            boxes: None,
            look: None,
        }
    }
}

impl FrameSource {
    /// Pixels, or what is wrong with them. Work for a pool thread.
    pub fn decode(self, limits: &DecodeLimits) -> Result<Rgb8, EngineError> {
        let decoded = match self {
            Self::Bytes(bytes) => decode_bytes(&bytes, limits),
            Self::Base64(text) => decode_base64(&text, limits),
            Self::Path(path) => decode_file(&path, limits),
            Self::Pixels {
                data,
                width,
                height,
            } => raw(data, width, height, limits),
            Self::Bad(why) => return Err(why),
        };
        decoded.map_err(|e| EngineError::new(code(&e), e.to_string()))
    }
}

fn raw(data: Vec<u8>, width: u32, height: u32, limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        let limit = limits.max_pixels;
        return Err(ImageError::TooManyPixels {
            width,
            height,
            limit,
        });
    }
    from_raw(data, width as usize, height as usize)
}

fn code(error: &ImageError) -> &'static str {
    match error {
        ImageError::Empty => IMAGE_EMPTY,
        ImageError::Format { .. } => IMAGE_FORMAT,
        ImageError::Corrupt { .. } => IMAGE_CORRUPT,
        ImageError::TooManyPixels { .. } | ImageError::TooManyBytes { .. } => IMAGE_TOO_LARGE,
        ImageError::NotFound { .. } | ImageError::Unreadable { .. } => IMAGE_NOT_FOUND,
        ImageError::Base64 { .. } => IMAGE_BASE64,
        ImageError::RawSize { .. } => FRAME_SOURCE,
    }
}
