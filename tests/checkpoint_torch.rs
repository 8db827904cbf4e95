//! PyTorch, numpy and safetensors files of every dtype and layout, bit for bit as Python reads them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::error::Parse;
use pose4d::checkpoint::open::{open, open_source};
use pose4d::checkpoint::tensor::{Sink, Tensor};
use pose4d::checkpoint::write::{self, Entry, Feed};
use serde_json::{Map, Value};

fn fixtures() -> PathBuf {
    let here = Path::new(file!()).parent().unwrap();
    here.join("fixtures/checkpoint/torch_fixtures")
}

/// What `generate_torch.py` wrote down of each file.
fn expected() -> Map<String, Value> {
    let text = fs::read(fixtures().join("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn compare(file: &str, found: &IndexMap<String, Tensor>, expected: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let expected = expected.as_object().unwrap();
    for name in found.keys().filter(|name| !expected.contains_key(*name)) {
        complaints.push(format!("{file}: {name} is not expected"));
    }
    for (name, entry) in expected {
        let Some(tensor) = found.get(name) else {
            complaints.push(format!("{file}: no {name}"));
            continue;
        };
        let shape: Vec<u64> = serde_json::from_value(entry[1].clone()).unwrap();
        if tensor.dtype.name() != entry[0] || tensor.shape != shape {
            complaints.push(format!(
                "{file}: {name} is {} {:?} instead of {} {shape:?}",
                tensor.dtype, tensor.shape, entry[0]
            ));
        }
        let bits = STANDARD.decode(entry[2].as_str().unwrap()).unwrap();
        match tensor.read() {
            Ok(bytes) if bytes == bits => {}
            Ok(bytes) => {
                complaints.push(format!("{file}: {name} is {bytes:?} instead of {bits:?}"))
            }
            Err(fault) => complaints.push(format!("{file}: {name}: {fault}")),
        }
    }
    complaints
}

#[test]
fn every_file_is_read_bit_for_bit() {
    let mut complaints = Vec::new();
    let expected = expected();
    assert!(expected.len() >= 33, "fixtures are missing");
    for (file, entry) in &expected {
        let checkpoint: Checkpoint = match open(fixtures().join(file)) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                complaints.push(error.to_string());
                continue;
            }
        };
        let contents = checkpoint.contents();
        complaints.extend(compare(file, &contents.tensors, &entry["tensors"]));
        complaints.extend(compare(file, &contents.others, &entry["others"]));
        for (key, value) in entry["values"].as_object().unwrap() {
            if contents.values.get(key) != Some(value) {
                let found = contents.values.get(key);
                complaints.push(format!("{file}: {key} is {found:?} instead of {value}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Opening what is damaged may fail or not; whatever opens gives its tensors or an error.
#[test]
fn damaged_files_are_errors_and_never_panics() {
    for file in expected().keys() {
        let path = fixtures().join(file);
        let good = fs::read(&path).unwrap();
        let start = Instant::now();
        for cut in (0..good.len()).step_by((good.len() / 97).max(1)) {
            let source = Arc::new(good[..cut].to_vec());
            assert!(
                open_source(source, &path).is_err(),
                "{file} cut at {cut} was opened"
            );
        }
        for at in (0..good.len()).step_by((good.len() / 211).max(1)) {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            if let Ok(checkpoint) = open_source(Arc::new(bad), &path) {
                for tensor in checkpoint.tensors().values() {
                    let _ = tensor.read();
                }
            }
        }
        // Some three hundred openings.
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{file}: {:?}",
            start.elapsed()
        );
    }
}

/// Writes every tensor of a fixture; the result must hold the same names, shapes, types and bits.
fn write_and_compare(
    file: &str,
    write: impl Fn(&mut File, &[Entry], &mut Feed) -> Parse<()>,
) -> Checkpoint {
    let original = open(fixtures().join(file)).unwrap();
    let tensors: Vec<_> = original.tensors().iter().collect();
    let entry = |(name, tensor): &(&String, &Tensor)| Entry {
        name: (*name).clone(),
        dtype: tensor.dtype,
        shape: tensor.shape.clone(),
    };
    let entries: Vec<Entry> = tensors.iter().map(entry).collect();
    let written = tempfile::NamedTempFile::new().unwrap();
    let mut out = written.reopen().unwrap();
    write(&mut out, &entries, &mut |index, sink| {
        tensors[index].1.stream(sink)
    })
    .unwrap();
    let copy = open(written.path()).unwrap();
    assert!(
        copy.names().eq(original.names()),
        "{file}: names or their order"
    );
    for (name, tensor) in tensors {
        let again = copy.get(name).unwrap();
        assert_eq!(
            (again.dtype, &again.shape),
            (tensor.dtype, &tensor.shape),
            "{file}: {name}"
        );
        assert!(
            again.read().unwrap() == tensor.read().unwrap(),
            "{file}: {name}"
        );
    }
    copy
}

#[test]
fn written_files_hold_the_same() {
    for file in ["every.pt", "stored.npz", "every.safetensors"] {
        let copy = write_and_compare(file, write::torch::write);
        for (name, tensor) in copy.tensors() {
            let offset = tensor.extent().unwrap().offset;
            assert!(offset.is_multiple_of(64), "{file}: {name} at {offset}");
        }
    }
    let metadata = [
        ("format".to_owned(), "pt".to_owned()),
        ("a \"note\"".to_owned(), "δ\n".to_owned()),
    ];
    let copy = write_and_compare("every.safetensors", |out, entries, feed| {
        write::safetensors::write(out, entries, &metadata, feed)
    });
    for (name, tensor) in copy.tensors() {
        let offset = tensor.extent().unwrap().offset;
        assert!(
            offset.is_multiple_of(tensor.dtype.word() as u64),
            "{name} at {offset}"
        );
    }
    for (key, text) in metadata {
        assert_eq!(copy.contents().values[&key], text);
    }
}

#[test]
fn writers_refuse_what_they_cannot_keep() {
    let entry = |name: &str, dtype| Entry {
        name: name.into(),
        dtype,
        shape: vec![2],
    };
    let mut out = tempfile::tempfile().unwrap();
    let mut refuse = |entries: &[Entry], bytes: usize| {
        let mut feed = |_: usize, sink: &mut Sink| sink(&vec![0; bytes]);
        write::safetensors::write(&mut out, entries, &[], &mut feed).is_err()
    };
    assert!(
        refuse(&[entry("a", DType::C128)], 32),
        "a type the format does not have"
    );
    assert!(
        refuse(&[entry("__metadata__", DType::F32)], 8),
        "the name of the metadata"
    );
    assert!(
        refuse(&[entry("a", DType::F32), entry("a", DType::F32)], 8),
        "a name twice"
    );
    assert!(refuse(&[entry("a", DType::F32)], 7), "too few bytes");
    assert!(refuse(&[entry("a", DType::F32)], 9), "too many bytes");
    assert!(!refuse(&[entry("a", DType::F32)], 8));
    for bytes in [7, 9] {
        let mut feed = |_: usize, sink: &mut Sink| sink(&vec![0; bytes]);
        assert!(write::torch::write(&mut out, &[entry("a", DType::F32)], &mut feed).is_err());
    }
}
