//! Random checkpoints with the original names and shapes: figures and end-to-end runs without a download.

mod detectors;
mod fill;
mod hmr2;
mod table;
mod vitpose;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{CheckpointError, Fault};
use crate::checkpoint::tensor::Sink;
use crate::checkpoint::write::safetensors;

use table::Table;

/// How large the networks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The released ones: ViT-H, RegNetY-4GF, ViTPose-H.
    Full,
    /// The same layers, narrow and few: for tests.
    Tiny,
}

/// The files of the family.
#[derive(Clone, Debug)]
pub struct Files {
    pub vitdet: PathBuf,
    pub regnety: PathBuf,
    /// With its body inside (`smpl.*`).
    pub hmr2: PathBuf,
    /// `model_config.yaml`
    pub hmr2_config: PathBuf,
    pub vitpose: PathBuf,
}

impl Files {
    /// Where [`Files::write`] puts them in `folder`.
    pub fn of(folder: &Path) -> Self {
        Self {
            vitdet: folder.join("vitdet.safetensors"),
            regnety: folder.join("regnety.safetensors"),
            hmr2: folder.join("hmr2.safetensors"),
            hmr2_config: folder.join("model_config.yaml"),
            vitpose: folder.join("vitpose.safetensors"),
        }
    }

    /// Writes into `folder` those that are not there yet: full size 8 GB in F32, 4 GB in BF16.
    pub fn write(folder: &Path, scale: Scale, dtype: DType) -> Result<Self, CheckpointError> {
        let files = Self::of(folder);
        for (path, table) in [
            (&files.vitdet, detectors::vitdet(scale)),
            (&files.regnety, detectors::regnety(scale)),
            (&files.hmr2, hmr2::table(scale)),
            (&files.vitpose, vitpose::table(scale)),
        ] {
            if !path.exists() {
                write(path, table, dtype)?;
            }
        }
        hmr2_config(&files.hmr2_config, scale)?;
        Ok(files)
    }

    /// HMR2's checkpoint and configuration alone.
    pub fn write_hmr2(folder: &Path, scale: Scale, dtype: DType) -> Result<Self, CheckpointError> {
        let files = Self::of(folder);
        write(&files.hmr2, hmr2::table(scale), dtype)?;
        hmr2_config(&files.hmr2_config, scale)?;
        Ok(files)
    }
}

fn hmr2_config(path: &Path, scale: Scale) -> Result<(), CheckpointError> {
    let written = File::create(path).and_then(|mut file| file.write_all(hmr2::config(scale).as_bytes()));
    written.map_err(|error| Fault::from(error).at(path))
}

/// Under another name until it is whole, so that a run that was broken off leaves nothing behind
/// that looks like a file.
fn write(path: &Path, table: Table, dtype: DType) -> Result<(), CheckpointError> {
    let draft = path.with_extension("draft");
    let tensors = table.entries(dtype);
    let mut feed = |index: usize, sink: &mut Sink| {
        let entry = tensors
            .get(index)
            .ok_or_else(|| Fault::corrupt("no such tensor"))?;
        fill::fill(index as u64, entry, sink)
    };
    let written = File::create(&draft)
        .map_err(Fault::from)
        .and_then(|mut file| safetensors::write(&mut file, &tensors, &[], &mut feed))
        .and_then(|_| std::fs::rename(&draft, path).map_err(Fault::from));
    written.map_err(|fault| fault.at(path))
}

/// What `model_config.yaml` says of the released HMR2, as far as the network reads it.
pub fn released_config() -> String {
    hmr2::config(Scale::Full)
}
