//! Quantised JPEG coefficients → RGB, in libjpeg's arithmetic and several times its plain-C speed.
//!
//! Follows libjpeg's defaults to the bit: the accurate integer inverse DCT (Loeffler, Ligtenberg
//! and Moschytz; 13-bit constants, 2 more bits between the passes), triangle-filtered chroma and
//! 16-bit fixed-point colour. The loops are in `jpeg_kernels`, for some processors also by hand;
//! integers only, so every machine gives the same pixels. One row of MCUs is in work at a time and
//! stays in the processor's cache.

use super::buffers;
use crate::imaging::jpeg_kernels::{Block, Kernels, PORTABLE, RUN, Wide};

/// How much smaller the chroma planes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chroma {
    /// 4:4:4
    Full,
    /// 4:2:2
    HalfWidth,
    /// 4:2:0
    HalfBoth,
}

/// The picture's measures.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    pub chroma: Chroma,
}

/// Quantisation tables of the three components, in the order of [`Block`].
pub(super) type Tables = [[u16; 64]; 3];

impl Layout {
    /// How many rows of blocks of a component make up one row of MCUs.
    pub(super) fn block_rows(&self, component: usize) -> usize {
        match (component, self.chroma) {
            (0, Chroma::HalfBoth) => 2,
            _ => 1,
        }
    }

    /// How many rows of MCUs the picture has.
    pub(super) fn mcu_rows(&self) -> usize {
        self.height.div_ceil(8 * self.block_rows(0))
    }

    /// Width and height of a component's samples that belong to the picture.
    fn samples(&self, component: usize) -> (usize, usize) {
        match (component, self.chroma) {
            (0, _) | (_, Chroma::Full) => (self.width, self.height),
            (_, Chroma::HalfWidth) => (self.width.div_ceil(2), self.height),
            (_, Chroma::HalfBoth) => (self.width.div_ceil(2), self.height.div_ceil(2)),
        }
    }
}

/// One component's samples of the current row of MCUs, and the line above them.
struct Lines {
    stride: usize,
    /// The picture's line that `data` begins with, plus one.
    first: usize,
    data: Vec<u8>,
}

impl Lines {
    fn new(layout: &Layout, component: usize) -> Self {
        let stride = layout.samples(component).0.next_multiple_of(RUN);
        Self {
            stride,
            first: 0,
            data: vec![0; stride * (1 + 8 * layout.block_rows(component))],
        }
    }

    /// Makes room for the next lines and keeps the last.
    fn advance(&mut self, first: usize) -> &mut [u8] {
        let last = self.data.len() - self.stride;
        self.data.copy_within(last.., 0);
        self.first = first;
        &mut self.data[self.stride..]
    }

    fn line(&self, y: usize) -> &[u8] {
        let start = (y + 1 - self.first) * self.stride;
        &self.data[start..start + self.stride]
    }
}

/// Turns rows of MCUs, given in order, into the picture.
pub(super) struct Painter {
    layout: Layout,
    tables: Tables,
    kernels: Kernels,
    lines: [Lines; 3],
    wide: [Wide; 2],
    /// Lines of the picture already painted.
    painted: usize,
    out: Vec<u8>,
}

impl Painter {
    pub(super) fn new(layout: Layout, tables: Tables) -> Self {
        let lines = [0, 1, 2].map(|component| Lines::new(&layout, component));
        let stride = lines[0].stride;
        Self {
            layout,
            tables,
            kernels: best_kernels(),
            lines,
            wide: [Wide::new(stride), Wide::new(stride)],
            painted: 0,
            out: buffers::take(layout.width * layout.height * 3),
        }
    }

    /// `blocks(component, n)` gives the n-th row of blocks of the MCU row, at least as many as
    /// cover the component's samples.
    pub(super) fn paint<'a>(
        &mut self,
        mcu_row: usize,
        mut blocks: impl FnMut(usize, usize) -> &'a [Block],
    ) {
        for (component, (lines, table)) in self.lines.iter_mut().zip(&self.tables).enumerate() {
            let rows = self.layout.block_rows(component);
            let stride = lines.stride;
            let eights = lines
                .advance(mcu_row * rows * 8)
                .chunks_exact_mut(stride * 8);
            for (n, eight) in eights.enumerate() {
                (self.kernels.block_row)(blocks(component, n), table, stride, eight);
            }
        }
        let height = self.layout.height;
        let mut end = (mcu_row + 1) * 8 * self.layout.block_rows(0);
        if end >= height {
            end = height;
        } else if self.layout.chroma == Chroma::HalfBoth {
            end -= 1; // the last line waits for the chroma below it
        }
        self.out.resize(end * self.layout.width * 3, 0);
        for y in self.painted..end {
            self.paint_line(y);
        }
        self.painted = end;
    }

    fn paint_line(&mut self, y: usize) {
        let [luma, chroma @ ..] = &self.lines;
        let (width, height) = self.layout.samples(1);
        for (lines, wide) in chroma.iter().zip(&mut self.wide) {
            match self.layout.chroma {
                Chroma::Full => {}
                Chroma::HalfWidth => {
                    (self.kernels.widen)(lines.line(y), None, width, wide);
                }
                Chroma::HalfBoth => {
                    let near = y / 2;
                    let far = if y.is_multiple_of(2) {
                        near.saturating_sub(1)
                    } else {
                        (near + 1).min(height - 1)
                    };
                    let (near, far) = (lines.line(near), lines.line(far));
                    (self.kernels.widen)(near, Some(far), width, wide);
                }
            }
        }
        let [blue, red] = match self.layout.chroma {
            Chroma::Full => [chroma[0].line(y), chroma[1].line(y)],
            _ => [&self.wide[0], &self.wide[1]].map(|wide| wide.line.as_slice()),
        };
        let stride = self.layout.width * 3;
        let out = &mut self.out[y * stride..(y + 1) * stride];
        (self.kernels.colour_line)([luma.line(y), blue, red], out);
    }

    /// `width * height * 3` bytes, RGB, once every row has been painted.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (self.painted == self.layout.height).then_some(self.out)
    }
}

/// Of this processor.
fn best_kernels() -> Kernels {
    #[cfg(target_arch = "x86_64")]
    if let Some(kernels) = crate::imaging::jpeg_avx2::kernels() {
        return kernels;
    }
    PORTABLE
}

#[cfg(test)]
#[path = "jpeg_pixels_tests.rs"]
mod tests;
