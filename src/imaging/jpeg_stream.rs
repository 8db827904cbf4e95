//! JPEG coefficients row by row: libjpeg reads into a window of one row of MCUs, not into arrays
//! for the whole picture, which for large pictures costs more in memory traffic than the arithmetic.
//!
//! libjpeg asks its memory manager, whose functions are part of its interface, for coefficient
//! arrays and for access to their rows. For one file these two are replaced by ours.

use std::ffi::{c_int, c_void};
use std::ptr;

use mozjpeg_sys::{self as ffi, boolean, jpeg_common_struct, jpeg_decompress_struct};
use mozjpeg_sys::{JBLOCKARRAY, JDIMENSION, jvirt_barray_control};

use crate::imaging::jpeg_kernels::Block;
use crate::imaging::jpeg_pixels::{Layout, Painter};

/// The picture of a file of one scan whose header has been read; afterwards `cinfo` is only good to
/// be destroyed. `None` if its rows do not come in order or not all of them.
pub(super) fn read(
    cinfo: &mut jpeg_decompress_struct,
    layout: &Layout,
    painter: Painter,
) -> Option<Vec<u8>> {
    let mut stream = Stream {
        rows: [0, 1, 2].map(|component| layout.block_rows(component)),
        windows: Default::default(),
        asked: 0,
        mcu_row: None,
        in_order: true,
        painter,
    };
    // SAFETY: set by `jpeg_create_decompress`, for this decompressor alone. libjpeg asks for the
    // arrays and uses them only within `jpeg_read_coefficients`, while `stream` is in place and
    // touched by nobody else.
    unsafe {
        let memory = cinfo.common.mem.as_mut()?;
        memory.request_virt_barray = Some(request);
        memory.access_virt_barray = Some(access);
        let stream = &raw mut stream;
        cinfo.common.client_data = stream.cast::<c_void>();
        let arrays = ffi::jpeg_read_coefficients(cinfo);
        cinfo.common.client_data = ptr::null_mut();
        if arrays.is_null() {
            return None;
        }
    }
    stream.finish()
}

struct Stream {
    /// Rows of blocks in a row of MCUs, by component.
    rows: [usize; 3],
    windows: [Window; 3],
    /// Arrays asked for so far.
    asked: usize,
    /// The row of MCUs in the windows.
    mcu_row: Option<usize>,
    in_order: bool,
    painter: Painter,
}

#[derive(Default)]
struct Window {
    blocks: Vec<Block>,
    /// Blocks in a row.
    wide: usize,
    /// Where the rows start, as libjpeg wants them.
    starts: Vec<*mut Block>,
}

impl Stream {
    /// Paints the row of MCUs in the windows if they are to hold another.
    fn turn_to(&mut self, mcu_row: usize) {
        if self.mcu_row == Some(mcu_row) {
            return;
        }
        if self.mcu_row.map_or(0, |row| row + 1) == mcu_row {
            self.paint();
        } else {
            self.in_order = false;
        }
        self.mcu_row = Some(mcu_row);
        for window in &mut self.windows {
            window.blocks.fill([0; 64]);
            let start = window.blocks.as_mut_ptr();
            for (row, slot) in window.starts.iter_mut().enumerate() {
                *slot = start.wrapping_add(row * window.wide);
            }
        }
    }

    fn paint(&mut self) {
        if let (Some(row), true) = (self.mcu_row, self.in_order) {
            let windows = &self.windows;
            self.painter.paint(row, |component, n| {
                let window = &windows[component];
                &window.blocks[n * window.wide..(n + 1) * window.wide]
            });
        }
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.paint();
        if !self.in_order {
            return None;
        }
        self.painter.finish()
    }
}

/// Stands in for `request_virt_barray`: the result is no address but the component's number, plus
/// one; libjpeg only hands it back.
unsafe extern "C-unwind" fn request(
    cinfo: &mut jpeg_common_struct,
    _pool: c_int,
    _zeroed: boolean,
    wide: JDIMENSION,
    _high: JDIMENSION,
    _most: JDIMENSION,
) -> *mut jvirt_barray_control {
    // SAFETY: `read` has put it there, and holds no reference to it meanwhile.
    let stream = unsafe { &mut *cinfo.client_data.cast::<Stream>() };
    let component = stream.asked;
    stream.asked += 1;
    if let (Some(window), Some(rows)) = (
        stream.windows.get_mut(component),
        stream.rows.get(component),
    ) {
        window.wide = wide as usize;
        window.blocks = vec![[0; 64]; window.wide * rows];
        window.starts = vec![ptr::null_mut(); *rows];
    }
    ptr::without_provenance_mut(component + 1)
}

/// Stands in for `access_virt_barray`.
unsafe extern "C-unwind" fn access(
    cinfo: &mut jpeg_common_struct,
    array: *mut jvirt_barray_control,
    start: JDIMENSION,
    rows: JDIMENSION,
    _writable: boolean,
) -> JBLOCKARRAY {
    // SAFETY: `read` has put it there, and holds no reference to it meanwhile.
    let stream = unsafe { &mut *cinfo.client_data.cast::<Stream>() };
    let component = array.addr().wrapping_sub(1);
    let (start, rows) = (start as usize, rows as usize);
    match stream.rows.get(component) {
        Some(high) if *high == rows && start.is_multiple_of(rows) => {
            stream.turn_to(start / rows);
            stream.windows[component].starts.as_mut_ptr()
        }
        // Never asked for by a three-component file of one scan.
        _ => std::panic::resume_unwind(Box::new("rows of blocks out of order")),
    }
}
