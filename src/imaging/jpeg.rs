//! JPEG → RGB through libjpeg (mozjpeg's copy), whose pixels equal libjpeg-turbo's to the bit.
//!
//! The landmark networks were made and are compared on libjpeg-turbo's pixels, and they amplify
//! small differences, so a decoder with another chroma filter would move results. libjpeg's own
//! SIMD code needs an assembler to build, so the arithmetic of common files is in `jpeg_pixels`.

use std::any::Any;
use std::ffi::{CStr, c_int, c_ulong};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use image::metadata::Orientation;
use mozjpeg_sys::{self as ffi, J_COLOR_SPACE};
use mozjpeg_sys::{jpeg_common_struct, jpeg_decompress_struct, jpeg_error_mgr};

use crate::imaging::error::ImageError;
use crate::imaging::jpeg_kernels::Block;
use crate::imaging::jpeg_pixels::{Chroma, Layout, Painter, Tables};
use crate::imaging::jpeg_stream;
use crate::imaging::limits::DecodeLimits;
use crate::imaging::pixels::Rgb8;

const FORMAT: &str = "JPEG";
/// Each scan of a progressive file costs a pass over all its pixels; real files have about ten.
const MAX_SCANS: usize = 200;
/// Larger pictures are decoded line by line, without holding all their coefficients.
const MAX_BLOCK_PIXELS: usize = 32 << 20;
/// libjpeg filters narrower chroma another way.
const MIN_WIDTH: usize = 5;
const EXIF_MARKER: u8 = 0xE1;
const ADOBE_MARKER: u8 = 0xEE;
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
    let mut reader = Reader::new(bytes)?;
    let (width, height) = reader.size();
    limits.check_pixels(FORMAT, width as u64, height as u64)?;
    // A block of 64 pixels takes at least one bit, so the file cannot hold what the header claims.
    if (width as u64 * height as u64) / 512 > bytes.len() as u64 {
        return Err(ImageError::corrupt(
            FORMAT,
            format!("{} bytes cannot hold {width}x{height}", bytes.len()),
        ));
    }
    let orientation = reader.orientation();
    let data = match reader.plain_layout() {
        Some(layout) => read_plain(reader, bytes, layout)?,
        None => reader.read_lines()?,
    };
    let image = Rgb8 {
        width,
        height,
        data,
    };
    Ok((image, orientation))
}

/// The fastest way first; the others start again from the file's beginning.
fn read_plain<'a>(
    mut reader: Reader<'a>,
    bytes: &'a [u8],
    layout: Layout,
) -> Result<Vec<u8>, ImageError> {
    if !reader.has_many_scans() {
        if let Some(data) = reader.read_stream(layout) {
            return Ok(data);
        }
        reader = Reader::new(bytes)?;
    }
    match reader.read_blocks(layout)? {
        Some(data) => Ok(data),
        None => Reader::new(bytes)?.read_lines(),
    }
}

