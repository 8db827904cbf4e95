//! The inner loop of float crops for x86-64 processors with AVX2: two pixels at a time.

use std::arch::x86_64::*;

use crate::imaging::warp_runs::{
    Floats, ROUNDER, RUN, Run, SUBPIXEL_BITS, SUBPIXELS, Source, Writer, base,
};

/// Writes `byte * scale + offset`, as the portable table has it.
pub(super) struct Avx2Floats<'a> {
    scale: f32,
    offset: f32,
    portable: &'a Floats,
}

impl<'a> Avx2Floats<'a> {
    /// `None` on a processor without AVX2: that these exist is what makes their use sound.
    pub(super) fn new(scale: f32, offset: f32, portable: &'a Floats) -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Self {
            scale,
            offset,
            portable,
        })
    }
}

impl Writer<f32> for Avx2Floats<'_> {
    fn value(&self, byte: u8) -> f32 {
        self.portable.value(byte)
    }

    fn locate(&self, run: &mut Run, map: &[f64; 9], x: usize, y: usize, len: usize) {
        // SAFETY: the processor has AVX2 (see `new`).
        unsafe { locate(run, map, x, y, len) }
    }

    fn inside(&self, source: &Source, x: &[i32], y: &[i32], to: &mut [f32]) {
        if !self.blend::<false>(source, x, y, to) {
            self.portable.inside(source, x, y, to);
        }
    }

    fn anywhere(&self, source: &Source, x: &[i32], y: &[i32], to: &mut [f32]) {
        if !self.blend::<true>(source, x, y, to) {
            self.portable.anywhere(source, x, y, to);
        }
    }
}

impl Avx2Floats<'_> {
    /// False where it cannot: in short runs, small images and their last pixels.
    fn blend<const EDGES: bool>(
        &self,
        source: &Source,
        x: &[i32],
        y: &[i32],
        to: &mut [f32],
    ) -> bool {
        let mut taps = Taps::default();
        // SAFETY: the processor has AVX2 (see `new`), and `gather` has checked every offset.
        unsafe {
            let safe = taps.gather::<EDGES>(source, x, y);
            if safe {
                taps.blend(source, self.scale, self.offset, to);
            }
            safe
        }
    }
}

/// `Run::locate`, four positions at a time; the bounds may take in up to three more.
#[target_feature(enable = "avx2")]
fn locate(run: &mut Run, m: &[f64; 9], x: usize, y: usize, len: usize) {
    let [base_x, base_y, base_w] = base(m, x, y).map(|v| _mm256_set1_pd(v));
    let [step_x, step_y, step_w] = [m[0], m[3], m[6]].map(|v| _mm256_set1_pd(v));
    let whole = _mm256_set1_pd(f64::from(SUBPIXELS));
    let (least, most) = (
        _mm256_set1_pd(f64::from(i32::MIN)),
        _mm256_set1_pd(f64::from(i32::MAX)),
    );
    let rounder = _mm256_set1_pd(ROUNDER);
    let round = |v| {
        let v = _mm256_max_pd(_mm256_min_pd(v, most), least);
        _mm256_castpd_ps(_mm256_add_pd(v, rounder))
    };
    let mut steps = _mm256_setr_pd(0.0, 1.0, 2.0, 3.0);
    let (mut low, mut high) = (_mm256_set1_epi32(i32::MAX), _mm256_set1_epi32(i32::MIN));
    run.len = len.min(RUN);
    let fours = run.x.chunks_exact_mut(4).zip(run.y.chunks_exact_mut(4));
    for (to_x, to_y) in fours.take(run.len.div_ceil(4)) {
        let w = _mm256_add_pd(base_w, _mm256_mul_pd(step_w, steps));
        let at_infinity = _mm256_cmp_pd::<_CMP_EQ_OQ>(w, _mm256_setzero_pd());
        let scale = _mm256_andnot_pd(at_infinity, _mm256_div_pd(whole, w));
        let x = _mm256_add_pd(base_x, _mm256_mul_pd(step_x, steps));
        let y = _mm256_add_pd(base_y, _mm256_mul_pd(step_y, steps));
        let x = round(_mm256_mul_pd(x, scale));
        let y = round(_mm256_mul_pd(y, scale));
        // The low words of each: x0 x1 y0 y1, x2 x3 y2 y3; then all x, all y.
        let both = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(x, y));
        let both = _mm256_permute4x64_epi64::<0xD8>(both);
        low = _mm256_min_epi32(low, both);
        high = _mm256_max_epi32(high, both);
        // SAFETY: four values each.
        unsafe {
            _mm_storeu_si128(to_x.as_mut_ptr().cast(), _mm256_castsi256_si128(both));
            _mm_storeu_si128(
                to_y.as_mut_ptr().cast(),
                _mm256_extracti128_si256::<1>(both),
            );
        }
        steps = _mm256_add_pd(steps, _mm256_set1_pd(4.0));
    }
    let (low, high) = (words(low), words(high));
    run.bounds = [
        [low[..4].iter(), low[4..].iter()].map(|v| v.fold(i32::MAX, |a, b| a.min(*b))),
        [high[..4].iter(), high[4..].iter()].map(|v| v.fold(i32::MIN, |a, b| a.max(*b))),
    ];
}

