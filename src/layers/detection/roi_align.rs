//! ROIAlign: a fixed grid of averages inside each box of a feature map.
//!
//! torchvision's `roi_align` with `aligned=True` and adaptive sampling; boxes go to the pyramid
//! level that fits their size (FPN, equation 1), as detectron2's `ROIPooler` sends them.

use std::thread;

use tch::{Device, Kind, TchError, Tensor};

use super::boxes::{Box4, area};

/// Boxes of this size go to this level (counted from p2).
const CANONICAL_SIZE: f32 = 224.0;
const CANONICAL_LEVEL: f32 = 4.0;
const FIRST_LEVEL: f32 = 2.0;

/// The levels of a pyramid, ready to pool from.
pub struct Pooler {
    maps: Vec<Map>,
    kind: Kind,
    device: Device,
    threads: usize,
}

impl Pooler {
    /// `levels`: p2, p3, … as `(1, channels, h, w)` with strides 4, 8, ….
    pub fn new(levels: &[Tensor], threads: usize) -> Result<Self, TchError> {
        let first = levels.first();
        Ok(Self {
            maps: levels.iter().map(Map::new).collect::<Result<_, _>>()?,
            kind: first.map_or(Kind::Float, Tensor::kind),
            device: first.map_or(Device::Cpu, Tensor::device),
            threads: threads.max(1),
        })
    }

    /// Pools `size` × `size` values per channel for each box: `(boxes, channels, size, size)` in
    /// the levels' type, on their device, channels last in memory.
    pub fn pool(&self, boxes: &[Box4], size: usize) -> Result<Tensor, TchError> {
        let channels = self.maps.first().map_or(0, |map| map.channels);
        let each = size * size * channels;
        let mut out = vec![0.0_f32; boxes.len() * each];
        let share = boxes.len().div_ceil(self.threads).max(1);
        thread::scope(|scope| {
            for (boxes, out) in boxes
                .chunks(share)
                .zip(out.chunks_mut((share * each).max(1)))
            {
                scope.spawn(move || {
                    for (&b, out) in boxes.iter().zip(out.chunks_exact_mut(each.max(1))) {
                        let level = level_of(b, self.maps.len());
                        self.maps[level].pool(b, 0.25 / (1_u32 << level) as f32, size, out);
                    }
                });
            }
        });
        let shape = [boxes.len(), size, size, channels].map(|d| d as i64);
        Tensor::f_from_slice(&out)?
            .f_reshape(shape)?
            .f_permute([0, 3, 1, 2])?
            .f_to_device(self.device)?
            .f_to_kind(self.kind)
    }
}

fn level_of(b: Box4, levels: usize) -> usize {
    let level = (CANONICAL_LEVEL + (area(b).sqrt() / CANONICAL_SIZE + 1e-8).log2()).floor();
    // A box of no area has level minus infinity; NaN does not get here.
    (level - FIRST_LEVEL).clamp(0.0, (levels - 1) as f32) as usize
}

/// A feature map with all channels of a place side by side.
struct Map {
    height: usize,
    width: usize,
    channels: usize,
    data: Vec<f32>,
}

impl Map {
    fn new(level: &Tensor) -> Result<Self, TchError> {
        let size = level.size();
        let places = level
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_permute([0, 2, 3, 1])?
            .f_contiguous()?;
        let mut data = vec![0.0; places.numel()];
        let count = data.len();
        places.f_copy_data(&mut data, count)?;
        Ok(Self {
            height: size[2] as usize,
            width: size[3] as usize,
            channels: size[1] as usize,
            data,
        })
    }

    /// Fills `out`, `(size, size, channels)`, from box `b` at `scale` map places per pixel.
    fn pool(&self, b: Box4, scale: f32, size: usize, out: &mut [f32]) {
        let [x1, y1, x2, y2] = b.map(|v| v * scale - 0.5);
        let (bin_w, bin_h) = ((x2 - x1) / size as f32, (y2 - y1) / size as f32);
        let (nx, ny) = (
            bin_w.ceil().max(0.0) as usize,
            bin_h.ceil().max(0.0) as usize,
        );
        let count = (nx * ny).max(1) as f32;
        let along = |start: f32, bin: f32, n: usize, length: usize| -> Vec<Option<Taps>> {
            let at =
                |i: usize| start + (i / n) as f32 * bin + ((i % n) as f32 + 0.5) * bin / n as f32;
            (0..size * n).map(|i| Taps::new(at(i), length)).collect()
        };
        let xs = along(x1, bin_w, nx, self.width);
        let ys = along(y1, bin_h, ny, self.height);
        for (bin, out) in out.chunks_exact_mut(self.channels).enumerate() {
            let (by, bx) = (bin / size, bin % size);
            for y in ys[by * ny..(by + 1) * ny].iter().flatten() {
                for x in xs[bx * nx..(bx + 1) * nx].iter().flatten() {
                    self.add(y, x, out);
                }
            }
            for value in out {
                *value /= count;
            }
        }
    }

    /// Adds the bilinear value at a place to every channel of `out`.
    fn add(&self, y: &Taps, x: &Taps, out: &mut [f32]) {
        let place = |y: usize, x: usize| {
            let start = (y * self.width + x) * self.channels;
            &self.data[start..start + self.channels]
        };
        let (a, b) = (place(y.low, x.low), place(y.low, x.high));
        let (c, d) = (place(y.high, x.low), place(y.high, x.high));
        let (hy, hx) = (1.0 - y.part, 1.0 - x.part);
        let weights = [hy * hx, hy * x.part, y.part * hx, y.part * x.part];
        for (i, out) in out.iter_mut().enumerate() {
            *out += weights[0] * a[i] + weights[1] * b[i] + weights[2] * c[i] + weights[3] * d[i];
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
