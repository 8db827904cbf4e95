//! ROIAlign: a fixed grid of averages inside each box of a feature map.
//!
//! torchvision's `roi_align` with `aligned=True` and adaptive sampling; boxes go to the pyramid
//! level that fits their size (FPN, equation 1), as detectron2's `ROIPooler` sends them.

use half::bf16;
use tch::{Device, Kind, TchError, Tensor};

use super::boxes::{Box4, area};
use crate::layers::number::{Number, Shared, fused};
use crate::layers::parallel::split;

/// Boxes of this size go to this level (counted from p2).
const CANONICAL_SIZE: f32 = 224.0;
const CANONICAL_LEVEL: f32 = 4.0;
const FIRST_LEVEL: f32 = 2.0;

/// Numbers gathered at once where libtorch's operators do the pooling.
const GATHERED: usize = 1 << 26;

/// The levels of a pyramid, ready to pool from.
pub struct Pooler {
    maps: Vec<Map>,
    kind: Kind,
    device: Device,
}

impl Pooler {
    /// `levels`: p2, p3, … as `(1, channels, h, w)` with strides 4, 8, ….
    pub fn new(levels: &[Tensor]) -> Result<Self, TchError> {
        let first = levels.first();
        Ok(Self {
            maps: levels.iter().map(Map::new).collect::<Result<_, _>>()?,
            kind: first.map_or(Kind::Float, Tensor::kind),
            device: first.map_or(Device::Cpu, Tensor::device),
        })
    }

    /// Pools `size` × `size` values per channel for each box: `(boxes, channels, size, size)` in
    /// the levels' type, on their device, channels last in memory.
    pub fn pool(&self, boxes: &[Box4], size: usize) -> Result<Tensor, TchError> {
        let channels = self.maps.first().map_or(0, |map| map.channels);
        let kind = self.maps.first().map_or(Kind::Float, |map| map.kind);
        let shape = [boxes.len(), size, size, channels].map(|d| d as i64);
        let pooled = Tensor::f_empty(shape, (kind, self.device))?;
        match kind {
            _ if self.device != Device::Cpu => self.gather(boxes, size, &pooled)?,
            Kind::BFloat16 => self.fill::<bf16>(boxes, size, &pooled)?,
            _ => self.fill::<f32>(boxes, size, &pooled)?,
        }
        pooled.f_permute([0, 3, 1, 2])?.f_to_kind(self.kind)
    }

    /// On a device of its own memory: each level's boxes by libtorch's own operators, into `out`.
    fn gather(&self, boxes: &[Box4], size: usize, out: &Tensor) -> Result<(), TchError> {
        for (level, map) in self.maps.iter().enumerate() {
            let scale = 0.25 / (1_u32 << level) as f32;
            let own = boxes.iter().enumerate();
            let own = own.filter(|(_, b)| level_of(**b, self.maps.len()) == level);
            let taps = |(i, b): (usize, &Box4)| (i as i64, BinTaps::new(map, *b, scale, size));
            let (rows, taps): (Vec<i64>, Vec<BinTaps>) = own.map(taps).unzip();
            let mut done = 0;
            while done < rows.len() {
                let count = map.at_once(&taps[done..], size);
                let pooled = map.gather(&taps[done..done + count], size)?;
                let place = Tensor::f_from_slice(&rows[done..done + count])?;
                let place = place.f_to_device(out.device())?;
                let _ = out.shallow_clone().f_index_copy_(0, &place, &pooled)?;
                done += count;
            }
        }
        Ok(())
    }

    fn fill<T: Number>(&self, boxes: &[Box4], size: usize, out: &Tensor) -> Result<(), TchError> {
        let channels = self.maps.first().map_or(0, |map| map.channels);
        let each = size * size * channels;
        let place = Shared(out.data_ptr().cast::<T>());
        split(boxes.len(), 8, |range| {
            // SAFETY: the tensor has `each` values for every box, and no two ranges overlap.
            let out = unsafe {
                std::slice::from_raw_parts_mut(place.at(range.start * each), range.len() * each)
            };
            for (&b, out) in boxes[range].iter().zip(out.chunks_exact_mut(each.max(1))) {
                let level = level_of(b, self.maps.len());
                let scale = 0.25 / (1_u32 << level) as f32;
                let taps = BinTaps::new(&self.maps[level], b, scale, size);
                dispatch(&self.maps[level], &taps, out);
            }
        })
    }
}

