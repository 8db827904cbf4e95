//! Softmax over attention scores with relative positions added on the way, in one pass.
//!
//! What libtorch does in four (scale, two broadcast sums, softmax), each over the whole matrix of
//! scores, is done here row by row in the cache. Sums and exponentials are single precision.

use half::bf16;
use tch::{Device, Kind, TchError, Tensor};

use crate::layers::number::{Number, Shared, fused};
use crate::layers::parallel::split;

/// Floats of the widest register; buffers are filled up to it.
const LANE: usize = 16;
/// Scores below which another thread costs more than it gives.
const GRAIN: usize = 1 << 15;

/// How a row's keys lie: a square of `side` × `side`.
#[derive(Clone, Copy, Debug)]
pub struct Square {
    pub side: usize,
    /// What scores are multiplied by before anything is added.
    pub scale: f32,
}

/// Whether [`softmax`] has a kernel for such tensors.
pub fn is_supported(scores: &Tensor) -> bool {
    matches!(scores.kind(), Kind::Float | Kind::BFloat16) && scores.device() == Device::Cpu
}

/// In place: `softmax(scale * scores + rows[y] + columns[x])` over the last dimension.
///
/// `scores` is `[…, side * side]`; `terms` `[…, 2 * side]` of the same type holds, for the same
/// rows, what a key's row and its column add. Both contiguous.
pub fn softmax(scores: &mut Tensor, terms: &Tensor, square: Square) -> Result<(), TchError> {
    let keys = square.side * square.side;
    let rows = scores.numel() / keys.max(1);
    let fits = scores.size().last() == Some(&(keys as i64))
        && terms.numel() == rows * 2 * square.side
        && terms.f_kind()? == scores.f_kind()?
        && terms.device() == Device::Cpu;
    let whole = scores.is_contiguous() && terms.is_contiguous();
    if !(fits && whole && is_supported(scores)) {
        let sizes = format!("{:?} and {:?}", scores.size(), terms.size());
        return Err(TchError::Shape(format!("softmax over places: {sizes}")));
    }
    let (scores_at, terms_at) = (scores.data_ptr(), terms.data_ptr());
    match scores.f_kind()? {
        Kind::Float => all::<f32>(scores_at.cast(), terms_at.cast(), rows, square),
        _ => all::<bf16>(scores_at.cast(), terms_at.cast(), rows, square),
    }
}

fn all<T: Number>(
    scores: *mut T,
    terms: *mut T,
    rows: usize,
    square: Square,
) -> Result<(), TchError> {
    let (keys, own) = (square.side * square.side, 2 * square.side);
    let (scores, terms) = (Shared(scores), Shared(terms));
    split(rows, GRAIN.div_ceil(keys.max(1)), |range| {
        let count = range.len();
        // SAFETY: the tensors hold `rows` rows each, and no two ranges overlap.
        let (scores, terms) = unsafe {
            (
                std::slice::from_raw_parts_mut(scores.at(range.start * keys), count * keys),
                std::slice::from_raw_parts(terms.at(range.start * own), count * own),
            )
        };
        dispatch(scores, terms, square);
    })
}

fn dispatch<T: Number>(scores: &mut [T], terms: &[T], square: Square) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512dq") {
            // SAFETY: the processor has what the function asks for.
            return unsafe { with_avx512(scores, terms, square) };
        }
        if has!("avx2") && has!("fma") {
            // SAFETY: the processor has what the function asks for.
            return unsafe { with_avx2(scores, terms, square) };
        }
    }
    each_row::<T, false>(scores, terms, square);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
