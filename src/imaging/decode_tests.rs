//! Every format, every refusal, and twenty thousand damaged files.

use std::time::{Duration, Instant};

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/images/", $name)).as_slice()
    };
}

fn decode(bytes: &[u8]) -> Result<Rgb8, ImageError> {
    decode_bytes(bytes, &DecodeLimits::default())
}

/// The picture of tests/fixtures/images/generate.py.
fn scene(width: usize, height: usize) -> Rgb8 {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (
                x as f64 - width as f64 / 2.0,
                y as f64 - height as f64 / 2.0,
            );
            let disc = dx * dx + dy * dy < (height as f64 / 3.0).powi(2);
            data.push((x * 255 / (width - 1)) as u8);
            data.push((y * 255 / (height - 1)) as u8);
            data.push(if disc { 200 } else { 40 });
        }
    }
    Rgb8 {
        width,
        height,
        data,
    }
}

fn mean_difference(a: &Rgb8, b: &Rgb8) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    assert_eq!(a.data.len(), a.width * a.height * 3);
    let pairs = a.data.iter().zip(&b.data);
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.data.len() as f64
}

#[test]
fn jpeg_pixels_are_libjpeg_turbos() {
    for (bytes, expected) in [
        (fixture!("420.jpg"), fixture!("420.rgb")),
        (fixture!("422.jpg"), fixture!("422.rgb")),
        (fixture!("444.jpg"), fixture!("444.rgb")),
        (fixture!("progressive.jpg"), fixture!("progressive.rgb")),
    ] {
        let image = decode(bytes).unwrap();
        assert_eq!((image.width, image.height), (67, 45));
        assert!(image.data == expected);
    }
}

