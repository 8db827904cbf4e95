//! Rotated square regions: the part of an image a landmark network looks at.

/// A square of `size` pixels around (`cx`, `cy`), turned clockwise (y down) by `rotation` radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roi {
    pub cx: f32,
    pub cy: f32,
    pub size: f32,
    pub rotation: f32,
}
