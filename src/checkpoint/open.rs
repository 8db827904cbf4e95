//! Tells what a file is by its first bytes and hands it to that format's reader.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, Contents, Format};
use super::error::{CheckpointError, Fault, Kind, Parse};
use super::source::{FileSource, Source, read_vec};
use super::{hdf5, npy, npz, pickle, safetensors, torch_legacy, torch_script, torch_zip, zip};

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
    match format {
        Format::Hdf5 => hdf5::read(source),
        Format::Npy => npy::read(source),
        Format::Pickle => pickle::read(source),
        Format::Npz => npz::read(source),
        Format::Safetensors => safetensors::read(source),
        Format::TorchLegacy => torch_legacy::read(source),
        Format::TorchScript => torch_script::read(source),
        Format::TorchZip => torch_zip::read(source),
        other => Err(Fault::unsupported(format!("{other:?} is not read yet"))),
    }
}

/// Bytes looked at to tell the format: a tar header is the longest.
const HEAD: u64 = 512;
/// The number that PyTorch's own pickles before 1.6 begin with, little-endian.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// An HDF5 file may begin after a block of the user's, at 512 bytes or a power of two times that.
const HDF5_STARTS: [u64; 4] = [0, 512, 1024, 2048];
const HDF5_MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

fn sniff(source: &Source, path: &Path) -> Parse<Format> {
    if source.is_empty() {
        return Err(Fault::corrupt("the file is empty; fetch it again"));
    }
    let head = read_vec(source.as_ref(), 0, source.len().min(HEAD) as usize)?;
    if let Some(format) = by_magic(source, &head)? {
        return Ok(format);
    }
    if let Some(what) = impostor(&head) {
        return Err(Fault::new(
            Kind::Format,
            format!("this is {what}, not a checkpoint; fetch the file again"),
        ));
    }
    by_extension(path, &head).ok_or_else(|| {
        Fault::new(
            Kind::Format,
            "not a format we know; expected PyTorch (.pt .pth .ckpt), pickle (.pkl), .npy, .npz, \
             .safetensors, HDF5 (.h5), .tflite, .tar, .tar.gz or YAML",
        )
    })
}

fn by_magic(source: &Source, head: &[u8]) -> Parse<Option<Format>> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|h| h.starts_with(magic));
    Ok(Some(if at(0, b"PK\x03\x04") || at(0, b"PK\x05\x06") {
        return zip_format(source).map(Some);
    } else if at(0, b"\x93NUMPY") {
        Format::Npy
    } else if at(4, b"TFL3") {
        Format::Tflite
    } else if at(0, b"\x1f\x8b") {
        Format::Gzip
    } else if at(257, b"ustar") {
        Format::Tar
    } else if is_hdf5(source)? {
        Format::Hdf5
    } else if is_safetensors(source, head) {
        Format::Safetensors
    } else if at(0, b"\x80") && head.windows(10).take(24).any(|w| w == LEGACY_MAGIC) {
        Format::TorchLegacy
    } else if at(0, b"\x80") && head.get(1).is_some_and(|&protocol| protocol <= 5) {
        Format::Pickle
    } else {
        return Ok(None);
    }))
}

fn is_hdf5(source: &Source) -> Parse<bool> {
    for start in HDF5_STARTS {
        if start + HDF5_MAGIC.len() as u64 > source.len() {
            break;
        }
        if read_vec(source.as_ref(), start, HDF5_MAGIC.len())? == HDF5_MAGIC {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A length that fits the file, then a JSON object.
fn is_safetensors(source: &Source, head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else {
        return false;
    };
    u64::from_le_bytes(*length) <= source.len() && rest.first() == Some(&b'{')
}

/// What servers send and programs leave where a checkpoint should be.
fn impostor(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(head).trim_start().to_lowercase();
    let begins = |what: &str| text.starts_with(what);
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        Some("a web page (perhaps an error page of the server)")
    } else if begins("<?xml") {
        Some("an XML document (perhaps an error message of the server)")
    } else if begins("version https://git-lfs") {
        Some("a Git LFS pointer; the file itself was never fetched")
    } else if head.iter().all(|&byte| byte == 0) {
        Some("nothing but zeros (perhaps a download that was cut off)")
    } else {
        None
    }
}

/// For the formats that begin with anything.
fn by_extension(path: &Path, head: &[u8]) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "yaml" | "yml" => Some(Format::Yaml),
        // Protocols 0 and 1 begin with the first object's opcode.
        "pkl" | "pickle" | "pt" | "pth" | "ckpt" if head.is_ascii() || extension == "pkl" => {
            Some(Format::Pickle)
        }
        "tar" => Some(Format::Tar),
        "safetensors" => Some(Format::Safetensors),
        _ => None,
    }
}

/// What a zip archive is by its members' names.
fn zip_format(source: &Source) -> Parse<Format> {
    let names = zip::names(source)?;
    let names = || names.iter().map(String::as_str);
    if torch_zip::looks_like(names()) {
        return Ok(match torch_script::looks_like(names()) {
            true => Format::TorchScript,
            false => Format::TorchZip,
        });
    }
    if torch_script::looks_old(names()) {
        return Err(torch_script::old_fault());
    }
    if npz::looks_like(names()) {
        return Ok(Format::Npz);
    }
    Err(Fault::new(
        Kind::Format,
        "a zip archive that is neither PyTorch's (no data.pkl) nor numpy's (no .npy)",
    ))
}
