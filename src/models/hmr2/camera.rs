//! From the camera of a crop to that of the whole image.

/// Keeps a scale of nothing from dividing by zero; upstream's value.
const NOTHING: f32 = 1e-9;

/// The focal length, in pixels of the whole image, that the crop's stands for.
pub fn full_focal_length(focal_length: f64, image_size: i64, width: f64, height: f64) -> f32 {
    (focal_length / image_size as f64 * width.max(height)) as f32
}

/// Where the body stands before the camera of the whole image, metres: x right, y down, z away.
///
/// `camera` is scale and offset as the network gives them, `center` and `side` are the square
/// crop's in pixels, `size` is the image's; the principal point is its middle. Source: 4D-Humans,
/// `hmr2/utils/renderer.py`.
pub fn full_image_translation(
    [scale, tx, ty]: [f32; 3],
    center: [f32; 2],
    side: f32,
    size: [f32; 2],
    focal_length: f32,
) -> [f32; 3] {
    let across = side * scale + NOTHING;
    let shift = |axis: usize| 2.0 * (center[axis] - size[axis] / 2.0) / across;
    [shift(0) + tx, shift(1) + ty, 2.0 * focal_length / across]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::camera::project;

    #[test]
    fn a_point_falls_where_the_crop_had_it() {
        let (camera, center, side) = ([0.8, 0.1, -0.2], [1200.0, 300.0], 400.0);
        let (width, height) = (1920.0, 1080.0);
        let focal = full_focal_length(5000.0, 256, width, height);
        let t = full_image_translation(camera, center, side, [1920.0, 1080.0], focal);
        let point = [0.3, -0.4, 0.0];
        let seen = project([0, 1, 2].map(|k| point[k] + t[k]), focal, [960.0, 540.0]);
        // In the crop, half the side is one unit of the weak perspective's.
        for axis in 0..2 {
            let offset = camera[0] * (point[axis] + camera[axis + 1]) * side / 2.0;
            assert!(
                (seen[axis] - center[axis] - offset).abs() < 0.01,
                "{seen:?}"
            );
        }
    }
}
