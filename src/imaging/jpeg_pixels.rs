//! Quantised JPEG coefficients → RGB, in libjpeg's arithmetic and several times its plain-C speed.
//!
//! Follows libjpeg's defaults to the bit: the accurate integer inverse DCT (Loeffler, Ligtenberg
//! and Moschytz; 13-bit constants, 2 more bits between the passes), triangle-filtered chroma and
//! 16-bit fixed-point colour. Written as plain loops over rows of eight so that the compiler
//! vectorises them; on x86-64 with AVX2 a second copy is compiled for it. Integers only, so every
//! machine gives the same pixels. Hot code avoids `array::map` and its like: their closures are
//! compiled outside the AVX2 copy.

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
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    pub chroma: Chroma,
}

/// Quantisation tables of the three components, in the order of [`Block`].
pub(super) type Tables = [[u16; 64]; 3];

impl Layout {
    /// Width and height of a component's samples that belong to the picture.
    fn samples(&self, component: usize) -> (usize, usize) {
        match (component, self.chroma) {
            (0, _) | (_, Chroma::Full) => (self.width, self.height),
            (_, Chroma::HalfWidth) => (self.width.div_ceil(2), self.height),
            (_, Chroma::HalfBoth) => (self.width.div_ceil(2), self.height.div_ceil(2)),
        }
    }
}

/// One component's decoded samples; rows are whole blocks wide.
struct Plane {
    stride: usize,
    data: Vec<u8>,
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.stride..(y + 1) * self.stride]
    }
}

/// Fills `out` (`width * height * 3` bytes, RGB). `blocks(component, n)` gives the component's
/// n-th row of blocks, at least as many as cover its samples; it is asked row after row.
pub(super) fn to_rgb<'a>(
    layout: &Layout,
    tables: &Tables,
    blocks: impl FnMut(usize, usize) -> &'a [Block],
    out: &mut [u8],
) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has just said that it has AVX2.
        return unsafe { to_rgb_avx2(layout, tables, blocks, out) };
    }
    to_rgb_anywhere(layout, tables, blocks, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn to_rgb_avx2<'a>(
    layout: &Layout,
    tables: &Tables,
    blocks: impl FnMut(usize, usize) -> &'a [Block],
    out: &mut [u8],
) {
    to_rgb_anywhere(layout, tables, blocks, out);
}

#[inline(always)]
fn to_rgb_anywhere<'a>(
    layout: &Layout,
    tables: &Tables,
    mut blocks: impl FnMut(usize, usize) -> &'a [Block],
    out: &mut [u8],
) {
    let planes = [
        chroma_plane(layout, tables, &mut blocks, 1),
        chroma_plane(layout, tables, &mut blocks, 2),
    ];
    let stride = layout.width.div_ceil(8) * 8;
    let mut luma = vec![0; stride * 8];
    let mut chroma = [vec![0; stride + 8], vec![0; stride + 8]];
    let mut sums = vec![0; stride];
    for (n, lines) in out.chunks_mut(layout.width * 3 * 8).enumerate() {
        block_row(blocks(0, n), &tables[0], stride, &mut luma);
        for (i, line) in lines.chunks_exact_mut(layout.width * 3).enumerate() {
            for (component, (wide, plane)) in chroma.iter_mut().zip(&planes).enumerate() {
                widen(layout, component + 1, plane, n * 8 + i, &mut sums, wide);
            }
            colour_line(&luma[i * stride..], &chroma[0], &chroma[1], line);
        }
    }
}

#[inline(always)]
fn chroma_plane<'a>(
    layout: &Layout,
    tables: &Tables,
    blocks: &mut impl FnMut(usize, usize) -> &'a [Block],
    component: usize,
) -> Plane {
    let (width, height) = layout.samples(component);
    let stride = width.div_ceil(8) * 8;
    let mut data = vec![0; stride * height.div_ceil(8) * 8];
    for (n, rows) in data.chunks_exact_mut(stride * 8).enumerate() {
        block_row(blocks(component, n), &tables[component], stride, rows);
    }
    Plane { stride, data }
}

/// Inverse DCT of one row of blocks into eight lines of samples.
#[inline(always)]
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
fn inverse_dct(block: &Block, table: &[u16; 64]) -> [[u8; 8]; 8] {
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

/// One line of chroma at the picture's full width. Near samples count three times the far ones.
#[inline(always)]
fn widen(
    layout: &Layout,
    component: usize,
    plane: &Plane,
    y: usize,
    sums: &mut [u16],
    wide: &mut [u8],
) {
    let (width, height) = layout.samples(component);
    match layout.chroma {
        Chroma::Full => wide[..plane.stride].copy_from_slice(plane.row(y)),
        Chroma::HalfWidth => {
            for (sum, sample) in sums.iter_mut().zip(&plane.row(y)[..width]) {
                *sum = u16::from(*sample);
            }
            double::<2>(&sums[..width], [1, 2], wide);
        }
        Chroma::HalfBoth => {
            let near = y / 2;
            let far = if y.is_multiple_of(2) {
                near.saturating_sub(1)
            } else {
                (near + 1).min(height - 1)
            };
            let pairs = plane.row(near)[..width].iter().zip(plane.row(far));
            for (sum, (near, far)) in sums.iter_mut().zip(pairs) {
                *sum = 3 * u16::from(*near) + u16::from(*far);
            }
            double::<4>(&sums[..width], [8, 7], wide);
        }
    }
}

/// Twice as many samples along a line: three parts of the near one and one of its neighbour,
/// shifted right by `SHIFT`; `rounding` alternates so that it favours no side.
#[inline(always)]
fn double<const SHIFT: u32>(from: &[u16], rounding: [u16; 2], to: &mut [u8]) {
    let last = from.len() - 1;
    let mix = |near: u16, far: u16, round: u16| ((3 * near + far + round) >> SHIFT) as u8;
    let pairs = to.chunks_exact_mut(2).skip(1);
    for (pair, three) in pairs.zip(from.windows(3)) {
        pair[0] = mix(three[1], three[0], rounding[0]);
        pair[1] = mix(three[1], three[2], rounding[1]);
    }
    // The outermost samples have no neighbour outside; 4:2:2 takes them as they are, which the
    // rounding does not change.
    to[0] = mix(from[0], from[0], rounding[0]);
    to[1] = mix(from[0], from[1.min(last)], rounding[1]);
    to[2 * last] = mix(from[last], from[last.saturating_sub(1)], rounding[0]);
    to[2 * last + 1] = mix(from[last], from[last], rounding[1]);
}

/// BT.601 full range in 16-bit fixed point, as libjpeg's tables have it.
#[inline(always)]
fn colour_line(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
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
