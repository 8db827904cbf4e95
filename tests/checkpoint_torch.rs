//! PyTorch, numpy and safetensors files of every dtype and layout, bit for bit as Python reads them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::open::open;
use pose4d::checkpoint::tensor::Tensor;
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
    assert!(expected.len() >= 27, "fixtures are missing");
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
    let folder = tempfile::tempdir().unwrap();
    for file in expected().keys() {
        let good = fs::read(fixtures().join(file)).unwrap();
        let path = folder.path().join(file);
        let step = (good.len() / 97).max(1);
        for cut in (0..good.len()).step_by(step) {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(open(&path).is_err(), "{file} cut at {cut} was opened");
        }
        for at in (0..good.len()).step_by((good.len() / 211).max(1)) {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            fs::write(&path, &bad).unwrap();
            if let Ok(checkpoint) = open(&path) {
                for tensor in checkpoint.tensors().values() {
                    let _ = tensor.read();
                }
            }
        }
    }
}
