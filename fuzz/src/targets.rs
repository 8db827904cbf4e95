//! One function per reader: opens the bytes and reads all that is in them. Nothing may panic,
//! hang or take memory out of proportion; what is an error and what is not, the corpora test.
//!
//! Compiled here for libFuzzer and in `tests/fuzz_replay.rs` for the short run on stable Rust.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::checkpoint::Checkpoint;
use crate::checkpoint::convert::{self, Options, Target};
use crate::checkpoint::error::{Fault, Kind};
use crate::checkpoint::open;
use crate::checkpoint::tensor::Tensor;

/// A reader's name and what is done with every input.
pub type Run = fn(&[u8]);

pub const TARGETS: [(&str, Run); 16] = [
    ("pickle", |data| read_all(data, "pkl")),
    ("torch_zip", |data| read_all(data, "pt")),
    ("torch_pickle", torch_pickle),
    ("torch_legacy", |data| read_all(data, "pth")),
    ("torch_script", |data| read_all(data, "pt")),
    ("npy", |data| read_all(data, "npy")),
    ("npz", |data| read_all(data, "npz")),
    ("npz_member", npz_member),
    ("safetensors", |data| read_all(data, "safetensors")),
    ("hdf5", |data| read_all(data, "h5")),
    ("tflite", |data| read_all(data, "tflite")),
    ("gzip", |data| read_all(data, "gz")),
    ("tar", |data| read_all(data, "tar")),
    ("yaml", |data| read_all(data, "yaml")),
    ("any", any),
    ("convert", convert_and_back),
];

/// Runs the target called `name`.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, run)) = TARGETS.iter().find(|(target, _)| *target == name) {
        run(data);
    }
}

/// Bytes read of one input: expansion within the bounds is no fault, but takes time.
const MOST: usize = 4 << 20;

fn open(data: &[u8], extension: &str) -> Option<Checkpoint> {
    let path = format!("fuzz.{extension}");
    let result = open::open_source(Arc::new(data.to_vec()), Path::new(&path));
    if let Err(error) = &result {
        assert!(error.to_string().contains(&path), "{error:?}");
        assert!(error.message.len() < 100_000);
    }
    result.ok()
}

fn read_all(data: &[u8], extension: &str) {
    let Some(checkpoint) = open(data, extension) else {
        return;
    };
    let contents = checkpoint.contents();
    let mut left = MOST;
    for tensor in contents.tensors.values().chain(contents.others.values()) {
        read(tensor, &mut left);
    }
    // What `inspect` prints must stay in proportion too.
    let listed = serde_json::to_string(&contents.values).map_or(0, |text| text.len());
    assert!(listed <= (16 << 20) + data.len() * 32, "{listed} bytes of values");
}

/// A tensor that is read to its end has as many bytes as it says.
fn read(tensor: &Tensor, left: &mut usize) {
    let mut found = 0_u64;
    let result = tensor.stream(&mut |piece| {
        found += piece.len() as u64;
        *left = left.saturating_sub(piece.len());
        if *left == 0 {
            return Err(Fault::new(Kind::Cancelled, "enough was read"));
        }
        Ok(())
    });
    if result.is_ok() {
        assert_eq!(Ok(found), tensor.bytes());
    }
}

/// The input as the pickle of a zip file whose frame and checksums are right.
fn torch_pickle(data: &[u8]) {
    let storage = [7_u8; 64];
    let members: [(&str, &[u8]); 5] = [
        ("archive/data.pkl", data),
        ("archive/byteorder", b"little"),
        ("archive/data/0", &storage),
        ("archive/data/1", &storage[..16]),
        ("archive/version", b"3\n"),
    ];
    if let Some(zip) = zipped(&members) {
        read_all(&zip, "pt");
    }
}

/// The input as an array in a zip file whose frame and checksums are right.
fn npz_member(data: &[u8]) {
    if let Some(zip) = zipped(&[("a.npy", data)]) {
        read_all(&zip, "npz");
    }
}

fn zipped(members: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored);
    for (name, data) in members {
        zip.start_file(*name, options).ok()?;
        zip.write_all(data).ok()?;
    }
    Some(zip.finish().ok()?.into_inner())
}

/// Telling the formats apart: the first byte chooses what the file is called.
fn any(data: &[u8]) {
    const EXTENSIONS: [&str; 10] = [
        "pt", "pkl", "npy", "npz", "safetensors", "h5", "tflite", "tar", "gz", "yaml",
    ];
    if let Some((first, rest)) = data.split_first() {
        read_all(rest, EXTENSIONS[usize::from(*first) % EXTENSIONS.len()]);
    }
}

/// What opens can be written in the other formats, and reads as the same there.
///
/// The first byte chooses the format.
fn convert_and_back(data: &[u8]) {
    const FORMATS: [Target; 4] = [
        Target::Safetensors,
        Target::Torch,
        Target::Pickle,
        Target::Hdf5,
    ];
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let Some(checkpoint) = open(rest, "pkl") else {
        return;
    };
    let size: u64 = checkpoint.weight_bytes();
    if checkpoint.tensors().is_empty() || size > MOST as u64 {
        return;
    }
    let target = FORMATS[usize::from(*first) % FORMATS.len()];
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let path = folder.path().join("out").with_extension(target.extension());
    let written =
        convert::convert_checkpoint(&checkpoint, &path, &Options::default(), &mut |_, _| true);
    // A format may refuse a type or a name; what it takes it must give back.
    if written.is_ok() {
        let back = open::open(&path).unwrap_or_else(|error| panic!("{error}"));
        same(&checkpoint, &back);
    }
}

fn same(before: &Checkpoint, after: &Checkpoint) {
    assert_eq!(before.tensors().len(), after.tensors().len());
    for (name, tensor) in before.tensors() {
        let Ok(bytes) = tensor.read() else { continue };
        let twin = after.get(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((tensor.dtype, &tensor.shape), (twin.dtype, &twin.shape));
        assert_eq!(Ok(bytes), twin.read(), "{name}");
    }
}
