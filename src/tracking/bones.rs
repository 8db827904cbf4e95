//! Constant bone lengths for a track: what a person's limbs measure, and joints made to agree.

use serde::{Deserialize, Serialize};

/// Joints of BlazePose, and the three midpoints that join its two sides.
const JOINTS: usize = 33;
const PELVIS: usize = 33;
const CHEST: usize = 34;
const HEAD: usize = 35;

/// Midpoints and the joints they lie between.
const MIDPOINTS: [(usize, usize, usize); 3] = [(PELVIS, 23, 24), (CHEST, 11, 12), (HEAD, 7, 8)];

/// `(parent, child, length)`, parents first, from the pelvis outward; left and right share a
/// length, since bodies are alike on both sides and two measurements are better than one.
const BONES: [(usize, usize, usize); 35] = [
    (PELVIS, 23, 0),
    (PELVIS, 24, 0),
    (23, 25, 1),
    (24, 26, 1),
    (25, 27, 2),
    (26, 28, 2),
    (27, 29, 3),
    (28, 30, 3),
    (27, 31, 4),
    (28, 32, 4),
    (PELVIS, CHEST, 5),
    (CHEST, 11, 6),
    (CHEST, 12, 6),
    (11, 13, 7),
    (12, 14, 7),
    (13, 15, 8),
    (14, 16, 8),
    (15, 17, 9),
    (16, 18, 9),
    (15, 19, 10),
    (16, 20, 10),
    (15, 21, 11),
    (16, 22, 11),
    (CHEST, HEAD, 12),
    (HEAD, 7, 13),
    (HEAD, 8, 13),
    (HEAD, 0, 14),
    (HEAD, 1, 15),
    (HEAD, 4, 15),
    (HEAD, 2, 16),
    (HEAD, 5, 16),
    (HEAD, 3, 17),
    (HEAD, 6, 17),
    (HEAD, 9, 18),
    (HEAD, 10, 18),
];
const LENGTHS: usize = 19;

/// Measurements after which a length is final: half a second of both sides at 30 frames a second.
const ENOUGH: usize = 30;

/// Both ends of a limb must be this sure for its length to be believed.
const SURE: f32 = 0.5;

/// Bones shorter than this, in metres, have no direction.
const SHORTEST: f32 = 1e-4;

/// One person's limb lengths, learnt from the first frames in which each limb is sure.
///
/// A length is the median of its measurements so far and is final after [`ENOUGH`] of them, so it
/// wanders a little in the first half second of a track and never again. Until a limb has been
/// sure once, unsure measurements stand in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoneLengths {
    sure: [Vec<f32>; LENGTHS],
    unsure: [Vec<f32>; LENGTHS],
}

type Nodes = [[f32; 3]; JOINTS + 3];

impl BoneLengths {
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from one frame: `[33, 3]` metres and 33 confidences 0..=1. A frame of another shape
    /// or with values that are not finite teaches nothing.
    pub fn observe(&mut self, joints: &[[f32; 3]], confidences: &[f32]) {
        let Some(nodes) = nodes(joints) else {
            return;
        };
        if confidences.len() != JOINTS {
            return;
        }
        let confidence = |node: usize| match MIDPOINTS.iter().find(|(middle, ..)| *middle == node) {
            Some(&(_, a, b)) => confidences[a].min(confidences[b]),
            None => confidences[node],
        };
        for (parent, child, length) in BONES {
            let measured = norm(offset(&nodes, parent, child));
            if measured <= SHORTEST {
                continue;
            }
            let sure = confidence(parent).min(confidence(child)) >= SURE;
            let samples = if sure {
                &mut self.sure[length]
            } else {
                &mut self.unsure[length]
            };
            if samples.len() < ENOUGH {
                // Kept in order, so that the median is at hand.
                let place = samples.partition_point(|&s| s < measured);
                samples.insert(place, measured);
            }
        }
    }

    /// The joints with every bone at its constant length: the middle of the hips stays, every bone
    /// keeps its direction, and what hangs on a bone moves with its end. Hands, feet and face hang
    /// on wrists, ankles and the middle of the ears.
    ///
    /// Joints of another shape, or not finite, come back as they are; so do bones never measured.
    pub fn apply(&self, joints: &[[f32; 3]]) -> Vec<[f32; 3]> {
        let Some(before) = nodes(joints) else {
            return joints.to_vec();
        };
        let mut after = before;
        for (parent, child, length) in BONES {
            let bone = offset(&before, parent, child);
            let measured = norm(bone);
            let scale = match self.length(length) {
                Some(constant) if measured > SHORTEST => constant / measured,
                _ => 1.0,
            };
            after[child] = std::array::from_fn(|k| after[parent][k] + scale * bone[k]);
        }
        after[..JOINTS].to_vec()
    }

    /// Whether no length will change any more.
    pub fn is_final(&self) -> bool {
        self.sure.iter().all(|samples| samples.len() >= ENOUGH)
    }

    fn length(&self, index: usize) -> Option<f32> {
        let samples = if self.sure[index].is_empty() {
            &self.unsure[index]
        } else {
            &self.sure[index]
        };
        samples.get(samples.len() / 2).copied()
    }
}

/// The joints and midpoints; `None` for another number of joints or values that are not finite.
fn nodes(joints: &[[f32; 3]]) -> Option<Nodes> {
    if joints.len() != JOINTS || !joints.as_flattened().iter().all(|v| v.is_finite()) {
        return None;
    }
    let mut nodes = [[0.0; 3]; JOINTS + 3];
    nodes[..JOINTS].copy_from_slice(joints);
    for (middle, a, b) in MIDPOINTS {
        nodes[middle] = std::array::from_fn(|k| 0.5 * (joints[a][k] + joints[b][k]));
    }
    Some(nodes)
}

