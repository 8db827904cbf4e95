//! An open file of weights: tensors by name, and what else was met.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Serialize;

use super::dtype::DType;
use super::error::{CheckpointError, Fault, Kind, Parse};
use super::limits;
use super::load::load_into;
use super::source::Source;
use super::tensor::{Sink, Tensor};

/// What a file turned out to be, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    TorchZip,
    TorchLegacy,
    TorchScript,
    Pickle,
    Npy,
    Npz,
    Safetensors,
    Hdf5,
    Tflite,
    Tar,
    Gzip,
    Yaml,
}

/// An object whose class we do not know: kept as its name, never made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opaque {
    /// Where it was met, such as `hyper_parameters.cfg`.
    pub path: String,
    /// Its class or function, such as `omegaconf.dictconfig.DictConfig`.
    pub class: String,
}

/// What a format's reader found.
#[derive(Default)]
pub struct Contents {
    /// The weights, in the file's order.
    pub tensors: IndexMap<String, Tensor>,
    /// The key that held them (`state_dict`, `model`), empty when they lie at the top.
    pub root: String,
    /// Tensors beside the weights, by their full path: optimizer states, callbacks.
    pub others: IndexMap<String, Tensor>,
    /// Plain values beside the tensors, and the whole of a configuration file.
    pub values: serde_json::Map<String, serde_json::Value>,
    pub opaque: Vec<Opaque>,
}

/// An open file. Names, types and shapes are in memory; bytes are read when asked for.
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    source: Source,
    contents: Contents,
}

impl Checkpoint {
    /// Checks what a reader found against the file it was found in.
    pub(super) fn new(
        path: &Path,
        format: Format,
        source: Source,
        contents: Contents,
    ) -> Result<Self, CheckpointError> {
        check(&contents, &source).map_err(|fault| fault.at(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            format,
            source,
            contents,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The bytes the tensors' extents refer to.
    pub fn source(&self) -> &Source {
        &self.source
    }

    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    pub fn tensors(&self) -> &IndexMap<String, Tensor> {
        &self.contents.tensors
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contents.tensors.keys().map(String::as_str)
    }

    /// The tensor `name` of the weights, or of what lies beside them by its full path.
    pub fn get(&self, name: &str) -> Result<&Tensor, CheckpointError> {
        let Contents {
            tensors, others, ..
        } = &self.contents;
        tensors
            .get(name)
            .or_else(|| others.get(name))
            .ok_or_else(|| {
                let message = format!("no tensor {name:?} among {}", tensors.len());
                Fault::new(Kind::Missing, message).at(&self.path)
            })
    }

    /// All bytes of `name`: row-major, little-endian.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        self.get(name)?
            .read()
            .map_err(|fault| self.fault(name, fault))
    }

    /// The real numbers of `name` in single precision, row-major.
    pub fn f32s(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let tensor = self.get(name)?;
        let fault = |fault| self.fault(name, fault);
        let mut bytes = vec![0; tensor.elements().map_err(fault)? as usize * 4];
        load_into(tensor, DType::F32, &mut bytes, 1).map_err(fault)?;
        let (values, _) = bytes.as_chunks();
        Ok(values.iter().map(|&x| f32::from_le_bytes(x)).collect())
    }

    /// Passes the bytes of `name` to `sink` in pieces: row-major, little-endian.
    pub fn stream(&self, name: &str, sink: &mut Sink) -> Result<(), CheckpointError> {
        self.get(name)?
            .stream(sink)
            .map_err(|fault| self.fault(name, fault))
    }

    fn fault(&self, name: &str, fault: Fault) -> CheckpointError {
        fault.within(format_args!("tensor {name:?}")).at(&self.path)
    }
}

/// A file of nothing but objects that cannot be read is no checkpoint.
fn refuse_opaque(opaque: &[Opaque]) -> Parse<()> {
    let Some(first) = opaque.first() else {
        return Ok(());
    };
    let more = match opaque.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Err(Fault::unsupported(format!(
        "it holds no tensors that can be read; met {}{more}",
        first.class
    )))
}

fn check(contents: &Contents, source: &Source) -> Parse<()> {
    let Contents {
        tensors,
        others,
        values,
        opaque,
        ..
    } = contents;
    if tensors.is_empty() && others.is_empty() && values.is_empty() {
        refuse_opaque(opaque)?;
    }
    if tensors.len() + others.len() > limits::MAX_TENSORS {
        return Err(Fault::hostile(format!(
            "{} tensors; at most {} are read",
            tensors.len() + others.len(),
            limits::MAX_TENSORS
        )));
    }
    let mut total = 0_u64;
    for (name, tensor) in tensors.iter().chain(others) {
        if name.len() > limits::MAX_NAME {
            return Err(Fault::hostile(format!(
                "a tensor's name of {} bytes; at most {} are read",
                name.len(),
                limits::MAX_NAME
            )));
        }
        let place = |fault: Fault| fault.within(format_args!("tensor {name:?}"));
        tensor.check().map_err(place)?;
        total = total.saturating_add(tensor.bytes().map_err(place)?);
    }
    // Many views of one storage are fine; so many that a copy would fill the disk are not.
    limits::check_expansion(source.len(), total)
}
