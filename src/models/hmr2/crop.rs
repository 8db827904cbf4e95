//! A person's box to the crop the network sees, pixel for pixel as 4D-Humans cuts it.
//!
//! Source: `hmr2/datasets/vitdet_dataset.py` and `hmr2/datasets/utils.py`, with NumPy 2's types:
//! everything about the box is single precision.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::geometry::boxes::BBox;
use crate::imaging::affine::{Places, from_points, sample};
use crate::imaging::blur::warp_blurred;
use crate::imaging::pixels::Rgb8;
use crate::models::hmr2::config::Config;

/// Pixels of the image per pixel of the crop, halved, from which on the image is blurred.
const BLURRED_FROM: f32 = 1.1;
/// Upstream's unit of scale, pixels: the detour costs rounding that shows.
const UNIT: f32 = 200.0;

/// Centres and sides beyond are no box in an image: OpenCV's fixed-point places end at 2²¹ pixels.
const FURTHEST: f32 = 1e6;

/// Why a box cannot be cropped.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CropError {
    #[error("the box [{}, {}, {}, {}] has no area", .0.x1, .0.y1, .0.x2, .0.y2)]
    NoArea(BBox),
    #[error(
        "the box [{}, {}, {}, {}] reaches beyond {FURTHEST} pixels",
        .0.x1, .0.y1, .0.x2, .0.y2
    )]
    TooFar(BBox),
    #[error("the image has no pixels")]
    NoPixels,
}

/// The square of the image that a crop shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Square {
    /// Pixels.
    pub center: [f32; 2],
    /// Pixels of a side.
    pub side: f32,
}

impl Square {
    /// The box widened or heightened to the ratio of `shape` (width, height), then its larger
    /// side squared.
    pub fn around(bbox: BBox, shape: [f64; 2]) -> Result<Self, CropError> {
        let size = |from: f32, to: f32| (to - from) / UNIT * UNIT;
        let (w, h) = (size(bbox.x1, bbox.x2), size(bbox.y1, bbox.y2));
        let [shape_w, shape_h] = shape.map(|s| s as f32);
        let side = if h / w < (shape[1] / shape[0]) as f32 {
            w.max(f32::max(w * shape_h / shape_w, h))
        } else {
            h.max(f32::max(h * shape_w / shape_h, w))
        };
        let center = [(bbox.x2 + bbox.x1) / 2.0, (bbox.y2 + bbox.y1) / 2.0];
        if !(w >= 0.0 && h >= 0.0 && side > 0.0) {
            return Err(CropError::NoArea(bbox));
        }
        match side < FURTHEST && center.iter().all(|c| c.abs() < FURTHEST) {
            true => Ok(Self { center, side }),
            false => Err(CropError::TooFar(bbox)),
        }
    }

    /// Where in the image each pixel of a crop of `size` pixels lies.
    pub fn places(&self, size: usize) -> Result<Places, CropError> {
        let [x, y] = self.center.map(f64::from);
        let half = f64::from(self.side * 0.5);
        let from = [[x, y], [x, y + half], [x + half, y]].map(|p| p.map(|v| v as f32));
        let middle = size as f32 * 0.5;
        let edge = middle + middle;
        let to = [[middle, middle], [middle, edge], [edge, middle]];
        let map = from_points(from, to).ok_or(CropError::NoArea(BBox::new(
            from[0][0], from[0][1], from[2][0], from[1][1],
        )))?;
        Ok(Places::new(&map, size))
    }
}

/// Cuts crops for one configuration.
pub struct Cropper {
    size: usize,
    /// Columns of the crop that are wanted.
    columns: Range<usize>,
    /// Of channels in 0 to 255.
    mean: [f64; 3],
    std: [f64; 3],
}

impl Cropper {
    /// Columns `columns` of the square crop: all of them as upstream, or those the trunk sees.
    pub fn new(config: &Config, columns: Range<usize>) -> Self {
        let scaled = |values: [f64; 3]| values.map(|v| 255.0 * v);
        let size = usize::try_from(config.image_size).unwrap_or(0);
        Self {
            size,
            columns: columns.start.min(size)..columns.end.min(size),
            mean: scaled(config.mean),
            std: scaled(config.std),
        }
    }

    /// Numbers of one crop.
    pub fn len(&self) -> usize {
        3 * self.size * self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out`, `[3, size, columns]`, with normalised RGB.
    ///
    /// # Panics
    /// If `out` is not [`Cropper::len`] long.
    pub fn crop(&self, image: &Rgb8, square: Square, out: &mut [f32]) -> Result<(), CropError> {
        assert_eq!(out.len(), self.len(), "a crop of {} numbers", self.len());
        if image.width == 0 || image.height == 0 {
            return Err(CropError::NoPixels);
        }
        let places = square.places(self.size)?;
        let reduction = square.side / self.size as f32 / 2.0;
        if reduction > BLURRED_FROM && places.is_upright() {
            let sigma = f64::from((reduction - 1.0) / 2.0);
            let columns = self.columns.clone();
            warp_blurred(image, &places, columns, self.size, sigma, |y, row| {
                self.put(out, y, row.as_chunks().0.iter().copied(), |v, c| {
                    ((f64::from(v) - self.mean[c]) / self.std[c]) as f32
                });
            });
        } else {
            let table = self.table();
            for y in 0..self.size {
                let row = places.row(y);
                let pixels = self
                    .columns
                    .clone()
                    .map(|x| sample(image, places.at(row, x)));
                self.put(out, y, pixels, |v, c| table[c][usize::from(v)]);
            }
        }
        Ok(())
    }

    /// Normalised bytes, by channel.
    fn table(&self) -> [[f32; 256]; 3] {
        [0, 1, 2].map(|c| {
            std::array::from_fn(|byte| ((byte as f64 - self.mean[c]) / self.std[c]) as f32)
        })
    }

    /// Writes one row of pixels into the three planes.
    fn put<T: Copy>(
        &self,
        out: &mut [f32],
        y: usize,
        pixels: impl Iterator<Item = [T; 3]>,
        normal: impl Fn(T, usize) -> f32,
    ) {
        let width = self.columns.len();
        let plane = self.size * width;
        for (x, pixel) in pixels.enumerate() {
            for (channel, value) in pixel.into_iter().enumerate() {
                out[channel * plane + y * width + x] = normal(value, channel);
            }
        }
    }
}

#[cfg(test)]
#[path = "crop_tests.rs"]
mod tests;
