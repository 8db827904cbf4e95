//! Quantised JPEG coefficients → RGB, in libjpeg's arithmetic and several times its plain-C speed.
//!
//! Follows libjpeg's defaults to the bit: the accurate integer inverse DCT (Loeffler, Ligtenberg
//! and Moschytz; 13-bit constants, 2 more bits between the passes), triangle-filtered chroma and
//! 16-bit fixed-point colour. Written as plain loops over rows of eight so that the compiler
//! vectorises them; `jpeg_avx2` has the same by hand. Integers only, so every machine gives the
//! same pixels. One row of MCUs is in work at a time and stays in the processor's cache.

/// 64 coefficients, row-major.
pub(super) type Block = [i16; 64];

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

/// Lines have whole runs of pixels, so that kernels need not stop short.
pub(super) const RUN: usize = 32;

/// A line of chroma on its way to the picture's width.
pub(super) struct Wide {
    /// Filtered downwards, with one sample more at either end.
    pub sums: Vec<u16>,
    /// And across.
    pub line: Vec<u8>,
}

impl Wide {
    fn new(stride: usize) -> Self {
        Self {
            sums: vec![0; stride + RUN],
            line: vec![0; stride + RUN],
        }
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
            kernels: Kernels::best(),
            lines,
            wide: [Wide::new(stride), Wide::new(stride)],
            painted: 0,
            out: Vec::with_capacity(layout.width * layout.height * 3),
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

/// The inner loops, as portable code or for this processor.
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    /// Inverse DCT of one row of blocks into eight lines of samples of a stride.
    pub block_row: fn(&[Block], &[u16; 64], usize, &mut [u8]),
    /// One line of chroma (of a width) at the picture's width, from it and, for 4:2:0, from the
    /// line on the other side.
    pub widen: fn(&[u8], Option<&[u8]>, usize, &mut Wide),
    /// Luma, blue and red difference, each as long as whole runs need, to RGB.
    pub colour_line: fn([&[u8]; 3], &mut [u8]),
}

const PORTABLE: Kernels = Kernels {
    block_row,
    widen,
    colour_line,
};

impl Kernels {
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernels) = crate::imaging::jpeg_avx2::kernels() {
            return kernels;
        }
        PORTABLE
    }
}

/// Inverse DCT of one row of blocks into eight lines of samples.
pub(super) fn block_row(blocks: &[Block], table: &[u16; 64], stride: usize, lines: &mut [u8]) {
    for (n, block) in blocks.iter().take(stride / 8).enumerate() {
        let samples = inverse_dct(block, table);
        for (row, line) in samples.iter().zip(lines.chunks_exact_mut(stride)) {
            line[n * 8..n * 8 + 8].copy_from_slice(row);
        }
    }
}

type Lanes = [i32; 8];

#[inline(always)]
pub(super) fn inverse_dct(block: &Block, table: &[u16; 64]) -> [[u8; 8]; 8] {
    let mut detail = 0;
    for value in &block[1..] {
        detail |= value;
    }
    if detail == 0 {
        let mean = i32::from(block[0]).wrapping_mul(i32::from(table[0]));
        let sample = (mean.wrapping_mul(4).wrapping_add(16) >> 5).wrapping_add(128);
        return [[sample.clamp(0, 255) as u8; 8]; 8];
    }
    let mut rows: [Lanes; 8] = [[0; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            let scale = i32::from(table[y * 8 + x]);
            *value = i32::from(block[y * 8 + x]).wrapping_mul(scale);
        }
    }
    one_dimension::<11>(&mut rows);
    let mut columns = transposed(&rows);
    one_dimension::<18>(&mut columns);
    let mut samples = [[0; 8]; 8];
    for (to, from) in samples.iter_mut().zip(&transposed(&columns)) {
        for (sample, value) in to.iter_mut().zip(from) {
            *sample = value.wrapping_add(128).clamp(0, 255) as u8;
        }
    }
    samples
}

#[inline(always)]
fn transposed(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let mut out = [[0; 8]; 8];
    for (y, row) in rows.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            out[x][y] = *value;
        }
    }
    out
}

/// Eight one-dimensional transforms side by side, rounded and shifted right by `SHIFT`. Damaged
/// files may overflow, which wraps.
#[inline(always)]
fn one_dimension<const SHIFT: u32>(rows: &mut [Lanes; 8]) {
    for lane in 0..8 {
        let [a, b, c, d, e, f, g, h] = &*rows;
        let output = butterfly([
            a[lane], b[lane], c[lane], d[lane], e[lane], f[lane], g[lane], h[lane],
        ]);
        for (row, value) in rows.iter_mut().zip(output) {
            row[lane] = value.wrapping_add(1 << (SHIFT - 1)) >> SHIFT;
        }
    }
}

