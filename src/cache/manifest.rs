//! The table of every model file the product uses: names, sources, sizes, hashes, licences.
//!
//! The table itself is `manifest.json`. Sizes marked exact and hashes are those published by, or
//! seen by several independent users of, the upstream file; nothing is guessed. Sources:
//! 4D-Humans `hmr2/models/__init__.py` @ 068130a, PHALP `phalp/trackers/PHALP.py`, detectron2's
//! model zoo (the six characters in a file's name are the beginning of its MD5:
//! `tools/convert_to_model_zoo.py` of Panoptic-DeepLab), MiDaS `hubconf.py`, MMPose's model index
//! (`name-<SHA-256[:8]>_<date>.pth`), Git LFS pointers on Hugging Face.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::error::{CacheError, INVALID_ARGUMENT, MODEL_UNKNOWN};

const BUILT_IN: &str = include_str!("manifest.json");
/// A manifest of one's own is no larger than this.
const MAX_MANIFEST: u64 = 4 << 20;

/// Where a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Fetched from one of `urls`.
    Download,
    /// Unpacked from the entry `archive`.
    Archive,
    /// Lies in the npm package `package`.
    Package,
    /// Bound by a licence that only the user can accept: never fetched.
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Sha256,
    Md5,
}

/// The beginning of a hash, as a published file name carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    pub algorithm: Algorithm,
    pub hex: String,
}

/// A place where other tools put the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// Which tool's folder: see `discover`.
    pub root: String,
    /// Below it; a component `*` stands for any one folder.
    pub path: String,
    /// The tool wrote the weights anew: size and hash are its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repacked: bool,
}

/// One model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Stable name, kebab-case.
    pub id: String,
    /// Other names it is asked for by.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The model family that uses it.
    pub family: String,
    /// The network within the family.
    pub component: String,
    pub purpose: String,
    pub source: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The entry it is unpacked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Upstream's name.
    pub file: String,
    /// Other names the same file goes by.
    #[serde(default)]
    pub names: Vec<String>,
    /// Where it lies in the store, with `/`.
    pub place: String,
    /// Upstream first, then mirrors.
    #[serde(default)]
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether `bytes` is the published size to the byte.
    #[serde(default)]
    pub exact: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    pub licence: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_note: Option<String>,
    /// torch, pickle, npy, npz, safetensors, tflite, tar, yaml or data.
    pub format: String,
    /// The type the weights work in; none: there is no fast form of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// For an archive: which entries it holds, and where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unpacks: BTreeMap<String, String>,
    /// Tensors that tell this model from others; a trailing `*` stands for any ending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_at: Vec<Found>,
}

impl Entry {
    /// The published size, where it is known to the byte.
    pub fn exact_bytes(&self) -> Option<u64> {
        self.bytes.filter(|_| self.exact)
    }

    /// Every name the file goes by, upstream's first.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.file.as_str()).chain(self.names.iter().map(String::as_str))
    }

    /// Whether anything published can prove the bytes.
    pub fn has_hash(&self) -> bool {
        self.sha256.is_some() || self.prefix.is_some()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    version: u32,
    sets: BTreeMap<String, Vec<String>>,
    entries: Vec<Entry>,
}

/// All model files, by id, in the table's order.
#[derive(Debug)]
pub struct Manifest {
    entries: IndexMap<String, Entry>,
    sets: BTreeMap<String, Vec<String>>,
}

impl Manifest {
    /// The product's own table.
    pub fn built_in() -> Result<Arc<Self>, CacheError> {
        static PARSED: OnceLock<Result<Arc<Manifest>, CacheError>> = OnceLock::new();
        PARSED
            .get_or_init(|| Self::parse(BUILT_IN).map(Arc::new))
            .clone()
    }

    /// A table of one's own in the same form: private mirrors, own weights.
    pub fn read(path: &Path) -> Result<Arc<Self>, CacheError> {
        let bad = |why: String| {
            CacheError::new(
                INVALID_ARGUMENT,
                format!("the manifest {}: {why}", path.display()),
            )
        };
        let size = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?;
        if size.len() > MAX_MANIFEST {
            return Err(bad(format!("{} bytes are too many", size.len())));
        }
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        Self::parse(&text)
            .map(Arc::new)
            .map_err(|error| bad(error.message))
    }

