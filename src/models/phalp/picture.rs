//! A person's crop as PHALP cuts it, not blurred, and which of its pixels are the person's.
//!
//! Source: PHALP 96f7e6c, `phalp/utils/utils_dataset.py`.

use crate::imaging::affine::{sample, touches};
use crate::imaging::pixels::Rgb8;
use crate::models::hmr2::crop::{CropError, Square};

/// Pixels of a side.
pub const SIDE: usize = 256;
/// ImageNet's, of 0 to 255, as the original rounds them.
const MEAN: [f64; 3] = [123.675, 116.280, 103.530];
const DEVIATION: [f64; 3] = [58.395, 57.120, 57.375];

#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// `[3, SIDE, SIDE]`, normalised RGB.
    pub pixels: Vec<f32>,
    /// `[SIDE, SIDE]`: which pixels are the person's.
    pub mask: Vec<bool>,
}

impl Picture {
    /// What `square` shows of the image; `mine` tells of a pixel of the image (column, row) whether
    /// it is the person's.
    pub fn cut(
        image: &Rgb8,
        square: Square,
        mine: impl Fn(usize, usize) -> bool,
    ) -> Result<Self, CropError> {
        if image.width == 0 || image.height == 0 {
            return Err(CropError::NoPixels);
        }
        let places = square.places(SIDE)?;
        let mut picture = Self {
            pixels: vec![0.0; 3 * SIDE * SIDE],
            mask: vec![false; SIDE * SIDE],
        };
        let within = |column: i64, row: i64| {
            let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) else {
                return false;
            };
            column < image.width && row < image.height && mine(column, row)
        };
        for y in 0..SIDE {
            let row = places.row(y);
            for x in 0..SIDE {
                let place = places.at(row, x);
                picture.mask[y * SIDE + x] = touches(place, within);
                for (channel, value) in sample(image, place).into_iter().enumerate() {
                    let value = (f64::from(value) - MEAN[channel]) / DEVIATION[channel];
                    picture.pixels[(channel * SIDE + y) * SIDE + x] = value as f32;
                }
            }
        }
        Ok(picture)
    }

    /// The colour at `x`, `y` (pixels; 0 is the edge), weighed of four; `None` where none of these is
    /// the person's.
    pub fn at(&self, x: f32, y: f32) -> Option<[f32; 3]> {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - top);
        let (mut colour, mut mine) = ([0.0; 3], false);
        for (column, row, share) in [
            (left, top, (1.0 - right) * (1.0 - down)),
            (left + 1.0, top, right * (1.0 - down)),
            (left, top + 1.0, (1.0 - right) * down),
            (left + 1.0, top + 1.0, right * down),
        ] {
            let within = |v: f32| v >= 0.0 && v < SIDE as f32;
            if !(within(column) && within(row)) {
                continue;
            }
            let at = row as usize * SIDE + column as usize;
            mine |= share > 0.0 && self.mask.get(at) == Some(&true);
            for (channel, sum) in colour.iter_mut().enumerate() {
                let value = self.pixels.get(channel * SIDE * SIDE + at);
                *sum += share * value.copied().unwrap_or(0.0);
            }
        }
        mine.then_some(colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_has_the_images_colours_and_the_persons_outline() {
        let mut image = Rgb8 {
            width: 64,
            height: 64,
            data: vec![200; 64 * 64 * 3],
        };
        image.data[..64 * 32 * 3].fill(10);
        let square = Square {
            center: [32.0, 32.0],
            side: 128.0,
        };
        let picture = Picture::cut(&image, square, |x, _| x < 32).unwrap();
        let normal =
            |value: f64, channel: usize| ((value - MEAN[channel]) / DEVIATION[channel]) as f32;
        for channel in 0..3 {
            // The square reaches half the image beyond each edge, where all is black.
            for (y, value) in [(20, 0.0), (100, 10.0), (160, 200.0), (250, 0.0)] {
                let pixel = picture.pixels[(channel * SIDE + y) * SIDE + 128];
                assert_eq!(pixel, normal(value, channel), "{channel} {y}");
            }
        }
        let mine = |x: usize, y: usize| picture.mask[y * SIDE + x];
        assert!(mine(80, 128) && !mine(180, 128) && !mine(40, 128) && !mine(80, 20));
        assert_eq!(picture.at(180.0, 128.0), None);
        let colour = picture.at(100.5, 100.5).unwrap();
        assert_eq!(colour[0], normal(10.0, 0));
        assert_eq!(picture.at(f32::NAN, 3.0), None);
    }
}
