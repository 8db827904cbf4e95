//! The arithmetic of each stage, from the shapes in a checkpoint's header: multiply-adds, times two.

use std::collections::BTreeMap;

use crate::checkpoint::checkpoint::Checkpoint;

use super::rates::Product;

/// Patches of a person's crop, 16 × 12.
const TOKENS: f64 = 192.0;
/// Regions that a detector's box head looks at.
const REGIONS: f64 = 1000.0;
/// Side of a window of ViTDet, patches.
const WINDOW: f64 = 14.0;

/// Names and shapes of a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct Shapes(BTreeMap<String, Vec<f64>>);

/// GFLOP of HMR2's parts for one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hmr2Work {
    pub trunk: f64,
    /// Decoder and what is read off it.
    pub head: f64,
    pub body: f64,
}

impl Hmr2Work {
    pub fn whole(&self) -> f64 {
        self.trunk + self.head + self.body
    }
}

impl FromIterator<(String, Vec<u64>)> for Shapes {
    fn from_iter<T: IntoIterator<Item = (String, Vec<u64>)>>(tensors: T) -> Self {
        let real = |shape: Vec<u64>| shape.into_iter().map(|side| side as f64).collect();
        let tensors = tensors.into_iter();
        Self(tensors.map(|(name, shape)| (name, real(shape))).collect())
    }
}