    pub fn parse(text: &str) -> Result<Self, CacheError> {
        let bad = |why: String| CacheError::new(INVALID_ARGUMENT, why);
        let table: Table = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if table.version != 1 {
            return Err(bad(format!(
                "version {} of the table; this release reads 1",
                table.version
            )));
        }
        let mut entries = IndexMap::new();
        for entry in table.entries {
            check(&entry).map_err(|why| bad(format!("{}: {why}", entry.id)))?;
            if let Some(twice) = entries.insert(entry.id.clone(), entry) {
                return Err(bad(format!("{} is there twice", twice.id)));
            }
        }
        let manifest = Self {
            entries,
            sets: table.sets,
        };
        manifest.check_links().map_err(bad)?;
        Ok(manifest)
    }

    fn check_links(&self) -> Result<(), String> {
        let of_sets = self.sets.values().flatten();
        let of_archives = self.entries().flat_map(|entry| entry.unpacks.keys());
        let archives = self.entries().filter_map(|entry| entry.archive.as_ref());
        for id in of_sets.chain(of_archives).chain(archives) {
            if !self.entries.contains_key(id) {
                return Err(format!("{id} is named, but not in the table"));
            }
        }
        Ok(())
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry of that id or alias.
    pub fn entry(&self, name: &str) -> Result<&Entry, CacheError> {
        let found = self.entries.get(name).or_else(|| {
            let known_as = |entry: &&Entry| {
                entry.aliases.iter().any(|alias| alias == name)
                    || entry.id.eq_ignore_ascii_case(name)
                    || entry
                        .file_names()
                        .any(|file| file == name && file != "model.safetensors")
            };
            self.entries().find(known_as)
        });
        found.ok_or_else(|| self.unknown(name))
    }

    /// The entries of a set (a model family), or the one entry of that name.
    pub fn select(&self, name: &str) -> Result<Vec<&Entry>, CacheError> {
        match self.sets.get(name) {
            Some(ids) => ids.iter().map(|id| self.entry(id)).collect(),
            None => self.entry(name).map(|entry| vec![entry]),
        }
    }

    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.sets.keys().map(String::as_str)
    }

    fn unknown(&self, name: &str) -> CacheError {
        let near = self
            .entries
            .keys()
            .chain(self.sets.keys())
            .map(|id| (distance(&name.to_ascii_lowercase(), id), id))
            .min()
            .filter(|(far, id)| *far <= id.len() / 2);
        let hint = match near {
            Some((_, id)) => format!("; did you mean {id:?}?"),
            None => String::new(),
        };
        let all: Vec<_> = self.entries.keys().map(String::as_str).collect();
        CacheError::new(
            MODEL_UNKNOWN,
            format!(
                "there is no model file {name:?}{hint} There are: {}",
                all.join(", ")
            ),
        )
    }
}

/// What an entry must hold so that nothing else need ask.
fn check(entry: &Entry) -> Result<(), String> {
    let plain = |text: &str| {
        !text.is_empty()
            && Path::new(text)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
            && !text.contains('\\')
            && !text.contains(':')
    };
    if !plain(&entry.place) || !plain(&entry.file) || entry.file.contains('/') {
        return Err("file and place must be plain relative names".into());
    }
    let top = entry.place.split('/').next().unwrap_or("");
    // Those folders hold the ledger and libtorch.
    if top.starts_with('.') || top == "pose4d" {
        return Err(format!("the place {:?} is taken", entry.place));
    }
    let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if entry.id.is_empty() || !entry.id.chars().all(kebab) {
        return Err("an id is lower case letters, digits and hyphens".into());
    }
    let hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if entry
        .sha256
        .as_ref()
        .is_some_and(|h| h.len() != 64 || !hex(h))
    {
        return Err("sha256 is 64 lower case hexadecimal digits".into());
    }
    if entry
        .prefix
        .as_ref()
        .is_some_and(|p| p.hex.is_empty() || p.hex.len() > 64 || !hex(&p.hex))
    {
        return Err("a hash prefix is lower case hexadecimal".into());
    }
    let complete = match entry.source {
        Origin::Download => !entry.urls.is_empty(),
        Origin::Archive => entry.archive.is_some(),
        Origin::Package => entry.package.is_some(),
        Origin::User => entry.urls.is_empty(),
    };
    if !complete {
        return Err("the source does not fit its urls, archive or package".into());
    }
    Ok(())
}

/// Letters to change to get from one word to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(128).enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