#[target_feature(enable = "avx2")]
fn words(vector: __m256i) -> [i32; 8] {
    let mut words = [0; 8];
    // SAFETY: room for eight values.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
    words
}

/// A run's reading positions and weights; some more slots let the last ones be handled whole.
struct Taps {
    /// Of the upper left neighbour's first byte.
    offset: [u32; SLOTS],
    /// Left and right weight, a byte each, twice.
    across: [u32; SLOTS],
    /// Upper and lower weight, two bytes each.
    down: [u32; SLOTS],
}

const SLOTS: usize = RUN + 8;

impl Default for Taps {
    fn default() -> Self {
        Self {
            offset: [0; SLOTS],
            across: [0; SLOTS],
            down: [0; SLOTS],
        }
    }
}

impl Taps {
    /// Whether `blend` may read eight bytes at every offset and one row below it.
    #[target_feature(enable = "avx2")]
    fn gather<const EDGES: bool>(&mut self, source: &Source, x: &[i32], y: &[i32]) -> bool {
        if source.last_x < 1 || source.last_y < 1 {
            return false; // nothing lies beside, or below
        }
        let stride = _mm256_set1_epi32(source.stride as i32);
        let mut highest = _mm256_setzero_si256();
        let mut at = 0;
        let last = x.len().min(y.len()).min(RUN).saturating_sub(8);
        while at < RUN {
            // The last eight are handled whole, some of them twice.
            let (Some(xs), Some(ys)) = (eight(x, at), eight(y, at)) else {
                return false;
            };
            let [columns, left, right] = axis::<EDGES>(xs, source.last_x, source.replicate);
            let [rows, upper, lower] = axis::<EDGES>(ys, source.last_y, source.replicate);
            let columns = _mm256_add_epi32(columns, _mm256_add_epi32(columns, columns));
            let offset = _mm256_add_epi32(_mm256_mullo_epi32(rows, stride), columns);
            highest = _mm256_max_epu32(highest, offset);
            let across = _mm256_or_si256(left, _mm256_slli_epi32::<8>(right));
            let across = _mm256_or_si256(across, _mm256_slli_epi32::<16>(across));
            let down = _mm256_or_si256(upper, _mm256_slli_epi32::<16>(lower));
            for (to, from) in [
                (&mut self.offset, offset),
                (&mut self.across, across),
                (&mut self.down, down),
            ] {
                let to = &mut to[at..at + 8];
                // SAFETY: room for eight values.
                unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), from) };
            }
            if at == last {
                break;
            }
            at = (at + 8).min(last);
        }
        let highest = words(highest).into_iter().fold(0, |a, b| a.max(b as u32));
        let length = source.data.len();
        u32::try_from(length).is_ok() && highest as usize + source.stride + 8 <= length
    }

    /// # Safety
    /// `gather` has returned true for this image and for as many positions as `to` has pixels.
    #[target_feature(enable = "avx2")]
    unsafe fn blend(&self, source: &Source, scale: f32, offset: f32, to: &mut [f32]) {
        let data = source.data.as_ptr();
        // SAFETY: `gather` found eight bytes there; the spare slots hold valid offsets or zero.
        let neighbours = |at: usize| unsafe {
            let upper = data.add(self.offset[at] as usize);
            let lower = upper.add(source.stride);
            _mm_unpacklo_epi64(_mm_loadl_epi64(upper.cast()), _mm_loadl_epi64(lower.cast()))
        };
        // One pixel per half: red of the four neighbours, then green, then blue.
        let by_channel = both([0, 3, 8, 11, 1, 4, 9, 12, 2, 5, 10, 13, -1, -1, -1, -1]);
        let spread = _mm256_setr_epi32(
            0x0302_0100,
            0x0302_0100,
            0x0302_0100,
            0x0302_0100,
            0x0706_0504,
            0x0706_0504,
            0x0706_0504,
            0x0706_0504,
        );
        let pair_of = |from: &[u32; SLOTS], at: usize| {
            let two = u64::from(from[at]) | u64::from(from[at + 1]) << 32;
            _mm256_shuffle_epi8(_mm256_set1_epi64x(two as i64), spread)
        };
        let half = _mm256_set1_epi32(512);
        let (scale, shift) = (_mm256_set1_ps(scale), _mm256_set1_ps(offset));
        let values = |at: usize| {
            let four = _mm256_set_m128i(neighbours(at + 1), neighbours(at));
            let four = _mm256_shuffle_epi8(four, by_channel);
            let rows = _mm256_maddubs_epi16(four, pair_of(&self.across, at));
            let sums = _mm256_madd_epi16(rows, pair_of(&self.down, at));
            let bytes = _mm256_srli_epi32::<10>(_mm256_add_epi32(sums, half));
            // Not fused: the table multiplies and adds in two roundings.
            _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(bytes), scale), shift)
        };

        let pixels = to.len() / 3;
        // The fourth value of a store is overwritten by the next pixel's first.
        let whole = pixels.saturating_sub(1) / 2 * 2;
        for at in (0..whole).step_by(2) {
            let pair = values(at);
            let slot = &mut to[at * 3..at * 3 + 7];
            // SAFETY: four values each, from the first and from the fourth of seven.
            unsafe {
                _mm_storeu_ps(slot.as_mut_ptr(), _mm256_castps256_ps128(pair));
                _mm_storeu_ps(slot.as_mut_ptr().add(3), _mm256_extractf128_ps::<1>(pair));
            }
        }
        let mut last = [0.0; 8];
        // SAFETY: room for eight values.
        unsafe { _mm256_storeu_ps(last.as_mut_ptr(), values(whole)) };
        for (pixel, from) in (to[whole * 3..].chunks_exact_mut(3)).zip(last.chunks_exact(4)) {
            pixel.copy_from_slice(&from[..3]);
        }
    }
}

