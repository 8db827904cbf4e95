//! A model's weights loaded as its network would load them, to find out today what would fail tomorrow.

use std::path::Path;
use std::time::{Duration, Instant};

use tch::Device;

use super::error::INTERNAL;
use crate::cache::error::{ABORTED, CacheError};
use crate::checkpoint::checkpoint::Checkpoint;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::open;
use crate::checkpoint::tensor::Tensor;
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
///
/// Types that libtorch computes nothing with (the triangles of a mesh are `uint32`) are read into
/// plain memory.
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
    let (mut done, mut plain, mut wanted) = (0, Vec::new(), Vec::new());
    for (name, tensor) in checkpoint.tensors() {
        if computes(tensor.dtype) {
            wanted.push((name.clone(), tensor.clone()));
        } else {
            plain.push(checkpoint.read(name)?);
            step(&mut done, tensor, total, progress)?;
        }
    }
    let options = Options {
        precision,
        device,
        renames: &[],
        threads,
    };
    let weights = Weights::new(checkpoint, options).map_err(|e| failure(path, e))?;
    let mut held = Vec::with_capacity(wanted.len());
    let mut bytes: u64 = plain.iter().map(|bytes| bytes.len() as u64).sum();
    for (name, tensor) in &wanted {
        let shape: Vec<i64> = tensor.shape.iter().map(|&d| d as i64).collect();
        let (loaded, dtype) = if tensor.dtype.is_float() {
            (weights.get(name, &shape), precision)
        } else {
            (weights.get_exact(name, &shape, tensor.dtype), tensor.dtype)
        };
        let loaded = loaded.map_err(|e| failure(path, e))?;
        bytes += (loaded.numel() * dtype.size()) as u64;
        held.push(loaded);
        step(&mut done, tensor, total, progress)?;
    }
    Ok(Rehearsal {
        tensors: held.len() + plain.len(),
        bytes,
        time: start.elapsed(),
    })
}

/// Counts a tensor as done, and tells.
fn step(
    done: &mut u64,
    tensor: &Tensor,
    total: u64,
    progress: &mut Progress,
) -> Result<(), CacheError> {
    *done += tensor.bytes().unwrap_or(0);
    if progress(*done, total) {
        return Ok(());
    }
    Err(CacheError::new(ABORTED, "the work was cancelled"))
}

/// Whether libtorch has operators for the type.
fn computes(dtype: DType) -> bool {
    !matches!(
        dtype,
        DType::U16 | DType::U32 | DType::U64 | DType::F8E4M3 | DType::F8E5M2
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::error::MODEL_CORRUPT;

    /// Two tensors, one of them of a type libtorch does not compute with.
    fn file(folder: &Path) -> std::path::PathBuf {
        let header = concat!(
            r#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#,
            r#""f":{"dtype":"U32","shape":[4],"data_offsets":[24,40]}}  "#,
        );
        let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let mut bytes = (padded.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(padded.as_bytes());
        bytes.extend_from_slice(&[0; 40]);
        let path = folder.join("a.safetensors");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn every_tensor_is_loaded_in_the_working_precision() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        for (precision, bytes) in [(DType::F32, 24 + 16), (DType::BF16, 12 + 16)] {
            let mut told = Vec::new();
            let mut progress = |done, total| {
                told.push((done, total));
                true
            };
            let loaded = load(&path, precision, Device::Cpu, 1, &mut progress).unwrap();
            assert_eq!((loaded.tensors, loaded.bytes), (2, bytes));
            assert_eq!(told.last(), Some(&(40, 40)));
        }
        assert_eq!(read(&path, &mut |_, _| true).unwrap().bytes, 40);
    }

    #[test]
    fn a_stop_and_a_damaged_file_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        let stopped = load(&path, DType::F32, Device::Cpu, 1, &mut |_, _| false);
        assert_eq!(stopped.unwrap_err().code, ABORTED);
        assert_eq!(read(&path, &mut |_, _| false).unwrap_err().code, ABORTED);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let cut = load(&path, DType::F32, Device::Cpu, 1, &mut |_, _| true);
        assert_eq!(cut.unwrap_err().code, MODEL_CORRUPT);
    }
}
