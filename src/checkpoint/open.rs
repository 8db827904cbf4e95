//! Tells what a file is by its first bytes and hands it to that format's reader.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, Contents, Format};
use super::error::{CheckpointError, Fault, Kind, Parse};
use super::source::{FileSource, Source, read_vec};

/// Opens a file of weights (or a YAML configuration) of any known format.
pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint, CheckpointError> {
    let path = path.as_ref();
    let source = FileSource::open(path).map_err(|error| Fault::from(error).at(path))?;
    open_source(Arc::new(source), path)
}

/// Opens bytes from anywhere; `path` is what errors call them.
pub fn open_source(source: Source, path: &Path) -> Result<Checkpoint, CheckpointError> {
    let format = sniff(&source, path).map_err(|fault| fault.at(path))?;
    let contents = read(format, &source).map_err(|fault| fault.at(path))?;
    Checkpoint::new(path, format, source, contents)
}

fn read(format: Format, source: &Source) -> Parse<Contents> {
    let _ = source;
    match format {
        _ => Err(Fault::unsupported("not yet")),
    }
}

/// Bytes looked at to tell the format: a tar header is the longest.
const HEAD: u64 = 512;

fn sniff(source: &Source, path: &Path) -> Parse<Format> {
    if source.is_empty() {
        return Err(Fault::corrupt("the file is empty"));
    }
    let head = read_vec(source.as_ref(), 0, source.len().min(HEAD) as usize)?;
    let _ = (head, path);
    Err(Fault::new(Kind::Format, "not a format we know"))
}