/// Of a box in pixels, which level to pool from; levels count from p2.
fn level_of(b: Box4, levels: usize) -> usize {
    let level = (CANONICAL_LEVEL + (area(b).sqrt() / CANONICAL_SIZE + 1e-8).log2()).floor();
    // A box of no area has level minus infinity; NaN does not get here.
    (level - FIRST_LEVEL).clamp(0.0, (levels - 1) as f32) as usize
}

/// A feature map with all channels of a place side by side, f32 or bf16.
struct Map {
    height: usize,
    width: usize,
    channels: usize,
    kind: Kind,
    data: Tensor,
}

// SAFETY: threads read the tensor's memory, which nobody writes any more, and its pointer.
unsafe impl Sync for Map {}

impl Map {
    fn new(level: &Tensor) -> Result<Self, TchError> {
        let (_, channels, height, width) = level.size4()?;
        let kind = match level.f_kind()? {
            Kind::BFloat16 => Kind::BFloat16,
            _ => Kind::Float,
        };
        let data = level
            .f_to_kind(kind)?
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?;
        Ok(Self {
            height: height as usize,
            width: width as usize,
            channels: channels as usize,
            kind,
            data,
        })
    }

    /// How many of the boxes to pool at once, so that what is gathered stays small.
    fn at_once(&self, taps: &[BinTaps], size: usize) -> usize {
        let mut most = 1;
        for (count, taps) in taps.iter().enumerate() {
            most = most.max(taps.longest());
            let each = size * size * most * most * self.channels;
            if count > 0 && (count + 1) * each > GATHERED {
                return count;
            }
        }
        taps.len()
    }

    /// `[boxes, size, size, channels]`
    fn gather(&self, taps: &[BinTaps], size: usize) -> Result<Tensor, TchError> {
        let longest = taps.iter().map(BinTaps::longest).max().unwrap_or(1);
        let device = self.data.device();
        let (n, size, t) = (taps.len() as i64, size as i64, longest as i64);
        let axis = |of: fn(&BinTaps) -> &Axis, shape: [i64; 5]| {
            let (mut places, mut weights) = (Vec::new(), Vec::new());
            for bin in taps.iter().flat_map(of) {
                let filled = bin.iter().copied().chain(std::iter::repeat((0, 0.0)));
                for (place, weight) in filled.take(longest) {
                    places.push(place as i64);
                    weights.push(weight);
                }
            }
            let sent = |t: Tensor| t.f_to_device(device)?.f_reshape(shape);
            let both = (
                Tensor::f_from_slice(&places)?,
                Tensor::f_from_slice(&weights)?,
            );
            Ok::<_, TchError>((sent(both.0)?, sent(both.1)?))
        };
        let (y, down) = axis(|taps| &taps.rows, [n, size, t, 1, 1])?;
        let (x, across) = axis(|taps| &taps.columns, [n, 1, 1, size, t])?;
        let places = y
            .f_mul_scalar(self.width as i64)?
            .f_add(&x)?
            .f_reshape([-1])?;
        let weights = down.f_mul(&across)?.f_unsqueeze(5)?;
        let channels = self.channels as i64;
        self.data
            .f_reshape([-1, channels])?
            .f_index_select(0, &places)?
            .f_reshape([n, size, t, size, t, channels])?
            .f_mul(&weights)?
            .f_sum_dim_intlist([2_i64, 4].as_slice(), false, Kind::Float)?
            .f_to_kind(self.kind)
    }

    fn values<T: Number>(&self) -> &[T] {
        let count = self.height * self.width * self.channels;
        // SAFETY: `data` is contiguous, has so many elements, and `T` is the type of `kind`.
        unsafe { std::slice::from_raw_parts(self.data.data_ptr().cast::<T>(), count) }
    }
}

