//! JPEG → RGB through libjpeg (mozjpeg's copy), whose pixels equal libjpeg-turbo's to the bit.
//!
//! The landmark networks were made and are compared on libjpeg-turbo's pixels, and they amplify
//! small differences, so a faster decoder with another chroma filter would move results. Where
//! `nasm` is on the machine that builds, libjpeg's SIMD code is compiled in; the pixels are the same.

use std::any::Any;
use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use image::metadata::Orientation;
use mozjpeg::{ColorSpace, Decompress, Marker};
use mozjpeg_sys::jpeg_common_struct;

use crate::imaging::decode::DecodeLimits;
use crate::imaging::error::ImageError;
use crate::imaging::pixels::Rgb8;

const FORMAT: &str = "JPEG";
/// Each scan of a progressive file costs a pass over all its pixels; real files have about ten.
const MAX_SCANS: usize = 200;
/// libjpeg goes on after these warnings with invented pixels; we do not.
const FATAL_WARNINGS: [&str; 3] = [
    "Premature end of JPEG file",
    "Corrupt JPEG data: premature end of data segment",
    "Corrupt JPEG data: bad Huffman code",
];

/// The pixels, and how they have to be turned to stand upright.
pub(super) fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<(Rgb8, Orientation), ImageError> {
    refuse_many_scans(bytes)?;
    // libjpeg reports errors by unwinding with its message; nothing of ours is left half-changed.
    catch_unwind(AssertUnwindSafe(|| read(bytes, limits))).unwrap_or_else(|payload| {
        Err(match message_of(payload) {
            message if message.contains("nsupported") || message.contains("not supported") => {
                ImageError::Format {
                    looks_like: format!("a JPEG of a rare kind ({message})"),
                    hint: "Save it as an ordinary 8-bit JPEG.",
                }
            }
            message => ImageError::corrupt(FORMAT, message),
        })
    })
}

fn read(bytes: &[u8], limits: &DecodeLimits) -> Result<(Rgb8, Orientation), ImageError> {
    let corrupt = |error: std::io::Error| ImageError::corrupt(FORMAT, error);
    let decoder = Decompress::builder()
        .with_err(strict_errors())
        .with_markers(&[Marker::APP(1), Marker::APP(14)])
        .from_mem(bytes)
        .map_err(corrupt)?;
    let (width, height) = decoder.size();
    limits.check_pixels(FORMAT, width as u64, height as u64)?;
    // A block of 64 pixels takes at least one bit, so the file cannot hold what the header claims.
    if (width as u64 * height as u64) / 512 > bytes.len() as u64 {
        return Err(ImageError::corrupt(
            FORMAT,
            format!("{} bytes cannot hold {width}x{height}", bytes.len()),
        ));
    }

    let orientation = orientation(&decoder);
    let inked = matches!(
        decoder.color_space(),
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK
    );
    // Adobe writes inks inverted (255: no ink); others as they are.
    let inverted = decoder
        .markers()
        .any(|found| matches!(found.marker, Marker::APP(14)) && found.data.starts_with(b"Adobe"));
    let target = if inked {
        ColorSpace::JCS_CMYK
    } else {
        ColorSpace::JCS_RGB
    };
    let mut started = decoder.to_colorspace(target).map_err(corrupt)?;
    let mut data: Vec<u8> = started.read_scanlines().map_err(corrupt)?;
    started.finish().map_err(corrupt)?;
    if inked {
        data = inks_to_rgb(&data, inverted);
    }
    let image = Rgb8 {
        width,
        height,
        data,
    };
    Ok((image, orientation))
}

fn orientation<R>(decoder: &Decompress<R>) -> Orientation {
    decoder
        .markers()
        .filter(|found| matches!(found.marker, Marker::APP(1)))
        .filter_map(|found| found.data.strip_prefix(b"Exif\0\0"))
        .find_map(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

/// CMYK to RGB without a colour profile: light passes each ink, and black, in turn.
fn inks_to_rgb(inks: &[u8], inverted: bool) -> Vec<u8> {
    let light = |ink: u8| u32::from(if inverted { ink } else { 255 - ink });
    inks.chunks_exact(4)
        .flat_map(|pixel| {
            let black = light(pixel[3]);
            [pixel[0], pixel[1], pixel[2]].map(|ink| ((light(ink) * black + 127) / 255) as u8)
        })
        .collect()
}

/// Inside entropy-coded data an 0xFF is never followed by 0xDA, so counting the marker is exact
/// but for a thumbnail in the metadata.
fn refuse_many_scans(bytes: &[u8]) -> Result<(), ImageError> {
    let scans = bytes
        .windows(2)
        .filter(|pair| *pair == [0xFF, 0xDA])
        .count();
    if scans > MAX_SCANS {
        return Err(ImageError::corrupt(
            FORMAT,
            format!("{scans} scans; at most {MAX_SCANS} are read"),
        ));
    }
    Ok(())
}

/// libjpeg's error manager, with errors and [`FATAL_WARNINGS`] unwinding with their message.
fn strict_errors() -> mozjpeg_sys::jpeg_error_mgr {
    // SAFETY: the struct is plain data and function pointers in `Option`s, for which zero is
    // valid; `jpeg_std_error` then fills it.
    let mut manager = unsafe {
        let mut manager = std::mem::zeroed();
        mozjpeg_sys::jpeg_std_error(&mut manager);
        manager
    };
    manager.error_exit = Some(on_error);
    manager.emit_message = Some(on_message);
    manager
}

unsafe extern "C-unwind" fn on_error(cinfo: &mut jpeg_common_struct) {
    // SAFETY: libjpeg calls this with its own live struct.
    resume_unwind(Box::new(unsafe { message(cinfo) }));
}

unsafe extern "C-unwind" fn on_message(cinfo: &mut jpeg_common_struct, level: c_int) {
    let warning = level < 0;
    if warning {
        // SAFETY: libjpeg calls this with its own live struct.
        let text = unsafe { message(cinfo) };
        if FATAL_WARNINGS.contains(&text.as_str()) {
            resume_unwind(Box::new(text));
        }
    }
}

/// The current message of libjpeg's table, its first number filled in.
///
/// # Safety
/// `cinfo.err` points to an error manager set up by `jpeg_std_error`, or is null.
unsafe fn message(cinfo: &jpeg_common_struct) -> String {
    // SAFETY: the table holds `last_jpeg_message + 1` pointers to C strings that live forever,
    // and every member of the parameter union is plain integers or characters.
    unsafe {
        let Some(manager) = cinfo.err.as_ref() else {
            return "unknown error".into();
        };
        let code = manager.msg_code;
        if code < 0 || code > manager.last_jpeg_message || manager.jpeg_message_table.is_null() {
            return format!("error {code}");
        }
        let entry = *manager.jpeg_message_table.add(code as usize);
        if entry.is_null() {
            return format!("error {code}");
        }
        let text = CStr::from_ptr(entry.cast()).to_string_lossy();
        let number = manager.msg_parm._bindgen_data_[0].to_string();
        text.replacen("%d", &number, 1)
            .replacen("%u", &number, 1)
            .replace("%d", "?")
            .replace("%u", "?")
    }
}

/// What was unwound with: libjpeg's message, or the text of a panic.
fn message_of(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(|| "decoder failure".into(), |text| (*text).into()),
    }
}
