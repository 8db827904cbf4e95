//! Where one shot of a clip ends and another begins: nobody is filled in across a cut.

use serde::{Deserialize, Serialize};

use crate::imaging::pixels::Rgb8;

/// Cells along the frame's long side.
const CELLS: usize = 32;
/// Samples along each side of a cell.
const SAMPLES: usize = 3;
/// Levels of each colour that are told apart.
const LEVELS: usize = 4;
const COLOURS: usize = LEVELS * LEVELS * LEVELS;
/// A camera that turns moves the picture by up to so many cells from one frame to the next.
const SHIFT: i32 = 4;
/// Two frames are of one shot if, at the best shift, their cells agree like this (correlation; of
/// neighbouring frames of the clips measured 0.94 or more, of different places mostly below 0.4) …
const ALIKE: f32 = 0.6;
/// … or if their colours do (shared part; 0.66 or more in a flash against the sun).
const SAME_COLOURS: f32 = 0.85;

/// A frame at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Glimpse {
    columns: usize,
    rows: usize,
    /// Mean green of each cell, row by row.
    cells: Vec<f32>,
    /// Share of each colour.
    colours: Vec<f32>,
}

/// As it is stored: numbers that may contradict one another.
#[derive(Deserialize)]
struct Stored {
    columns: usize,
    rows: usize,
    cells: Vec<f32>,
    colours: Vec<f32>,
}

impl TryFrom<Stored> for Glimpse {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored {
            columns,
            rows,
            cells,
            colours,
        } = stored;
        let side = 1..=CELLS;
        let whole = side.contains(&columns)
            && side.contains(&rows)
            && cells.len() == columns * rows
            && colours.len() == COLOURS;
        let glimpse = Self {
            columns,
            rows,
            cells,
            colours,
        };
        whole.then_some(glimpse).ok_or("a glimpse of no size")
    }
}

impl Glimpse {
    pub fn of(image: &Rgb8) -> Self {
        let long = image.width.max(image.height).max(1);
        let count = |extent: usize| ((extent * CELLS + long / 2) / long).clamp(1, CELLS);
        let (columns, rows) = (count(image.width), count(image.height));
        let mut cells = vec![0.0; columns * rows];
        let mut colours = vec![0.0; COLOURS];
        let part = 1.0 / (columns * rows * SAMPLES * SAMPLES) as f32;
        for (index, cell) in cells.iter_mut().enumerate() {
            for sample in 0..SAMPLES * SAMPLES {
                let x = at(index % columns, sample % SAMPLES, columns, image.width);
                let y = at(index / columns, sample / SAMPLES, rows, image.height);
                let pixel = 3 * (y * image.width + x);
                let Some(&[r, g, b]) = image
                    .data
                    .get(pixel..)
                    .and_then(|rest| rest.first_chunk::<3>())
                else {
                    continue;
                };
                *cell += f32::from(g) / (SAMPLES * SAMPLES) as f32;
                let level = |value: u8| usize::from(value) * LEVELS / 256;
                if let Some(share) =
                    colours.get_mut((level(r) * LEVELS + level(g)) * LEVELS + level(b))
                {
                    *share += part;
                }
            }
        }
        Self {
            columns,
            rows,
            cells,
            colours,
        }
    }

    /// Whether this frame, right after `before`, begins another shot.
    pub fn is_cut_from(&self, before: &Self) -> bool {
        if (self.columns, self.rows) != (before.columns, before.rows) {
            return true;
        }
        let pairs = self.colours.iter().zip(&before.colours);
        let shared: f32 = pairs.map(|(a, b)| a.min(*b)).sum();
        if shared >= SAME_COLOURS {
            return false;
        }
        let reach = -SHIFT..=SHIFT;
        !reach
            .clone()
            .flat_map(|dy| reach.clone().map(move |dx| (dx, dy)))
            .any(|shift| self.agreement(before, shift) >= ALIKE)
    }