impl Shapes {
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let tensors = checkpoint.tensors().iter();
        tensors
            .map(|(name, tensor)| (name.clone(), tensor.shape.clone()))
            .collect()
    }

    /// One side of a tensor; 0 where there is none.
    fn side(&self, name: &str, axis: usize) -> f64 {
        let shape = self.0.get(name);
        shape
            .and_then(|shape| shape.get(axis))
            .copied()
            .unwrap_or(0.0)
    }

    /// Numbers of a tensor; 0 where there is none.
    fn numbers(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |shape| shape.iter().product())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// How many of `…0…`, `…1…`, … there are.
    fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|&index| self.has(&name(index))).count()
    }

    fn depth(&self, trunk: &str) -> usize {
        self.count(|block| format!("{trunk}blocks.{block}.norm1.weight"))
    }

    /// A trunk over a person's crop.
    fn person_trunk(&self) -> f64 {
        let width = self.side("backbone.pos_embed", 2);
        let block = 24.0 * TOKENS * width * width + 4.0 * TOKENS * TOKENS * width;
        let patches = 2.0 * TOKENS * 768.0 * width;
        1e-9 * (self.depth("backbone.") as f64 * block + patches)
    }

    pub fn hmr2(&self) -> Hmr2Work {
        let layers = "smpl_head.transformer.transformer.layers";
        let depth = self.count(|layer| format!("{layers}.{layer}.1.fn.to_kv.weight"));
        let numbers = |part: &str| self.numbers(&format!("{layers}.0.{part}.weight"));
        let once = ["0.fn.to_qkv", "0.fn.to_out.0", "1.fn.to_q", "1.fn.to_out.0"];
        let mlp = ["2.fn.net.0", "2.fn.net.3"];
        let token: f64 = once.iter().chain(&mlp).map(|part| numbers(part)).sum();
        let layer = 2.0 * (token + TOKENS * numbers("1.fn.to_kv"));
        let read = ["decpose", "decshape", "deccam"];
        let read: f64 = read
            .iter()
            .map(|part| 2.0 * self.numbers(&format!("smpl_head.{part}.weight")))
            .sum();
        // Blend shapes, 45 + 19 regressed joints, and 24 weighted transforms per vertex.
        let vertices = 6890.0;
        let body = 2.0 * vertices * (3.0 * 217.0 + 3.0 * 43.0 + 24.0 * 12.0 + 12.0);
        Hmr2Work {
            trunk: self.person_trunk(),
            head: 1e-9 * (depth as f64 * layer + read),
            body: 1e-9 * body,
        }
    }

    /// ViTPose for one crop; the published procedure looks at its mirror image too.
    pub fn vitpose(&self) -> f64 {
        let mut positions = TOKENS;
        let mut head = 0.0;
        for layer in (0..).step_by(3) {
            let name = format!("keypoint_head.deconv_layers.{layer}.weight");
            if !self.has(&name) {
                break;
            }
            head += 2.0 * positions * self.numbers(&name);
            positions *= 4.0;
        }
        if positions == TOKENS {
            // The simple head enlarges by four before its one convolution.
            positions *= 16.0;
        }
        head += 2.0 * positions * self.numbers("keypoint_head.final_layer.weight");
        self.person_trunk() + 1e-9 * head
    }

    /// ViTDet for a frame: trunk, pyramid, proposals, three box heads.
    pub fn vitdet(&self) -> f64 {
        let trunk = "backbone.net.";
        let width = self.side(&format!("{trunk}pos_embed"), 2);
        let lengths: Vec<f64> = (0..self.depth(trunk))
            .map(|block| self.side(&format!("{trunk}blocks.{block}.attn.rel_pos_h"), 0))
            .collect();
        let longest = lengths.iter().copied().fold(0.0, f64::max);
        let side = (longest + 1.0) / 2.0;
        let tokens = side * side;
        let windows = (side / WINDOW).ceil();
        let mut work = 2.0 * tokens * 768.0 * width;
        for length in lengths {
            let reach = (length + 1.0) / 2.0;
            let seen = if reach < side {
                (windows * WINDOW).powi(2)
            } else {
                tokens
            };
            work += 8.0 * seen * width * width + 16.0 * tokens * width * width;
            work += 4.0 * seen * reach * reach * width + 4.0 * seen * reach * width;
        }
        let numbers = |name: &str| self.numbers(&format!("backbone.simfp_{name}.weight"));
        let deconvolutions = numbers("2.0") + 4.0 * numbers("2.3") + numbers("3.0");
        work += 2.0 * tokens * deconvolutions;
        for (level, scale) in [(2, 16.0), (3, 4.0), (4, 1.0), (5, 0.25)] {
            let convs: f64 = (0..6)
                .filter(|part| self.has(&format!("backbone.simfp_{level}.{part}.norm.weight")))
                .map(|part| numbers(&format!("{level}.{part}")))
                .sum();
            work += 2.0 * tokens * scale * convs;
        }
        work += self.proposals(tokens * 16.0);
        let heads: f64 = (0..3)
            .map(|stage| {
                let head = format!("roi_heads.box_head.{stage}");
                self.box_head(&head, &format!("roi_heads.box_predictor.{stage}"))
            })
            .sum();
        1e-9 * (work + heads)
    }

    /// RegNetY for a frame whose padded input has so many pixels.
    pub fn regnety(&self, pixels: usize) -> f64 {
        let pixels = pixels as f64;
        let up = "backbone.bottom_up";
        let mut work = 2.0 * pixels / 4.0 * self.numbers(&format!("{up}.stem.conv.weight"));
        let mut positions = pixels / 4.0;
        for stage in 1..=4 {
            for block in 1.. {
                let at = format!("{up}.s{stage}.b{block}");
                let numbers = |part: &str| self.numbers(&format!("{at}.{part}.weight"));
                if !self.has(&format!("{at}.f.a.weight")) {
                    break;
                }
                work += 2.0 * positions * numbers("f.a");
                if block == 1 {
                    positions /= 4.0;
                }
                work += 2.0 * positions * (numbers("proj") + numbers("f.b") + numbers("f.c"));
                work += 2.0 * (numbers("f.se.f_ex.0") + numbers("f.se.f_ex.2"));
            }
            let level = stage + 1;
            let lateral = self.numbers(&format!("backbone.fpn_lateral{level}.weight"));
            let output = self.numbers(&format!("backbone.fpn_output{level}.weight"));
            work += 2.0 * positions * (lateral + output);
        }
        work += self.proposals(pixels / 16.0);
        1e-9 * (work + self.box_head("roi_heads.box_head", "roi_heads.box_predictor"))
    }

    /// The proposal head over five levels, the finest of which has so many places.
    fn proposals(&self, finest: f64) -> f64 {
        let head = "proposal_generator.rpn_head";
        let parts = [
            "conv.conv0",
            "conv.conv1",
            "objectness_logits",
            "anchor_deltas",
        ];
        let numbers: f64 = parts
            .iter()
            .map(|part| self.numbers(&format!("{head}.{part}.weight")))
            .sum();
        let places = finest * (1.0 + 0.25 + 0.0625 + 0.015_625 + 0.003_906_25);
        2.0 * places * numbers
    }

    fn box_head(&self, head: &str, predictor: &str) -> f64 {
        let numbers = |name: String| self.numbers(&format!("{name}.weight"));
        let convs: f64 = (1..=4)
            .map(|conv| numbers(format!("{head}.conv{conv}")))
            .sum();
        let linears = numbers(format!("{head}.fc1"))
            + numbers(format!("{predictor}.cls_score"))
            + numbers(format!("{predictor}.bbox_pred"));
        2.0 * REGIONS * (49.0 * convs + linears)
    }

    /// The products a trunk is made of, for crops of a batch.
    pub fn person_products(&self, batch: usize) -> Vec<Product> {
        let width = self.side("backbone.pos_embed", 2) as i64;
        trunk_products((batch as f64 * TOKENS) as i64, width)
    }

    pub fn vitdet_products(&self) -> Vec<Product> {
        let width = self.side("backbone.net.pos_embed", 2) as i64;
        trunk_products(4096, width)
    }

    /// A stage's 1×1, a level's 3×3 as a product, and the box head's first layer.
    pub fn regnety_products(&self) -> Vec<Product> {
        let channels = self.side("backbone.fpn_output3.weight", 0) as i64;
        let width = self.side("backbone.fpn_lateral4.weight", 1) as i64;
        let hidden = self.side("roi_heads.box_head.fc1.weight", 0) as i64;
        vec![
            [4032, width, width],
            [16128, 9 * channels, channels],
            [REGIONS as i64, 49 * channels, hidden],
        ]
    }
}

