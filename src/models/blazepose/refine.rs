//! Landmarks sharpened by the heat maps.
//!
//! `calculators/util/refine_landmarks_from_heatmap_calculator.cc`: around each landmark's cell a
//! window of the sigmoid map; where its peak is high enough, the weighted mean of the cell indices
//! replaces x and y (no half-cell shift).

use crate::layers::network::kernels::sigmoid;

/// Cells along a side of a heat map.
pub const CELLS: usize = 64;
/// Peak from which the map is believed.
const MIN_CONFIDENCE: f32 = 0.5;

/// The window's peak (0..=1; 0 outside the map) and the refined point, both in 0..=1 of the crop.
/// `maps`: `[64, 64, landmarks]` logits.
pub fn refine(
    maps: &[f32],
    landmarks: usize,
    index: usize,
    x: f32,
    y: f32,
    kernel: usize,
) -> (f32, [f32; 2]) {
    let (column, row) = ((x * CELLS as f32) as i64, (y * CELLS as f32) as i64);
    let inside = |v: i64| (0..CELLS as i64).contains(&v);
    if !inside(column) || !inside(row) {
        return (0.0, [x, y]);
    }
    let reach = (kernel as i64 - 1) / 2;
    let span = |center: i64| (center - reach).max(0)..=(center + reach).min(CELLS as i64 - 1);
    let (mut peak, mut sum, mut sum_x, mut sum_y) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for r in span(row) {
        for c in span(column) {
            let heat = sigmoid(maps[(r as usize * CELLS + c as usize) * landmarks + index]);
            peak = peak.max(heat);
            sum += heat;
            sum_x += c as f32 * heat;
            sum_y += r as f32 * heat;
        }
    }
    if peak < MIN_CONFIDENCE || sum <= 0.0 {
        return (peak, [x, y]);
    }
    (
        peak,
        [sum_x / CELLS as f32 / sum, sum_y / CELLS as f32 / sum],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_draws_the_point_to_its_cell() {
        let mut maps = vec![-20.0; CELLS * CELLS];
        maps[30 * CELLS + 21] = 20.0;
        let (peak, [x, y]) = refine(&maps, 1, 0, 20.5 / 64.0, 30.5 / 64.0, 7);
        assert!(peak > 0.999);
        assert!((x - 21.0 / 64.0).abs() < 1e-4 && (y - 30.0 / 64.0).abs() < 1e-4);
    }

    #[test]
    fn a_flat_map_and_a_point_outside_change_nothing() {
        let maps = vec![-20.0; CELLS * CELLS];
        assert_eq!(refine(&maps, 1, 0, 0.4, 0.6, 7).1, [0.4, 0.6]);
        assert_eq!(refine(&maps, 1, 0, 1.4, 0.6, 7), (0.0, [1.4, 0.6]));
    }
}
