//! A person's box to the crop ViTPose sees, and places of the crop back to the image.
//!
//! Source: ViTPose's mmpose, `TopDownAffine` in `mmpose/datasets/pipelines/top_down_transform.py`,
//! `_xywh2cs` of its data sets, and `mmpose/core/post_processing/post_transforms.py`; numbers are
//! of the precision NumPy 2 gives them there.

use crate::geometry::boxes::BBox;
use crate::imaging::affine::{Affine, Places, from_points, sample};
use crate::imaging::pixels::Rgb8;

/// Pixels of a crop.
pub const WIDTH: usize = 192;
pub const HEIGHT: usize = 256;
/// Numbers of a crop: three planes.
pub const NUMBERS: usize = 3 * WIDTH * HEIGHT;
/// Of RGB in 0 to 1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// How much larger than the box the region is.
const PADDING: f32 = 1.25;
/// Upstream's unit of scale, pixels.
const UNIT: f64 = 200.0;

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

/// Which pixels of the image are the crop's corners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warp {
    /// The region's edges are the centres of the outermost pixels ("unbiased data processing",
    /// Huang et al., CVPR 2020); what all published ViTPose configurations use.
    Unbiased,
    /// The region's edges are the edges of the outermost pixels, but for half a pixel.
    Plain,
}

/// The part of the image a crop shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Pixels.
    pub center: [f32; 2],
    /// Width and height, in 200 pixels.
    pub scale: [f32; 2],
}

impl Region {
    /// Around a box in pixels of the image.
    pub fn around(bbox: BBox) -> Result<Self, CropError> {
        let [x1, y1, x2, y2] = [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(f64::from);
        Self::of([x1, y1, x2 - x1, y2 - y1])
    }

    /// Around left, top, width and height: widened or heightened to the crop's ratio, then a
    /// quarter larger.
    pub fn of([x, y, mut w, mut h]: [f64; 4]) -> Result<Self, CropError> {
        let given = BBox::new(x as f32, y as f32, (x + w) as f32, (y + h) as f32);
        let ratio = WIDTH as f64 / HEIGHT as f64;
        let center = [(x + w * 0.5) as f32, (y + h * 0.5) as f32];
        let measured = w >= 0.0 && h >= 0.0;
        if w > ratio * h {
            h = w / ratio;
        } else if w < ratio * h {
            w = h * ratio;
        }
        let scale = [w, h].map(|side| (side / UNIT) as f32 * PADDING);
        let region = Self { center, scale };
        if !measured || !scale.iter().all(|s| *s > 0.0) {
            return Err(CropError::NoArea(given));
        }
        let mut all = center.into_iter().chain(region.size()).map(|v| v.abs());
        match all.all(|v| v < FURTHEST) {
            true => Ok(region),
            false => Err(CropError::TooFar(given)),
        }
    }

    /// Width and height, pixels.
    fn size(&self) -> [f32; 2] {
        self.scale.map(|s| s * UNIT as f32)
    }

    /// The map from the image to the crop, rounded as upstream's; `None` for a degenerate region.
    pub fn to_crop(&self, warp: Warp) -> Option<Affine> {
        let (size, center) = (self.size(), self.center);
        let map = match warp {
            Warp::Unbiased => {
                let row = |axis: usize, pixels: usize| {
                    let scale = (pixels - 1) as f64 / f64::from(size[axis]);
                    // Doubled and halved upstream too; both are exact.
                    let shift = -center[axis] + 0.5 * size[axis];
                    (f64::from(scale as f32), scale * f64::from(shift))
                };
                let ((sx, tx), (sy, ty)) = (row(0, WIDTH), row(1, HEIGHT));
                [sx, 0.0, tx, 0.0, sy, ty].map(|v| f64::from(v as f32))
            }
            Warp::Plain => {
                let [x, y] = center;
                let up = f64::from(size[0] * -0.5);
                let above = [x, (f64::from(y) + up) as f32];
                let (w, h) = (WIDTH as f32, HEIGHT as f32);
                let (middle, top) = ([w * 0.5, h * 0.5], [w * 0.5, h * 0.5 - w * 0.5]);
                let from = [center, above, aside(center, above)];
                from_points(from, [middle, top, aside(middle, top)])?
            }
        };
        map.iter().all(|v| v.is_finite()).then_some(map)
    }

    /// A place of a map of `width` by `height` values over the region, in pixels of the image.
    pub fn to_image(&self, place: [f32; 2], [width, height]: [usize; 2], warp: Warp) -> [f32; 2] {
        let size = self.size();
        let counts = [width as f32, height as f32];
        [0, 1].map(|axis| {
            let steps = match warp {
                Warp::Unbiased => counts[axis] - 1.0,
                Warp::Plain => counts[axis],
            };
            place[axis] * (size[axis] / steps) + self.center[axis] - size[axis] * 0.5
        })
    }
}

/// The point that makes a right angle with two others at the second.
fn aside(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [b[0] - (a[1] - b[1]), b[1] + (a[0] - b[0])]
}

/// Fills `out`, `[3, 256, 192]`, with normalised RGB; black beyond the image's border.
///
/// # Panics
/// If `out` is not [`NUMBERS`] long.
pub fn crop(image: &Rgb8, region: Region, warp: Warp, out: &mut [f32]) -> Result<(), CropError> {
    assert_eq!(out.len(), NUMBERS, "a crop of {NUMBERS} numbers");
    if image.width == 0 || image.height == 0 {
        return Err(CropError::NoPixels);
    }
    let Some(map) = region.to_crop(warp) else {
        let ([x, y], [w, h]) = (region.center, region.size().map(|s| s / 2.0));
        return Err(CropError::NoArea(BBox::new(x - w, y - h, x + w, y + h)));
    };
    let places = Places::new(&map, WIDTH);
    let normal: [[f32; 256]; 3] =
        [0, 1, 2].map(|c| std::array::from_fn(|byte| (byte as f32 / 255.0 - MEAN[c]) / STD[c]));
    let (red, rest) = out.split_at_mut(WIDTH * HEIGHT);
    let (green, blue) = rest.split_at_mut(WIDTH * HEIGHT);
    let rows = red
        .chunks_exact_mut(WIDTH)
        .zip(green.chunks_exact_mut(WIDTH))
        .zip(blue.chunks_exact_mut(WIDTH));
    for (y, ((red, green), blue)) in rows.enumerate() {
        let row = places.row(y);
        for (x, ((red, green), blue)) in red.iter_mut().zip(green).zip(blue).enumerate() {
            let pixel = sample(image, places.at(row, x)).map(usize::from);
            *red = normal[0][pixel[0]];
            *green = normal[1][pixel[1]];
            *blue = normal[2][pixel[2]];
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "crop_tests.rs"]
mod tests;
