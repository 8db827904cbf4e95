//! The boxes that proposals start from: three shapes at every place of every pyramid level.

use super::boxes::Box4;

/// Height over width.
const RATIOS: [f64; 3] = [0.5, 1.0, 2.0];
/// Side of the square of level p2; every level doubles it, and its stride.
const SIZE: f64 = 32.0;
const STRIDE: usize = 4;

/// The anchors around the origin of level `level` (0 is p2).
pub fn cell(level: usize) -> [Box4; 3] {
    let size = SIZE * (1_usize << level) as f64;
    RATIOS.map(|ratio| {
        let width = (size * size / ratio).sqrt();
        let height = ratio * width;
        [-width / 2.0, -height / 2.0, width / 2.0, height / 2.0].map(|v| v as f32)
    })
}

/// The anchor number `index` of a map of `width` places: places row by row, shapes within a place.
pub fn at(cell: &[Box4; 3], level: usize, width: usize, index: usize) -> Box4 {
    let (place, shape) = (index / cell.len(), index % cell.len());
    let stride = (STRIDE << level) as f32;
    let (x, y) = (
        (place % width) as f32 * stride,
        (place / width) as f32 * stride,
    );
    let [x1, y1, x2, y2] = cell[shape];
    [x + x1, y + y1, x + x2, y + y2]
}
