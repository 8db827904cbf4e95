//! The random numbers, in ranges that keep a network's values finite and usual.

use half::{bf16, f16};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::tensor::Sink;
use crate::checkpoint::write::Entry;

use super::hmr2::VERTICES;

/// SMPL's kinematic tree.
const PARENTS: [i64; 24] = [
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
];
/// Added to the first class's logit, people's: e⁸ is far more than all others together.
const PERSON: f32 = 8.0;
/// Numbers handed over at once.
const PIECE: u64 = 1 << 18;

/// The same for the same seed.
pub(super) fn fill(seed: u64, entry: &Entry, sink: &mut Sink) -> Parse<()> {
    let count = entry.elements();
    if entry.dtype == DType::I64 {
        let value = |i: u64| match entry.name.as_str() {
            // The file's table has a second row, which counts the joints.
            "smpl.parents" | "kintree_table" => {
                PARENTS.get(i as usize).copied().unwrap_or(i as i64 - 24)
            }
            "smpl.faces_tensor" | "f" => ((i * 2_654_435_761) % VERTICES) as i64,
            _ => 1,
        };
        let bytes: Vec<u8> = (0..count).flat_map(|i| value(i).to_le_bytes()).collect();
        return sink(&bytes);
    }
    let (mean, spread) = distribution(entry);
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Three uniform numbers added up are nearly normal.
        let uniform = |shift: u32| ((state >> shift) & 0xffff) as f32 / 65536.0;
        mean + spread * (uniform(0) + uniform(16) + uniform(32) - 1.5) * 2.0
    };
    // A detector that believes in people, so that what comes after it has something to do.
    let mut next = {
        let mut surer = entry.name.ends_with("cls_score.bias");
        move || {
            next()
                + if std::mem::take(&mut surer) {
                    PERSON
                } else {
                    0.0
                }
        }
    };
    let mut left = count;
    let mut piece = Vec::new();
    while left > 0 {
        piece.clear();
        let part = left.min(PIECE);
        match entry.dtype {
            DType::F32 => (0..part).for_each(|_| piece.extend(next().to_le_bytes())),
            DType::BF16 => {
                (0..part).for_each(|_| piece.extend(bf16::from_f32(next()).to_le_bytes()));
            }
            DType::F16 => {
                (0..part).for_each(|_| piece.extend(f16::from_f32(next()).to_le_bytes()));
            }
            other => return Err(Fault::unsupported(format!("random numbers of {other}"))),
        }
        left -= part;
        sink(&piece)?;
    }
    Ok(())
}

/// Mean and standard deviation.
fn distribution(entry: &Entry) -> (f32, f32) {
    let is = |end: &str| entry.name.ends_with(end);
    let vector = entry.shape.len() == 1;
    if is("running_var") {
        (1.0, 0.0)
    } else if is("init_cam") {
        (0.9, 0.0)
    } else if is("init_body_pose") || is("v_template") {
        (0.0, 0.5)
    } else if is("J_regressor") || is("joint_regressor_extra") {
        (1.0 / VERTICES as f32, 0.0)
    } else if is("lbs_weights") || entry.name == "weights" {
        (1.0 / 24.0, 0.0)
    } else if is("dirs") {
        (0.0, 0.002)
    } else if vector && is("weight") {
        (1.0, 0.05)
    } else if vector || is("pos_embed") || is("rel_pos_h") || is("rel_pos_w") {
        (0.0, 0.02)
    } else {
        let inputs: u64 = entry.shape.iter().skip(1).product();
        (0.0, (inputs.max(1) as f32).sqrt().recip())
    }
}
