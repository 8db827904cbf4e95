//! Tests of taking files out of archives, made here byte by byte.

use std::io::Write as _;
use std::sync::Mutex;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::cache::error::{ABORTED, MODEL_CORRUPT, MODEL_UNAVAILABLE};

fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    write!(&mut block[124..136], "{:011o}", data.len()).unwrap();
    block[156] = kind;
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    write!(&mut block[148..155], "{sum:06o}\0").unwrap();
    let mut bytes = block.to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the patterns give of the archive, by pattern.
fn taken(bytes: &[u8], patterns: &[&str]) -> Result<BTreeMap<String, Vec<u8>>, CacheError> {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("a.tar.gz");
    std::fs::write(&archive, bytes).unwrap();
    let found = unpack(&archive, patterns, folder.path(), ("m", "a"), Watch::SILENT)?;
    let read = |(pattern, path): (String, PathBuf)| (pattern, std::fs::read(path).unwrap());
    let found = found.into_iter().map(read).collect();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(left <= 1 + patterns.len());
    Ok(found)
}

#[test]
fn wanted_files_come_out_whatever_the_archive_calls_them() {
    let mut tar = member("./", b'5', b"");
    tar.extend(member("./logs/0/epoch=35.ckpt", b'0', &[1; 3000]));
    tar.extend(member("data/x/mean.npz", b'0', b"mean"));
    tar.extend(member("data/other", b'0', b"other"));
    for bytes in [tar.clone(), gzip(&tar)] {
        let found = taken(&bytes, &["logs/*/*.ckpt", "**/mean.npz", "gone"]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found["logs/*/*.ckpt"], [1; 3000]);
        assert_eq!(found["**/mean.npz"], b"mean");
    }
}

#[test]
fn links_escapes_and_folders_are_never_taken() {
    let mut tar = member("a", b'2', b"");
    tar.extend(member("../a", b'0', b"escape"));
    tar.extend(member("a", b'5', b""));
    tar.extend(member("a", b'3', b""));
    assert_eq!(taken(&tar, &["a"]).unwrap(), BTreeMap::new());
    assert_eq!(taken(&tar, &["**/a"]).unwrap(), BTreeMap::new());
}

#[test]
fn a_cut_off_archive_is_corrupt() {
    let whole = gzip(&member("a", b'0', &vec![9; 100_000]));
    for end in [10, whole.len() / 2, whole.len() - 9] {
        let error = taken(&whole[..end], &["a"]).unwrap_err();
        assert_eq!(error.code, MODEL_CORRUPT, "{end}: {error}");
        assert!(error.message.contains("a.tar.gz"), "{error}");
    }
    let nowhere = Path::new("/nowhere/a.tar.gz");
    let error = unpack(nowhere, &["a"], nowhere, ("m", "a"), Watch::SILENT).unwrap_err();
    assert_eq!(error.code, MODEL_UNAVAILABLE);
}

#[test]
fn a_bomb_is_not_unpacked_to_its_end() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let mut head = member("zeros", b'0', b"");
    head[124..136].copy_from_slice(b"77777777777\0");
    head[148..156].fill(b' ');
    let sum: u64 = head.iter().map(|&byte| u64::from(byte)).sum();
    write!(&mut head[148..155], "{sum:06o}\0").unwrap();
    bomb.write_all(&head).unwrap();
    for _ in 0..100 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let error = taken(&bomb.finish().unwrap(), &["a"]).unwrap_err();
    assert!(error.message.contains("times as many"), "{error}");
}

#[test]
fn progress_reaches_the_end_and_a_stop_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("a.tar");
    let mut tar = member("skipped", b'0', &vec![1; 4 << 20]);
    tar.extend(member("a", b'0', &vec![2; 4 << 20]));
    std::fs::write(&archive, &tar).unwrap();
    let told = Mutex::new(Vec::new());
    let tell = |progress: &Progress| told.lock().unwrap().push(progress.loaded);
    let watch = Watch { tell: &tell, ..Watch::SILENT };
    unpack(&archive, &["a"], folder.path(), ("m", "a"), watch).unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.len() > 8 && told.is_sorted(), "{told:?}");
    assert_eq!(told.last(), Some(&(tar.len() as u64)));

    let cancelled = || true;
    let watch = Watch { cancelled: &cancelled, ..Watch::SILENT };
    let error = unpack(&archive, &["a"], folder.path(), ("m", "a"), watch).unwrap_err();
    assert_eq!(error.code, ABORTED);
}