    /// Correlation of the cells, of `before` moved by `(dx, dy)`.
    fn agreement(&self, before: &Self, (dx, dy): (i32, i32)) -> f32 {
        let moved = |position: usize, by: i32, count: usize| {
            let there = usize::try_from(i32::try_from(position).ok()? - by).ok()?;
            (there < count).then_some(there)
        };
        let (mut n, mut sums, mut squares, mut both) = (0.0f32, [0.0f32; 2], [0.0f32; 2], 0.0f32);
        for (index, a) in self.cells.iter().enumerate() {
            let x = moved(index % self.columns, dx, self.columns);
            let y = moved(index / self.columns, dy, self.rows);
            let there = x.zip(y).map(|(x, y)| y * self.columns + x);
            let Some(b) = there.and_then(|at| before.cells.get(at)) else {
                continue;
            };
            n += 1.0;
            sums = [sums[0] + a, sums[1] + b];
            squares = [squares[0] + a * a, squares[1] + b * b];
            both += a * b;
        }
        let variance = [0, 1].map(|k| squares[k] / n - (sums[k] / n).powi(2));
        // Two empty pictures are one if they are as bright.
        if variance[0] < 1.0 || variance[1] < 1.0 {
            let bright = ((sums[0] - sums[1]) / n).abs() < 10.0;
            let empty = variance[0] < 1.0 && variance[1] < 1.0;
            return if empty && bright { 1.0 } else { 0.0 };
        }
        (both / n - sums[0] * sums[1] / (n * n)) / (variance[0] * variance[1]).sqrt()
    }
}

/// The pixel of a sample.
fn at(cell: usize, sample: usize, cells: usize, extent: usize) -> usize {
    let place = (cell * SAMPLES + sample) * 2 + 1;
    (place * extent / (2 * cells * SAMPLES)).min(extent.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(mut x: u64) -> u64 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Blocks of a few colours, each scene with its own.
    fn scene(seed: u64, pan: usize, light: f32) -> Rgb8 {
        let (width, height) = (320, 180);
        let mut data = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let block = mix((seed << 40) + (((x + pan) / 25) << 16) as u64 + (y / 25) as u64);
                let colour = (mix(seed + 77) << 8) + block % 6;
                let level = |k: u64| (mix(colour + (k << 32)) % 160) as f32 * light;
                data.extend((0..3).map(|k| level(k).min(255.0) as u8));
            }
        }
        Rgb8 {
            width,
            height,
            data,
        }
    }

    fn is_cut(a: &Rgb8, b: &Rgb8) -> bool {
        Glimpse::of(b).is_cut_from(&Glimpse::of(a))
    }

    #[test]
    fn another_place_is_a_cut_and_a_turn_of_the_camera_or_a_flash_is_none() {
        for seed in 0..6 {
            let here = scene(seed, 0, 1.0);
            assert!(!is_cut(&here, &here), "{seed}");
            assert!(!is_cut(&here, &scene(seed, 24, 1.0)), "{seed}: a turn");
            assert!(!is_cut(&here, &scene(seed, 0, 1.8)), "{seed}: a flash");
            for other in 0..6 {
                let there = scene(other, 0, 1.0);
                assert_eq!(is_cut(&here, &there), seed != other, "{seed} {other}");
            }
        }
    }

    #[test]
    fn black_frames_and_other_sizes() {
        let plain = |level: u8, width: usize, height: usize| Rgb8 {
            width,
            height,
            data: vec![level; width * height * 3],
        };
        assert!(!is_cut(&plain(0, 64, 36), &plain(2, 64, 36)));
        assert!(is_cut(&plain(0, 320, 180), &scene(1, 0, 1.0)));
        assert!(is_cut(&plain(0, 64, 36), &plain(0, 36, 64)));
        assert!(!is_cut(&plain(9, 1, 1), &plain(9, 1, 1)));
    }
}
