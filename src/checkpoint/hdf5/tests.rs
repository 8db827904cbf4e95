//! Tests of the HDF5 reader on files of h5py (`../hdf5_fixtures/generate.py`), damaged ones too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::checkpoint::checkpoint::Contents;
use crate::checkpoint::error::{Kind, Parse};
use crate::checkpoint::hdf5::file::TRUSTING;
use crate::checkpoint::hdf5::{looks_like, read};
use crate::checkpoint::source::Source;
use crate::checkpoint::tensor::Tensor;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/checkpoint/hdf5_fixtures")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

fn parse(bytes: Vec<u8>) -> Parse<Contents> {
    let source: Source = Arc::new(bytes);
    read(&source)
}

fn open(name: &str) -> Contents {
    parse(bytes(name)).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

fn expected() -> serde_json::Map<String, Value> {
    serde_json::from_slice(&bytes("expected.json")).unwrap()
}

fn described(tensor: &Tensor) -> Value {
    let hash = Sha256::digest(tensor.read().unwrap());
    let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    json!([tensor.dtype.name(), tensor.shape, hash])
}

/// Passes over all tensors, as far as they let themselves be read.
fn drain(contents: &Contents) -> usize {
    let mut total = 0;
    for tensor in contents.tensors.values().chain(contents.others.values()) {
        if tensor.check().is_ok() {
            let _ = tensor.stream(&mut |piece| {
                total += piece.len();
                Ok(())
            });
        }
    }
    total
}

#[test]
fn every_tensor_is_what_h5py_reads() {
    let expected = expected();
    assert!(expected.len() >= 10);
    for (file, tensors) in &expected {
        let contents = open(file);
        let tensors = tensors.as_object().unwrap();
        let prefixed = |name: &String| match contents.root.as_str() {
            "" => name.clone(),
            root => format!("{root}.{name}"),
        };
        let mut found = serde_json::Map::new();
        for (name, tensor) in &contents.tensors {
            found.insert(prefixed(name), described(tensor));
        }
        for (name, tensor) in &contents.others {
            found.insert(name.clone(), described(tensor));
        }
        for (name, expected) in tensors {
            assert_eq!(found.get(name), Some(expected), "{file}: {name}");
        }
        assert_eq!(found.len(), tensors.len(), "{file}");
    }
}

#[test]
fn names_come_in_the_order_h5py_lists_them() {
    let text = String::from_utf8(bytes("expected.json")).unwrap();
    for file in [
        "groups_earliest.h5",
        "groups_ordered.h5",
        "groups_latest.h5",
    ] {
        let start = text.find(&format!("\"{file}\"")).unwrap();
        let names = open(file).tensors.keys().cloned().collect::<Vec<_>>();
        let places: Vec<_> = names
            .iter()
            .map(|name| text[start..].find(&format!("\"{name}\": [")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{file}");
    }
    let ordered = open("groups_ordered.h5");
    assert_eq!(ordered.tensors.keys().next().unwrap(), "zebra");
}

#[test]
fn plain_data_has_an_extent_in_the_file() {
    let file = bytes("types_earliest.h5");
    let contents = parse(file.clone()).unwrap();
    let mut plain = 0;
    for tensor in contents.tensors.values() {
        if let Some(extent) = tensor.extent() {
            let (start, end) = (
                extent.offset as usize,
                (extent.offset + extent.len) as usize,
            );
            assert_eq!(tensor.read().unwrap(), &file[start..end]);
            plain += 1;
        }
    }
    assert!(plain > 50, "{plain}");
}

#[test]
fn attributes_of_the_file_are_values() {
    for file in [
        "groups_earliest.h5",
        "groups_latest.h5",
        "groups_ordered.h5",
    ] {
        let values = open(file).values;
        for (key, expected) in [
            ("text", json!("Grüße")),
            ("fixed", json!("fixed")),
            ("texts", json!(["a", "bb", ""])),
            ("yes", json!(true)),
            ("table", json!([[0, 1, 2], [3, 4, 5]])),
            ("real", json!(1.5)),
            ("big", json!([1, 2])),
            ("nan", json!("nan")),
            ("nothing", Value::Null),
            ("setting2", json!(2)),
            ("long", json!("x".repeat(2000))),
        ] {
            assert_eq!(values.get(key), Some(&expected), "{file}: {key}");
        }
    }
}

#[test]
fn what_is_no_tensor_is_listed() {
    let contents = open("others.h5");
    assert_eq!(contents.tensors.keys().collect::<Vec<_>>(), ["w"]);
    assert_eq!(contents.values["text"], json!("hello"));
    assert_eq!(contents.values["texts"], json!(["a", "b"]));
    assert_eq!(contents.values["fixed"], json!(["ab", "c"]));
    let opaque: Vec<_> = contents.opaque.iter().map(|o| o.path.as_str()).collect();
    assert_eq!(
        opaque,
        ["empty", "extended", "lists", "record", "reference"]
    );
    let dangling = open("groups_earliest.h5").opaque;
    assert!(dangling[0].class.contains("\"/nowhere\""), "{dangling:?}");
}

#[test]
fn keras_weights_are_told_from_its_optimizer() {
    let contents = open("keras.h5");
    assert_eq!(contents.root, "model_weights");
    let names: Vec<_> = contents.tensors.keys().collect();
    assert_eq!(names, ["conv1.conv1.kernel:0", "dense.dense.bias:0"]);
    let others: Vec<_> = contents.others.keys().collect();
    assert_eq!(others, ["optimizer_weights.Adam.iter:0"]);
    assert_eq!(contents.values["keras_version"], json!("2.15.0"));
}

#[test]
fn hostile_files_are_refused_at_once() {
    for (name, kind, words) in [
        ("external_link", Kind::Hostile, "link to another file"),
        ("external_storage", Kind::Hostile, "in another file"),
        ("virtual", Kind::Hostile, "in other files"),
        ("cycle", Kind::Hostile, "contains itself"),
        ("soft_loop", Kind::Hostile, "lead to each other"),
        ("soft_root", Kind::Hostile, "contains itself"),
        ("doubling", Kind::Hostile, "refers to itself"),
        ("deep", Kind::Hostile, "deeper than 64"),
        ("zeros", Kind::Hostile, "134217728"),
        ("unwritten", Kind::Hostile, "4398046511104"),
        ("unwritten_chunks", Kind::Hostile, "4398046511104"),
        ("many_chunks", Kind::Hostile, "1099511627776 chunks"),
        ("same_name", Kind::Corrupt, "same name"),
    ] {
        let start = Instant::now();
        let fault = parse(bytes(&format!("hostile_{name}.h5"))).err();
        let fault = fault.unwrap_or_else(|| panic!("{name} was read"));
        assert_eq!(fault.kind, kind, "{name}: {fault}");
        assert!(fault.message.contains(words), "{name}: {fault}");
        assert!(
            start.elapsed().as_secs_f64() < 1.0,
            "{name} took {:?}",
            start.elapsed()
        );
    }
    let fault = parse(bytes("unsupported_filter.h5")).err().unwrap();
    assert_eq!(fault.kind, Kind::Unsupported);
    assert!(fault.message.contains("scale-offset"), "{fault}");
}

/// Where `magic` begins in `file`.
fn find(file: &[u8], magic: &[u8]) -> usize {
    let mut windows = file.windows(magic.len());
    windows.position(|w| w == magic).unwrap()
}

#[test]
fn structures_that_refer_to_themselves_are_refused() {
    let mut file = bytes("groups_earliest.h5");
    let tree = find(&file, b"TREE");
    // An inner node whose first child is the node itself.
    file[tree + 5] = 1;
    file[tree + 32..tree + 40].copy_from_slice(&(tree as u64).to_le_bytes());
    let fault = parse(file).err().unwrap();
    assert!(fault.message.contains("tree"), "{fault}");

    let mut file = bytes("keras.h5");
    let heap = find(&file, b"HEAP");
    // Names past the end of the file.
    file[heap + 24..heap + 32].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let fault = parse(file).err().unwrap();
    assert!(fault.message.contains("past the end"), "{fault}");
}

#[test]
fn a_file_that_was_cut_off_says_so() {
    for name in ["types_earliest.h5", "types_latest.h5"] {
        let file = bytes(name);
        for len in [1, 7, 8, 60, 96, 200, file.len() / 2, file.len() - 1] {
            let fault = parse(file[..len].to_vec()).err().unwrap();
            assert_eq!(fault.kind, Kind::Corrupt, "{name} of {len}: {fault}");
        }
    }
}

#[test]
fn a_superblock_that_is_not_where_it_says_is_refused() {
    let mut file = bytes("userblock.h5");
    let base = 1024 + 24;
    assert_eq!(file[base..base + 8], 1024_u64.to_le_bytes());
    file[base + 1] = 0;
    let fault = parse(file).err().unwrap();
    assert!(fault.message.contains("is at 1024 and says"), "{fault}");
}

#[test]
fn a_damaged_byte_of_new_metadata_is_noticed() {
    let mut file = bytes("groups_latest.h5");
    let at = find(&file, b"BTLF") + 20;
    file[at] ^= 1;
    let fault = parse(file).err().unwrap();
    assert!(fault.message.contains("checksum"), "{fault}");
}

/// Files with some bytes replaced: each ends in a fault or in tensors, soon, and never in a panic.
#[test]
fn mutants_are_survived() {
    TRUSTING.set(true);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let names = [
        "types_earliest",
        "types_latest",
        "groups_latest",
        "keras",
        "others",
        "userblock",
    ];
    let many = std::env::var("POSE4D_MUTANTS")
        .ok()
        .and_then(|n| n.parse().ok());
    let (mut refused, mut read) = (0, 0);
    for name in names
        .into_iter()
        .chain(["chunks_latest", "chunks_earliest"])
    {
        let good = bytes(&format!("{name}.h5"));
        for number in 0..many.unwrap_or(60) {
            let mut file = good.clone();
            for _ in 0..=random(4) {
                // Metadata lies at the front more often than not.
                let front = random(2) == 0;
                let at = random(if front {
                    good.len().min(4096)
                } else {
                    good.len()
                });
                file[at] = match random(4) {
                    0 => 0xff,
                    1 => 0,
                    2 => file[at] ^ (1 << random(8)),
                    _ => random(256) as u8,
                };
            }
            let start = Instant::now();
            match parse(file) {
                Ok(contents) => {
                    drain(&contents);
                    read += 1;
                }
                Err(_) => refused += 1,
            }
            let time = start.elapsed();
            assert!(
                time.as_secs_f64() < 2.0,
                "mutant {number} of {name} took {time:?}"
            );
        }
    }
    assert!(refused > 50 && read > 50, "{refused} refused, {read} read");
}

#[test]
fn the_signature_is_known() {
    assert!(looks_like(&bytes("keras.h5")));
    assert!(!looks_like(b"\x89PNG\r\n\x1a\n"));
}
