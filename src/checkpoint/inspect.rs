//! What is in a file, for people and scripts: names, types, shapes, and a hash per tensor.

use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::checkpoint::{Checkpoint, Format, Opaque};
use super::dtype::DType;
use super::error::{CheckpointError, Fault, Kind};
use super::tensor::Tensor;

/// A file's contents without its bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub path: String,
    pub format: Format,
    /// Size of the file (unpacked, when it was compressed).
    pub bytes: u64,
    /// The key that held the weights; empty when they lie at the top.
    pub root: String,
    pub tensors: Vec<TensorInfo>,
    /// Tensors beside the weights, by their full path.
    pub others: Vec<TensorInfo>,
    pub values: serde_json::Map<String, serde_json::Value>,
    pub opaque: Vec<Opaque>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TensorInfo {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<u64>,
    pub bytes: u64,
    /// Of the elements in row-major order, little-endian: the same for equal tensors in all formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Lists `path`; with `hashes` every byte of it is read.
///
/// `progress(done, total)` in bytes; false ends the work with [`Kind::Cancelled`].
pub fn inspect(
    path: &Path,
    hashes: bool,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Inspection, CheckpointError> {
    let checkpoint = super::open::open(path)?;
    let contents = checkpoint.contents();
    let count = |tensor: &Tensor| tensor.bytes().unwrap_or(0);
    let total = contents.tensors.values().chain(contents.others.values());
    let total: u64 = total.map(count).sum();
    let mut done = 0;
    let mut list = |tensors: &indexmap::IndexMap<String, Tensor>| {
        let info = |(name, tensor): (&String, &Tensor)| {
            let sha256 = hashes
                .then(|| {
                    hash(tensor, &mut |bytes| {
                        done += bytes;
                        progress(done, total)
                    })
                })
                .transpose()
                .map_err(|fault| fault.within(format_args!("tensor {name:?}")).at(path))?;
            Ok(TensorInfo {
                name: name.clone(),
                dtype: tensor.dtype,
                shape: tensor.shape.clone(),
                bytes: count(tensor),
                sha256,
            })
        };
        tensors
            .iter()
            .map(info)
            .collect::<Result<Vec<_>, CheckpointError>>()
    };
    Ok(Inspection {
        path: path.display().to_string(),
        format: checkpoint.format(),
        bytes: checkpoint.source().len(),
        root: contents.root.clone(),
        tensors: list(&contents.tensors)?,
        others: list(&contents.others)?,
        values: contents.values.clone(),
        opaque: contents.opaque.clone(),
    })
}

fn hash(tensor: &Tensor, progress: &mut dyn FnMut(u64) -> bool) -> Result<String, Fault> {
    let mut sha = Sha256::new();
    tensor.stream(&mut |piece| {
        sha.update(piece);
        if progress(piece.len() as u64) {
            return Ok(());
        }
        Err(Fault::new(Kind::Cancelled, "inspection cancelled"))
    })?;
    Ok(hex(&sha.finalize()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

impl Checkpoint {
    /// Bytes of all weights in memory.
    pub fn weight_bytes(&self) -> u64 {
        self.tensors().values().filter_map(|t| t.bytes().ok()).sum()
    }
}