/// The 11-multiplication transform; constants are sums of cosines times 2^13.
#[inline(always)]
fn butterfly(x: Lanes) -> Lanes {
    let add = i32::wrapping_add;
    let sub = i32::wrapping_sub;
    let times = i32::wrapping_mul;

    let shared = times(add(x[2], x[6]), 4433);
    let low = sub(shared, times(x[6], 15137));
    let high = add(shared, times(x[2], 6270));
    let sum = add(x[0], x[4]).wrapping_shl(13);
    let difference = sub(x[0], x[4]).wrapping_shl(13);
    let even = [
        add(sum, high),
        add(difference, low),
        sub(difference, low),
        sub(sum, high),
    ];

    let turn = times(add(add(x[7], x[3]), add(x[5], x[1])), 9633);
    let a = times(add(x[7], x[1]), -7373);
    let b = times(add(x[5], x[3]), -20995);
    let c = add(times(add(x[7], x[3]), -16069), turn);
    let d = add(times(add(x[5], x[1]), -3196), turn);
    let odd = [
        add(times(x[1], 12299), add(a, d)),
        add(times(x[3], 25172), add(b, c)),
        add(times(x[5], 16819), add(b, d)),
        add(times(x[7], 2446), add(a, c)),
    ];
    let [e0, e1, e2, e3] = even;
    let [o0, o1, o2, o3] = odd;
    [
        add(e0, o0),
        add(e1, o1),
        add(e2, o2),
        add(e3, o3),
        sub(e3, o3),
        sub(e2, o2),
        sub(e1, o1),
        sub(e0, o0),
    ]
}

/// Near samples count three times the far ones, down and across.
fn widen(near: &[u8], far: Option<&[u8]>, width: usize, wide: &mut Wide) {
    let sums = &mut wide.sums;
    let inner = &mut sums[1..=width];
    match far {
        None => {
            for (sum, sample) in inner.iter_mut().zip(near) {
                *sum = u16::from(*sample);
            }
        }
        Some(far) => {
            for (sum, (near, far)) in inner.iter_mut().zip(near.iter().zip(far)) {
                *sum = 3 * u16::from(*near) + u16::from(*far);
            }
        }
    }
    // The outermost samples have no neighbour outside; 4:2:2 takes them as they are, which the
    // rounding does not change.
    (sums[0], sums[width + 1]) = (sums[1], sums[width]);
    match far {
        None => double::<2>(&sums[..width + 2], [1, 2], &mut wide.line),
        Some(_) => double::<4>(&sums[..width + 2], [8, 7], &mut wide.line),
    }
}

/// Twice as many samples along a line: three parts of the near one and one of its neighbour,
/// shifted right by `SHIFT`; `rounding` alternates so that it favours no side.
fn double<const SHIFT: u32>(from: &[u16], rounding: [u16; 2], to: &mut [u8]) {
    let mix = |near: u16, far: u16, round: u16| ((3 * near + far + round) >> SHIFT) as u8;
    for (pair, three) in to.chunks_exact_mut(2).zip(from.windows(3)) {
        pair[0] = mix(three[1], three[0], rounding[0]);
        pair[1] = mix(three[1], three[2], rounding[1]);
    }
}

/// BT.601 full range in 16-bit fixed point, as libjpeg's tables have it.
fn colour_line([luma, blue, red]: [&[u8]; 3], out: &mut [u8]) {
    let whole = out.len() / (3 * PIXELS) * PIXELS;
    let (body, tail) = out.split_at_mut(whole * 3);
    let inputs = luma
        .chunks_exact(PIXELS)
        .zip(blue.chunks_exact(PIXELS))
        .zip(red.chunks_exact(PIXELS));
    for (pixels, ((y, cb), cr)) in body.chunks_exact_mut(PIXELS * 3).zip(inputs.clone()) {
        colour_run(y, cb, cr, pixels);
    }
    let mut rest = inputs.skip(whole / PIXELS);
    if let (false, Some(((y, cb), cr))) = (tail.is_empty(), rest.next()) {
        let mut pixels = [0; PIXELS * 3];
        colour_run(y, cb, cr, &mut pixels);
        tail.copy_from_slice(&pixels[..tail.len()]);
    }
}

/// Pixels converted at a time.
const PIXELS: usize = 8;

#[inline(always)]
fn colour_run(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let mut packed = [0u32; PIXELS];
    for (slot, ((y, cb), cr)) in packed.iter_mut().zip(y.iter().zip(cb).zip(cr)) {
        let (y, cb, cr) = (i32::from(*y), i32::from(*cb) - 128, i32::from(*cr) - 128);
        let r = y + ((91_881 * cr + 32_768) >> 16);
        let g = y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16);
        let b = y + ((116_130 * cb + 32_768) >> 16);
        let byte = |value: i32| value.clamp(0, 255) as u32;
        *slot = byte(r) | byte(g) << 8 | byte(b) << 16;
    }
    for (to, p) in out.chunks_exact_mut(12).zip(packed.chunks_exact(4)) {
        to[0..4].copy_from_slice(&(p[0] | p[1] << 24).to_le_bytes());
        to[4..8].copy_from_slice(&(p[1] >> 8 | p[2] << 16).to_le_bytes());
        to[8..12].copy_from_slice(&(p[2] >> 16 | p[3] << 8).to_le_bytes());
    }
}

#[cfg(test)]
#[path = "jpeg_pixels_tests.rs"]
mod tests;
