//! How much a picture may be, in pixels and in bytes.

use image::Limits;

use crate::imaging::error::ImageError;

/// How much a picture may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Width times height.
    pub max_pixels: u64,
    /// Of the encoded image.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    /// 16,383 x 16,383 pixels in 256 MiB.
    fn default() -> Self {
        Self {
            max_pixels: 268_402_689,
            max_bytes: 256 << 20,
        }
    }
}

impl DecodeLimits {
    pub(super) fn check_pixels(
        &self,
        format: &'static str,
        width: u64,
        height: u64,
    ) -> Result<(), ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::corrupt(format, "it has no pixels"));
        }
        if width.saturating_mul(height) > self.max_pixels {
            return Err(ImageError::TooManyPixels {
                width: u32::try_from(width).unwrap_or(u32::MAX),
                height: u32::try_from(height).unwrap_or(u32::MAX),
                limit: self.max_pixels,
            });
        }
        Ok(())
    }

    pub(super) fn check_bytes(&self, bytes: u64) -> Result<(), ImageError> {
        if bytes > self.max_bytes {
            let limit = self.max_bytes;
            return Err(ImageError::TooManyBytes { bytes, limit });
        }
        Ok(())
    }

    /// For the decoders' own allocations: the widest pixel they make (RGBA, 16 bits), and room.
    pub(super) fn for_decoder(&self) -> Limits {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.max_pixels.saturating_mul(8).saturating_add(64 << 20));
        limits
    }
}
