//! How far away the nearest surface is at each pixel of a square picture.
//!
//! Conventions of neural_renderer (Kato et al., CVPR 2018; daniilidis-group/neural_renderer
//! `cuda/rasterize_cuda_kernel.cu`), which PHALP sees bodies through: a pixel is its centre, edges
//! belong to both sides, both sides of a triangle are seen, depth is interpolated as 1/z.

/// Nearer than this nothing is drawn, metres.
const NEAR: f32 = 0.1;

/// A corner in the picture: x and y in pixels (0 is the left or upper edge), z in metres.
pub type Corner = [f32; 3];

#[derive(Clone, Debug, PartialEq)]
pub struct DepthMap {
    side: usize,
    /// Row by row.
    depths: Vec<f32>,
}

impl DepthMap {
    /// The triangles of `faces` (three numbers of corners each); `background` is the depth where
    /// there is none, and what lies beyond it is not drawn. Triangles with a corner that is not
    /// there, not finite or behind the camera are left out.
    pub fn draw(corners: &[Corner], faces: &[u32], side: usize, background: f32) -> Self {
        let mut map = Self {
            side,
            depths: vec![background; side * side],
        };
        for face in faces.as_chunks::<3>().0 {
            let corner = |number: u32| corners.get(usize::try_from(number).ok()?).copied();
            if let [Some(a), Some(b), Some(c)] = face.map(corner) {
                map.triangle([a, b, c]);
            }
        }
        map
    }

    fn triangle(&mut self, corners: [Corner; 3]) {
        let fine = |c: &Corner| c.iter().all(|v| v.is_finite()) && c[2] > 0.0;
        let [a, b, c] = corners;
        let area = cross(a, b, [c[0], c[1]]);
        if !corners.iter().all(fine) || area == 0.0 {
            return;
        }
        // Counter-clockwise or not: both sides are seen.
        let [a, b, c] = if area > 0.0 { [a, b, c] } else { [a, c, b] };
        let area = area.abs();
        let (columns, rows) = (self.span(corners, 0), self.span(corners, 1));
        for y in rows {
            for x in columns.clone() {
                let at = [x as f32 + 0.5, y as f32 + 0.5];
                let weights = [cross(b, c, at), cross(c, a, at), cross(a, b, at)];
                if weights.iter().any(|w| *w < 0.0) {
                    continue;
                }
                let parts = weights.map(|w| (w / area).min(1.0));
                let sum: f32 = parts.iter().sum();
                let inverse = parts[0] / a[2] + parts[1] / b[2] + parts[2] / c[2];
                let depth = sum / inverse;
                if let Some(nearest) = self.depths.get_mut(y * self.side + x)
                    && depth > NEAR
                    && depth < *nearest
                {
                    *nearest = depth;
                }
            }
        }
    }

    /// Pixels whose centres may lie between the corners.
    fn span(&self, corners: [Corner; 3], axis: usize) -> std::ops::Range<usize> {
        let values = corners.map(|corner| corner[axis]);
        let low = values.into_iter().fold(f32::INFINITY, f32::min) - 0.5;
        let high = values.into_iter().fold(f32::NEG_INFINITY, f32::max) + 0.5;
        // Saturating, as casts of floats are.
        (low.max(0.0) as usize).min(self.side)..(high.max(0.0).ceil() as usize).min(self.side)
    }

    /// Between the pixels, `x` and `y` as in [`Corner`]: weighed of four, and 0 beyond the picture.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        if !(x.is_finite() && y.is_finite()) {
            return 0.0;
        }
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - top);
        let value = |column: f32, row: f32| {
            let within = |v: f32| v >= 0.0 && v < self.side as f32;
            match within(column) && within(row) {
                true => self
                    .depths
                    .get(row as usize * self.side + column as usize)
                    .copied()
                    .unwrap_or(0.0),
                false => 0.0,
            }
        };
        value(left, top) * (1.0 - right) * (1.0 - down)
            + value(left + 1.0, top) * right * (1.0 - down)
            + value(left, top + 1.0) * (1.0 - right) * down
            + value(left + 1.0, top + 1.0) * right * down
    }
}

/// Twice the area of the triangle, positive where it turns from x to y.
fn cross(a: Corner, b: Corner, at: [f32; 2]) -> f32 {
    (b[0] - a[0]) * (at[1] - a[1]) - (b[1] - a[1]) * (at[0] - a[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: f32 = 100.0;

    fn square(z: f32, low: f32, high: f32) -> Vec<Corner> {
        vec![
            [low, low, z],
            [high, low, z],
            [high, high, z],
            [low, high, z],
        ]
    }

    #[test]
    fn the_nearer_surface_hides_the_other_from_either_side() {
        let mut corners = square(5.0, 0.0, 8.0);
        corners.extend(square(3.0, 2.0, 6.0));
        // The second square is turned away.
        let faces = [0, 1, 2, 0, 2, 3, 4, 6, 5, 4, 7, 6];
        for flipped in [false, true] {
            let mut faces = faces.to_vec();
            if flipped {
                faces.chunks_mut(3).for_each(|face| face.swap(1, 2));
            }
            let map = DepthMap::draw(&corners, &faces, 8, FAR);
            for y in 0..8 {
                for x in 0..8 {
                    let inner = (2..6).contains(&x) && (2..6).contains(&y);
                    let depth = map.at(x as f32 + 0.5, y as f32 + 0.5);
                    let expected = if inner { 3.0 } else { 5.0 };
                    assert!((depth - expected).abs() < 1e-5, "{x} {y}: {depth}");
                }
            }
        }
    }

    #[test]
    fn depth_runs_as_a_plane_in_space_does() {
        // A plane through z = 2 at the left and z = 6 at the right edge: 1/z is straight in x.
        let corners = [
            [0.0, 0.0, 2.0],
            [8.0, 0.0, 6.0],
            [8.0, 8.0, 6.0],
            [0.0, 8.0, 2.0],
        ];
        let map = DepthMap::draw(&corners, &[0, 1, 2, 0, 2, 3], 8, FAR);
        for x in 0..8 {
            let along = (x as f32 + 0.5) / 8.0;
            let expected = 1.0 / (0.5 + along * (1.0 / 6.0 - 0.5));
            let depth = map.at(x as f32 + 0.5, 4.5);
            assert!((depth - expected).abs() < 1e-4, "{x}: {depth} {expected}");
        }
    }

    #[test]
    fn between_pixels_it_is_weighed_and_beyond_the_picture_it_is_nothing() {
        let map = DepthMap::draw(&square(4.0, 0.0, 4.0), &[0, 1, 2, 0, 2, 3], 8, FAR);
        let half = map.at(4.0, 2.0);
        assert!((half - 52.0).abs() < 1e-3, "{half}");
        assert_eq!(map.at(-3.0, 2.0), 0.0);
        assert_eq!(map.at(2.0, f32::NAN), 0.0);
        assert_eq!(map.at(7.5, 7.5), FAR);
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let mut corners = square(4.0, 0.0, 8.0);
        corners.push([f32::NAN, 0.0, 1.0]);
        corners.push([3.0, 3.0, -1.0]);
        corners.push([1e30, 3.0, 1.0]);
        let faces = [0, 1, 4, 0, 1, 5, 0, 1, 99, 0, 0, 0, 7, 7, 2];
        let map = DepthMap::draw(&corners, &faces, 8, FAR);
        assert!(map.depths.iter().all(|depth| *depth == FAR));
        assert_eq!(
            DepthMap::draw(&corners, &[0, 1, 6], 0, FAR).at(0.0, 0.0),
            0.0
        );
    }
}