fn trunk_products(rows: i64, width: i64) -> Vec<Product> {
    vec![
        [rows, width, 3 * width],
        [rows, width, width],
        [rows, width, 4 * width],
        [rows, 4 * width, width],
    ]
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Model, Scale, shapes};
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!(
            (found / expected - 1.0).abs() < 0.003,
            "{found} for {expected}"
        );
    }

    /// The figures counted in the original networks, in `reference-facts.md` of the project's plan.
    #[test]
    fn the_released_networks_have_the_arithmetic_that_was_counted() {
        let of = |model| shapes(model, Scale::Full).into_iter().collect::<Shapes>();
        let hmr2 = of(Model::Hmr2).hmr2();
        near(hmr2.trunk, 248.01);
        near(hmr2.head, 3.09);
        assert!((0.01..0.03).contains(&hmr2.body), "{hmr2:?}");
        near(
            of(Model::VitDet).vitdet(),
            5953.57 + 202.67 + 206.63 + 3.0 * 257.08,
        );
        near(
            of(Model::RegNetY).regnety(768 * 1344),
            271.83 + 203.4 + 257.72,
        );
        near(of(Model::VitPose).vitpose(), 248.01 + 3.65);
    }

    #[test]
    fn a_products_rows_are_the_batchs_patches() {
        let shapes: Shapes = shapes(Model::Hmr2, Scale::Tiny).into_iter().collect();
        let products = shapes.person_products(8);
        assert_eq!(products.first(), Some(&[1536, 32, 96]));
        assert_eq!(Shapes::default().hmr2().trunk, 0.0);
    }
}
