//! What is written is read back by our own reader; Python reads it in the project's own tests.

use std::fs::File;
use std::sync::Arc;

use super::super::super::pickle;
use super::super::super::source::{FileSource, Source};
use super::*;

fn entry(name: &str, dtype: DType, shape: &[u64]) -> Entry {
    Entry {
        name: name.into(),
        dtype,
        shape: shape.into(),
    }
}

fn written(name: &str, entries: &[Entry], bytes: &[Vec<u8>]) -> Parse<Source> {
    let path = std::env::temp_dir().join(format!("pose4d-{}-{name}.pkl", std::process::id()));
    let mut file = File::create(&path).unwrap();
    let result = write(&mut file, entries, &mut |index, sink| sink(&bytes[index]));
    let source = FileSource::open(&path);
    std::fs::remove_file(&path).unwrap();
    result.map(|()| Arc::new(source.unwrap()) as Source)
}

#[test]
fn every_type_and_shape_comes_back() {
    let types = DType::ALL
        .into_iter()
        .filter(|&dtype| !matches!(dtype, DType::BF16 | DType::F8E4M3 | DType::F8E5M2));
    let shapes: [&[u64]; 5] = [&[], &[0], &[3], &[2, 300], &[1, 0, 70000]];
    let (mut entries, mut bytes) = (Vec::new(), Vec::new());
    for dtype in types {
        for shape in shapes {
            let count: u64 = shape.iter().product();
            entries.push(entry(&format!("{dtype}.{shape:?}\u{fc}"), dtype, shape));
            bytes.push(
                (0..count as usize * dtype.size())
                    .map(|i| i as u8)
                    .collect(),
            );
        }
    }
    let source = written("types", &entries, &bytes).unwrap();
    let contents = pickle::read(&source).unwrap();
    assert_eq!(contents.root, "");
    assert_eq!(contents.tensors.len(), entries.len());
    for ((name, tensor), (entry, bytes)) in contents.tensors.iter().zip(entries.iter().zip(bytes)) {
        assert_eq!(
            (name, tensor.dtype, &tensor.shape),
            (&entry.name, entry.dtype, &entry.shape)
        );
        assert_eq!(tensor.read().unwrap(), bytes, "{name}");
        let lies_plain = tensor.extent().unwrap();
        assert_eq!(lies_plain.len, bytes.len() as u64);
    }
}

#[test]
fn an_empty_dict() {
    let source = written("empty", &[], &[]).unwrap();
    assert!(pickle::read(&source).unwrap().tensors.is_empty());
}

#[test]
fn types_without_a_name_in_numpy_are_refused() {
    for dtype in [DType::BF16, DType::F8E4M3, DType::F8E5M2] {
        let fault = written("refused", &[entry("w", dtype, &[1])], &[vec![0; 2]])
            .err()
            .unwrap();
        assert!(fault.message.contains("\"w\""), "{}", fault.message);
        assert!(fault.message.contains(dtype.name()), "{}", fault.message);
    }
}

#[test]
fn bytes_that_do_not_come_are_a_fault() {
    let entries = [entry("w", DType::F32, &[2])];
    for bytes in [vec![0; 7], vec![0; 9], vec![]] {
        let fault = written("short", &entries, &[bytes]).err().unwrap();
        assert!(
            fault.message.contains("8 were announced"),
            "{}",
            fault.message
        );
    }
}