fn with_avx512<T: Number>(scores: &mut [T], terms: &[T], square: Square) {
    each_row::<T, true>(scores, terms, square);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<T: Number>(scores: &mut [T], terms: &[T], square: Square) {
    each_row::<T, true>(scores, terms, square);
}

#[inline(always)]
fn each_row<T: Number, const FUSED: bool>(scores: &mut [T], terms: &[T], square: Square) {
    let Square { side, scale } = square;
    let keys = side * side;
    if keys == 0 {
        return;
    }
    // Runs of a row's keys are written a register too far: the next run overwrites it.
    let lanes = side.next_multiple_of(LANE);
    let mut wide = vec![0.0_f32; keys + lanes];
    let mut sums = vec![0.0_f32; keys + lanes];
    let mut columns = vec![0.0_f32; lanes];
    let each = scores.chunks_exact_mut(keys);
    for (row, terms) in each.zip(terms.chunks_exact(2 * side)) {
        let (down, across) = terms.split_at(side);
        for (wide, score) in wide.iter_mut().zip(row.iter()) {
            *wide = score.wide();
        }
        for (column, term) in columns.iter_mut().zip(across) {
            *column = term.wide();
        }
        for (y, term) in down.iter().enumerate() {
            let term = term.wide();
            let from = &wide[y * side..y * side + lanes];
            let to = &mut sums[y * side..y * side + lanes];
            for ((to, from), column) in to.iter_mut().zip(from).zip(&columns) {
                *to = fused::<FUSED>(*from, scale, term + column);
            }
        }
        let end = keys.next_multiple_of(LANE);
        sums[keys..end].fill(f32::NEG_INFINITY);
        let (lanes, _) = sums[..end].as_chunks_mut::<LANE>();
        let largest = largest(lanes);
        let sum = exponentials::<FUSED>(lanes, largest);
        let share = 1.0 / sum;
        for (score, value) in row.iter_mut().zip(&sums) {
            *score = T::narrow(value * share);
        }
    }
}

#[inline(always)]
fn largest(values: &[[f32; LANE]]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANE];
    for lane in values {
        for (most, &value) in most.iter_mut().zip(lane) {
            *most = if value > *most { value } else { *most };
        }
    }
    most.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Replaces every value by `exp(value - largest)` and gives their sum.
#[inline(always)]
fn exponentials<const FUSED: bool>(values: &mut [[f32; LANE]], largest: f32) -> f32 {
    let mut sum = [0.0_f32; LANE];
    for lane in values {
        for (value, sum) in lane.iter_mut().zip(&mut sum) {
            *value = exp::<FUSED>(*value - largest);
            *sum += *value;
        }
    }
    // Halves and halves again: the order in which registers are summed up.
    let mut width = LANE / 2;
    while width > 0 {
        for i in 0..width {
            sum[i] += sum[i + width];
        }
        width /= 2;
    }
    sum[0]
}

/// `exp(x)` for `x` up to 0, to 2 units in the last place; below -87 about 1e-38.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    // Added, it rounds to whole numbers, which then are the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with zeros at its end so that the product is exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    // NaN stays NaN: such a score is an error to be seen.
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = fused::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let whole = rounded - ROUND;
    let rest = fused::<FUSED>(whole, -LOW, fused::<FUSED>(whole, -HIGH, x));
    // Taylor's series as far as it tells at |rest| ≤ ln 2 / 2, with coefficients after Remez.
    let mut power = 1.987_569_1e-4_f32;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        power = fused::<FUSED>(power, rest, coefficient);
    }
    let value = fused::<FUSED>(power * rest, rest, rest) + 1.0;
    f32::from_bits(value.to_bits().wrapping_add(rounded.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        (a.to_kind(Kind::Double) - b.to_kind(Kind::Double))
            .abs()
            .max()
            .double_value(&[])
    }

    #[test]
    fn exp_is_exp() {
        for i in 0..20_000 {
            let x = -87.0 * i as f32 / 20_000.0;
            let exact = f64::from(x).exp();
            for found in [exp::<true>(x), exp::<false>(x)] {
                let wrong = (f64::from(found) - exact).abs() / exact;
                assert!(wrong < 3e-7, "{x}: {found}, {wrong:e}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan());
        assert!(exp::<true>(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn it_is_the_softmax_of_the_sum() {
        for (side, kind, near) in [
            (14, Kind::Float, 1e-6),
            (16, Kind::Float, 1e-6),
            (5, Kind::Float, 1e-6),
            (1, Kind::Float, 1e-6),
            (20, Kind::BFloat16, 4e-3),
        ] {
            let random = |shape: &[i64]| {
                let options = (Kind::Float, Device::Cpu);
                (Tensor::randn(shape, options) * 3.0).to_kind(kind)
            };
            let mut scores = random(&[3, 11, side * side]);
            let terms = random(&[3, 11, 2 * side]);
            let wide = terms.to_kind(Kind::Float);
            let (down, across) = (wide.narrow(2, 0, side), wide.narrow(2, side, side));
            let sum = (down.unsqueeze(-1) + across.unsqueeze(-2)).reshape([3, 11, side * side]);
            let expected = (scores.to_kind(Kind::Float) * 0.3 + sum).softmax(-1, Kind::Float);
            let square = Square {
                side: side as usize,
                scale: 0.3,
            };
            softmax(&mut scores, &terms, square).unwrap();
            assert!(apart(&scores, &expected) < near, "{side} {kind:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let tensor = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let square = Square {
            side: 3,
            scale: 1.0,
        };
        assert!(softmax(&mut tensor(&[2, 8]), &tensor(&[2, 6]), square).is_err());
        assert!(softmax(&mut tensor(&[2, 9]), &tensor(&[3, 6]), square).is_err());
        let mut turned = tensor(&[9, 2]).transpose(0, 1);
        assert!(softmax(&mut turned, &tensor(&[2, 6]), square).is_err());
    }
}
