//! What each target starts from: the good and hostile corpora, inputs that long runs found worth
//! keeping (`fuzz/corpora/<target>.tar.gz`), and inputs that once failed (`fuzz/regressions/`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::archive;

/// Larger files only make the fuzzer slow.
const LARGEST: usize = 24 << 10;

/// Name and bytes of an input.
pub type Seed = (String, Vec<u8>);

/// By target. `root` is the project's folder.
pub fn all(root: &Path) -> BTreeMap<&'static str, Vec<Seed>> {
    let mut found: BTreeMap<&str, Vec<Seed>> = BTreeMap::new();
    for archive in ["good", "hostile"] {
        let path = root.join(format!("tests/checkpoints/{archive}.tar.gz"));
        for (name, data) in archive::unpack(&path) {
            if data.len() > LARGEST || name == "cases.json" {
                continue;
            }
            for (target, data) in uses(&name, &data) {
                let name = format!("{archive}-{}", name.replace('/', "-"));
                found.entry(target).or_default().push((name, data));
            }
        }
    }
    for (target, _) in crate::targets::TARGETS {
        let seeds = found.entry(target).or_default();
        let kept = root.join(format!("fuzz/corpora/{target}.tar.gz"));
        if kept.is_file() {
            seeds.extend(archive::unpack(&kept));
        }
        let failed = root.join("fuzz/regressions").join(target);
        for file in fs::read_dir(failed).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            seeds.push((name, fs::read(file.path()).unwrap_or_default()));
        }
        seeds.sort();
    }
    found
}

/// The targets a file of the corpora serves, and what each gets of it.
fn uses(name: &str, data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let folder = name.split('/').next().unwrap_or_default();
    let target = match folder {
        "torch-zip" => "torch_zip",
        "torch-legacy" => "torch_legacy",
        "torchscript" => "torch_script",
        "torch" if name.contains("legacy") => "torch_legacy",
        "torch" if name.contains("torchscript") => "torch_script",
        "torch" => "torch_zip",
        "pickle" | "pickle-numpy1" | "pickle-numpy2" => "pickle",
        "impostor" => "any",
        "npy" => "npy",
        "npz" => "npz",
        "safetensors" => "safetensors",
        "hdf5" => "hdf5",
        "tflite" => "tflite",
        "gzip" => "gzip",
        "tar" => "tar",
        "yaml" => "yaml",
        _ => return Vec::new(),
    };
    let mut used = vec![(target, data.to_vec())];
    if target == "npy" {
        used.push(("npz_member", data.to_vec()));
    }
    // `any` and `convert` take a first byte that chooses.
    let mark = |byte: u8| [&[byte], data].concat();
    let small = data.len() < 2_000;
    if small && name.len().is_multiple_of(5) {
        used.push(("any", mark(name.len() as u8)));
    }
    if small && name.len().is_multiple_of(4) && !matches!(folder, "yaml" | "torch" | "hostile") {
        used.push(("convert", mark(name.len() as u8 / 4)));
    }
    if target == "torch_zip"
        && let Some(pickle) = stored_pickle(data)
    {
        used.push(("torch_pickle", pickle));
    }
    used
}

/// `data.pkl` of a zip file that stores it, found without reading the zip.
fn stored_pickle(zip: &[u8]) -> Option<Vec<u8>> {
    let name = b"data.pkl";
    let at = zip.windows(name.len()).position(|w| w == name)?;
    let start = at + name.len();
    let start = start
        + zip[start..]
            .windows(2)
            .position(|w| w[0] == 0x80 && w[1] < 6)?;
    let end = start + zip[start..].windows(3).position(|w| w == b".PK")? + 1;
    Some(zip[start..end].to_vec())
}
