//! The fast form: a model written once as safetensors in its working type, opened by memory map.
//!
//! Its header says from which bytes it was made (SHA-256 and size of the original), in which type
//! and by which version of this format; what does not fit the original any more is made anew.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::checkpoint::convert::{self, Target};
use crate::checkpoint::dtype::DType;

use super::digest;
use super::drafting;
use super::error::{CacheError, INVALID_ARGUMENT, MODEL_CORRUPT, MODEL_UNAVAILABLE};
use super::files::{self, Stamp};
use super::ledger::{How, Trust, Trusted, Verdict};
use super::manifest::Entry;
use super::owner::Drafts;
use super::place;
use super::progress::Watch;
use super::sight::Sight;
use super::store::Store;
use super::verify;

/// Changes whenever a fast form of before must not be used any more.
const VERSION: &str = "1";
/// Longest header of a fast form: names and places of its tensors.
const MAX_HEADER: u64 = 100_000_000;

/// The working types that a model can be kept in.
pub const PRECISIONS: [&str; 3] = ["fp32", "bf16", "fp16"];

/// A fast form that fits its original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FastForm {
    pub id: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub precision: String,
    /// SHA-256 of the original.
    pub source_sha256: String,
    /// False when it was there already.
    pub made: bool,
}

/// The type called `precision`: the caller's, else the manifest's.
pub fn dtype<'a>(
    entry: &'a Entry,
    precision: Option<&'a str>,
) -> Result<Option<(&'a str, DType)>, CacheError> {
    let Some(working) = entry.precision.as_deref() else {
        return Ok(None);
    };
    let name = precision.unwrap_or(working);
    let known = PRECISIONS
        .contains(&name)
        .then(|| DType::from_name(name))
        .flatten();
    known.map(|dtype| Some((name, dtype))).ok_or_else(|| {
        CacheError::new(
            INVALID_ARGUMENT,
            format!(
                "precision {name:?}; expected one of {}",
                PRECISIONS.join(", ")
            ),
        )
    })
}

/// Where the fast form of a file lies: beside it in a folder of ours, else in our own.
pub fn path(store: &Store, entry: &Entry, sight: &Sight, precision: &str) -> PathBuf {
    let beside = sight.path.parent().filter(|_| {
        sight.is_ours() && files::is_inside(store.root(), &sight.path).unwrap_or(false)
    });
    match (
        beside,
        sight.path.file_stem().and_then(|stem| stem.to_str()),
    ) {
        (Some(folder), Some(stem)) => folder.join(format!("{stem}.{precision}.safetensors")),
        _ => store
            .root()
            .join("fast")
            .join(format!("{}.{precision}.safetensors", entry.id)),
    }
}

/// The fast form of `sight`, if it is there, whole, and made from these bytes.
pub fn find(store: &Store, entry: &Entry, sight: &Sight, precision: &str) -> Option<FastForm> {
    let sha256 = source_hash(store, entry, sight)?;
    let path = path(store, entry, sight, precision);
    let stamp = Stamp::at(&path).ok()?;
    let metadata = read_metadata(&path)?;
    let fits = metadata == metadata_of(entry, sight.bytes?, &sha256, precision);
    let record = store.ledger().read(&entry.id, &path.canonicalize().ok()?);
    let known_bad = |seen: &super::ledger::Seen| matches!(seen.verdict, Verdict::Faulty { .. });
    if !fits || record.current(stamp).is_some_and(known_bad) {
        return None;
    }
    Some(FastForm {
        id: entry.id.clone(),
        path,
        bytes: stamp.bytes,
        precision: precision.to_string(),
        source_sha256: sha256,
        made: false,
    })
}

/// The original's hash, if it was taken and the file is still the same.
fn source_hash(store: &Store, entry: &Entry, sight: &Sight) -> Option<String> {
    let record = store.ledger().read(&entry.id, sight.real.as_ref()?);
    record.hash(sight.stamp?).map(str::to_string)
}