/// Along one axis: the pixel to read, its weight and that of the next one, which is in the image
/// too. With `EDGES`, a weight moves to the pixel that it is for, or is gone if there is none.
#[target_feature(enable = "avx2")]
fn axis<const EDGES: bool>(position: __m256i, last: i32, replicate: bool) -> [__m256i; 3] {
    let mut position = position;
    if EDGES && replicate {
        let end = _mm256_set1_epi32(last.saturating_mul(SUBPIXELS));
        position = _mm256_max_epi32(position, _mm256_setzero_si256());
        position = _mm256_min_epi32(position, end);
    }
    let cell = _mm256_srai_epi32::<SHIFT>(position);
    let after = _mm256_and_si256(position, _mm256_set1_epi32(SUBPIXELS - 1));
    let before = _mm256_sub_epi32(_mm256_set1_epi32(SUBPIXELS), after);
    if !EDGES {
        return [cell, before, after];
    }
    let one = _mm256_set1_epi32(1);
    let read = _mm256_min_epi32(cell, _mm256_set1_epi32((last - 1).max(0)));
    let read = _mm256_max_epi32(read, _mm256_setzero_si256());
    let take = |condition, weight| _mm256_and_si256(condition, weight);
    let same = _mm256_cmpeq_epi32(cell, read);
    let low = _mm256_cmpeq_epi32(_mm256_add_epi32(cell, one), read);
    let high = _mm256_cmpeq_epi32(cell, _mm256_add_epi32(read, one));
    [
        read,
        _mm256_or_si256(take(same, before), take(low, after)),
        _mm256_or_si256(take(same, after), take(high, before)),
    ]
}

const SHIFT: i32 = SUBPIXEL_BITS as i32;

/// `None` where there are not that many.
#[target_feature(enable = "avx2")]
fn eight(from: &[i32], at: usize) -> Option<__m256i> {
    let eight = from.get(at..)?.first_chunk::<8>()?;
    // SAFETY: eight values.
    Some(unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
fn both(half: [i8; 16]) -> __m256i {
    // SAFETY: an array of 16 bytes.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(half.as_ptr().cast()) })
}
