//! How unlike a track's prediction and a detection are.

use super::config::Weights;
use super::features::{COMPARED, Place};

/// Squared distance of two poses, the camera left out.
pub fn pose_distance(a: &[f32], b: &[f32]) -> f64 {
    squared(a.iter().zip(b).take(COMPARED))
}

/// Squared distance of two embeddings, a thousandth of each.
pub fn embedding_distance(a: &[f32], b: &[f32]) -> f64 {
    squared(a.iter().zip(b)) / 1e6
}

fn squared<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>) -> f64 {
    pairs
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum()
}

/// The part of a pair's cost that needs no appearance: 1 or more, or not a number.
pub fn motion_cost(weights: &Weights, pose_distance: f64, predicted: &Place, seen: &Place) -> f64 {
    let apart = [0, 1].map(|axis| predicted.root[axis] - seen.root[axis]);
    let doubt = predicted.doubt[0].hypot(predicted.doubt[1]);
    let place = apart[0].hypot(apart[1]) / (0.1 + doubt.tanh()) / weights.place;
    let ratio = predicted.depth / seen.depth;
    let nearness = if ratio > 1.0 { 1.0 / ratio } else { ratio };
    let depth_doubt = predicted.doubt[2].recip().ln().abs();
    let depth = -nearness.ln() / (0.1 + depth_doubt.tanh()) / weights.depth;
    (1.0 + weights.pose * pose_distance.min(weights.pose_cap)) * place.exp() * depth.exp()
}

/// A pair's whole cost.
pub fn cost(weights: &Weights, motion_cost: f64, appearance_distance: f64) -> f64 {
    motion_cost * (1.0 + weights.texture * appearance_distance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::phalp::config::EQ_019;

    fn place(x: f64, depth: f64) -> Place {
        Place {
            root: [x, 0.5],
            depth,
            doubt: [0.01, 0.0, 1.02],
        }
    }

    #[test]
    fn the_same_person_costs_one() {
        let there = place(0.5, 20.0);
        assert_eq!(motion_cost(&EQ_019, 0.0, &there, &there), 1.0);
        assert_eq!(cost(&EQ_019, 1.0, 0.0), 1.0);
    }

    #[test]
    fn nearer_and_farther_cost_alike_and_poses_are_capped() {
        let there = place(0.5, 20.0);
        let near = motion_cost(&EQ_019, 0.0, &there, &place(0.5, 10.0));
        let far = motion_cost(&EQ_019, 0.0, &there, &place(0.5, 40.0));
        assert!((near - far).abs() < 1e-12 && near > 1.0);
        let capped = motion_cost(&EQ_019, 1e9, &there, &there);
        assert!((capped - (1.0 + 1.3070 * 1.5)).abs() < 1e-12);
    }

    #[test]
    fn a_depth_behind_the_camera_is_no_number() {
        let there = place(0.5, 20.0);
        assert!(motion_cost(&EQ_019, 0.0, &there, &place(0.5, -1.0)).is_nan());
    }
}
