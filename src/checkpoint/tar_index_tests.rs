//! Tests of the tar index on archives of Python's tarfile (`archive_fixtures/generate.py`).

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::checkpoint::error::Kind;

fn bytes(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/checkpoint/archive_fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

fn index(bytes: Vec<u8>) -> Parse<Vec<Entry>> {
    let source: Source = Arc::new(bytes);
    entries(&source)
}

#[test]
fn members_of_both_dialects_are_found_where_they_lie() {
    for name in ["pax.tar", "gnu.tar"] {
        let file = bytes(name);
        let found = index(file.clone()).unwrap();
        let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
        let long = names[2].to_owned();
        assert!(long.len() > 200 && long.ends_with(".npy"), "{long}");
        let expected = [
            "logs/train/model_config.yaml",
            "logs/weights.npy",
            &long,
            "README.txt",
            "empty.npy",
            "logs/hard.npy",
            "logs/train/soft.npy",
        ];
        assert_eq!(names, expected, "{name}");
        let data = |at: usize| &file[found[at].offset as usize..][..found[at].size as usize];
        assert_eq!(data(3), b"not a checkpoint");
        assert!(data(1).starts_with(b"\x93NUMPY"));
        // Links are the files they point to.
        assert_eq!((data(5), data(6)), (data(1), data(1)));
    }
}

#[test]
fn hostile_archives_are_refused() {
    for (name, kind, words) in [
        ("dotdot", Kind::Hostile, "leads out"),
        ("dotdot_inside", Kind::Hostile, "leads out"),
        ("absolute", Kind::Hostile, "absolute"),
        ("backslash", Kind::Hostile, "absolute"),
        ("drive", Kind::Hostile, "absolute"),
        ("symlink", Kind::Hostile, "outside the archive"),
        ("symlink_absolute", Kind::Hostile, "outside the archive"),
        ("symlink_folder", Kind::Hostile, "no file of this archive"),
        ("hard_link", Kind::Hostile, "absolute"),
        (
            "hard_link_missing",
            Kind::Hostile,
            "no file of this archive",
        ),
        ("link_loop", Kind::Hostile, "no file of this archive"),
        ("device", Kind::Hostile, "device"),
        ("pipe", Kind::Hostile, "pipe"),
        ("twice", Kind::Hostile, "two members"),
        ("size_lie", Kind::Hostile, "152 bytes by its header and 512"),
        ("sparse", Kind::Unsupported, "sparse"),
        ("control", Kind::Hostile, "control characters"),
    ] {
        let fault = index(bytes(&format!("hostile_{name}.tar"))).unwrap_err();
        assert_eq!(fault.kind, kind, "{name}: {fault}");
        assert!(fault.message.contains(words), "{name}: {fault}");
    }
}

#[test]
fn damage_is_noticed() {
    let file = bytes("gnu.tar");
    let mut damaged = file.clone();
    damaged[3] ^= 1;
    assert!(index(damaged).unwrap_err().message.contains("check sum"));
    // Cut off within a header, within data, and before the end mark.
    let last = index(file.clone()).unwrap();
    let end = last
        .iter()
        .map(|e| (e.offset + e.size).next_multiple_of(512))
        .max()
        .unwrap();
    for len in [100, 512, 600, 3000, end as usize, end as usize + 10] {
        let fault = index(file[..len].to_vec()).unwrap_err();
        assert_eq!(fault.kind, Kind::Corrupt, "{len}: {fault}");
    }
}

#[test]
fn mutants_are_survived() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for name in ["pax.tar", "gnu.tar"] {
        let good = bytes(name);
        for _ in 0..500 {
            let mut file = good.clone();
            let block = random(good.len() / 512) * 512;
            for _ in 0..=random(3) {
                file[block + random(512)] = random(256) as u8;
            }
            // A right sum, so that the fields behind it are looked at.
            file[block + 148..block + 156].fill(b' ');
            let sum: u32 = file[block..block + 512].iter().map(|&b| u32::from(b)).sum();
            file[block + 148..block + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            for entry in index(file.clone()).unwrap_or_default() {
                assert!(entry.offset + entry.size <= file.len() as u64);
                assert!(!entry.name.split('/').any(|part| part == ".."));
            }
        }
    }
}
