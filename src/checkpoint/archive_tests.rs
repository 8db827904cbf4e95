//! Tests of archives of checkpoints (`archive_fixtures/generate.py`).

use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::checkpoint::checkpoint::{Checkpoint, Format};
use crate::checkpoint::open::{open, open_source};

fn fixture(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/checkpoint/archive_fixtures");
    folder.join(name)
}

fn bytes(name: &str) -> Source {
    Arc::new(std::fs::read(fixture(name)).unwrap())
}

fn floats(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let bytes = checkpoint.read(name).unwrap();
    let float = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap());
    bytes.chunks_exact(4).map(float).collect()
}

#[test]
fn every_known_member_is_read() {
    for name in ["pax.tar", "gnu.tar", "gnu.tar.gz"] {
        let checkpoint = open(fixture(name)).unwrap();
        assert_eq!(checkpoint.format(), Format::Tar);
        let names: Vec<_> = checkpoint.names().collect();
        assert_eq!(names.len(), 4, "{names:?}");
        let numbers = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        for member in ["logs/weights.npy", "logs/hard.npy", "logs/train/soft.npy"] {
            assert_eq!(
                floats(&checkpoint, &format!("{member}:arr_0")),
                numbers,
                "{member}"
            );
        }
        let values = &checkpoint.contents().values;
        assert_eq!(
            values["members"],
            serde_json::json!(["README.txt", "empty.npy"])
        );
        let config = &values["logs/train/model_config.yaml"];
        assert_eq!(config["MODEL"]["IMAGE_SIZE"], 256);
        assert_eq!(config["exp"], "${now:%Y}");
    }
}

