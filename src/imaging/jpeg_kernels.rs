//! The arithmetic of JPEG pixels as portable loops over rows of eight, which compilers vectorise.

/// 64 coefficients, row-major.
pub(super) type Block = [i16; 64];

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
    pub(super) fn new(stride: usize) -> Self {
        Self {
            sums: vec![0; stride + RUN],
            line: vec![0; stride + RUN],
        }
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

pub(super) const PORTABLE: Kernels = Kernels {
    block_row,
    widen,
    colour_line,
};

/// Inverse DCT of one row of blocks into eight lines of samples.
fn block_row(blocks: &[Block], table: &[u16; 64], stride: usize, lines: &mut [u8]) {
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
