//! A small world for tests: a home of its own, a table of small models, means without a network.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::digest::hex;
use super::ensure::{Means, Received};
use super::error::CacheError;
use super::manifest::Entry;
use super::prepare::{PrepareOptions, Prepared, prepare};
use super::progress::Watch;
use super::store::{Options, Store};
use super::surroundings::Surroundings;

pub struct World {
    pub folder: tempfile::TempDir,
    pub around: Surroundings,
    /// How often anything was fetched.
    pub fetched: AtomicUsize,
}

/// An array file of numpy's: one-byte elements, so that large shapes stay small.
pub fn npy(kind: &str, shape: &[u64], data: &[u8]) -> Vec<u8> {
    let sizes: Vec<_> = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!(
        "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}",
        sizes.concat()
    );
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub fn npz(arrays: &[(&str, Vec<u8>)], packed: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = if packed {
        zip::CompressionMethod::Deflated
    } else {
        zip::CompressionMethod::Stored
    };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A network of one tensor whose first element is `seed`.
pub fn net(seed: f32) -> Vec<u8> {
    let values = (0..1000)
        .flat_map(|i| (seed + i as f32).to_le_bytes())
        .collect::<Vec<u8>>();
    npz(&[("w", npy("<f4", &[10, 100], &values))], false)
}

/// The arrays of a body model; `change` may alter a shape.
pub fn body(change: impl Fn(&str, &mut Vec<u64>)) -> Vec<u8> {
    let arrays: Vec<_> = [
        ("v_template", vec![6890, 3]),
        ("shapedirs", vec![6890, 3, 10]),
        ("posedirs", vec![6890, 3, 207]),
        ("J_regressor", vec![24, 6890]),
        ("weights", vec![6890, 24]),
        ("f", vec![13776, 3]),
        ("kintree_table", vec![2, 24]),
    ]
    .into_iter()
    .map(|(name, mut shape)| {
        change(name, &mut shape);
        let elements = shape.iter().product::<u64>();
        (
            name,
            npy("|u1", &shape, &vec![7; usize::try_from(elements).unwrap()]),
        )
    })
    .collect();
    npz(&arrays, true)
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn md5_start(bytes: &[u8]) -> String {
    use md5::Digest as _;
    hex(&md5::Md5::digest(bytes))[..6].to_string()
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pinned = net(2.0);
        let table = serde_json::json!({
            "version": 1,
            "sets": { "all": ["net", "pinned", "named", "inner", "other"] },
            "entries": [
                Self::entry("net", "nets/net.npz", serde_json::json!({
                    "urls": ["http://x/net.npz"], "bytes": 5000, "aliases": ["Net_Large"],
                    "foundAt": [{"root": "4dhumans", "path": "logs/net.npz"},
                                {"root": "depthmap", "path": "net.npz", "repacked": true}],
                })),
                Self::entry("pinned", "nets/pinned.npz", serde_json::json!({
                    "urls": ["http://x/pinned.npz"], "bytes": pinned.len(), "exact": true,
                    "sha256": sha256(&pinned),
                    "foundAt": [{"root": "4dhumans", "path": "pinned.npz"},
                                {"root": "depthmap", "path": "midas_pinned.npz", "repacked": true}],
                })),
                Self::entry("named", "nets/named.npz", serde_json::json!({
                    "urls": ["http://x/named.npz"],
                    "prefix": {"algorithm": "md5", "hex": md5_start(&net(3.0))},
                })),
                Self::entry("bundle", "nets/bundle.tar", serde_json::json!({
                    "urls": ["http://x/bundle.tar"], "format": "data", "precision": null, "keys": [],
                    "unpacks": {"inner": "logs/inner.npz", "other": "**/other.npz"},
                })),
                Self::entry("inner", "nets/inner.npz", serde_json::json!({
                    "source": "archive", "archive": "bundle",
                })),
                Self::entry("other", "nets/other.npz", serde_json::json!({
                    "source": "archive", "archive": "bundle",
                })),
                Self::entry("body", "smpl/body.npz", serde_json::json!({
                    "source": "user", "component": "smpl", "licence": "SMPL", "keys": [],
                })),
            ],
        });
        fs::write(folder.path().join("manifest.json"), table.to_string()).unwrap();
        let around = Surroundings {
            home: Some(folder.path().join("home")),
            cache: Some(folder.path().join("home/.cache")),
            system: folder.path().join("system"),
            ..Surroundings::default()
        };
        Self {
            folder,
            around,
            fetched: AtomicUsize::new(0),
        }
    }

    fn entry(id: &str, place: &str, more: serde_json::Value) -> serde_json::Value {
        let mut entry = serde_json::json!({
            "id": id, "family": "test", "component": "test", "purpose": "tests",
            "source": "download", "file": place.rsplit('/').next().unwrap(), "place": place,
            "licence": "MIT", "format": "npz", "precision": "fp32", "keys": ["w"],
        });
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        entry
    }

    pub fn store(&self) -> Store {
        self.store_at(None)
    }

    pub fn store_at(&self, cache_dir: Option<PathBuf>) -> Store {
        let options = Options {
            cache_dir,
            manifest: Some(self.folder.path().join("manifest.json")),
            ..Options::default()
        };
        Store::open_in(options, self.around.clone()).unwrap()
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("home/.cache/4d-humans")
    }

    pub fn put(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A file in the cache folder.
    pub fn put_own(&self, path: &str, bytes: &[u8]) -> PathBuf {
        self.put(&format!("home/.cache/4d-humans/{path}"), bytes)
    }

    /// What the pretended server gives for an entry.
    pub fn served(entry: &Entry) -> Vec<u8> {
        match entry.id.as_str() {
            "net" => net(1.0),
            "pinned" => net(2.0),
            "named" => net(3.0),
            // A pretended archive: a byte that says how many members are in it.
            "bundle" => vec![2; 600],
            other => panic!("{other} is never fetched"),
        }
    }

    pub fn fetch(&self, entry: &Entry, dest: &Path) -> Result<Received, CacheError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let bytes = Self::served(entry);
        // Whole or not at all, as the real one.
        super::files::write_whole(dest, &bytes)?;
        Ok(Received {
            sha256: sha256(&bytes),
            url: entry.urls.first().cloned(),
            etag: Some("\"1\"".into()),
        })
    }

    pub fn unpack(archive: &Path, patterns: &[&str], folder: &Path) -> BTreeMap<String, PathBuf> {
        assert_eq!(fs::read(archive).unwrap().len(), 600);
        let members = [("logs/inner.npz", net(4.0)), ("**/other.npz", net(5.0))];
        let wanted = members
            .into_iter()
            .filter(|(pattern, _)| patterns.contains(pattern));
        wanted
            .map(|(pattern, bytes)| {
                let path = folder.join(pattern.rsplit('/').next().unwrap());
                fs::write(&path, bytes).unwrap();
                (pattern.to_string(), path)
            })
            .collect()
    }

    /// Runs `job` with the pretended network.
    pub fn with_means<R>(&self, offline: bool, job: impl FnOnce(Means) -> R) -> R {
        job(Means {
            offline,
            fetch: &|entry, dest, _| self.fetch(entry, dest),
            unpack: &|archive, patterns, folder, _| Ok(Self::unpack(archive, patterns, folder)),
        })
    }

    pub fn count(&self) -> usize {
        self.fetched.load(Ordering::Relaxed)
    }
}

pub const QUIET: Watch<'static> = Watch::SILENT;

/// Every file below `folder`, relative to it.
pub fn files_in(folder: &Path) -> Vec<String> {
    let mut found: Vec<_> = super::files::walk(folder, &|_| true)
        .unwrap()
        .iter()
        .map(|path| {
            path.strip_prefix(folder)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    found.sort();
    found
}

/// Prepares with the pretended network.
pub fn prepared(world: &World, store: &Store, ids: &[&str]) -> Vec<Prepared> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    world.with_means(false, |means| {
        prepare(store, &ids, &PrepareOptions::default(), means, QUIET).unwrap()
    })
}
