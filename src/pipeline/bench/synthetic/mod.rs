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

/// What there is a table of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    VitDet,
    RegNetY,
    /// With its body inside (`smpl.*`).
    Hmr2,
    VitPose,
    /// SMPL as its own file has it.
    Body,
    /// `SMPL_to_J19`
    Regressor,
}

impl Model {
    const ALL: [Self; 6] = [
        Self::VitDet,
        Self::RegNetY,
        Self::Hmr2,
        Self::VitPose,
        Self::Body,
        Self::Regressor,
    ];

    fn table(self, scale: Scale) -> Table {
        match self {
            Self::VitDet => detectors::vitdet(scale),
            Self::RegNetY => detectors::regnety(scale),
            Self::Hmr2 => hmr2::table(scale),
            Self::VitPose => vitpose::table(scale),
            Self::Body => hmr2::body_file(),
            Self::Regressor => hmr2::regressor_file(),
        }
    }
}

/// Names and shapes of a model's checkpoint.
pub fn shapes(model: Model, scale: Scale) -> Vec<(String, Vec<u64>)> {
    let entries = model.table(scale).entries(DType::F32);
    entries.into_iter().map(|e| (e.name, e.shape)).collect()
}

/// The files of the family.
#[derive(Clone, Debug)]
pub struct Files {
    pub vitdet: PathBuf,
    pub regnety: PathBuf,
    pub hmr2: PathBuf,
    /// `model_config.yaml`
    pub hmr2_config: PathBuf,
    pub vitpose: PathBuf,
    /// SMPL and `SMPL_to_J19`, for who wants them as files of their own.
    pub body: PathBuf,
    pub regressor: PathBuf,
}

impl Files {
    /// Where [`Files::write`] puts them in `folder`.
    pub fn of(folder: &Path) -> Self {
        let file = |name: &str| folder.join(format!("{name}.safetensors"));
        Self {
            vitdet: file("vitdet"),
            regnety: file("regnety"),
            hmr2: file("hmr2"),
            hmr2_config: folder.join("model_config.yaml"),
            vitpose: file("vitpose"),
            body: file("smpl"),
            regressor: file("smpl_to_j19"),
        }
    }

    /// Writes into `folder` what is not there yet: full size 8 GB in F32, 4 GB in BF16.
    /// `tell` hears of each file before it is written.
    pub fn write(
        folder: &Path,
        scale: Scale,
        dtype: DType,
        models: &[Model],
        tell: &mut dyn FnMut(&Path),
    ) -> Result<Self, CheckpointError> {
        let files = Self::of(folder);
        for &model in models {
            let path = files.path(model);
            if !path.exists() {
                tell(path);
                write(path, model.table(scale), dtype)?;
            }
        }
        let config = &files.hmr2_config;
        File::create(config)
            .and_then(|mut file| file.write_all(hmr2::config(scale).as_bytes()))
            .map_err(|error| Fault::from(error).at(config))?;
        Ok(files)
    }

    /// As [`Files::write`], every file.
    pub fn write_all(
        folder: &Path,
        scale: Scale,
        dtype: DType,
        tell: &mut dyn FnMut(&Path),
    ) -> Result<Self, CheckpointError> {
        Self::write(folder, scale, dtype, &Model::ALL, tell)
    }

    fn path(&self, model: Model) -> &Path {
        match model {
            Model::VitDet => &self.vitdet,
            Model::RegNetY => &self.regnety,
            Model::Hmr2 => &self.hmr2,
            Model::VitPose => &self.vitpose,
            Model::Body => &self.body,
            Model::Regressor => &self.regressor,
        }
    }
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
