//! ViTPose-H with the classic head, as the authors' checkpoints have it.

use super::Scale;
use super::table::{Table, Vit};

/// Upstream `configs/body/2d_kpt_sview_rgb_img/topdown_heatmap/coco/ViTPose_huge_coco_256x192.py`
/// of ViTAE-Transformer/ViTPose.
pub(super) fn table(scale: Scale) -> Table {
    let (width, depth, middle) = match scale {
        Scale::Full => (1280, 32, 256),
        Scale::Tiny => (192, 2, 32),
    };
    let mut table = Table::default();
    let size = Vit {
        width,
        depth,
        tokens: 12 * 16 + 1,
    };
    table.vit("backbone.", size, |_| None);
    table.norm("backbone.last_norm", width);
    for (layer, inputs) in [(0, width), (3, middle)] {
        let place = format!("keypoint_head.deconv_layers.{layer}.weight");
        table.real(place, &[inputs, middle, 4, 4]);
        let norm = format!("keypoint_head.deconv_layers.{}", layer + 1);
        table.batch_norm(&norm, middle);
    }
    table.layer("keypoint_head.final_layer", &[17, middle, 1, 1]);
    table
}
