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
    let fault = open(fixture("hostile_twice.gz")).err().unwrap();
    assert_eq!(fault.kind, Kind::Hostile, "{fault}");
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

#[test]
fn signatures_are_known() {
    let head = |name: &str| std::fs::read(fixture(name)).unwrap()[..300].to_vec();
    assert!(looks_like_tar(&head("pax.tar")) && looks_like_tar(&head("gnu.tar")));
    assert!(looks_like_gzip(&head("gnu.tar.gz")) && !looks_like_gzip(&head("gnu.tar")));
    assert!(members(&bytes("weights.npy.gz")).is_err());
}
