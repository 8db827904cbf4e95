//! HMR2 with a body of SMPL's shapes inside, and its configuration.

use super::Scale;
use super::table::{Table, Vit};

pub(super) const VERTICES: u64 = 6890;
const FACES: u64 = 13_776;

fn size(scale: Scale) -> Vit {
    let (width, depth) = match scale {
        Scale::Full => (1280, 32),
        Scale::Tiny => (32, 2),
    };
    Vit {
        width,
        depth,
        tokens: 12 * 16 + 1,
    }
}

/// What the released `model_config.yaml` says, as far as it matters here.
pub(super) fn config(scale: Scale) -> String {
    let Vit { width, depth, .. } = size(scale);
    let heads = width / if scale == Scale::Full { 80 } else { 16 };
    format!(
        "\
MODEL:
  IMAGE_SIZE: 256
  IMAGE_MEAN: [0.485, 0.456, 0.406]
  IMAGE_STD: [0.229, 0.224, 0.225]
  BACKBONE: {{TYPE: vit, embed_dim: {width}, depth: {depth}, num_heads: {heads}}}
  SMPL_HEAD:
    TYPE: transformer_decoder
    TRANSFORMER_DECODER:
      {{depth: 6, heads: 8, mlp_dim: 1024, dim_head: 64, norm: layer, context_dim: {width}}}
SMPL: {{NUM_BODY_JOINTS: 23}}
EXTRA: {{FOCAL_LENGTH: 5000}}
"
    )
}

pub(super) fn table(scale: Scale) -> Table {
    let mut table = Table::default();
    let trunk = size(scale);
    table.vit("backbone.", trunk, |_| None);
    table.norm("backbone.last_norm", trunk.width);
    let (wide, inner, head) = (1024, 512, "smpl_head.transformer");
    table.real(format!("{head}.pos_embedding"), &[1, 1, wide]);
    table.layer(&format!("{head}.to_token_embedding"), &[wide, 1]);
    for layer in 0..6 {
        let place = format!("{head}.transformer.layers.{layer}");
        for part in 0..3 {
            table.norm(&format!("{place}.{part}.norm"), wide);
        }
        table.real(format!("{place}.0.fn.to_qkv.weight"), &[3 * inner, wide]);
        let context = trunk.width;
        table.real(format!("{place}.1.fn.to_kv.weight"), &[2 * inner, context]);
        table.real(format!("{place}.1.fn.to_q.weight"), &[inner, wide]);
        for (part, inputs) in [
            ("0.fn.to_out.0", inner),
            ("1.fn.to_out.0", inner),
            ("2.fn.net.0", wide),
            ("2.fn.net.3", wide),
        ] {
            table.layer(&format!("{place}.{part}"), &[wide, inputs]);
        }
    }
    for (layer, init, count) in [
        ("decpose", "init_body_pose", 144),
        ("decshape", "init_betas", 10),
        ("deccam", "init_cam", 3),
    ] {
        table.layer(&format!("smpl_head.{layer}"), &[count, wide]);
        table.real(format!("smpl_head.{init}"), &[1, count]);
    }
    body(&mut table);
    table
}

/// As smplx registers them.
fn body(table: &mut Table) {
    table.real("smpl.v_template", &[VERTICES, 3]);
    table.real("smpl.shapedirs", &[VERTICES, 3, 10]);
    table.real("smpl.posedirs", &[207, VERTICES * 3]);
    table.real("smpl.J_regressor", &[24, VERTICES]);
    table.real("smpl.lbs_weights", &[VERTICES, 24]);
    table.real("smpl.joint_regressor_extra", &[19, VERTICES]);
    table.whole("smpl.parents", &[24]);
    table.whole("smpl.faces_tensor", &[FACES, 3]);
}

/// As SMPL's file names them.
pub(super) fn body_file() -> Table {
    let mut table = Table::default();
    table.real("v_template", &[VERTICES, 3]);
    table.real("shapedirs", &[VERTICES, 3, 10]);
    table.real("posedirs", &[VERTICES, 3, 207]);
    table.real("J_regressor", &[24, VERTICES]);
    table.real("weights", &[VERTICES, 24]);
    table.whole("kintree_table", &[2, 24]);
    table.whole("f", &[FACES, 3]);
    table
}

pub(super) fn regressor_file() -> Table {
    let mut table = Table::default();
    table.real("joint_regressor_extra", &[19, VERTICES]);
    table
}