/// A libjpeg decompressor past the file's header.
struct Reader<'a> {
    cinfo: Box<jpeg_decompress_struct>,
    /// `cinfo` points to it.
    _errors: Box<jpeg_error_mgr>,
    /// `cinfo` reads from them.
    _bytes: &'a [u8],
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `jpeg_create_decompress`, or still zero, which libjpeg allows.
        unsafe { ffi::jpeg_destroy_decompress(&mut self.cinfo) };
    }
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let length = c_ulong::try_from(bytes.len())
            .map_err(|_| ImageError::corrupt(FORMAT, "it is too long for libjpeg"))?;
        // SAFETY: the struct is plain data for which zero is valid; the error manager is in place
        // before the first call, and boxes and bytes outlive the decompressor.
        let (reader, header) = unsafe {
            let mut reader = Self {
                cinfo: Box::new(std::mem::zeroed()),
                _errors: Box::new(strict_errors()),
                _bytes: bytes,
            };
            reader.cinfo.common.err = &mut *reader._errors;
            ffi::jpeg_create_decompress(&mut *reader.cinfo);
            ffi::jpeg_mem_src(&mut reader.cinfo, bytes.as_ptr(), length);
            for marker in [EXIF_MARKER, ADOBE_MARKER] {
                ffi::jpeg_save_markers(&mut reader.cinfo, c_int::from(marker), 0xFFFF);
            }
            let header = ffi::jpeg_read_header(&mut reader.cinfo, 1);
            (reader, header)
        };
        if header == 1 {
            Ok(reader)
        } else {
            Err(ImageError::corrupt(FORMAT, "no picture in it"))
        }
    }

    fn size(&self) -> (usize, usize) {
        (
            self.cinfo.image_width as usize,
            self.cinfo.image_height as usize,
        )
    }

    /// Contents of the kept markers of one kind.
    fn markers(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        let mut next = self.cinfo.marker_list;
        let all = std::iter::from_fn(move || {
            // SAFETY: libjpeg's list lives as long as the decompressor, hence as `self`.
            unsafe {
                let marker = next.as_ref()?;
                next = marker.next;
                let data = match marker.data_length as usize {
                    0 => &[],
                    length => std::slice::from_raw_parts(marker.data, length),
                };
                Some((marker.marker, data))
            }
        });
        all.filter(move |(found, _)| *found == kind)
            .map(|(_, data)| data)
    }

    fn orientation(&self) -> Orientation {
        self.markers(EXIF_MARKER)
            .filter_map(|data| data.strip_prefix(b"Exif\0\0"))
            .find_map(Orientation::from_exif_chunk)
            .unwrap_or(Orientation::NoTransforms)
    }

    fn components(&self) -> &[ffi::jpeg_component_info] {
        let count = usize::try_from(self.cinfo.num_components).unwrap_or(0);
        if self.cinfo.comp_info.is_null() {
            return &[];
        }
        // SAFETY: libjpeg keeps that many of them while the decompressor lives.
        unsafe { std::slice::from_raw_parts(self.cinfo.comp_info, count) }
    }

    /// Of a common file; `None` for all that libjpeg had better do from end to end.
    fn plain_layout(&self) -> Option<Layout> {
        let (width, height) = self.size();
        let [y, cb, cr] = self.components() else {
            return None;
        };
        let plain = self.cinfo.jpeg_color_space == J_COLOR_SPACE::JCS_YCbCr;
        if !plain || width < MIN_WIDTH || width.checked_mul(height)? > MAX_BLOCK_PIXELS {
            return None;
        }
        let factors = [y, cb, cr].map(|part| (part.h_samp_factor, part.v_samp_factor));
        let chroma = match factors {
            [(1, 1), (1, 1), (1, 1)] => Chroma::Full,
            [(2, 1), (1, 1), (1, 1)] => Chroma::HalfWidth,
            [(2, 2), (1, 1), (1, 1)] => Chroma::HalfBoth,
            _ => return None,
        };
        Some(Layout {
            width,
            height,
            chroma,
        })
    }

    fn has_many_scans(&self) -> bool {
        // SAFETY: the header has been read.
        unsafe { ffi::jpeg_has_multiple_scans(&self.cinfo) != 0 }
    }

    /// The tables in force at the first scan.
    fn tables(&self) -> Option<Tables> {
        let mut tables = [[0; 64]; 3];
        for (part, table) in self.components().iter().zip(&mut tables) {
            let number = usize::try_from(part.quant_tbl_no).ok()?;
            // SAFETY: null, or a table of libjpeg's that lives as long as the decompressor.
            *table = unsafe { self.cinfo.quant_tbl_ptrs.get(number)?.as_ref() }?.quantval;
        }
        Some(tables)
    }

    /// libjpeg undoes the Huffman coding of a file of one scan; each row of MCUs is turned into
    /// pixels before the next is read. `None` if there is more to the file than that.
    fn read_stream(&mut self, layout: Layout) -> Option<Vec<u8>> {
        let painter = Painter::new(layout, self.tables()?);
        jpeg_stream::read(&mut self.cinfo, &layout, painter)
    }

    /// As `read_stream`, with all coefficients in memory. `None` where libjpeg would smooth.
    fn read_blocks(&mut self, layout: Layout) -> Result<Option<Vec<u8>>, ImageError> {
        let failed = || ImageError::corrupt(FORMAT, "its blocks cannot be read");
        // SAFETY: the header has been read; the arrays live as long as the decompressor.
        let arrays = unsafe { ffi::jpeg_read_coefficients(&mut self.cinfo) };
        if arrays.is_null() {
            return Err(failed());
        }
        if self.is_incomplete() {
            return Ok(None);
        }
        let mut tables = [[0; 64]; 3];
        let mut sizes = [(0, 0); 3];
        for (part, (table, size)) in
            (self.components().iter()).zip(tables.iter_mut().zip(&mut sizes))
        {
            // SAFETY: null, or libjpeg's copy of the table this component was coded with.
            *table = unsafe { part.quant_table.as_ref() }
                .ok_or_else(failed)?
                .quantval;
            *size = (part.width_in_blocks as usize, part.height_in_blocks);
        }
        // SAFETY: set by `jpeg_create_decompress`.
        let access = unsafe { self.cinfo.common.mem.as_ref() }
            .and_then(|memory| memory.access_virt_barray)
            .ok_or_else(failed)?;
        let common = &mut self.cinfo.common;
        let mut painter = Painter::new(layout, tables);
        for mcu_row in 0..layout.mcu_rows() {
            painter.paint(mcu_row, |component, n| -> &[Block] {
                let (wide, high) = sizes[component];
                let row = (mcu_row * layout.block_rows(component) + n) as u32;
                let row = row.min(high.saturating_sub(1));
                // SAFETY: `row` is one of the component's rows, each of `width_in_blocks` blocks
                // that stay where they are until the decompressor is destroyed.
                unsafe {
                    let rows = access(common, *arrays.add(component), row, 1, 0);
                    std::slice::from_raw_parts(*rows, wide)
                }
            });
        }
        painter.finish().map(Some).ok_or_else(failed)
    }

    /// Whether a progressive file left low frequencies unsaid, which libjpeg then guesses.
    fn is_incomplete(&self) -> bool {
        let bits = self.cinfo.coef_bits.cast::<[c_int; 64]>();
        if bits.is_null() {
            return false;
        }
        // SAFETY: where not null, it is a table with a row of 64 for each component.
        let rows = unsafe { std::slice::from_raw_parts(bits, self.components().len()) };
        rows.iter()
            .any(|row| row[..10].iter().any(|bits| *bits != 0))
    }

    /// libjpeg does it all.
    fn read_lines(&mut self) -> Result<Vec<u8>, ImageError> {
        let (width, height) = self.size();
        let inked = matches!(
            self.cinfo.jpeg_color_space,
            J_COLOR_SPACE::JCS_CMYK | J_COLOR_SPACE::JCS_YCCK
        );
        self.cinfo.out_color_space = if inked {
            J_COLOR_SPACE::JCS_CMYK
        } else {
            J_COLOR_SPACE::JCS_RGB
        };
        // Adobe writes inks inverted (255: no ink); others as they are.
        let inverted = self
            .markers(ADOBE_MARKER)
            .any(|data| data.starts_with(b"Adobe"));
        let stride = width * if inked { 4 } else { 3 };
        let mut data = vec![0; stride * height];
        // SAFETY: the header has been read, and each row has room for a line of that colour space.
        unsafe {
            ffi::jpeg_start_decompress(&mut self.cinfo);
            for row in data.chunks_exact_mut(stride) {
                let mut start = row.as_mut_ptr();
                if ffi::jpeg_read_scanlines(&mut self.cinfo, &mut start, 1) != 1 {
                    return Err(ImageError::corrupt(FORMAT, "it ends too early"));
                }
            }
            ffi::jpeg_finish_decompress(&mut self.cinfo);
        }
        if inked {
            data = inks_to_rgb(&data, inverted);
        }
        Ok(data)
    }
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
fn strict_errors() -> jpeg_error_mgr {
    // SAFETY: the struct is plain data and function pointers in `Option`s, for which zero is
    // valid; `jpeg_std_error` then fills it.
    let mut manager = unsafe {
        let mut manager = std::mem::zeroed();
        ffi::jpeg_std_error(&mut manager);
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