/// The fast form of `sight`: the one there, or a new one.
///
/// Safe with many processes: each writes a draft of its own, and whichever ends last replaces an
/// equal file.
pub fn ensure(
    store: &Store,
    entry: &Entry,
    sight: &Sight,
    precision: &str,
    watch: Watch,
) -> Result<FastForm, CacheError> {
    let Some((precision, dtype)) = dtype(entry, Some(precision))? else {
        let message = format!(
            "{}: there is no fast form of a {} file",
            entry.id, entry.format
        );
        return Err(CacheError::new(INVALID_ARGUMENT, message));
    };
    if let Some(form) = find(store, entry, sight, precision) {
        return Ok(form);
    }
    let sha256 = match source_hash(store, entry, sight) {
        Some(sha256) => sha256,
        None => hash_source(store, entry, sight, watch)?,
    };
    let (Some(source), Some(bytes)) = (&sight.real, sight.bytes) else {
        let message = format!("{} cannot be read", sight.path.display());
        return Err(CacheError::new(MODEL_UNAVAILABLE, message));
    };
    let path = path(store, entry, sight, precision);
    let (folder, name) = files::split(&path)?;
    place::create(folder)?;
    // At most what the original has: no type is wider than the one it is kept in upstream.
    place::check_room(folder, bytes, &format!("the fast form of {}", entry.id))?;
    let drafts = Drafts::create(folder)?;
    let draft = drafts.path(name);
    let metadata = metadata_of(entry, bytes, &sha256, precision);
    let options = convert::Options {
        target: Some(Target::Safetensors),
        dtype: Some(dtype),
        metadata: metadata.into_iter().collect(),
    };
    drafting::convert(source, &draft, &options, entry, watch)?;
    let written = digest::of_file(&draft, entry, watch)?;
    if Stamp::at(source).ok() != sight.stamp {
        let message = format!(
            "{} changed while it was converted; try again",
            source.display()
        );
        return Err(CacheError::new(MODEL_CORRUPT, message));
    }
    files::publish(&draft, &path)?;
    let trusted = Trusted::new(&written.sha256, How::Convert);
    store
        .ledger()
        .trust(&entry.id, &path, trusted, Trust::Recorded)?;
    Ok(FastForm {
        id: entry.id.clone(),
        path,
        bytes: written.stamp.bytes,
        precision: precision.to_string(),
        source_sha256: sha256,
        made: true,
    })
}

fn hash_source(
    store: &Store,
    entry: &Entry,
    sight: &Sight,
    watch: Watch,
) -> Result<String, CacheError> {
    let verified = verify::one(store, entry, sight, watch)?;
    match verified.sha256.filter(|_| verified.ok) {
        Some(sha256) => Ok(sha256),
        None => {
            let why = verified.problem.unwrap_or_default();
            let message = format!("{}: {why}", sight.path.display());
            Err(CacheError::new(MODEL_CORRUPT, message))
        }
    }
}

fn metadata_of(
    entry: &Entry,
    bytes: u64,
    sha256: &str,
    precision: &str,
) -> BTreeMap<String, String> {
    [
        ("pose4d.version", VERSION.to_string()),
        ("pose4d.id", entry.id.clone()),
        ("pose4d.precision", precision.to_string()),
        ("pose4d.source.sha256", sha256.to_string()),
        ("pose4d.source.bytes", bytes.to_string()),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

/// Our entries of a safetensors file's metadata; none when the file is not whole.
pub fn read_metadata(path: &Path) -> Option<BTreeMap<String, String>> {
    let mut file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length.checked_add(8)? > bytes {
        return None;
    }
    let mut header = vec![0; usize::try_from(length).ok()?];
    file.read_exact(&mut header).ok()?;
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header).ok()?;
    let end = |value: &serde_json::Value| value.get("data_offsets")?.get(1)?.as_u64();
    let data = header.values().filter_map(end).max().unwrap_or(0);
    if length.checked_add(8)?.checked_add(data)? != bytes {
        return None;
    }
    let metadata = header.get("__metadata__")?.as_object()?;
    let own = |(key, value): (&String, &serde_json::Value)| {
        let value = value.as_str()?.to_string();
        key.starts_with("pose4d.").then(|| (key.clone(), value))
    };
    Some(metadata.iter().filter_map(own).collect())
}

/// Whether `path`, a file of the cache, has the name of a fast form of `entry`.
pub fn is_form_of(store: &Store, entry: &Entry, path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let folder = path.parent();
    let own = Path::new(&entry.place);
    let beside_place = folder == store.place(entry).parent();
    let stems = |beside: bool| {
        let names = std::iter::once(entry.place.as_str()).chain(entry.file_names());
        names
            .filter(move |_| beside)
            .filter_map(|name| Path::new(name).file_stem()?.to_str())
            .collect::<Vec<_>>()
    };
    PRECISIONS.iter().any(|precision| {
        let end = format!(".{precision}.safetensors");
        let Some(stem) = name.strip_suffix(&end) else {
            return false;
        };
        let in_own_folder = folder == Some(&store.root().join("fast")) && stem == entry.id;
        let side_by_side = stems(beside_place || folder == Some(store.root())).contains(&stem);
        (in_own_folder || side_by_side) && own.file_name() != path.file_name()
    })
}

/// Whether a file is a fast form, of which entry, and made from which hash.
pub fn describe(path: &Path) -> Option<(String, String)> {
    let metadata = read_metadata(path)?;
    Some((
        metadata.get("pose4d.id")?.clone(),
        metadata.get("pose4d.source.sha256")?.clone(),
    ))
}