fn offset(nodes: &Nodes, from: usize, to: usize) -> [f32; 3] {
    std::array::from_fn(|k| nodes[to][k] - nodes[from][k])
}

fn norm(v: [f32; 3]) -> f32 {
    v.iter().map(|x| x * x).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> f32 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        }

        /// A body in any pose whose bones are right on average and off by up to 15% each.
        fn body(&mut self) -> Vec<[f32; 3]> {
            let mut nodes = [[0.0f32; 3]; JOINTS + 3];
            for (parent, child, length) in BONES {
                let mirrored = MIDPOINTS.iter().find(|m| m.0 == parent && m.2 == child);
                let bone = match mirrored {
                    // The second of a pair lies opposite the first.
                    Some(&(_, first, _)) => offset(&nodes, first, parent),
                    None => {
                        let direction = [self.roll(), self.roll(), self.roll() + 1.5];
                        let off = 1.0 + 0.15 * self.roll();
                        direction.map(|d| d * off * true_length(length) / norm(direction))
                    }
                };
                nodes[child] = std::array::from_fn(|k| nodes[parent][k] + bone[k]);
            }
            nodes[..JOINTS].to_vec()
        }
    }

    fn true_length(index: usize) -> f32 {
        0.1 + 0.02 * index as f32
    }

    fn learnt(dice: &mut Dice, frames: usize) -> BoneLengths {
        let mut bones = BoneLengths::new();
        for _ in 0..frames {
            bones.observe(&dice.body(), &[0.9; JOINTS]);
        }
        bones
    }

    #[test]
    fn every_joint_hangs_on_one_that_is_placed_before() {
        let mut placed = vec![PELVIS];
        for (parent, child, length) in BONES {
            assert!(
                placed.contains(&parent) && !placed.contains(&child),
                "{parent} {child}"
            );
            assert!(length < LENGTHS);
            placed.push(child);
        }
        assert_eq!(placed.len(), JOINTS + 3);
    }

    #[test]
    fn lengths_are_constant_and_near_the_truth_after_warming_up() {
        let mut dice = Dice(3);
        let mut bones = learnt(&mut dice, ENOUGH);
        assert!(bones.is_final());
        for _ in 0..50 {
            let body = dice.body();
            bones.observe(&body, &[0.9; JOINTS]);
            let fixed = nodes(&bones.apply(&body)).unwrap();
            for (parent, child, length) in BONES {
                let got = norm(offset(&fixed, parent, child));
                let constant = bones.length(length).unwrap();
                assert!(
                    (got - constant).abs() < 1e-5,
                    "{parent} {child}: {got} {constant}"
                );
                assert!(
                    (got / true_length(length) - 1.0).abs() < 0.08,
                    "{parent} {child}: {got}"
                );
            }
        }
    }

    #[test]
    fn directions_and_the_pelvis_stay() {
        let mut dice = Dice(5);
        let bones = learnt(&mut dice, 10);
        for _ in 0..50 {
            let body = dice.body();
            let (before, after) = (nodes(&body).unwrap(), nodes(&bones.apply(&body)).unwrap());
            assert!(norm(std::array::from_fn(|k| before[PELVIS][k] - after[PELVIS][k])) < 1e-6);
            for (parent, child, _) in BONES {
                let (u, v) = (
                    offset(&before, parent, child),
                    offset(&after, parent, child),
                );
                let apart: [f32; 3] = std::array::from_fn(|k| u[k] / norm(u) - v[k] / norm(v));
                assert!(norm(apart) < 1e-4, "{parent} {child}");
            }
        }
    }

    #[test]
    fn unsure_limbs_teach_only_while_nothing_better_is_known() {
        let mut dice = Dice(7);
        let mut bones = BoneLengths::new();
        let doubled =
            |body: Vec<[f32; 3]>| body.iter().map(|j| j.map(|v| 2.0 * v)).collect::<Vec<_>>();
        for _ in 0..40 {
            bones.observe(&doubled(dice.body()), &[0.2; JOINTS]);
        }
        assert!(!bones.is_final());
        assert!((bones.length(1).unwrap() / true_length(1) - 2.0).abs() < 0.2);
        bones.observe(&dice.body(), &[0.8; JOINTS]);
        assert!((bones.length(1).unwrap() / true_length(1) - 1.0).abs() < 0.2);
    }

    #[test]
    fn broken_frames_teach_nothing_and_come_back_as_they_are() {
        let mut dice = Dice(9);
        let mut bones = learnt(&mut dice, 3);
        let before = bones.clone();
        let mut broken = dice.body();
        broken[20][1] = f32::NAN;
        bones.observe(&broken, &[0.9; JOINTS]);
        bones.observe(&dice.body()[..12], &[0.9; JOINTS]);
        bones.observe(&dice.body(), &[0.9; 12]);
        bones.observe(&[[0.0; 3]; JOINTS], &[0.9; JOINTS]);
        assert_eq!(bones, before);
        assert_eq!(bones.apply(&[[1.0; 3]; 5]), [[1.0; 3]; 5]);
        assert!(bones.apply(&broken)[20][1].is_nan());
        assert_eq!(bones.apply(&[[0.0; 3]; JOINTS]), [[0.0; 3]; JOINTS]);
        let body = dice.body();
        let untouched = BoneLengths::new().apply(&body);
        for (a, b) in body.iter().zip(&untouched) {
            assert!((0..3).all(|k| (a[k] - b[k]).abs() < 1e-5));
        }
    }
}
