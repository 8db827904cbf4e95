//! `Rgb8` → the bytes of a PNG or JPEG file.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::imaging::pixels::Rgb8;

/// The picture cannot be written in that format.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a {width}x{height} picture as {format}: {source}")]
pub struct EncodeError {
    format: &'static str,
    width: usize,
    height: usize,
    source: image::ImageError,
}

pub fn encode_png(image: &Rgb8) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    write(image, "PNG", PngEncoder::new(&mut bytes))?;
    Ok(bytes)
}

/// `quality` from 1 (small) to 100 (good); others are taken as the nearest of these.
pub fn encode_jpeg(image: &Rgb8, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100));
    write(image, "JPEG", encoder)?;
    Ok(bytes)
}

fn write(
    image: &Rgb8,
    format: &'static str,
    encoder: impl ImageEncoder,
) -> Result<(), EncodeError> {
    let (width, height) = (image.width, image.height);
    let failed = |source| EncodeError {
        format,
        width,
        height,
        source,
    };
    let dimensions = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    // The encoder panics on a buffer of another size.
    let fits = width.checked_mul(height).and_then(|n| n.checked_mul(3)) == Some(image.data.len());
    let Some((w, h)) = dimensions.filter(|_| fits) else {
        let kind = image::error::ParameterErrorKind::DimensionMismatch;
        let source = image::error::ParameterError::from_kind(kind);
        return Err(failed(image::ImageError::Parameter(source)));
    };
    encoder
        .write_image(&image.data, w, h, ExtendedColorType::Rgb8)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::decode::decode_bytes;
    use crate::imaging::limits::DecodeLimits;

    fn gradient(width: usize, height: usize) -> Rgb8 {
        let data = (0..width * height)
            .flat_map(|i| [(i % width) as u8, (i / width) as u8, 90])
            .collect();
        Rgb8 {
            width,
            height,
            data,
        }
    }

    #[test]
    fn png_comes_back_as_it_was() {
        let image = gradient(31, 17);
        let bytes = encode_png(&image).unwrap();
        assert!(decode_bytes(&bytes, &DecodeLimits::default()).unwrap() == image);
    }

    #[test]
    fn jpeg_comes_back_nearly_and_quality_costs_bytes() {
        let image = gradient(64, 48);
        let (good, small) = (
            encode_jpeg(&image, 95).unwrap(),
            encode_jpeg(&image, 5).unwrap(),
        );
        assert!(good.len() > small.len());
        let back = decode_bytes(&good, &DecodeLimits::default()).unwrap();
        assert_eq!((back.width, back.height), (64, 48));
        let pairs = back.data.iter().zip(&image.data);
        assert!(pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap() < 24);
    }

    #[test]
    fn an_impossible_picture_is_an_error() {
        let mut image = gradient(4, 4);
        image.data.pop();
        assert!(encode_png(&image).is_err());
        assert!(encode_jpeg(&gradient(0, 0), 90).is_err());
        let wide = Rgb8 {
            width: 70_000,
            height: 1,
            data: vec![0; 210_000],
        };
        let error = encode_jpeg(&wide, 90).unwrap_err().to_string();
        assert!(
            error.contains("70000x1") && error.contains("JPEG"),
            "{error}"
        );
    }
}