/// Which rows and columns each bin of a box looks at, and their weights: samples that fall between
/// the same places are one.
struct BinTaps {
    rows: Axis,
    columns: Axis,
}

/// By bin: places along an axis, and their weights.
type Axis = Vec<Vec<(usize, f32)>>;

impl BinTaps {
    /// The most places a bin looks at along an axis.
    fn longest(&self) -> usize {
        let each = self.rows.iter().chain(&self.columns).map(Vec::len);
        each.max().unwrap_or(0).max(1)
    }

    fn new(map: &Map, b: Box4, scale: f32, size: usize) -> Self {
        let [x1, y1, x2, y2] = b.map(|v| v * scale - 0.5);
        let along = |low: f32, high: f32, length: usize| {
            let bin = (high - low) / size as f32;
            let samples = bin.ceil().max(0.0) as usize;
            let of = |index: usize| {
                let mut taps: Vec<(usize, f32)> = Vec::new();
                for sample in 0..samples {
                    let inner = (sample as f32 + 0.5) * bin / samples as f32;
                    let at = low + index as f32 * bin + inner;
                    let Some(found) = Taps::new(at, length) else {
                        continue;
                    };
                    let share = 1.0 / samples as f32;
                    for (place, weight) in [
                        (found.low, (1.0 - found.part) * share),
                        (found.high, found.part * share),
                    ] {
                        match taps.iter_mut().rev().find(|t| t.0 == place) {
                            Some(tap) => tap.1 += weight,
                            None => taps.push((place, weight)),
                        }
                    }
                }
                taps
            };
            (0..size).map(of).collect()
        };
        Self {
            rows: along(y1, y2, map.height),
            columns: along(x1, x2, map.width),
        }
    }
}

