//! From two points on a body to the region the landmark network looks at.
//!
//! `alignment_points_to_rects_calculator.cc`, `rect_transformation_calculator.cc`: centre at the
//! first point, side 1.25 · 2 · the distance to the second, turned so that the second is above.

use std::f32::consts::{PI, TAU};

use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;

/// Room around the circle through the second point.
const MARGIN: f32 = 1.25;

/// Points in pixels: the middle of the hips, and one on the circle around the whole body.
pub fn from_points(center: [f32; 2], rim: [f32; 2]) -> Roi {
    let (dx, dy) = (rim[0] - center[0], rim[1] - center[1]);
    Roi {
        cx: center[0],
        cy: center[1],
        size: dx.hypot(dy) * 2.0 * MARGIN,
        rotation: normalize(PI / 2.0 - (-dy).atan2(dx)),
    }
}

/// The upright region around a person's box: where the two points are not known.
pub fn from_box(bbox: &BBox) -> Roi {
    let [cx, cy] = bbox.center();
    Roi {
        cx,
        cy,
        size: bbox.width().max(bbox.height()) * MARGIN,
        rotation: 0.0,
    }
}

fn normalize(angle: f32) -> f32 {
    angle - TAU * ((angle + PI) / TAU).floor()
}

/// A point of the region's unit square, in pixels of the image.
pub fn to_image(roi: &Roi, x: f32, y: f32) -> [f32; 2] {
    let (sin, cos) = roi.rotation.sin_cos();
    let (x, y) = (x - 0.5, y - 0.5);
    [
        (x * cos - y * sin) * roi.size + roi.cx,
        (x * sin + y * cos) * roi.size + roi.cy,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upright_body_gives_an_upright_region() {
        let roi = from_points([100.0, 100.0], [100.0, 60.0]);
        assert_eq!((roi.cx, roi.cy, roi.size), (100.0, 100.0, 100.0));
        assert!(roi.rotation.abs() < 1e-6);
        assert_eq!(to_image(&roi, 0.5, 0.0), [100.0, 50.0]);
    }

    #[test]
    fn a_body_lying_to_the_right_is_turned_by_a_quarter() {
        let roi = from_points([0.0, 0.0], [40.0, 0.0]);
        assert!((roi.rotation - PI / 2.0).abs() < 1e-6);
        let [x, y] = to_image(&roi, 0.5, 0.0);
        assert!((x - 50.0).abs() < 1e-4 && y.abs() < 1e-4);
    }
}
