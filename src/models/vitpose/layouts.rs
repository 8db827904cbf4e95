//! The names of ViTPose's tensors in the original's checkpoints, mmpose's and Hugging Face's.

use crate::checkpoint::rename::Rule;
use crate::layers::weights::Weights;
use crate::models::vit::TrunkSize;

/// To the original's names. What those do not begin like stays as it is.
///
/// ViTPose+ keeps the last features of each block's second layer once for every data set; the
/// first data set is COCO. Names: mmpose 1.x (`mmpretrain.VisionTransformer`, `HeatmapHead`),
/// transformers (`VitPoseForPoseEstimation`), ViTPose (`mmpose/models/backbones/vit_moe.py`).
pub const RENAMES: &[Rule] = &[
    // mmpose 1.x
    ("backbone.layers.*.ln1.**", "backbone.blocks.*.norm1.**"),
    ("backbone.layers.*.ln2.**", "backbone.blocks.*.norm2.**"),
    (
        "backbone.layers.*.ffn.layers.0.0.**",
        "backbone.blocks.*.mlp.fc1.**",
    ),
    (
        "backbone.layers.*.ffn.layers.1.**",
        "backbone.blocks.*.mlp.fc2.**",
    ),
    ("backbone.layers.*.**", "backbone.blocks.*.**"),
    ("backbone.ln1.**", "backbone.last_norm.**"),
    (
        "backbone.patch_embed.projection.**",
        "backbone.patch_embed.proj.**",
    ),
    ("head.deconv_layers.**", "keypoint_head.deconv_layers.**"),
    ("head.final_layer.**", "keypoint_head.final_layer.**"),
    // Hugging Face
    (
        "backbone.embeddings.position_embeddings",
        "backbone.pos_embed",
    ),
    (
        "backbone.embeddings.patch_embeddings.projection.**",
        "backbone.patch_embed.proj.**",
    ),
    (
        "backbone.encoder.layer.*.attention.attention.**",
        "backbone.blocks.*.attn.**",
    ),
    (
        "backbone.encoder.layer.*.attention.output.dense.**",
        "backbone.blocks.*.attn.proj.**",
    ),
    (
        "backbone.encoder.layer.*.layernorm_before.**",
        "backbone.blocks.*.norm1.**",
    ),
    (
        "backbone.encoder.layer.*.layernorm_after.**",
        "backbone.blocks.*.norm2.**",
    ),
    (
        "backbone.encoder.layer.*.mlp.experts.0.**",
        "backbone.blocks.*.mlp.expert.**",
    ),
    (
        "backbone.encoder.layer.*.mlp.experts.*.**",
        "other_experts.*.*.**",
    ),
    ("backbone.encoder.layer.*.**", "backbone.blocks.*.**"),
    ("backbone.layernorm.**", "backbone.last_norm.**"),
    ("head.deconv1.**", "keypoint_head.deconv_layers.0.**"),
    ("head.batchnorm1.**", "keypoint_head.deconv_layers.1.**"),
    ("head.deconv2.**", "keypoint_head.deconv_layers.3.**"),
    ("head.batchnorm2.**", "keypoint_head.deconv_layers.4.**"),
    ("head.conv.**", "keypoint_head.final_layer.**"),
    // The original's ViTPose+
    (
        "backbone.blocks.*.mlp.experts.0.**",
        "backbone.blocks.*.mlp.expert.**",
    ),
    ("backbone.blocks.*.mlp.experts.*.**", "other_experts.*.*.**"),
];

/// The trunk's size from its tensors. They do not tell the number of heads: it is that of the
/// released sizes; another width has heads of 64 features where it divides by them, and of 16
/// otherwise.
pub fn trunk_size(weights: &Weights) -> Option<TrunkSize> {
    let (width, depth) = TrunkSize::found(&weights.sub("backbone"))?;
    let heads = match width {
        // ViTPose-S and -B; -L and -H.
        384 | 768 => 12,
        1024 | 1280 => 16,
        _ if width % 64 == 0 => width / 64,
        _ if width % 16 == 0 => width / 16,
        _ => 1,
    };
    Some(TrunkSize {
        width,
        depth,
        heads,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::rename::rename;

    #[test]
    fn each_layout_becomes_the_originals() {
        for (theirs, original) in [
            ("backbone.pos_embed", "backbone.pos_embed"),
            (
                "backbone.layers.11.ffn.layers.0.0.bias",
                "backbone.blocks.11.mlp.fc1.bias",
            ),
            (
                "backbone.layers.0.attn.qkv.weight",
                "backbone.blocks.0.attn.qkv.weight",
            ),
            ("backbone.ln1.weight", "backbone.last_norm.weight"),
            (
                "head.deconv_layers.4.running_var",
                "keypoint_head.deconv_layers.4.running_var",
            ),
            (
                "backbone.encoder.layer.3.attention.attention.key.bias",
                "backbone.blocks.3.attn.key.bias",
            ),
            (
                "backbone.encoder.layer.3.mlp.fc2.bias",
                "backbone.blocks.3.mlp.fc2.bias",
            ),
            (
                "backbone.encoder.layer.3.mlp.experts.0.bias",
                "backbone.blocks.3.mlp.expert.bias",
            ),
            (
                "backbone.blocks.3.mlp.experts.5.bias",
                "other_experts.3.5.bias",
            ),
            ("head.conv.weight", "keypoint_head.final_layer.weight"),
            ("smpl_head.decpose.weight", "smpl_head.decpose.weight"),
        ] {
            assert_eq!(rename(theirs, RENAMES), original);
        }
    }
}
