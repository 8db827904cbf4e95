//! A model's weights loaded as its network would load them, to find out today what would fail tomorrow.

use std::path::Path;
use std::time::{Duration, Instant};

use tch::Device;

use super::error::INTERNAL;
use crate::cache::error::{ABORTED, CacheError};
use crate::checkpoint::checkpoint::Checkpoint;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::open;
use crate::checkpoint::report::Tolerance;
use crate::layers::weights::{Options, Weights, WeightsError};

/// What was loaded and let go again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    pub tensors: usize,
    /// In the working precision.
    pub bytes: u64,
    pub time: Duration,
}

/// Tells how many of how many bytes are loaded; false ends the work.
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;

/// Loads every tensor of `path` in `precision` onto `device` and holds them all at once.
pub fn load(
    path: &Path,
    precision: DType,
    device: Device,
    threads: usize,
    progress: &mut Progress,
) -> Result<Rehearsal, CacheError> {
    let start = Instant::now();
    let checkpoint = open::open(path)?;
    let total = total(&checkpoint);
    let wanted: Vec<_> = checkpoint
        .tensors()
        .iter()
        .map(|(name, tensor)| {
            let shape: Vec<i64> = tensor.shape.iter().map(|&d| d as i64).collect();
            (
                name.clone(),
                shape,
                tensor.dtype,
                tensor.bytes().unwrap_or(0),
            )
        })
        .collect();
    let options = Options {
        precision,
        device,
        renames: &[],
        threads,
    };
    let weights = Weights::new(checkpoint, options).map_err(|e| failure(path, e))?;
    let mut held = Vec::with_capacity(wanted.len());
    let (mut done, mut bytes) = (0, 0);
    for (name, shape, dtype, stored) in &wanted {
        let tensor = if dtype.is_float() {
            weights.get(name, shape)
        } else {
            weights.get_exact(name, shape, *dtype)
        };
        let tensor = tensor.map_err(|e| failure(path, e))?;
        let size = if dtype.is_float() { precision } else { *dtype }.size();
        bytes += (tensor.numel() * size) as u64;
        held.push(tensor);
        done += stored;
        if !progress(done, total) {
            return Err(CacheError::new(ABORTED, "the work was cancelled"));
        }
    }
    weights
        .finish(&Tolerance::default())
        .map_err(|e| failure(path, e))?;
    Ok(Rehearsal {
        tensors: held.len(),
        bytes,
        time: start.elapsed(),
    })
}

/// Opens what is no network (a body model, a table, a configuration) and reads all of it.
pub fn read(path: &Path, progress: &mut Progress) -> Result<Rehearsal, CacheError> {
    let start = Instant::now();
    let checkpoint = open::open(path)?;
    let total = total(&checkpoint);
    let mut bytes = 0;
    for name in checkpoint.names() {
        let mut wanted = true;
        checkpoint.stream(name, &mut |piece| {
            bytes += piece.len() as u64;
            wanted = progress(bytes, total);
            Ok(())
        })?;
        if !wanted {
            return Err(CacheError::new(ABORTED, "the work was cancelled"));
        }
    }
    Ok(Rehearsal {
        tensors: checkpoint.tensors().len(),
        bytes,
        time: start.elapsed(),
    })
}

fn total(checkpoint: &Checkpoint) -> u64 {
    let tensors = checkpoint.tensors().values();
    tensors.filter_map(|tensor| tensor.bytes().ok()).sum()
}

fn failure(path: &Path, error: WeightsError) -> CacheError {
    match error {
        WeightsError::Checkpoint(error) => error.into(),
        WeightsError::Report(report) => {
            CacheError::new(crate::cache::error::MODEL_FILE, report.to_string())
        }
        WeightsError::Torch(error) => {
            let message = format!("{}: libtorch: {error}", path.display());
            CacheError::new(INTERNAL, message)
        }
    }
}
