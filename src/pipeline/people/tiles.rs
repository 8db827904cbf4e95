//! Where to look: the whole frame, and overlapping squares of it at several scales.

use crate::geometry::roi::Roi;

/// A square the detector is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile {
    pub roi: Roi,
    /// Side as a fraction of the frame's long side; 1 for the whole frame.
    pub scale: f32,
}

/// The whole frame first, then the tiles of each scale, row by row.
pub fn tiles(width: usize, height: usize, scales: &[f32], overlap: f32) -> Vec<Tile> {
    let (w, h) = (width as f32, height as f32);
    let long = w.max(h);
    let square = |cx, cy, size| Roi {
        cx,
        cy,
        size,
        rotation: 0.0,
    };
    let mut tiles = vec![Tile {
        roi: square(w * 0.5, h * 0.5, long),
        scale: 1.0,
    }];
    for &scale in scales {
        let size = long * scale;
        for cy in centers(h, size, overlap) {
            for cx in centers(w, size, overlap) {
                tiles.push(Tile {
                    roi: square(cx, cy, size),
                    scale,
                });
            }
        }
    }
    tiles
}

/// Centres along one axis: the fewest that overlap enough, the outer ones flush with the frame.
fn centers(extent: f32, size: f32, overlap: f32) -> Vec<f32> {
    if size >= extent {
        return vec![extent * 0.5];
    }
    let step = size * (1.0 - overlap.clamp(0.0, 0.9));
    let count = ((extent - size) / step - 1e-3).ceil().max(1.0) as usize + 1;
    let stride = (extent - size) / (count - 1) as f32;
    (0..count).map(|i| size * 0.5 + stride * i as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_frame_edge_to_edge() {
        for (w, h) in [(1920, 1080), (640, 360), (100, 100), (1, 1), (300, 900)] {
            let all = tiles(w, h, &[0.5, 0.3], 0.4);
            assert_eq!(all[0].roi.size, w.max(h) as f32);
            for scale in [0.5, 0.3] {
                let level: Vec<_> = all.iter().filter(|t| t.scale == scale).collect();
                let right = level
                    .iter()
                    .map(|t| t.roi.cx + t.roi.size / 2.0)
                    .fold(0.0, f32::max);
                let bottom = level
                    .iter()
                    .map(|t| t.roi.cy + t.roi.size / 2.0)
                    .fold(0.0, f32::max);
                assert!(right >= w as f32 - 0.01 && bottom >= h as f32 - 0.01);
            }
        }
    }

    #[test]
    fn neighbours_overlap_at_least_as_asked() {
        let level = centers(1920.0, 600.0, 0.4);
        assert!(
            level
                .windows(2)
                .all(|pair| pair[1] - pair[0] <= 600.0 * 0.6 + 0.01)
        );
    }
}
