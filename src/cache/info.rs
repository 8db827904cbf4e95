//! How much the cache holds, per model and format: what the old manager reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::discover;
use super::fast;
use super::files;
use super::manifest::Entry;
use super::owner;
use super::place;
use super::status;
use super::store::Store;

const MEGABYTE: f64 = 1024.0 * 1024.0;
/// Above either, the old manager called a cache large or cluttered.
const LARGE_MB: f64 = 5000.0;
const CLUTTERED_FILES: usize = 50;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    pub size_mb: f64,
    pub bytes: u64,
    pub path: PathBuf,
    /// ISO 8601, UTC.
    pub last_modified: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// By extension; several files of one extension are numbered: `pt`, `pt (2)`.
    pub formats: BTreeMap<String, FileInfo>,
    pub total_size_mb: f64,
    pub last_modified: String,
    /// A file of no model of ours.
    pub unknown: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sized {
    pub name: String,
    pub size_mb: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    Good,
    Large,
    Cluttered,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub total_models: usize,
    pub total_size_mb: f64,
    pub total_files: usize,
    pub formats: BTreeMap<String, usize>,
    pub average_model_size_mb: f64,
    pub largest_model: Option<Sized>,
    pub smallest_model: Option<Sized>,
    pub cache_health: Health,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    pub cache_dir: PathBuf,
    /// What lies in the cache folder, by model.
    pub models: BTreeMap<String, ModelInfo>,
    pub total_size_mb: f64,
    pub total_files: usize,
    /// Files per extension.
    pub formats: BTreeMap<String, usize>,
    pub cache_health: Health,
    /// Models used where other tools put them, by model; not counted above. With `detailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<BTreeMap<String, ModelInfo>>,
    /// With `detailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
}

/// Counts what lies in the cache folder; `detailed` adds statistics and what lies elsewhere.
pub fn info(store: &Store, detailed: bool) -> Info {
    let mut models: BTreeMap<String, ModelInfo> = BTreeMap::new();
    let mut formats: BTreeMap<String, usize> = ["h5", "onnx", "pkl", "pt"]
        .map(|format| (format.to_string(), 0))
        .into();
    let mut total_files = 0;
    for path in contents(store.root()) {
        let Some(file) = describe(&path) else {
            continue;
        };
        *formats.entry(status::extension(&path)).or_default() += 1;
        total_files += 1;
        let (name, unknown) = model_of(store, &path);
        let model = models.entry(name).or_default();
        model.unknown = unknown;
        add(model, file);
    }
    let total_size_mb = models.values().map(|model| model.total_size_mb).sum();
    let cache_health = if total_size_mb > LARGE_MB {
        Health::Large
    } else if total_files > CLUTTERED_FILES {
        Health::Cluttered
    } else {
        Health::Good
    };
    Info {
        cache_dir: store.root().to_path_buf(),
        stats: detailed.then(|| stats(&models, &formats, total_files, cache_health)),
        found: detailed.then(|| found(store)),
        models,
        total_size_mb,
        total_files,
        formats,
        cache_health,
    }
}

/// Every file of the cache but our records, drafts and libtorch.
pub fn contents(root: &Path) -> Vec<PathBuf> {
    let enter = |folder: &Path| {
        let is_top = folder.parent() == Some(root);
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let is_set_apart = is_top && (name == place::OWN || name == "pose4d");
        !is_set_apart && owner::draft(folder).is_none()
    };
    files::walk(root, &enter).unwrap_or_default()
}

/// The model a file of the cache belongs to: by its place, its name, or what it says itself.
pub fn entry_of<'a>(store: &'a Store, path: &Path) -> Option<&'a Entry> {
    let below = path.strip_prefix(store.root()).ok()?;
    let at_place = |entry: &&Entry| Path::new(&entry.place) == below;
    if let Some(entry) = store.manifest().entries().find(at_place) {
        return Some(entry);
    }
    if let Some(entry) = below.to_str().and_then(|name| {
        let mut entries = store.manifest().entries();
        entries.find(|entry| discover::plain_names(entry).any(|own| own == name))
    }) {
        return Some(entry);
    }
    let mut entries = store.manifest().entries();
    if let Some(entry) = entries.find(|entry| fast::is_form_of(store, entry, path)) {
        return Some(entry);
    }
    None
}

fn model_of(store: &Store, path: &Path) -> (String, bool) {
    match entry_of(store, path) {
        Some(entry) => (entry.id.clone(), false),
        None => {
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            (stem.unwrap_or_default(), true)
        }
    }
}

fn describe(path: &Path) -> Option<FileInfo> {
    let data = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    let modified = data.modified().unwrap_or(UNIX_EPOCH);
    Some(FileInfo {
        size_mb: data.len() as f64 / MEGABYTE,
        bytes: data.len(),
        path: path.to_path_buf(),
        last_modified: iso(modified),
    })
}

fn add(model: &mut ModelInfo, file: FileInfo) {
    let format = status::extension(&file.path);
    let mut name = format.clone();
    let mut number = 2;
    while model.formats.contains_key(&name) {
        name = format!("{format} ({number})");
        number += 1;
    }
    model.total_size_mb += file.size_mb;
    // ISO times sort as text.
    if file.last_modified > model.last_modified {
        model.last_modified.clone_from(&file.last_modified);
    }
    model.formats.insert(name, file);
}

fn stats(
    models: &BTreeMap<String, ModelInfo>,
    formats: &BTreeMap<String, usize>,
    total_files: usize,
    cache_health: Health,
) -> Stats {
    let total_size_mb: f64 = models.values().map(|model| model.total_size_mb).sum();
    let sizes = || {
        models
            .iter()
            .map(|(name, model)| (name, model.total_size_mb))
    };
    let sized = |(name, size_mb): (&String, f64)| Sized {
        name: name.clone(),
        size_mb,
    };
    Stats {
        total_models: models.len(),
        total_size_mb,
        total_files,
        formats: formats.clone(),
        average_model_size_mb: total_size_mb / models.len().max(1) as f64,
        largest_model: sizes().max_by(|a, b| a.1.total_cmp(&b.1)).map(sized),
        smallest_model: sizes().min_by(|a, b| a.1.total_cmp(&b.1)).map(sized),
        cache_health,
    }
}

/// Models that are used from other tools' folders.
fn found(store: &Store) -> BTreeMap<String, ModelInfo> {
    let roots = store.roots();
    let mut found: BTreeMap<String, ModelInfo> = BTreeMap::new();
    for entry in store.manifest().entries() {
        let best = store.best(entry, &roots).filter(|sight| !sight.is_ours());
        if let Some(file) = best.and_then(|sight| describe(&sight.path)) {
            add(found.entry(entry.id.clone()).or_default(), file);
        }
    }
    found
}

/// ISO 8601 in UTC, to the second.
fn iso(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Gregorian calendar, counted in eras of 400 years from 1 March of year 0.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            let at = UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            assert_eq!(iso(at), text);
        }
    }
}
