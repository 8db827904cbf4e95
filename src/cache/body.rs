//! What makes a file an SMPL body model, and what to tell people who have none.

use crate::checkpoint::checkpoint::Checkpoint;
use crate::checkpoint::tensor::Tensor;

use super::ledger::Wrong;
use super::structure::Fault;

/// Name and shape of every array; 0 stands for any size.
///
/// Vertices, triangles, joints and the 9 × 23 pose blend shapes of SMPL (Loper et al. 2015).
const ARRAYS: [(&str, &[u64]); 6] = [
    ("v_template", &[6890, 3]),
    ("shapedirs", &[6890, 3, 0]),
    ("posedirs", &[6890, 3, 207]),
    ("weights", &[6890, 24]),
    ("f", &[13776, 3]),
    ("kintree_table", &[2, 24]),
];
const REGRESSOR: (&str, [u64; 2]) = ("J_regressor", [24, 6890]);
/// Shape parameters that HMR2 gives.
const BETAS: u64 = 10;

/// Where the user gets the file, and under which terms.
pub const HOW_TO_GET: &str = "\
The SMPL body model may not be passed on, so pose4d never fetches it. \
Register at https://smpl.is.tue.mpg.de and accept the licence (non-commercial research; for \
commercial use ask Meshcapade), download SMPLIFY_CODE_V2.ZIP at https://smplify.is.tue.mpg.de, and \
give its basicModel_neutral_lbs_10_207_0_v1.0.0.pkl (or a SMPL_NEUTRAL.pkl) to \
`npx pose4d models import <file> smpl-neutral`, or name it with the option smplPath";

/// Whether the arrays are those of a body model.
pub fn check(checkpoint: &Checkpoint) -> Result<(), Fault> {
    let different = |why: String| {
        Err(Fault::new(
            Wrong::Different,
            format!("not an SMPL body model: {why}"),
        ))
    };
    for (name, shape) in ARRAYS {
        let Some(tensor) = checkpoint.tensors().get(name) else {
            return different(format!("it has no array {name:?}"));
        };
        if !fits(tensor, shape) {
            return different(format!(
                "{name} has the shape {:?}, expected {}",
                tensor.shape,
                spoken(shape)
            ));
        }
    }
    let betas = shape_of(checkpoint, "shapedirs").and_then(|shape| shape.get(2).copied());
    if betas.is_none_or(|betas| betas < BETAS) {
        return different(format!(
            "shapedirs has {} shape parameters, expected at least {BETAS}",
            betas.unwrap_or(0)
        ));
    }
    match regressor(checkpoint) {
        Some(shape) if shape == REGRESSOR.1 => Ok(()),
        Some(shape) => different(format!(
            "{} has the shape {shape:?}, expected {:?}",
            REGRESSOR.0, REGRESSOR.1
        )),
        None => different(format!("it has no array {:?}", REGRESSOR.0)),
    }
}

/// The regressor's shape: dense, or the parts of a sparse matrix.
fn regressor(checkpoint: &Checkpoint) -> Option<Vec<u64>> {
    if let Some(shape) = shape_of(checkpoint, REGRESSOR.0) {
        return Some(shape.to_vec());
    }
    let part = |end: &str| format!("{}.{end}", REGRESSOR.0);
    shape_of(checkpoint, &part("data"))?;
    // Columns of a compressed-column matrix have one pointer more; its rows are the 24 joints.
    let pointers = *shape_of(checkpoint, &part("indptr"))?.first()?;
    match pointers {
        6891 | 25 => Some(REGRESSOR.1.to_vec()),
        _ => Some(vec![pointers.saturating_sub(1)]),
    }
}

fn shape_of<'a>(checkpoint: &'a Checkpoint, name: &str) -> Option<&'a [u64]> {
    let tensor = checkpoint.tensors().get(name)?;
    Some(tensor.shape.as_slice())
}

fn fits(tensor: &Tensor, shape: &[u64]) -> bool {
    tensor.shape.len() == shape.len()
        && tensor
            .shape
            .iter()
            .zip(shape)
            .all(|(found, wanted)| *wanted == 0 || found == wanted)
}

fn spoken(shape: &[u64]) -> String {
    let sizes: Vec<_> = shape
        .iter()
        .map(|&size| {
            if size == 0 {
                "any".into()
            } else {
                size.to_string()
            }
        })
        .collect();
    format!("[{}]", sizes.join(", "))
}

/// What a file's name says about whose body it is, when that is not the neutral one.
pub fn warning(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let words = || lower.split(|c: char| !c.is_ascii_alphanumeric());
    let of = |letter: &str, word: &str| {
        words().any(|part| part == word) || lower.contains(&format!("model_{letter}_"))
    };
    let whose = if of("f", "female") {
        "female"
    } else if of("m", "male") {
        "male"
    } else {
        return None;
    };
    Some(format!(
        "{name} looks like the {whose} body; HMR2's shape parameters belong to the neutral one, \
         and with another body every mesh is of the wrong shape"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_male_and_female_bodies() {
        for name in [
            "SMPL_MALE.pkl",
            "basicmodel_m_lbs_10_207_0_v1.0.0.pkl",
            "basicModel_m_lbs_10_207_0_v1.0.0.pkl",
        ] {
            assert!(warning(name).unwrap().contains("the male body"), "{name}");
        }
        for name in ["SMPL_FEMALE.pkl", "basicModel_f_lbs_10_207_0_v1.0.0.pkl"] {
            assert!(warning(name).unwrap().contains("the female body"), "{name}");
        }
        for name in [
            "SMPL_NEUTRAL.pkl",
            "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl",
            "model.pkl",
        ] {
            assert_eq!(warning(name), None, "{name}");
        }
    }
}
