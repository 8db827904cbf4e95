//! The loops of `jpeg_kernels` for x86-64 processors with AVX2, with the same results.

use std::arch::x86_64::*;

use crate::imaging::jpeg_kernels::{self, Block, Kernels, RUN, Wide};

/// `None` on a processor without AVX2: that they are got from here is what makes their use sound.
pub(super) fn kernels() -> Option<Kernels> {
    std::arch::is_x86_feature_detected!("avx2").then_some(Kernels {
        // SAFETY: the processor has AVX2.
        block_row: |blocks, table, stride, lines| unsafe {
            block_row(blocks, table, stride, lines);
        },
        // SAFETY: as above.
        widen: |near, far, width, wide| unsafe { widen(near, far, width, wide) },
        // SAFETY: as above.
        colour_line: |samples, out| unsafe { colour_line(samples, out) },
    })
}

/// Rows or columns of two blocks, one in each half.
type Pair = [__m256i; 8];

#[target_feature(enable = "avx2")]
fn block_row(blocks: &[Block], table: &[u16; 64], stride: usize, lines: &mut [u8]) {
    let mut scales = [_mm256_setzero_si256(); 8];
    for (to, from) in scales.iter_mut().zip(table.chunks_exact(8)) {
        // SAFETY: eight values of 16 bits.
        *to = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(from.as_ptr().cast()) });
    }
    let blocks = &blocks[..blocks.len().min(stride / 8)];
    for (at, pair) in (0..).step_by(16).zip(blocks.chunks(2)) {
        let (a, b) = (&pair[0], &pair[pair.len() - 1]);
        match inverse_dct(a, b, &scales) {
            // Lines are a multiple of 32 wide, so that the last block may be written twice.
            Some(rows) => {
                for (two, lines) in rows.into_iter().zip(lines.chunks_exact_mut(stride * 2)) {
                    let (upper, lower) = lines.split_at_mut(stride);
                    store(&mut upper[at..at + 16], _mm256_castsi256_si128(two));
                    store(&mut lower[at..at + 16], _mm256_extracti128_si256::<1>(two));
                }
            }
            None => {
                // Damaged: values that 16 bits do not hold.
                for (n, block) in pair.iter().enumerate() {
                    let samples = jpeg_kernels::inverse_dct(block, table);
                    for (row, line) in samples.iter().zip(lines.chunks_exact_mut(stride)) {
                        line[at + n * 8..at + n * 8 + 8].copy_from_slice(row);
                    }
                }
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn store(to: &mut [u8], value: __m128i) {
    let to = &mut to[..16];
    // SAFETY: room for 16 bytes.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) };
}

/// The most that the sizes of a column's coefficients may add up to for the first pass to stay in
/// 16 bits: its largest factor is 11363 and it is shifted by 11.
const MOST: i16 = 5900;

/// Samples of two blocks: two rows in each of the four results, `a`'s eight before `b`'s.
#[target_feature(enable = "avx2")]
fn inverse_dct(a: &Block, b: &Block, scales: &Pair) -> Option<[__m256i; 4]> {
    let mut rows = [_mm256_setzero_si256(); 8];
    let mut too_large = _mm256_setzero_si256();
    let mut sizes = _mm256_setzero_si256();
    let mut below = _mm256_setzero_si256();
    let eights = a.chunks_exact(8).zip(b.chunks_exact(8));
    for (y, ((row, scale), (a, b))) in rows.iter_mut().zip(scales).zip(eights).enumerate() {
        // SAFETY: eight values of 16 bits each.
        let value = unsafe {
            let a = _mm_loadu_si128(a.as_ptr().cast());
            _mm256_inserti128_si256::<1>(
                _mm256_castsi128_si256(a),
                _mm_loadu_si128(b.as_ptr().cast()),
            )
        };
        let size = _mm256_abs_epi16(value);
        too_large = _mm256_or_si256(too_large, _mm256_mulhi_epu16(size, *scale));
        let size = _mm256_mullo_epi16(size, *scale);
        sizes = _mm256_adds_epu16(sizes, size);
        *row = _mm256_sign_epi16(size, value);
        if y > 0 {
            below = _mm256_or_si256(below, value);
        }
    }
    let too_large = _mm256_or_si256(too_large, _mm256_subs_epu16(sizes, _mm256_set1_epi16(MOST)));
    if _mm256_testz_si256(too_large, too_large) == 0 {
        return None;
    }
    if _mm256_testz_si256(below, below) != 0 {
        // Every column is the same all the way down, four times the coefficient.
        rows[0] = _mm256_slli_epi16::<2>(rows[0]);
        rows = [rows[0]; 8];
    } else {
        rows = one_dimension::<11>(rows);
    }
    Some(bytes(one_dimension::<18>(transposed(rows))))
}

/// As the portable one, with the products of each result gathered into one factor per input.
#[target_feature(enable = "avx2")]
fn one_dimension<const SHIFT: i32>(x: Pair) -> Pair {
    let mut low = [_mm256_setzero_si256(); 4];
    let mut high = low;
    for (n, (i, j)) in [(0, 4), (2, 6), (1, 3), (5, 7)].into_iter().enumerate() {
        low[n] = _mm256_unpacklo_epi16(x[i], x[j]);
        high[n] = _mm256_unpackhi_epi16(x[i], x[j]);
    }
    let (low, high) = (butterfly::<SHIFT>(low), butterfly::<SHIFT>(high));
    let mut out = x;
    for (out, (low, high)) in out.iter_mut().zip(low.into_iter().zip(high)) {
        *out = _mm256_packs_epi32(low, high);
    }
    out
}

/// From the inputs 0 and 4, 2 and 6, 1 and 3, 5 and 7 side by side.
#[target_feature(enable = "avx2")]
fn butterfly<const SHIFT: i32>([x04, x26, x13, x57]: [__m256i; 4]) -> Pair {
    let sum = |a, b| _mm256_add_epi32(a, b);
    let less = |a, b| _mm256_sub_epi32(a, b);
    let times = |pair, first: i16, second: i16| {
        let factors = i32::from(first) & 0xFFFF | i32::from(second) << 16;
        _mm256_madd_epi16(pair, _mm256_set1_epi32(factors))
    };
    let half = _mm256_set1_epi32(1 << (SHIFT - 1));
    let plus = sum(times(x04, 8192, 8192), half);
    let minus = sum(times(x04, 8192, -8192), half);
    let high = times(x26, 10703, 4433);
    let low = times(x26, 4433, -10704);
    let even = [
        sum(plus, high),
        sum(minus, low),
        less(minus, low),
        less(plus, high),
    ];
    let odd = [
        sum(times(x13, 11363, 9633), times(x57, 6437, 2260)),
        sum(times(x13, 9633, -2259), times(x57, -11362, -6436)),
        sum(times(x13, 6437, -11362), times(x57, 2261, 9633)),
        sum(times(x13, 2260, -6436), times(x57, 9633, -11363)),
    ];
    let mut out = [half; 8];
    for n in 0..4 {
        out[n] = _mm256_srai_epi32::<SHIFT>(sum(even[n], odd[n]));
        out[7 - n] = _mm256_srai_epi32::<SHIFT>(less(even[n], odd[n]));
    }
    out
}

#[target_feature(enable = "avx2")]
fn transposed([a, b, c, d, e, f, g, h]: Pair) -> Pair {
    let low = |a, b| _mm256_unpacklo_epi16(a, b);
    let high = |a, b| _mm256_unpackhi_epi16(a, b);
    let fours = |ab, cd| (_mm256_unpacklo_epi32(ab, cd), _mm256_unpackhi_epi32(ab, cd));
    let (a0, a2) = fours(low(a, b), low(c, d));
    let (a4, a6) = fours(high(a, b), high(c, d));
    let (e0, e2) = fours(low(e, f), low(g, h));
    let (e4, e6) = fours(high(e, f), high(g, h));
    let mut out = [a0; 8];
    for (n, (a, e)) in [(a0, e0), (a2, e2), (a4, e4), (a6, e6)]
        .into_iter()
        .enumerate()
    {
        out[n * 2] = _mm256_unpacklo_epi64(a, e);
        out[n * 2 + 1] = _mm256_unpackhi_epi64(a, e);
    }
    out
}

/// Columns to rows of samples.
#[target_feature(enable = "avx2")]
fn bytes([a, b, c, d, e, f, g, h]: Pair) -> [__m256i; 4] {
    let pairs = |a, b, c, d| {
        let (ac, bd) = (_mm256_packs_epi16(a, c), _mm256_packs_epi16(b, d));
        let (ab, cd) = (_mm256_unpacklo_epi8(ac, bd), _mm256_unpackhi_epi8(ac, bd));
        (_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd))
    };
    let (left, left_below) = pairs(a, b, c, d);
    let (right, right_below) = pairs(e, f, g, h);
    let mut rows = [
        _mm256_unpacklo_epi32(left, right),
        _mm256_unpackhi_epi32(left, right),
        _mm256_unpacklo_epi32(left_below, right_below),
        _mm256_unpackhi_epi32(left_below, right_below),
    ];
    for row in &mut rows {
        // Saturated to -128..=127 around grey; each row's two blocks side by side.
        let value = _mm256_xor_si256(*row, _mm256_set1_epi8(-128));
        *row = _mm256_permute4x64_epi64::<0b11_01_10_00>(value);
    }
    rows
}

/// 16 values from `at` on.
#[target_feature(enable = "avx2")]
fn words(from: &[u16], at: usize) -> __m256i {
    let from = &from[at..at + 16];
    // SAFETY: 16 values of 16 bits.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

/// 16 bytes as words.
#[target_feature(enable = "avx2")]
fn widened(from: &[u8]) -> __m256i {
    let from = &from[..16];
    // SAFETY: 16 bytes.
    _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(from.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
fn widen(near: &[u8], far: Option<&[u8]>, width: usize, wide: &mut Wide) {
    let sums = &mut wide.sums;
    for at in (0..width).step_by(16) {
        let mut sum = widened(&near[at..]);
        if let Some(far) = far {
            let three = _mm256_add_epi16(_mm256_add_epi16(sum, sum), sum);
            sum = _mm256_add_epi16(three, widened(&far[at..]));
        }
        let to = &mut sums[at + 1..at + 17];
        // SAFETY: room for 16 values of 16 bits.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sum) };
    }
    (sums[0], sums[width + 1]) = (sums[1], sums[width]);
    match far {
        None => double::<2>(sums, width, [1, 2], &mut wide.line),
        Some(_) => double::<4>(sums, width, [8, 7], &mut wide.line),
    }
}

#[target_feature(enable = "avx2")]
fn double<const SHIFT: i32>(from: &[u16], width: usize, rounding: [i16; 2], to: &mut [u8]) {
    let [left_half, right_half] = rounding.map(|v| _mm256_set1_epi16(v));
    for (at, to) in (0..width).step_by(16).zip(to.chunks_exact_mut(32)) {
        let near = words(from, at + 1);
        let three = _mm256_add_epi16(_mm256_add_epi16(near, near), near);
        let mix = |far, half| {
            _mm256_srli_epi16::<SHIFT>(_mm256_add_epi16(_mm256_add_epi16(three, far), half))
        };
        let left = mix(words(from, at), left_half);
        let right = mix(words(from, at + 2), right_half);
        let both = _mm256_or_si256(left, _mm256_slli_epi16::<8>(right));
        // SAFETY: room for 32 bytes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), both) };
    }
}

/// What a run writes: its pixels, and four bytes that the next one overwrites.
const WRITTEN: usize = RUN * 3 + 4;

#[target_feature(enable = "avx2")]
fn colour_line([luma, blue, red]: [&[u8]; 3], out: &mut [u8]) {
    let inputs = (luma.chunks_exact(RUN)).zip(blue.chunks_exact(RUN).zip(red.chunks_exact(RUN)));
    for (at, (luma, (blue, red))) in (0..out.len()).step_by(RUN * 3).zip(inputs) {
        let rest = &mut out[at..];
        if let Some(to) = rest.first_chunk_mut::<WRITTEN>() {
            colour_run(luma, blue, red, to);
        } else {
            let mut whole = [0; WRITTEN];
            colour_run(luma, blue, red, &mut whole);
            let length = rest.len().min(RUN * 3);
            rest[..length].copy_from_slice(&whole[..length]);
        }
    }
}

#[target_feature(enable = "avx2")]
fn colour_run(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8; WRITTEN]) {
    let halves = luma
        .chunks_exact(16)
        .zip(blue.chunks_exact(16).zip(red.chunks_exact(16)));
    // Four bytes a pixel to three.
    let close = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
    ));
    for (at, (luma, (blue, red))) in (0..).step_by(48).zip(halves) {
        let [r, g, b] = colours(luma, blue, red);
        // Each half has eight pixels: red and green, then blue and nothing.
        let rg = _mm256_packus_epi16(r, g);
        let rg = _mm256_unpacklo_epi8(rg, _mm256_unpackhi_epi64(rg, rg));
        let b = _mm256_packus_epi16(b, _mm256_setzero_si256());
        let b = _mm256_unpacklo_epi8(b, _mm256_setzero_si256());
        let first = _mm256_shuffle_epi8(_mm256_unpacklo_epi16(rg, b), close);
        let second = _mm256_shuffle_epi8(_mm256_unpackhi_epi16(rg, b), close);
        store(&mut out[at..], _mm256_castsi256_si128(first));
        store(&mut out[at + 12..], _mm256_castsi256_si128(second));
        store(&mut out[at + 24..], _mm256_extracti128_si256::<1>(first));
        store(&mut out[at + 36..], _mm256_extracti128_si256::<1>(second));
    }
}

/// Of 16 pixels, in 16 bits each and not yet limited to 0..=255. Factors beyond 16 bits are split
/// into whole units and the rest.
#[target_feature(enable = "avx2")]
fn colours(luma: &[u8], blue: &[u8], red: &[u8]) -> [__m256i; 3] {
    let grey = _mm256_set1_epi16(128);
    let y = widened(luma);
    let cb = _mm256_sub_epi16(widened(blue), grey);
    let cr = _mm256_sub_epi16(widened(red), grey);
    let (cb2, cr2) = (_mm256_add_epi16(cb, cb), _mm256_add_epi16(cr, cr));
    // (v * factor + 32768) >> 16, by way of (2v * factor) >> 16.
    let part = |twice, factor| {
        let product = _mm256_mulhi_epi16(twice, _mm256_set1_epi16(factor));
        _mm256_srai_epi16::<1>(_mm256_add_epi16(product, _mm256_set1_epi16(1)))
    };
    let r = _mm256_add_epi16(_mm256_add_epi16(y, cr), part(cr2, 26_345)); // 91881 - 65536
    let b = _mm256_add_epi16(_mm256_add_epi16(y, cb2), part(cb2, -14_942)); // 116130 - 131072
    let factors = _mm256_set1_epi32(i32::from(-22_554i16) & 0xFFFF | 18_734 << 16);
    let green = |pair| {
        let sum = _mm256_add_epi32(_mm256_madd_epi16(pair, factors), _mm256_set1_epi32(32_768));
        _mm256_srai_epi32::<16>(sum)
    };
    let low = green(_mm256_unpacklo_epi16(cb, cr));
    let high = green(_mm256_unpackhi_epi16(cb, cr));
    // -46802 = 18734 - 65536.
    let g = _mm256_add_epi16(_mm256_sub_epi16(y, cr), _mm256_packs_epi32(low, high));
    [r, g, b]
}
