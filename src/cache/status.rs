//! What is there of each model file, where, in which formats, and what to do when it is not usable.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::body;
use super::discover::Root;
use super::error::CacheError;
use super::fast;
use super::ledger::{Trust, Wrong};
use super::manifest::{Entry, Origin};
use super::sight::{Sight, State};
use super::store::Store;

/// A form of a model that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Form {
    /// The file's extension.
    pub format: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// For a fast form: `fp32`, `bf16` or `fp16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
}

/// All that is known of one model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    #[serde(flatten)]
    pub entry: Entry,
    /// The entry's id, under the name it has always had.
    pub name: String,
    /// Whether there is a file that can be used.
    pub available: bool,
    pub state: Overall,
    pub path: Option<PathBuf>,
    pub real_path: Option<PathBuf>,
    pub origin: Option<String>,
    /// Size of the file found; the published one is `expectedBytes`.
    pub bytes: Option<u64>,
    pub expected_bytes: Option<u64>,
    pub trust: Option<Trust>,
    pub formats: Vec<Form>,
    /// What is wrong, when it is not available.
    pub problem: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Other files found that may be this model.
    pub others: Vec<Sight>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    Missing,
    /// Every byte was looked at.
    Verified,
    /// It has the right size, or can be read.
    Unverified,
    Corrupt,
    Different,
    Unreadable,
    Hostile,
}

/// Every model file of the table.
pub fn list(store: &Store) -> Vec<Status> {
    let roots = store.roots();
    let entries = store.manifest().entries();
    entries.map(|entry| of(store, entry, &roots)).collect()
}

/// The model files that the names mean: ids, aliases, or whole sets.
pub fn of_names(store: &Store, names: &[String]) -> Result<Vec<Status>, CacheError> {
    let mut entries: Vec<&Entry> = Vec::new();
    for name in names {
        for entry in store.manifest().select(name)? {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    let roots = store.roots();
    Ok(entries
        .into_iter()
        .map(|entry| of(store, entry, &roots))
        .collect())
}

/// One model file, by id or alias.
pub fn status(store: &Store, name: &str) -> Result<Status, CacheError> {
    let entry = store.manifest().entry(name)?;
    Ok(of(store, entry, &store.roots()))
}

fn of(store: &Store, entry: &Entry, roots: &[Root]) -> Status {
    let mut sights = store.sights(entry, roots).into_iter();
    let first = sights.next();
    let (state, trust, problem) = match first.as_ref().map(|sight| &sight.state) {
        None => (Overall::Missing, None, Some(missing(store, entry))),
        Some(State::Verified { trust }) => (Overall::Verified, Some(*trust), None),
        Some(State::Unverified) => (Overall::Unverified, None, None),
        Some(State::Faulty { wrong, why }) => (of_fault(*wrong), None, Some(why.clone())),
    };
    let usable = first.as_ref().filter(|sight| sight.is_usable());
    let remedy = problem.is_some().then(|| remedy(entry, first.as_ref()));
    Status {
        name: entry.id.clone(),
        available: usable.is_some(),
        state,
        path: first.as_ref().map(|sight| sight.path.clone()),
        real_path: first.as_ref().and_then(|sight| sight.real.clone()),
        origin: first.as_ref().map(|sight| sight.origin.clone()),
        bytes: first.as_ref().and_then(|sight| sight.bytes),
        expected_bytes: entry.bytes,
        trust,
        formats: usable.map_or_else(Vec::new, |sight| forms(store, entry, sight)),
        problem,
        remedy,
        others: sights.collect(),
        entry: Entry {
            bytes: None,
            ..entry.clone()
        },
    }
}

fn of_fault(wrong: Wrong) -> Overall {
    match wrong {
        Wrong::Corrupt => Overall::Corrupt,
        Wrong::Different => Overall::Different,
        Wrong::Unreadable => Overall::Unreadable,
        Wrong::Hostile => Overall::Hostile,
    }
}

fn missing(store: &Store, entry: &Entry) -> String {
    match store.given().get(&entry.id) {
        Some(path) => format!("{} is not there", path.display()),
        None => format!("{} was not found", entry.file),
    }
}

/// What to do about a file that cannot be used.
pub fn remedy(entry: &Entry, sight: Option<&Sight>) -> String {
    let elsewhere = sight.filter(|sight| !sight.is_ours());
    let keep = elsewhere.map_or_else(String::new, |sight| {
        format!(" ({} is left as it is)", sight.path.display())
    });
    match entry.source {
        Origin::Package => {
            let package = entry.package.as_deref().unwrap_or("pose4d");
            format!(
                "it is part of the npm package {package}, a dependency of pose4d: run npm install"
            )
        }
        Origin::User => body::HOW_TO_GET.to_string(),
        Origin::Download | Origin::Archive => {
            let id = entry.archive.as_ref().unwrap_or(&entry.id);
            format!("run `npx pose4d models download {id}` to fetch it{keep}")
        }
    }
}

/// The original and its fast forms.
pub fn forms(store: &Store, entry: &Entry, sight: &Sight) -> Vec<Form> {
    let mut forms = vec![Form {
        format: extension(&sight.path),
        path: sight.path.clone(),
        bytes: sight.bytes.unwrap_or(0),
        precision: None,
    }];
    for precision in fast::PRECISIONS {
        if let Some(form) = fast::find(store, entry, sight, precision) {
            forms.push(Form {
                format: "safetensors".into(),
                path: form.path,
                bytes: form.bytes,
                precision: Some(form.precision),
            });
        }
    }
    forms
}

/// A file's extension in lower case; `tar.gz` counts as one.
pub fn extension(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase());
    let name = name.unwrap_or_default();
    if name.ends_with(".tar.gz") {
        return "tar.gz".into();
    }
    name.rsplit_once('.')
        .map_or_else(String::new, |(_, end)| end.to_string())
}