#[test]
fn every_kind_of_file_shows_the_scene() {
    let scene = scene(67, 45);
    for (bytes, tolerance) in [
        (fixture!("rgb.png"), 0.0),
        (fixture!("rgb16.png"), 0.0),
        (fixture!("lossless.webp"), 0.0),
        (fixture!("palette.png"), 35.0),
        (fixture!("444.jpg"), 3.0),
        (fixture!("cmyk.jpg"), 4.0),
        (fixture!("lossy.webp"), 10.0),
    ] {
        let difference = mean_difference(&decode(bytes).unwrap(), &scene);
        assert!(difference <= tolerance, "{difference} > {tolerance}");
    }
    for bytes in [
        fixture!("grey.jpg"),
        fixture!("grey.png"),
        fixture!("grey16.png"),
    ] {
        let image = decode(bytes).unwrap();
        assert_eq!((image.width, image.height), (67, 45));
        assert!(image.data.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        assert!(image.data[66 * 3] > image.data[0]);
    }
}

#[test]
fn exif_orientation_is_honoured() {
    let upright = scene(40, 24);
    for bytes in [
        fixture!("exif1.jpg"),
        fixture!("exif2.jpg"),
        fixture!("exif3.jpg"),
        fixture!("exif4.jpg"),
        fixture!("exif5.jpg"),
        fixture!("exif6.jpg"),
        fixture!("exif7.jpg"),
        fixture!("exif8.jpg"),
    ] {
        assert!(mean_difference(&decode(bytes).unwrap(), &upright) < 3.0);
    }
}

#[test]
fn transparent_pixels_lie_over_white() {
    for bytes in [fixture!("alpha.png"), fixture!("alpha.webp")] {
        let image = decode(bytes).unwrap();
        assert_eq!(image.data[..9], [10, 20, 30, 255, 255, 255, 10, 20, 30]);
        assert_eq!(image.data[15..], [132, 137, 142]);
    }
}

#[test]
fn what_is_not_an_image_is_named() {
    assert_eq!(decode(b""), Err(ImageError::Empty));
    for (bytes, word) in [
        (b" <!DOCTYPE html><html>".as_slice(), "HTML"),
        (b"GIF89a......", "GIF"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x20ftypisom....", "MP4"),
        (b"\0\0\0\x20ftypheic....", "HEIC"),
        (b"BM......", "BMP"),
        (b"{\"error\": 404}", "JSON"),
        (b"hello", "text"),
        (b"\x01\x02\x03\x04", "01 02 03 04"),
    ] {
        let error = decode(bytes).unwrap_err();
        assert!(matches!(error, ImageError::Format { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    for bytes in [
        fixture!("420.jpg"),
        fixture!("progressive.jpg"),
        fixture!("grey.jpg"),
        fixture!("rgb.png"),
        fixture!("lossless.webp"),
        fixture!("lossy.webp"),
    ] {
        // The last bytes may be an end mark that no pixel depends on.
        for end in (16..bytes.len() - 16).step_by(7) {
            let error = decode(&bytes[..end]).expect_err("cut file");
            assert!(matches!(error, ImageError::Corrupt { .. }), "{error:?}");
        }
    }
}

/// A PNG of nothing but a header.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&chunk);
    file.extend(crc32(&chunk).to_be_bytes());
    file.extend(b"\0\0\0\0IDAT");
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn too_much_is_refused_before_it_is_decoded() {
    let error = decode(&png_header(60_000, 60_000)).unwrap_err();
    assert!(
        matches!(error, ImageError::TooManyPixels { width: 60_000, .. }),
        "{error:?}"
    );
    let few = DecodeLimits {
        max_pixels: 67 * 45 - 1,
        max_bytes: 1 << 20,
    };
    for bytes in [
        fixture!("420.jpg"),
        fixture!("rgb.png"),
        fixture!("lossy.webp"),
    ] {
        let error = decode_bytes(bytes, &few).unwrap_err();
        assert!(
            matches!(error, ImageError::TooManyPixels { .. }),
            "{error:?}"
        );
    }
    let short = DecodeLimits {
        max_bytes: 100,
        ..few
    };
    let error = decode_bytes(fixture!("rgb.png"), &short).unwrap_err();
    assert!(matches!(error, ImageError::TooManyBytes { limit: 100, .. }));
    let error = decode_base64(&"A".repeat(1000), &short).unwrap_err();
    assert!(matches!(error, ImageError::TooManyBytes { bytes: 750, .. }));
}

#[test]
fn a_jpeg_that_claims_more_than_it_can_hold_is_corrupt() {
    let mut bytes = fixture!("420.jpg").to_vec();
    let frame = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x3F, 0xFF, 0x3F, 0xFF]);
    assert!(matches!(
        decode(&bytes),
        Err(ImageError::Corrupt { detail, .. }) if detail.contains("cannot hold")
    ));
}

#[test]
fn base64_in_all_its_spellings() {
    let bytes = fixture!("alpha.png");
    let plain = base64::engine::general_purpose::STANDARD.encode(bytes);
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let lines: String = plain
        .as_bytes()
        .chunks(20)
        .map(|line| format!("{}\r\n", String::from_utf8_lossy(line)))
        .collect();
    let limits = DecodeLimits::default();
    for text in [
        plain.clone(),
        url_safe,
        lines,
        format!("data:image/png;base64,{plain}"),
        format!(" DATA:image/png;charset=x;BASE64,{plain}\n"),
    ] {
        assert_eq!(decode_base64(&text, &limits).unwrap().width, 3);
    }
    assert_eq!(decode_base64(" \n", &limits), Err(ImageError::Empty));
    for text in [
        "@@@@",
        "abc\u{e9}",
        "AAAAA",
        "data:image/png;base64",
        "data:image/png,abc",
        "/tmp/photo.jpg",
    ] {
        let error = decode_base64(text, &limits).unwrap_err();
        assert!(
            matches!(error, ImageError::Base64 { .. }),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn files_are_read_and_what_is_not_a_file_is_refused() {
    let limits = DecodeLimits::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
    assert!(decode_file(&folder.join("rgb.png"), &limits).is_ok());
    let missing = decode_file(&folder.join("no.png"), &limits).unwrap_err();
    assert!(matches!(missing, ImageError::NotFound { .. }));
    assert!(missing.to_string().contains("no.png"));
    let under_file = decode_file(&folder.join("rgb.png/x.png"), &limits).unwrap_err();
    assert!(matches!(under_file, ImageError::NotFound { .. }));
    for path in [folder.as_path(), Path::new("a\0b")] {
        let error = decode_file(path, &limits).unwrap_err();
        assert!(matches!(error, ImageError::Unreadable { .. }), "{error:?}");
    }
    let short = DecodeLimits {
        max_bytes: 10,
        ..limits
    };
    let error = decode_file(&folder.join("rgb.png"), &short).unwrap_err();
    assert!(matches!(error, ImageError::TooManyBytes { .. }));
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_do_not_hang() {
    let limits = DecodeLimits::default();
    let pipe = std::env::temp_dir().join(format!("pose4d-pipe-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    for path in [pipe.as_path(), Path::new("/dev/zero")] {
        let error = decode_file(path, &limits).unwrap_err();
        assert!(matches!(error, ImageError::Unreadable { .. }), "{error:?}");
    }
    std::fs::remove_file(&pipe).unwrap();
}

#[test]
fn raw_pixels_must_fill_the_frame() {
    assert!(from_raw(vec![0; 24], 4, 2).is_ok());
    for (bytes, width, height) in [
        (23, 4, 2),
        (32, 4, 2),
        (0, 0, 0),
        (0, 0, 7),
        (1, usize::MAX, 3),
    ] {
        let error = from_raw(vec![0; bytes], width, height).unwrap_err();
        assert!(matches!(error, ImageError::RawSize { .. }), "{error:?}");
    }
}

#[test]
fn damaged_files_give_an_image_or_an_error() {
    let originals = [
        fixture!("420.jpg"),
        fixture!("progressive.jpg"),
        fixture!("cmyk.jpg"),
        fixture!("exif6.jpg"),
        fixture!("rgb.png"),
        fixture!("palette.png"),
        fixture!("rgb16.png"),
        fixture!("alpha.png"),
        fixture!("lossless.webp"),
        fixture!("lossy.webp"),
        fixture!("alpha.webp"),
    ];
    let limits = DecodeLimits {
        max_pixels: 1 << 20,
        max_bytes: 1 << 20,
    };
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let start = Instant::now();
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = originals[round % originals.len()].to_vec();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = [0, 0xFF, 0x7F, 0x80][random(4)],
                2 => bytes.truncate(at.max(4)),
                _ => {
                    let piece = bytes[at..(at + random(40)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        match decode_bytes(&bytes, &limits) {
            Ok(image) => {
                assert_eq!(image.data.len(), image.width * image.height * 3);
                decoded += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        if start.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    assert!(decoded > 100 && refused > 1000, "{decoded} {refused}");
}
