//! Tests of the HDF5 writer: what it writes, our reader reads. (Python's reading back is tested
//! with the conversions.)

use std::sync::Arc;

use super::*;
use crate::checkpoint::checkpoint::Contents;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::hdf5;
use crate::checkpoint::source::{FileSource, Source};

fn entry(name: &str, dtype: DType, shape: &[u64]) -> Entry {
    Entry {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
    }
}

/// The bytes of a tensor: any, but not twice the same.
fn content(index: usize, len: u64) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + index as u64 * 31 + 1) as u8).collect()
}

fn written(tensors: &[Entry]) -> Parse<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write(file.as_file_mut(), tensors, &mut |index, sink| {
        let bytes = content(index, tensors[index].bytes());
        bytes.chunks(1000).try_for_each(sink)
    })?;
    Ok(file)
}

fn read(file: &tempfile::NamedTempFile) -> Contents {
    let source: Source = Arc::new(FileSource::open(file.path()).unwrap());
    hdf5::read(&source).unwrap()
}

#[test]
fn every_type_and_shape_comes_back_bit_for_bit() {
    let shapes: [&[u64]; 5] = [&[], &[1], &[0, 3], &[2, 3, 5], &[1000, 7]];
    let mut tensors = Vec::new();
    for dtype in DType::ALL {
        for shape in shapes {
            if matches!(dtype, DType::F8E4M3 | DType::F8E5M2) {
                continue;
            }
            let name = format!("blocks.{}.{dtype}", tensors.len());
            tensors.push(entry(&name, dtype, shape));
        }
    }
    let contents = read(&written(&tensors).unwrap());
    assert_eq!(contents.tensors.len(), tensors.len());
    for (index, entry) in tensors.iter().enumerate() {
        let tensor = &contents.tensors[&entry.name];
        assert_eq!((tensor.dtype, &tensor.shape), (entry.dtype, &entry.shape));
        assert_eq!(tensor.read().unwrap(), content(index, entry.bytes()), "{}", entry.name);
        assert!(tensor.extent().is_some_and(|extent| extent.offset % 8 == 0 || extent.len == 0));
    }
}

#[test]
fn any_number_of_tensors_fits_the_tree() {
    // Around the edges of leaves (128 names) and of nodes (128 leaves).
    for count in [0, 1, 127, 128, 129, 16_384, 16_385, 40_000] {
        let name = |i: usize| format!("layer{}.w", i * 7919 % 1_000_003);
        let tensors: Vec<_> = (0..count).map(|i| entry(&name(i), DType::U8, &[2])).collect();
        let contents = read(&written(&tensors).unwrap());
        assert_eq!(contents.tensors.len(), count);
        for (index, entry) in tensors.iter().enumerate().step_by(997) {
            assert_eq!(contents.tensors[&entry.name].read().unwrap(), content(index, 2));
        }
    }
}

#[test]
fn what_h5py_could_not_read_is_refused() {
    let message = |tensors: &[Entry]| written(tensors).unwrap_err().message;
    let refused = |name: &str| message(&[entry(name, DType::F32, &[1])]);
    for name in ["", ".", "a/b", "a\0b"] {
        assert!(refused(name).contains("safetensors"), "{name:?}");
    }
    let twice = [entry("a", DType::F32, &[1]), entry("a", DType::F32, &[2])];
    assert!(message(&twice).contains("two tensors are called \"a\""));
    let eight_bits = message(&[entry("a", DType::F8E4M3, &[1])]);
    assert!(eight_bits.contains("float8_e4m3fn"), "{eight_bits}");
    assert!(message(&[entry("a", DType::F32, &[1; 33])]).contains("33 dimensions"));
}

#[test]
fn a_feed_that_lies_about_its_length_is_a_fault() {
    let tensors = [entry("a", DType::F32, &[2])];
    for len in [7, 9] {
        let mut file = tempfile::tempfile().unwrap();
        assert!(write(&mut file, &tensors, &mut |_, sink| sink(&vec![0; len])).is_err());
    }
}
