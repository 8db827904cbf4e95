//! Full-size HMR2 files with random weights, for figures and end-to-end runs without a download.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::bf16;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::error::{Fault, Parse};
use pose4d::checkpoint::open::open_source;
use pose4d::checkpoint::tensor::Sink;
use pose4d::checkpoint::write::{Entry, safetensors};
use pose4d::models::hmr2::config::Config;

/// What the released `model_config.yaml` says, as far as it matters here.
const CONFIG: &str = "\
MODEL:
  IMAGE_SIZE: 256
  IMAGE_MEAN: [0.485, 0.456, 0.406]
  IMAGE_STD: [0.229, 0.224, 0.225]
  BACKBONE: {TYPE: vit}
  SMPL_HEAD:
    TYPE: transformer_decoder
    TRANSFORMER_DECODER:
      {depth: 6, heads: 8, mlp_dim: 1024, dim_head: 64, norm: layer, context_dim: 1280}
SMPL: {NUM_BODY_JOINTS: 23}
EXTRA: {FOCAL_LENGTH: 5000}
";
const WIDTH: u64 = 1280;
const DEPTH: u64 = 32;
const DECODER: u64 = 1024;
const INNER: u64 = 512;
const DECODER_DEPTH: u64 = 6;
const VERTICES: u64 = 6890;
const FACES: u64 = 13_776;

/// Where [`write`] put them.
pub struct Written {
    pub checkpoint: PathBuf,
    pub config: PathBuf,
}

/// Writes checkpoint and configuration into `folder`: 1.4 GB.
pub fn write(folder: &Path) -> Result<Written, Box<dyn std::error::Error>> {
    let written = Written {
        checkpoint: folder.join("hmr2.safetensors"),
        config: folder.join("model_config.yaml"),
    };
    File::create(&written.config)?.write_all(CONFIG.as_bytes())?;
    let tensors = entries();
    let mut feed = |index: usize, sink: &mut Sink| {
        let entry = tensors
            .get(index)
            .ok_or_else(|| Fault::corrupt("no such tensor"))?;
        fill(index as u64, entry, sink)
    };
    safetensors::write(
        &mut File::create(&written.checkpoint)?,
        &tensors,
        &[],
        &mut feed,
    )?;
    Ok(written)
}

/// The configuration alone.
pub fn config() -> Result<Config, Box<dyn std::error::Error>> {
    let source = Arc::new(CONFIG.as_bytes().to_vec());
    let file = open_source(source, Path::new("model_config.yaml"))?;
    Ok(Config::read(&file.contents().values)?)
}

fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    let mut add = |name: String, dtype: DType, shape: &[u64]| {
        all.push(Entry {
            name,
            dtype,
            shape: shape.to_vec(),
        });
    };
    let mut real = |name: String, shape: &[u64]| add(name, DType::BF16, shape);
    let w = WIDTH;
    real("backbone.pos_embed".into(), &[1, 193, w]);
    real("backbone.patch_embed.proj.weight".into(), &[w, 3, 16, 16]);
    real("backbone.patch_embed.proj.bias".into(), &[w]);
    for block in 0..DEPTH {
        for (part, outputs, inputs) in [
            ("attn.qkv", 3 * w, w),
            ("attn.proj", w, w),
            ("mlp.fc1", 4 * w, w),
            ("mlp.fc2", w, 4 * w),
        ] {
            real(
                format!("backbone.blocks.{block}.{part}.weight"),
                &[outputs, inputs],
            );
            real(format!("backbone.blocks.{block}.{part}.bias"), &[outputs]);
        }
        for norm in ["norm1", "norm2"] {
            real(format!("backbone.blocks.{block}.{norm}.weight"), &[w]);
            real(format!("backbone.blocks.{block}.{norm}.bias"), &[w]);
        }
    }
    real("backbone.last_norm.weight".into(), &[w]);
    real("backbone.last_norm.bias".into(), &[w]);
    let (d, inner, head) = (DECODER, INNER, "smpl_head.transformer");
    real(format!("{head}.pos_embedding"), &[1, 1, d]);
    real(format!("{head}.to_token_embedding.weight"), &[d, 1]);
    real(format!("{head}.to_token_embedding.bias"), &[d]);
    for layer in 0..DECODER_DEPTH {
        let place = format!("{head}.transformer.layers.{layer}");
        for part in 0..3 {
            real(format!("{place}.{part}.norm.weight"), &[d]);
            real(format!("{place}.{part}.norm.bias"), &[d]);
        }
        real(format!("{place}.0.fn.to_qkv.weight"), &[3 * inner, d]);
        real(format!("{place}.1.fn.to_kv.weight"), &[2 * inner, w]);
        real(format!("{place}.1.fn.to_q.weight"), &[inner, d]);
        for (part, inputs) in [
            ("0.fn.to_out.0", inner),
            ("1.fn.to_out.0", inner),
            ("2.fn.net.0", d),
            ("2.fn.net.3", d),
        ] {
            real(format!("{place}.{part}.weight"), &[d, inputs]);
            real(format!("{place}.{part}.bias"), &[d]);
        }
    }
    for (layer, init, count) in [
        ("decpose", "init_body_pose", 144),
        ("decshape", "init_betas", 10),
        ("deccam", "init_cam", 3),
    ] {
        real(format!("smpl_head.{layer}.weight"), &[count, d]);
        real(format!("smpl_head.{layer}.bias"), &[count]);
        real(format!("smpl_head.{init}"), &[1, count]);
    }
    real("smpl.v_template".into(), &[VERTICES, 3]);
    real("smpl.shapedirs".into(), &[VERTICES, 3, 10]);
    real("smpl.posedirs".into(), &[207, VERTICES * 3]);
    real("smpl.J_regressor".into(), &[24, VERTICES]);
    real("smpl.lbs_weights".into(), &[VERTICES, 24]);
    real("smpl.joint_regressor_extra".into(), &[19, VERTICES]);
    add("smpl.parents".into(), DType::I64, &[24]);
    add("smpl.faces_tensor".into(), DType::I64, &[FACES, 3]);
    all
}

/// SMPL's kinematic tree.
const PARENTS: [i64; 24] = [
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
];

fn fill(seed: u64, entry: &Entry, sink: &mut Sink) -> Parse<()> {
    let name = entry.name.as_str();
    let count = entry.elements();
    if entry.dtype == DType::I64 {
        let value = |i: u64| match name {
            "smpl.parents" => PARENTS[i as usize],
            _ => ((i * 2_654_435_761) % VERTICES) as i64,
        };
        let bytes: Vec<u8> = (0..count).flat_map(|i| value(i).to_le_bytes()).collect();
        return sink(&bytes);
    }
    let (mean, spread) = distribution(name);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut left = count;
    let mut piece = Vec::with_capacity(1 << 20);
    while left > 0 {
        piece.clear();
        for _ in 0..left.min(1 << 19) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Three uniform numbers added up are nearly normal.
            let uniform = |shift: u32| ((state >> shift) & 0xffff) as f32 / 65536.0;
            let normal = (uniform(0) + uniform(16) + uniform(32) - 1.5) * 2.0;
            piece.extend(bf16::from_f32(mean + spread * normal).to_le_bytes());
        }
        left -= (piece.len() / 2) as u64;
        sink(&piece)?;
    }
    Ok(())
}

/// Mean and standard deviation that keep the network's numbers in their usual range.
fn distribution(name: &str) -> (f32, f32) {
    let is = |end: &str| name.ends_with(end);
    if is("norm.weight") || is("norm1.weight") || is("norm2.weight") {
        (1.0, 0.05)
    } else if is("init_cam") {
        (0.9, 0.0)
    } else if is("init_body_pose") || is("v_template") {
        (0.0, 0.5)
    } else if is("J_regressor") || is("joint_regressor_extra") {
        (1.0 / VERTICES as f32, 0.0)
    } else if is("lbs_weights") {
        (1.0 / 24.0, 0.0)
    } else if is("dirs") {
        (0.0, 0.002)
    } else {
        (0.0, 0.02)
    }
}
