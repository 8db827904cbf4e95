//! The sparse convolution's inner loops for AVX-512.

use std::arch::x86_64::{
    __m256, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_setzero_ps, _mm256_shuffle_ps,
    _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

use super::{LANE, SparseConv, TURN};

/// Whether this processor multiplies and adds sixteen floats at once; with fewer, dense is as fast.
pub fn is_fast() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx2")
}

/// `[pixels, channels]` → `[channels, block]`; lanes past the last pixel become zero.
pub fn spread(input: &[f32], channels: usize, block: usize, apart: &mut [f32]) {
    assert!(apart.len() >= channels * block && channels.is_multiple_of(TURN));
    assert!(input.len() <= channels * block && input.len().is_multiple_of(channels));
    assert!(block.is_multiple_of(TURN) && is_fast());
    // SAFETY: processor and sizes are checked above.
    unsafe { spread_avx2(input, channels, block, apart) }
}

/// `[channels, block]` → `[pixels, channels]`.
pub fn gather(sums: &[f32], channels: usize, block: usize, output: &mut [f32]) {
    assert!(sums.len() >= channels * block && channels.is_multiple_of(TURN));
    assert!(output.len() <= channels * block && output.len().is_multiple_of(channels));
    assert!(block.is_multiple_of(TURN) && is_fast());
    // SAFETY: processor and sizes are checked above.
    unsafe { gather_avx2(sums, channels, block, output) }
}

/// The number of registers that a block of `needed` is given.
pub fn lanes(needed: usize) -> usize {
    match needed {
        0..=1 => 1,
        2 => 2,
        3..=4 => 4,
        5..=7 => 7,
        _ => 13,
    }
}

/// Every output's sum over its weights: `[inputs, block]` → `[outputs, block]`.
pub fn multiply(conv: &SparseConv, apart: &[f32], sums: &mut [f32]) {
    assert!(apart.len() >= conv.inputs * conv.lanes * LANE);
    assert!(sums.len() >= conv.outputs * conv.lanes * LANE && is_fast());
    // SAFETY: processor and sizes are checked above; a packed weight's channel is below `inputs`.
    unsafe {
        match conv.lanes {
            1 => multiply_avx512::<1>(conv, apart, sums),
            2 => multiply_avx512::<2>(conv, apart, sums),
            4 => multiply_avx512::<4>(conv, apart, sums),
            7 => multiply_avx512::<7>(conv, apart, sums),
            _ => multiply_avx512::<13>(conv, apart, sums),
        }
    }
}

/// # Safety
/// AVX-512; `LANES` are `conv.lanes`; `apart` and `sums` hold `inputs` and `outputs` times
/// `LANES * LANE` floats.
#[target_feature(enable = "avx512f")]
unsafe fn multiply_avx512<const LANES: usize>(conv: &SparseConv, apart: &[f32], sums: &mut [f32]) {
    let block = LANES * LANE;
    let (low, high) = (_mm512_set1_ps(conv.low), _mm512_set1_ps(conv.high));
    let parts = conv.inputs.div_ceil(conv.part);
    for part in 0..parts {
        for (output, bias) in conv.bias.iter().enumerate() {
            // SAFETY: `output` is below `outputs`.
            let target = unsafe { sums.as_mut_ptr().add(output * block) };
            let mut sum = [_mm512_set1_ps(*bias); LANES];
            if part > 0 {
                for (lane, sum) in sum.iter_mut().enumerate() {
                    // SAFETY: an output has `block` lanes, written by the part before.
                    *sum = unsafe { _mm512_loadu_ps(target.add(lane * LANE)) };
                }
            }
            for (channel, weight) in conv.row(part, output) {
                // SAFETY: `channel` is below `inputs`, so a whole column of the block follows.
                let column = unsafe { apart.as_ptr().add(*channel as usize * block) };
                let weight = _mm512_set1_ps(*weight);
                for (lane, sum) in sum.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let values = unsafe { _mm512_loadu_ps(column.add(lane * LANE)) };
                    *sum = _mm512_fmadd_ps(values, weight, *sum);
                }
            }
            for (lane, mut sum) in sum.into_iter().enumerate() {
                if part + 1 == parts {
                    sum = _mm512_min_ps(_mm512_max_ps(sum, low), high);
                }
                // SAFETY: an output has `block` lanes.
                unsafe { _mm512_storeu_ps(target.add(lane * LANE), sum) };
            }
        }
    }
}

/// # Safety
/// AVX2; sizes as `spread` checks them.
#[target_feature(enable = "avx2")]
unsafe fn spread_avx2(input: &[f32], channels: usize, block: usize, apart: &mut [f32]) {
    let pixels = input.len() / channels;
    for p in (0..block).step_by(TURN) {
        let here = pixels.saturating_sub(p).min(TURN);
        for k in (0..channels).step_by(TURN) {
            let mut square = [_mm256_setzero_ps(); TURN];
            for (i, row) in square.iter_mut().enumerate().take(here) {
                // SAFETY: pixel `p + i` exists, and `k + 8` channels of it.
                *row = unsafe { _mm256_loadu_ps(input.as_ptr().add((p + i) * channels + k)) };
            }
            for (i, column) in turned(square).into_iter().enumerate() {
                // SAFETY: channel `k + i` has `block` lanes.
                unsafe { _mm256_storeu_ps(apart.as_mut_ptr().add((k + i) * block + p), column) };
            }
        }
    }
}

/// # Safety
/// AVX2; sizes as `gather` checks them.
#[target_feature(enable = "avx2")]
unsafe fn gather_avx2(sums: &[f32], channels: usize, block: usize, output: &mut [f32]) {
    let pixels = output.len() / channels;
    for p in (0..block).step_by(TURN) {
        let here = pixels.saturating_sub(p).min(TURN);
        for k in (0..channels).step_by(TURN) {
            let mut square = [_mm256_setzero_ps(); TURN];
            for (i, row) in square.iter_mut().enumerate() {
                // SAFETY: channel `k + i` has `block` lanes.
                *row = unsafe { _mm256_loadu_ps(sums.as_ptr().add((k + i) * block + p)) };
            }
            for (i, pixel) in turned(square).into_iter().enumerate().take(here) {
                // SAFETY: pixel `p + i` exists, and `k + 8` channels of it.
                unsafe {
                    _mm256_storeu_ps(output.as_mut_ptr().add((p + i) * channels + k), pixel);
                }
            }
        }
    }
}

/// Rows of a square to its columns.
#[target_feature(enable = "avx2")]
fn turned(r: [__m256; TURN]) -> [__m256; TURN] {
    let pairs = |a, b| (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let ((a0, a1), (a2, a3)) = (pairs(r[0], r[1]), pairs(r[2], r[3]));
    let ((a4, a5), (a6, a7)) = (pairs(r[4], r[5]), pairs(r[6], r[7]));
    let fours = |a, b| {
        (
            _mm256_shuffle_ps::<0x44>(a, b),
            _mm256_shuffle_ps::<0xEE>(a, b),
        )
    };
    let ((b0, b1), (b2, b3)) = (fours(a0, a2), fours(a1, a3));
    let ((b4, b5), (b6, b7)) = (fours(a4, a6), fours(a5, a7));
    let low = |a, b| _mm256_permute2f128_ps::<0x20>(a, b);
    let high = |a, b| _mm256_permute2f128_ps::<0x31>(a, b);
    [
        low(b0, b4),
        low(b1, b5),
        low(b2, b6),
        low(b3, b7),
        high(b0, b4),
        high(b1, b5),
        high(b2, b6),
        high(b3, b7),
    ]
}