fn dispatch<T: Number>(map: &Map, taps: &BinTaps, out: &mut [T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx512vl") {
            // SAFETY: the processor has what the function asks for.
            return unsafe { with_avx512(map, taps, out) };
        }
        if has!("avx2") && has!("fma") {
            // SAFETY: the processor has what the function asks for.
            return unsafe { with_avx2(map, taps, out) };
        }
    }
    pool::<T, false>(map, taps, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn with_avx512<T: Number>(map: &Map, taps: &BinTaps, out: &mut [T]) {
    pool::<T, true>(map, taps, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<T: Number>(map: &Map, taps: &BinTaps, out: &mut [T]) {
    pool::<T, true>(map, taps, out);
}

/// Channels summed up at once, in registers.
const LANES: usize = 64;

#[inline(always)]
fn pool<T: Number, const FUSED: bool>(map: &Map, taps: &BinTaps, out: &mut [T]) {
    let channels = map.channels;
    let values = map.values::<T>();
    let mut places: Vec<(usize, f32)> = Vec::new();
    let mut bins = out.chunks_exact_mut(channels.max(1));
    for rows in &taps.rows {
        for columns in &taps.columns {
            let Some(bin) = bins.next() else {
                return;
            };
            places.clear();
            for &(y, down) in rows {
                let at =
                    |&(x, across): &(usize, f32)| ((y * map.width + x) * channels, down * across);
                places.extend(columns.iter().map(at));
            }
            for (index, part) in bin.chunks_mut(LANES).enumerate() {
                let mut sum = [0.0_f32; LANES];
                let from = index * LANES;
                for &(place, weight) in &places {
                    let place = &values[place + from..place + from + part.len()];
                    if let Some(whole) = place.first_chunk::<LANES>() {
                        for (sum, value) in sum.iter_mut().zip(whole) {
                            *sum = fused::<FUSED>(value.wide(), weight, *sum);
                        }
                    } else {
                        for (sum, value) in sum.iter_mut().zip(place) {
                            *sum = fused::<FUSED>(value.wide(), weight, *sum);
                        }
                    }
                }
                for (out, sum) in part.iter_mut().zip(&sum) {
                    *out = T::narrow(*sum);
                }
            }
        }
    }
}

/// The two places around a coordinate, and how far it is towards the second.
struct Taps {
    low: usize,
    high: usize,
    part: f32,
}

impl Taps {
    /// `None` more than one place outside the map, where everything is zero.
    fn new(at: f32, length: usize) -> Option<Self> {
        if !(-1.0..=length as f32).contains(&at) {
            return None;
        }
        let at = at.max(0.0);
        let low = at as usize;
        Some(if low + 1 >= length {
            Self {
                low: length - 1,
                high: length - 1,
                part: 0.0,
            }
        } else {
            Self {
                low,
                high: low + 1,
                part: at - low as f32,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooler(kind: Kind) -> Pooler {
        // Each value is its place's column plus a hundred times its row, the same in all channels.
        let at = |n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu));
        let map = at(20).unsqueeze(1) * 100.0 + at(30);
        let map = map.reshape([1, 1, 20, 30]).expand([1, 70, 20, 30], false);
        Pooler::new(&[map.to_kind(kind), map.narrow(2, 0, 10).to_kind(kind)]).unwrap()
    }

    #[test]
    fn a_bin_is_the_value_at_its_middle_where_the_map_is_a_plane() {
        let boxes = [[8.0, 12.0, 64.0, 68.0], [10.0, 6.0, 38.0, 34.0]];
        let pooled = pooler(Kind::Float).pool(&boxes, 7).unwrap();
        assert_eq!(pooled.size(), [2, 70, 7, 7]);
        for (i, b) in boxes.iter().enumerate() {
            for (y, x) in [(0, 0), (3, 5), (6, 6)] {
                let middle = |low: f32, high: f32, bin: i32| {
                    f64::from((low + (bin as f32 + 0.5) * (high - low) / 7.0) / 4.0 - 0.5)
                };
                let expected = middle(b[1], b[3], y) * 100.0 + middle(b[0], b[2], x);
                for channel in [0, 63, 69] {
                    let place = [i as i64, channel, i64::from(y), i64::from(x)];
                    let found = pooled.double_value(&place);
                    assert!(
                        (found - expected).abs() < 1e-2,
                        "{place:?}: {found}, {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn gathering_gives_the_same() {
        let boxes: Vec<Box4> = (0..40_u8)
            .map(|i| {
                let (x, y) = (f32::from(i) * 3.7 - 20.0, f32::from(i) * 1.9 - 10.0);
                [
                    x,
                    y,
                    x + 3.0 * f32::from(i),
                    y + 150.0 / (1.0 + f32::from(i)),
                ]
            })
            .collect();
        for kind in [Kind::Float, Kind::BFloat16] {
            let pooler = pooler(kind);
            let pooled = pooler.pool(&boxes, 7).unwrap();
            let gathered = Tensor::zeros([40, 7, 7, 70], (kind, Device::Cpu));
            pooler.gather(&boxes, 7, &gathered).unwrap();
            let apart =
                pooled.permute([0, 2, 3, 1]).to_kind(Kind::Float) - gathered.to_kind(Kind::Float);
            let near = if kind == Kind::Float { 1e-2 } else { 16.0 };
            assert!(apart.abs().max().double_value(&[]) < near, "{kind:?}");
        }
    }

    #[test]
    fn boxes_without_area_or_beyond_the_border_are_no_trouble() {
        let boxes = [
            [5.0, 5.0, 5.0, 5.0],
            [-1e4, -1e4, -9e3, -9e3],
            [100.0, 60.0, 1e5, 1e5],
            [0.0, 0.0, 1.0, 1.0],
        ];
        for kind in [Kind::Float, Kind::BFloat16, Kind::Half] {
            let pooled = pooler(kind).pool(&boxes, 7).unwrap();
            assert_eq!(pooled.kind(), kind);
            assert!(bool::try_from(pooled.isfinite().all()).unwrap());
            assert_eq!(pooled.get(0).abs().sum(Kind::Float).double_value(&[]), 0.0);
            assert_eq!(pooled.get(1).abs().sum(Kind::Float).double_value(&[]), 0.0);
        }
        assert_eq!(
            pooler(Kind::Float).pool(&[], 7).unwrap().size(),
            [0, 70, 7, 7]
        );
    }
}
