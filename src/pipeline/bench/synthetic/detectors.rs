//! ViTDet-H Cascade Mask R-CNN and RegNetY-4GF Mask R-CNN as detectron2's zoo has them.

use super::Scale;
use super::table::{Table, Vit};

/// COCO's.
const CLASSES: u64 = 80;

/// `model_final_f05665.pkl`
pub(super) fn vitdet(scale: Scale) -> Table {
    let (width, depth, head, channels, hidden) = match scale {
        Scale::Full => (1280, 32, 80, 256, 1024),
        Scale::Tiny => (48, 4, 16, 16, 32),
    };
    // Every eighth (tiny: second) block looks at the whole image; the others at windows of 14.
    let (period, whole) = match scale {
        Scale::Full => (8, 127),
        Scale::Tiny => (2, 39),
    };
    let mut table = Table::default();
    let tokens = 14 * 14 + 1;
    let size = Vit {
        width,
        depth,
        tokens,
    };
    table.vit("backbone.net.", size, |block| {
        let length = if block % period == period - 1 {
            whole
        } else {
            27
        };
        Some((length, head))
    });
    let (half, quarter) = (width / 2, width / 4);
    table.real("backbone.simfp_2.0.weight", &[width, half, 2, 2]);
    table.real("backbone.simfp_2.0.bias", &[half]);
    table.norm("backbone.simfp_2.1", half);
    table.real("backbone.simfp_2.3.weight", &[half, quarter, 2, 2]);
    table.real("backbone.simfp_2.3.bias", &[quarter]);
    table.real("backbone.simfp_3.0.weight", &[width, half, 2, 2]);
    table.real("backbone.simfp_3.0.bias", &[half]);
    for (level, first, inputs) in [(2, 4, quarter), (3, 1, half), (4, 0, width), (5, 1, width)] {
        for (part, inputs, side) in [(first, inputs, 1), (first + 1, channels, 3)] {
            let place = format!("backbone.simfp_{level}.{part}");
            table.real(format!("{place}.weight"), &[channels, inputs, side, side]);
            table.norm(&format!("{place}.norm"), channels);
        }
    }
    rpn(&mut table, channels);
    for stage in 0..3 {
        let head = format!("roi_heads.box_head.{stage}");
        for conv in 1..=4 {
            let place = format!("{head}.conv{conv}");
            table.real(format!("{place}.weight"), &[channels, channels, 3, 3]);
            table.norm(&format!("{place}.norm"), channels);
        }
        table.layer(&format!("{head}.fc1"), &[hidden, channels * 49]);
        let predictor = format!("roi_heads.box_predictor.{stage}");
        table.layer(&format!("{predictor}.cls_score"), &[CLASSES + 1, hidden]);
        table.layer(&format!("{predictor}.bbox_pred"), &[4, hidden]);
    }
    masks(&mut table, channels, |table, place| {
        table.norm(place, channels)
    });
    table
}

/// `model_final_ef3a80.pkl`
pub(super) fn regnety(scale: Scale) -> Table {
    let (stem, stages, group, channels, hidden) = match scale {
        Scale::Full => (
            32,
            vec![(128, 2), (192, 6), (512, 12), (1088, 2)],
            64,
            256,
            1024,
        ),
        Scale::Tiny => (8, vec![(8, 1), (16, 1), (32, 2), (64, 2)], 8, 16, 48),
    };
    let mut table = Table::default();
    let conv = |table: &mut Table, place: &str, norm: &str, shape: [u64; 4]| {
        table.real(format!("{place}.weight"), &shape);
        table.batch_norm(norm, shape[0]);
    };
    let up = "backbone.bottom_up";
    conv(
        &mut table,
        &format!("{up}.stem.conv"),
        &format!("{up}.stem.bn"),
        [stem, 3, 3, 3],
    );
    let mut inputs = stem;
    for (stage, &(width, blocks)) in (1..).zip(&stages) {
        for block in 1..=blocks {
            let at = format!("{up}.s{stage}.b{block}");
            if block == 1 {
                conv(
                    &mut table,
                    &format!("{at}.proj"),
                    &format!("{at}.bn"),
                    [width, inputs, 1, 1],
                );
            }
            let mut part = |name: &str, shape| {
                conv(
                    &mut table,
                    &format!("{at}.f.{name}"),
                    &format!("{at}.f.{name}_bn"),
                    shape,
                );
            };
            part("a", [width, inputs, 1, 1]);
            part("b", [width, group, 3, 3]);
            part("c", [width, width, 1, 1]);
            // A quarter of the block's inputs.
            let squeezed = inputs / 4;
            table.layer(&format!("{at}.f.se.f_ex.0"), &[squeezed, width, 1, 1]);
            table.layer(&format!("{at}.f.se.f_ex.2"), &[width, squeezed, 1, 1]);
            inputs = width;
        }
    }
    for (level, &(width, _)) in (2..).zip(&stages) {
        for (name, inputs, side) in [("lateral", width, 1), ("output", channels, 3)] {
            let place = format!("backbone.fpn_{name}{level}");
            conv(
                &mut table,
                &place,
                &format!("{place}.norm"),
                [channels, inputs, side, side],
            );
        }
    }
    rpn(&mut table, channels);
    let head = "roi_heads.box_head";
    for layer in 1..=4 {
        let place = format!("{head}.conv{layer}");
        conv(
            &mut table,
            &place,
            &format!("{place}.norm"),
            [channels, channels, 3, 3],
        );
    }
    table.layer(&format!("{head}.fc1"), &[hidden, channels * 49]);
    table.layer("roi_heads.box_predictor.cls_score", &[CLASSES + 1, hidden]);
    table.layer("roi_heads.box_predictor.bbox_pred", &[4 * CLASSES, hidden]);
    masks(&mut table, channels, |table, place| {
        table.batch_norm(place, channels)
    });
    table
}

fn rpn(table: &mut Table, channels: u64) {
    let head = "proposal_generator.rpn_head";
    for conv in 0..2 {
        table.layer(
            &format!("{head}.conv.conv{conv}"),
            &[channels, channels, 3, 3],
        );
    }
    table.layer(&format!("{head}.objectness_logits"), &[3, channels, 1, 1]);
    table.layer(&format!("{head}.anchor_deltas"), &[12, channels, 1, 1]);
}

fn masks(table: &mut Table, channels: u64, norm: impl Fn(&mut Table, &str)) {
    let head = "roi_heads.mask_head";
    for conv in 1..=4 {
        let place = format!("{head}.mask_fcn{conv}");
        table.real(format!("{place}.weight"), &[channels, channels, 3, 3]);
        norm(table, &format!("{place}.norm"));
    }
    table.layer(&format!("{head}.deconv"), &[channels, channels, 2, 2]);
    table.layer(&format!("{head}.predictor"), &[CLASSES, channels, 1, 1]);
}
