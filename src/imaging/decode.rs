//! Encoded bytes to pixels, within limits. (Stands in until branch imaging is merged: take theirs.)

use std::io::Cursor;
use std::path::Path;

use base64::Engine as _;

use super::pixels::Rgb8;

#[derive(Clone, Debug)]
pub struct DecodeLimits {
    pub max_pixels: u64,
    pub max_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Empty(String),
    #[error("{0}")]
    Format(String),
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Base64(String),
}

pub fn decode_bytes(bytes: &[u8], limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty("the image has no bytes".into()));
    }
    let format =
        image::guess_format(bytes).map_err(|e| ImageError::Format(format!("not an image: {e}")))?;
    let reader = image::ImageReader::with_format(Cursor::new(bytes), format);
    let (w, h) = reader
        .into_dimensions()
        .map_err(|e| ImageError::Corrupt(format!("bad header: {e}")))?;
    if u64::from(w) * u64::from(h) > limits.max_pixels {
        return Err(ImageError::TooLarge(format!(
            "{w}x{h} is beyond {} pixels",
            limits.max_pixels
        )));
    }
    let rgb = image::load_from_memory_with_format(bytes, format)
        .map_err(|e| ImageError::Corrupt(format!("cannot be decoded: {e}")))?
        .into_rgb8();
    Ok(Rgb8 {
        width: w as usize,
        height: h as usize,
        data: rgb.into_raw(),
    })
}

pub fn decode_base64(text: &str, limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    let text = text.split_once("base64,").map_or(text, |(_, rest)| rest);
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|e| ImageError::Base64(format!("invalid base64: {e}")))?;
    decode_bytes(&bytes, limits)
}

pub fn decode_file(path: &Path, limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    let bytes = std::fs::read(path)
        .map_err(|e| ImageError::NotFound(format!("{}: {e}", path.display())))?;
    decode_bytes(&bytes, limits)
}

pub fn from_raw(
    data: Vec<u8>,
    width: u32,
    height: u32,
    limits: &DecodeLimits,
) -> Result<Rgb8, ImageError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels {
        return Err(ImageError::TooLarge(format!("{width}x{height}")));
    }
    if data.len() as u64 != pixels * 3 || pixels == 0 {
        return Err(ImageError::Format(format!(
            "pixels must hold width * height * 3 bytes: {width}x{height} against {}",
            data.len()
        )));
    }
    Ok(Rgb8 {
        width: width as usize,
        height: height as usize,
        data,
    })
}
