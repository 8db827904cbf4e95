//! Archives as numpy writes them (stored and deflated), and damaged ones.

use std::io::Write;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::super::npy::Values;
use super::*;

const HEADER: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }\n";

struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("pose4d-npz-{}-{name}", std::process::id())))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn array(header: &str, values: &[f32]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    out
}

fn archive(path: &Path, method: CompressionMethod, members: &[(&str, Vec<u8>)]) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in members {
        zip.start_file(
            *name,
            SimpleFileOptions::default().compression_method(method),
        )
        .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn stored_and_deflated_members_are_read() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let temp = Temp::new(&format!("{method:?}"));
        let values: Vec<f32> = (0..1000).map(|i| i as f32 * 0.5).collect();
        archive(
            &temp.0,
            method,
            &[("a.npy", array(HEADER, &values)), ("b.npy", vec![])],
        );
        let mut npz = Npz::open(&temp.0).unwrap();
        assert_eq!(npz.names(), ["a", "b"]);
        assert!(npz.contains("a") && !npz.contains("c"));
        let read = npz.read("a").unwrap();
        assert_eq!(read.shape, [1000]);
        assert_eq!(read.values, Values::F32(values));
    }
}

#[test]
fn errors_name_file_and_member() {
    let temp = Temp::new("errors");
    archive(
        &temp.0,
        CompressionMethod::Deflated,
        &[
            ("short.npy", array(HEADER, &[0.0; 999])),
            ("empty.npy", vec![]),
        ],
    );
    let mut npz = Npz::open(&temp.0).unwrap();
    let file = temp.0.display().to_string();
    for (name, detail) in [
        ("short", "claims 4000 bytes of values, but 3996"),
        ("empty", "not a .npy array"),
        ("absent", "it holds short, empty"),
    ] {
        let message = npz.read(name).unwrap_err().to_string();
        assert!(message.contains(&file), "{message}");
        assert!(message.contains(name), "{message}");
        assert!(message.contains(detail), "{message}");
    }
    assert!(matches!(
        Npz::open("/no/such/file.npz"),
        Err(NpzError::Open { .. })
    ));
}

#[test]
fn a_limit_is_kept() {
    let temp = Temp::new("limit");
    archive(
        &temp.0,
        CompressionMethod::Deflated,
        &[("a.npy", array(HEADER, &[0.0; 1000]))],
    );
    let limited = Npz::open(&temp.0).unwrap().with_limit(3999).read("a");
    assert!(matches!(
        limited,
        Err(NpzError::Member {
            source: NpyError::TooLarge { .. },
            ..
        })
    ));
    assert!(
        Npz::open(&temp.0)
            .unwrap()
            .with_limit(4000)
            .read("a")
            .is_ok()
    );
}

#[test]
fn damaged_archives_are_errors_and_never_panics() {
    let temp = Temp::new("damaged");
    let values: Vec<f32> = (0..1000).map(|i| (i as f32).sin()).collect();
    archive(
        &temp.0,
        CompressionMethod::Deflated,
        &[("a.npy", array(HEADER, &values))],
    );
    let good = std::fs::read(&temp.0).unwrap();
    for cut in (0..good.len()).step_by(37) {
        std::fs::write(&temp.0, &good[..cut]).unwrap();
        assert!(Npz::open(&temp.0).is_err(), "cut at {cut} was opened");
    }
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        std::fs::write(&temp.0, &bad).unwrap();
        // Some bytes (dates, attributes) do not matter; the rest must be caught, not crash.
        if let Ok(read) = Npz::open(&temp.0).and_then(|mut npz| npz.read("a")) {
            assert!(
                read.to_f32() == values,
                "byte {at} changed the values unnoticed"
            );
        }
    }
}
