//! The committed archives of small files, unpacked into a temporary folder, and what is known of each.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Cases of one archive, lying as files in a folder that goes with this value.
pub struct Corpus {
    /// Name of a case, such as `npy/f4-v1.npy`, to the facts about it.
    pub cases: BTreeMap<String, Value>,
    folder: tempfile::TempDir,
}

impl Corpus {
    /// Unpacks `tests/checkpoints/<name>.tar.gz`.
    pub fn unpack(name: &str) -> Self {
        let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/checkpoints")
            .join(format!("{name}.tar.gz"));
        let archive = fs::File::open(&archive)
            .unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(archive)
            .read_to_end(&mut bytes)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut cases = BTreeMap::new();
        for (name, data) in members(&bytes) {
            if name == "cases.json" {
                cases = serde_json::from_slice(data).unwrap();
                continue;
            }
            let path = folder.path().join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, data).unwrap();
        }
        for case in cases.keys() {
            assert!(folder.path().join(case).is_file(), "{case} is not there");
        }
        Self { cases, folder }
    }

    /// Where a case lies.
    pub fn path(&self, case: &str) -> PathBuf {
        self.folder.path().join(case)
    }

    /// Makes a case as large as its facts say: `repeat` lists `[offset, bytes in hexadecimal,
    /// times]`, to be put in one after another.
    pub fn grow(&self, case: &str) -> PathBuf {
        let path = self.path(case);
        let Some(repeats) = self.cases[case].get("repeat").and_then(Value::as_array) else {
            return path;
        };
        let mut data = fs::read(&path).unwrap();
        for repeat in repeats {
            let offset = repeat[0].as_u64().unwrap() as usize;
            let pattern = unhex(repeat[1].as_str().unwrap());
            let times = repeat[2].as_u64().unwrap() as usize;
            let tail = data.split_off(offset);
            data.extend(pattern.repeat(times));
            data.extend(tail);
        }
        fs::write(&path, data).unwrap();
        path
    }
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Names and contents in an archive as our generator writes it: plain files, short names.
fn members(mut tar: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while let Some((header, rest)) = tar.split_at_checked(512) {
        let text = |range: std::ops::Range<usize>| {
            let bytes = header[range].split(|&b| b == 0).next().unwrap_or_default();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        if header.iter().all(|&byte| byte == 0) {
            break;
        }
        let name = match text(345..500) {
            prefix if prefix.is_empty() => text(0..100),
            prefix => format!("{prefix}/{}", text(0..100)),
        };
        let size = usize::from_str_radix(text(124..136).trim(), 8).unwrap();
        found.push((name, &rest[..size]));
        tar = &rest[size.next_multiple_of(512)..];
    }
    found
}
