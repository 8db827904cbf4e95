//! From one format to another, tensor by tensor: memory holds a piece, never a model.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cast::Caster;
use super::checkpoint::Checkpoint;
use super::dtype::DType;
use super::error::{CheckpointError, Fault, Kind, Parse};
use super::tensor::{Sink, Tensor};
use super::write::{self, Entry};

/// The formats that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// `.pt`: a zip archive that `torch.load` reads.
    Torch,
    /// `.pkl`: a pickled dictionary of numpy arrays.
    Pickle,
    /// `.h5`: one HDF5 dataset per tensor.
    Hdf5,
    Safetensors,
}

impl Target {
    /// By the usual extensions: pt pth ckpt, pkl pickle, h5 hdf5, safetensors.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "pt" | "pth" | "ckpt" => Some(Self::Torch),
            "pkl" | "pickle" => Some(Self::Pickle),
            "h5" | "hdf5" => Some(Self::Hdf5),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Torch => "pt",
            Self::Pickle => "pkl",
            Self::Hdf5 => "h5",
            Self::Safetensors => "safetensors",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// By the output's extension when not given.
    pub target: Option<Target>,
    /// Precision of the real numbers; everything else keeps its type.
    pub dtype: Option<DType>,
    /// Text to keep in the file, where the format has a place for it (safetensors).
    pub metadata: Vec<(String, String)>,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub path: PathBuf,
    pub target: Target,
    pub tensors: usize,
    pub bytes: u64,
}

/// Tells how far the work is, in bytes of the result; false ends it with [`Kind::Cancelled`].
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;

/// Writes the weights of `input` to `output`, which appears only when it is whole.
///
/// What lies beside the weights (optimizer states, hyper-parameters) is left out.
pub fn convert(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &mut Progress,
) -> Result<Summary, CheckpointError> {
    let checkpoint = super::open::open(input)?;
    convert_checkpoint(&checkpoint, output, options, progress)
}

/// As [`convert`], from an open file.
pub fn convert_checkpoint(
    checkpoint: &Checkpoint,
    output: &Path,
    options: &Options,
    progress: &mut Progress,
) -> Result<Summary, CheckpointError> {
    let target = target(output, options).map_err(|fault| fault.at(output))?;
    let entries = entries(checkpoint, options.dtype)?;
    let mut draft = Draft::create(output).map_err(|fault| fault.at(output))?;
    let mut job = Job {
        tensors: checkpoint.tensors().iter().collect(),
        total: total(&entries),
        entries: &entries,
        progress,
        done: 0,
        source: checkpoint.path(),
    };
    job.write(target, draft.file.as_file_mut(), &options.metadata)
        .map_err(|failure| failure.at(output))?;
    let bytes = draft.publish(output).map_err(|fault| fault.at(output))?;
    Ok(Summary {
        path: output.to_path_buf(),
        target,
        tensors: entries.len(),
        bytes,
    })
}

fn target(output: &Path, options: &Options) -> Parse<Target> {
    if let Some(target) = options.target {
        return Ok(target);
    }
    let extension = output.extension().and_then(|e| e.to_str()).unwrap_or("");
    Target::from_extension(extension).ok_or_else(|| {
        Fault::unsupported(format!(
            "cannot tell the format from {extension:?}; use .pt, .pkl, .h5 or .safetensors, or name the format"
        ))
    })
}

fn entries(checkpoint: &Checkpoint, dtype: Option<DType>) -> Result<Vec<Entry>, CheckpointError> {
    let entry = |(name, tensor): (&String, &Tensor)| Entry {
        name: name.clone(),
        dtype: dtype.map_or(tensor.dtype, |to| Caster::result(tensor.dtype, to)),
        shape: tensor.shape.clone(),
    };
    let entries: Vec<_> = checkpoint.tensors().iter().map(entry).collect();
    if entries.is_empty() {
        let message = "holds no tensors, so there is nothing to convert";
        return Err(Fault::new(Kind::Missing, message).at(checkpoint.path()));
    }
    Ok(entries)
}

fn total(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.bytes()).sum()
}

/// One conversion under way.
struct Job<'a, 'b> {
    tensors: Vec<(&'a String, &'a Tensor)>,
    entries: &'a [Entry],
    source: &'a Path,
    progress: &'a mut Progress<'b>,
    done: u64,
    total: u64,
}

/// A fault on the reading side, which is in another file than what is written.
struct Failure {
    fault: Fault,
    source: Option<PathBuf>,
}

impl Failure {
    fn at(self, output: &Path) -> CheckpointError {
        self.fault.at(self.source.as_deref().unwrap_or(output))
    }
}

impl Job<'_, '_> {
    fn write(
        &mut self,
        target: Target,
        out: &mut File,
        metadata: &[(String, String)],
    ) -> Result<(), Failure> {
        let entries = self.entries;
        let mut reading = false;
        let mut feed = |index: usize, sink: &mut Sink| {
            let result = self.stream(index, sink, &mut reading);
            result.map_err(|fault| fault.within(format_args!("tensor {:?}", entries[index].name)))
        };
        let result = match target {
            Target::Safetensors => write::safetensors::write(out, entries, metadata, &mut feed),
            Target::Torch => write::torch::write(out, entries, &mut feed),
            Target::Pickle => write::pickle::write(out, entries, &mut feed),
            Target::Hdf5 => write::hdf5::write(out, entries, &mut feed),
        };
        result.map_err(|fault| Failure {
            fault,
            source: reading.then(|| self.source.to_path_buf()),
        })
    }

    /// Passes a tensor's bytes in the wanted type to the writer's `sink`.
    ///
    /// `reading` is left true when it was the input that failed.
    fn stream(&mut self, index: usize, sink: &mut Sink, reading: &mut bool) -> Parse<()> {
        let (_, tensor) = self.tensors[index];
        let entry = &self.entries[index];
        let mut caster = Caster::new(tensor.dtype, entry.dtype);
        let mut written = 0;
        let mut pass = |piece: &[u8]| {
            written += piece.len() as u64;
            sink(piece)?;
            if (self.progress)(self.done + written, self.total) {
                return Ok(());
            }
            Err(Fault::new(Kind::Cancelled, "conversion cancelled"))
        };
        *reading = true;
        tensor.stream(&mut |piece| {
            *reading = false;
            match &mut caster {
                Some(caster) => caster.push(piece, &mut pass),
                None => pass(piece),
            }?;
            *reading = true;
            Ok(())
        })?;
        if written != entry.bytes() {
            let expected = entry.bytes();
            return Err(Fault::corrupt(format!(
                "{written} bytes instead of {expected}"
            )));
        }
        *reading = false;
        self.done += written;
        Ok(())
    }
}

/// A file under a temporary name beside its final place; gone when not published.
struct Draft {
    file: tempfile::NamedTempFile,
}

impl Draft {
    fn create(output: &Path) -> Parse<Self> {
        let name = output
            .file_name()
            .ok_or_else(|| Fault::new(Kind::Io, "expected a file name"))?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder(output))?;
        Ok(Self { file })
    }

    fn publish(self, output: &Path) -> Parse<u64> {
        let file = self.file.as_file();
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        self.file.persist(output).map_err(|failed| failed.error)?;
        sync_folder(folder(output))?;
        Ok(bytes)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename survive a power cut; on Windows a folder cannot be synced.
fn sync_folder(folder: &Path) -> Parse<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
