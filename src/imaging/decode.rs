//! Encoded bytes, base64, files and raw pixels → `Rgb8`, under limits that are on by default.
//!
//! The header is read and checked first, so a small file that claims a huge picture is refused
//! before its pixels are allocated. EXIF orientation is applied. Transparent pixels are laid over
//! white, as most viewers show them; an opaque alpha channel changes nothing. 16-bit samples are
//! rounded to 8, palettes and grey become RGB, and of an animation the first frame is taken.

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, RgbImage};

use crate::imaging::error::ImageError;
use crate::imaging::jpeg;
use crate::imaging::limits::DecodeLimits;
use crate::imaging::pixels::Rgb8;
use crate::imaging::sniff::{Kind, sniff};

/// A JPEG, PNG or WebP file in memory.
pub fn decode_bytes(bytes: &[u8], limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    limits.check_bytes(bytes.len() as u64)?;
    match sniff(bytes) {
        Kind::Jpeg => {
            let (image, orientation) = jpeg::decode(bytes, limits)?;
            Ok(upright(image, orientation))
        }
        Kind::Png => {
            let format = "PNG";
            let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits.for_decoder())
                .map_err(|error| ImageError::corrupt(format, error))?;
            decode_with(decoder, format, limits)
        }
        Kind::Webp => {
            let format = "WebP";
            let decoder = WebPDecoder::new(Cursor::new(bytes))
                .map_err(|error| ImageError::corrupt(format, error))?;
            decode_with(decoder, format, limits)
        }
        Kind::Other { looks_like, hint } => Err(ImageError::Format { looks_like, hint }),
    }
}

/// Plain base64 or a `data:` URL; white space, a missing `=` and the URL-safe letters are fine.
pub fn decode_base64(text: &str, limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    decode_bytes(&bytes_of_base64(text, limits)?, limits)
}

/// A regular file; anything else (a folder, a pipe, a device) is refused without opening it.
pub fn decode_file(path: &Path, limits: &DecodeLimits) -> Result<Rgb8, ImageError> {
    decode_bytes(&bytes_of_file(path, limits)?, limits)
}

/// `width * height` RGB pixels of 8 bits, row-major, without padding.
pub fn from_raw(pixels: Vec<u8>, width: usize, height: usize) -> Result<Rgb8, ImageError> {
    let expected = width
        .checked_mul(height)
        .and_then(|pixels| pixels.checked_mul(3));
    if width == 0 || height == 0 || expected != Some(pixels.len()) {
        return Err(ImageError::RawSize {
            width,
            height,
            expected: match expected {
                Some(0) => "more than 0".into(),
                Some(bytes) => bytes.to_string(),
                None => "too many".into(),
            },
            actual: pixels.len(),
        });
    }
    Ok(Rgb8 {
        width,
        height,
        data: pixels,
    })
}

fn decode_with(
    mut decoder: impl ImageDecoder,
    format: &'static str,
    limits: &DecodeLimits,
) -> Result<Rgb8, ImageError> {
    let corrupt = |error: image::ImageError| ImageError::corrupt(format, error);
    let (width, height) = decoder.dimensions();
    limits.check_pixels(format, u64::from(width), u64::from(height))?;
    decoder
        .set_limits(limits.for_decoder())
        .map_err(|error| ImageError::corrupt(format, error))?;
    // Broken metadata is no reason to refuse good pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(corrupt)?;
    let rgb = if decoded.color().has_alpha() {
        over_white(decoded)
    } else {
        decoded.into_rgb8()
    };
    Ok(upright(from_rgb_image(rgb), orientation))
}

fn over_white(image: DynamicImage) -> RgbImage {
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = RgbImage::new(width, height);
    for (to, from) in rgb.pixels_mut().zip(rgba.pixels()) {
        let [r, g, b, a] = from.0.map(u32::from);
        to.0 = [r, g, b].map(|c| ((c * a + 255 * (255 - a) + 127) / 255) as u8);
    }
    rgb
}

fn upright(image: Rgb8, orientation: Orientation) -> Rgb8 {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (width, height) = (image.width as u32, image.height as u32);
    match RgbImage::from_raw(width, height, image.data) {
        Some(rgb) => {
            let mut turned = DynamicImage::ImageRgb8(rgb);
            turned.apply_orientation(orientation);
            from_rgb_image(turned.into_rgb8())
        }
        // Cannot be: the decoder filled width * height pixels.
        None => Rgb8 {
            width: 0,
            height: 0,
            data: Vec::new(),
        },
    }
}

fn from_rgb_image(image: RgbImage) -> Rgb8 {
    Rgb8 {
        width: image.width() as usize,
        height: image.height() as usize,
        data: image.into_raw(),
    }
}

fn bytes_of_base64(text: &str, limits: &DecodeLimits) -> Result<Vec<u8>, ImageError> {
    let invalid = |detail: String| ImageError::Base64 { detail };
    let body = base64_body(text.trim_start()).map_err(|detail| invalid(detail.into()))?;
    let letters = body.bytes().filter(|byte| !byte.is_ascii_whitespace());
    limits.check_bytes((letters.clone().count() as u64 / 4).saturating_mul(3))?;
    let letters: Vec<u8> = letters
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    if letters.is_empty() {
        return Err(ImageError::Empty);
    }
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&STANDARD, config)
        .decode(letters)
        .map_err(|error| invalid(error.to_string().to_lowercase()))
}

fn base64_body(text: &str) -> Result<&str, &'static str> {
    let is_url = text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("data:"));
    if !is_url {
        return Ok(text);
    }
    let (head, body) = text
        .split_once(',')
        .ok_or("the data: URL has no comma after its type")?;
    let marked = head
        .rsplit(';')
        .next()
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    if marked {
        Ok(body)
    } else {
        Err("the data: URL does not say ;base64")
    }
}

fn bytes_of_file(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, ImageError> {
    let unreadable = |reason: String| ImageError::Unreadable {
        path: path.to_path_buf(),
        reason,
    };
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ImageError::NotFound {
            path: path.to_path_buf(),
        },
        _ => unreadable(error.to_string()),
    };
    // Asked before opening: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(unreadable("it is a folder".into()));
    }
    if !metadata.is_file() {
        return Err(unreadable("it is a pipe, socket or device".into()));
    }
    limits.check_bytes(metadata.len())?;
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may be growing while it is read.
    file.take(limits.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