#[test]
fn a_gz_file_is_what_it_holds() {
    let checkpoint = open(fixture("weights.npy.gz")).unwrap();
    assert_eq!(checkpoint.format(), Format::Npy);
    assert_eq!(floats(&checkpoint, "arr_0"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn gzip_data_that_are_not_whole_are_refused() {
    let whole = std::fs::read(fixture("weights.npy.gz")).unwrap();
    let refused = |bytes: Vec<u8>| {
        let source: Source = Arc::new(bytes);
        gunzip(&source, None).map(|_| ()).unwrap_err()
    };
    for len in [1, 5, 12, whole.len() - 9, whole.len() - 4, whole.len() - 1] {
        let fault = refused(whole[..len].to_vec());
        assert_eq!(fault.kind, Kind::Corrupt, "{len}: {fault}");
    }
    // The checksum and the length at the end.
    for back in [1, 8] {
        let mut bytes = whole.clone();
        let at = bytes.len() - back;
        bytes[at] ^= 1;
        assert_eq!(refused(bytes).kind, Kind::Corrupt);
    }
    let mut bytes = whole.clone();
    bytes.extend(b"more");
    assert!(refused(bytes).message.contains("behind the end"));
}

#[test]
fn several_gzip_members_and_padding_are_one_file() {
    let one = std::fs::read(fixture("weights.npy.gz")).unwrap();
    let mut two = one.clone();
    two.extend(&one);
    two.extend([0; 1000]);
    let unpacked = |bytes: Vec<u8>| {
        let source: Source = Arc::new(bytes);
        gunzip(&source, None).unwrap().len()
    };
    assert_eq!(unpacked(two), 2 * unpacked(one));
}

#[test]
fn bombs_stop_at_the_limit() {
    let start = Instant::now();
    let fault = open(fixture("hostile_bomb.npy.gz")).err().unwrap();
    assert_eq!(fault.kind, Kind::Hostile, "{fault}");
    assert!(start.elapsed().as_secs_f64() < 1.0);
}

#[test]
fn archives_in_archives_come_to_an_end() {
    let mut bytes = std::fs::read(fixture("weights.npy.gz")).unwrap();
    let mut opened = 0;
    loop {
        let again = open_source(Arc::new(bytes.clone()), "a.gz".as_ref());
        let Err(fault) = again else {
            opened += 1;
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&bytes).unwrap();
            bytes = packed.finish().unwrap();
            continue;
        };
        assert_eq!((fault.kind, opened), (Kind::Hostile, 3), "{fault}");
        return;
    }
}

#[test]
fn what_is_large_is_unpacked_to_a_file_that_has_no_name() {
    let scratch = tempfile::tempdir().unwrap();
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let bytes: Vec<u8> = (0..IN_MEMORY + 1000).map(|_| noise()).collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&bytes).unwrap();
    let source: Source = Arc::new(packed.finish().unwrap());
    let unpacked = gunzip(&source, Some(scratch.path())).unwrap();
    let mut tail = vec![0; 1000];
    unpacked.read_exact_at(&mut tail, IN_MEMORY as u64).unwrap();
    assert_eq!(tail, &bytes[IN_MEMORY..]);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    let missing = scratch.path().join("missing");
    let fault = gunzip(&source, Some(&missing)).map(|_| ()).unwrap_err();
    assert!(
        fault.kind == Kind::Io && fault.message.contains("missing"),
        "{fault}"
    );
}

#[test]
fn a_fault_in_a_member_names_it() {
    let fault = open(fixture("hostile_dotdot.tar")).err().unwrap();
    assert!(fault.message.contains("../weights.npy"), "{fault}");
    let mut file = std::fs::read(fixture("gnu.tar")).unwrap();
    let at = file.windows(6).position(|w| w == b"\x93NUMPY").unwrap();
    file[at + 10..at + 40].fill(b'x');
    let fault = open_source(Arc::new(file), "a.tar".as_ref()).err().unwrap();
    assert!(fault.message.contains("logs/weights.npy"), "{fault}");
}

/// A tar archive of files and of hard links.
fn tar(files: &[(String, &[u8])], links: &[(String, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut header = |name: &str, kind: u8, target: &str, data: &[u8]| {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        block[148..156].fill(b' ');
        block[156] = kind;
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        block[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(block);
        out.extend(data);
        out.resize(out.len().next_multiple_of(512), 0);
    };
    for (name, data) in files {
        header(name, b'0', "", data);
    }
    for (name, target) in links {
        header(name, b'1', target, b"");
    }
    out.resize(out.len() + 1024, 0);
    out
}

#[test]
fn one_file_under_many_names_is_not_read_over_and_over() {
    let noise = vec![b'#'; 1 << 20];
    let files = [("a.yaml".to_owned(), noise.as_slice())];
    let links: Vec<_> = (0..1000).map(|i| (format!("{i}.yaml"), "a.yaml")).collect();
    let start = Instant::now();
    let file = tar(&files, &links);
    let fault = open_source(Arc::new(file), "a.tar".as_ref()).err().unwrap();
    assert_eq!(fault.kind, Kind::Hostile, "{fault}");
    let zeros = std::fs::read(fixture("weights.npy.gz")).unwrap();
    let files: Vec<_> = (0..65)
        .map(|i| (format!("{i}.npy.gz"), zeros.as_slice()))
        .collect();
    let whole = open_source(Arc::new(tar(&files[..64], &[])), "a.tar".as_ref()).unwrap();
    assert_eq!(whole.tensors().len(), 64);
    let fault = open_source(Arc::new(tar(&files, &[])), "a.tar".as_ref())
        .err()
        .unwrap();
    assert!(fault.message.contains("compressed files"), "{fault}");
    assert!(start.elapsed().as_secs_f64() < 2.0);
}

#[test]
fn signatures_are_known() {
    let head = |name: &str| std::fs::read(fixture(name)).unwrap()[..300].to_vec();
    assert!(looks_like_tar(&head("pax.tar")) && looks_like_tar(&head("gnu.tar")));
    assert!(looks_like_gzip(&head("gnu.tar.gz")) && !looks_like_gzip(&head("gnu.tar")));
    assert!(members(&bytes("weights.npy.gz")).is_err());
}
