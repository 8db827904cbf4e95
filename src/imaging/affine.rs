//! Affine crops in OpenCV 4's fixed-point arithmetic (`getAffineTransform`, `warpAffine` with
//! `INTER_LINEAR` and a black border).

use crate::imaging::pixels::Rgb8;
use crate::imaging::solve::solve;

/// Positions are whole multiples of 1/32 pixel.
pub const STEPS: i64 = 32;
/// They are added up in 1/1024 pixel and rounded then.
const FINE: f64 = 1024.0;
const FINE_PER_STEP: i64 = 1024 / STEPS;

/// `x' = m0 x + m1 y + m2`, `y' = m3 x + m4 y + m5`.
pub type Affine = [f64; 6];

/// The map that takes three points to three others; `None` where they lie on a line.
pub fn from_points(from: [[f32; 2]; 3], to: [[f32; 2]; 3]) -> Option<Affine> {
    let mut a = [[0.0; 6]; 6];
    let mut b = [0.0; 6];
    for (i, (from, to)) in from.into_iter().zip(to).enumerate() {
        let [x, y] = from.map(f64::from);
        a[2 * i] = [x, y, 1.0, 0.0, 0.0, 0.0];
        a[2 * i + 1] = [0.0, 0.0, 0.0, x, y, 1.0];
        [b[2 * i], b[2 * i + 1]] = to.map(f64::from);
    }
    solve(a, b)
}

/// The way back, as `warpAffine` inverts its matrix.
fn invert(m: &Affine) -> Affine {
    let determinant = m[0] * m[4] - m[1] * m[3];
    let d = if determinant == 0.0 {
        0.0
    } else {
        1.0 / determinant
    };
    let (a, b, c, e) = (m[4] * d, m[1] * -d, m[3] * -d, m[0] * d);
    [a, b, -a * m[2] - b * m[5], c, e, -c * m[2] - e * m[5]]
}

/// A place in the image: the pixel, and 1/32ths of the way to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub pixel: i64,
    pub part: i64,
}

impl Place {
    fn new(fine: i64) -> Self {
        let steps = fine.div_euclid(FINE_PER_STEP);
        Self {
            pixel: steps.div_euclid(STEPS),
            part: steps.rem_euclid(STEPS),
        }
    }
}

/// Where each pixel of a crop lies in the image.
pub struct Places {
    map: Affine,
    /// What columns add to x and y, in 1/1024 pixel.
    columns: Vec<[i64; 2]>,
}

impl Places {
    /// `to_crop` takes the image to the crop.
    pub fn new(to_crop: &Affine, width: usize) -> Self {
        let map = invert(to_crop);
        let column = |x: usize| [map[0], map[3]].map(|m| round(m * x as f64 * FINE));
        Self {
            map,
            columns: (0..width).map(column).collect(),
        }
    }

    /// What row `y` adds to x and y, with half a step so that the division rounds.
    pub fn row(&self, y: usize) -> [i64; 2] {
        let along = |a: f64, b: f64| round((a * y as f64 + b) * FINE) + FINE_PER_STEP / 2;
        let m = &self.map;
        [along(m[1], m[2]), along(m[4], m[5])]
    }

    /// The places of columns `x` of the row that adds `row`.
    pub fn at(&self, row: [i64; 2], x: usize) -> [Place; 2] {
        let column = self.columns.get(x).copied().unwrap_or_default();
        [0, 1].map(|axis| Place::new(row[axis] + column[axis]))
    }

    /// Whether all pixels of a row lie in one row of the image.
    pub fn is_upright(&self) -> bool {
        self.columns.iter().all(|column| column[1] == 0)
    }
}

/// To the nearest whole number, halves to the even one, as `cvRound` does; far values saturate.
fn round(value: f64) -> i64 {
    value
        .round_ties_even()
        .clamp(-2_147_483_648.0, 2_147_483_647.0) as i64
}

/// The image at a place: four pixels weighed, black beyond the border, rounded.
pub fn sample(image: &Rgb8, [x, y]: [Place; 2]) -> [u8; 3] {
    let (w, h) = (image.width as i64, image.height as i64);
    let mut sum = [0; 3];
    for (row, down) in [(y.pixel, STEPS - y.part), (y.pixel + 1, y.part)] {
        for (column, right) in [(x.pixel, STEPS - x.part), (x.pixel + 1, x.part)] {
            if !(0..h).contains(&row) || !(0..w).contains(&column) {
                continue;
            }
            let at = (row * w + column) as usize * 3;
            let pixel = image.data.get(at..at + 3).unwrap_or_default();
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += down * right * i64::from(*value);
            }
        }
    }
    sum.map(|s| ((s + STEPS * STEPS / 2) / (STEPS * STEPS)) as u8)
}

/// Whether a mask, as an image of 0 and 255, is not 0 at a place once it is sampled and rounded.
pub fn touches([x, y]: [Place; 2], inside: impl Fn(i64, i64) -> bool) -> bool {
    let mut sum = 0;
    for (row, down) in [(y.pixel, STEPS - y.part), (y.pixel + 1, y.part)] {
        for (column, right) in [(x.pixel, STEPS - x.part), (x.pixel + 1, x.part)] {
            if down * right > 0 && inside(column, row) {
                sum += down * right * 255;
            }
        }
    }
    sum >= STEPS * STEPS / 2
}
