//! Files in and out of the cache: import, export, conversion.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::checkpoint::convert::{self, Target};
use crate::checkpoint::dtype::DType;
use crate::checkpoint::open;

use super::body;
use super::digest;
use super::drafting;
use super::error::{
    CACHE_IO, CacheError, INVALID_ARGUMENT, LICENCE, MODEL_CORRUPT, MODEL_FILE, MODEL_HOSTILE,
    MODEL_UNAVAILABLE,
};
use super::files::{self, Stamp};
use super::ledger::{How, Trust, Trusted, Wrong};
use super::lookup;
use super::manifest::{Entry, Origin};
use super::owner::Drafts;
use super::place;
use super::progress::{Progress, Watch};
use super::sight::Sight;
use super::status;
use super::store::Store;
use super::structure;

/// How a file is taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Keep the file where it is, and only a link to it in the cache.
    pub link: bool,
    /// Take it although the published file has another size or hash: the user's own weights.
    pub force: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    pub id: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
    /// It was written anew in the format the model is kept in.
    pub converted: bool,
    pub linked: bool,
    pub warnings: Vec<String>,
}

/// Takes `source` into the cache as the model file `name`, after a look at what is in it.
pub fn import(
    store: &Store,
    source: &Path,
    name: &str,
    options: ImportOptions,
    watch: Watch,
) -> Result<Imported, CacheError> {
    let entry = store.manifest().entry(name)?;
    if entry.source == Origin::Package {
        let package = entry.package.as_deref().unwrap_or("its npm package");
        let message = format!("{} comes with {package}; it is not imported", entry.id);
        return Err(CacheError::new(INVALID_ARGUMENT, message));
    }
    let source = source
        .canonicalize()
        .map_err(|error| cannot_read(entry, source, &error))?;
    check_contents(entry, &source)?;
    let hash = digest::of_file(&source, entry, watch)?;
    let converted = is_other_format(entry, &source)?;
    if let Some(why) = differs(entry, &hash).filter(|_| !converted && !options.force) {
        let message = format!(
            "{}: not the published {}: {why}. If these are weights of your own, import them with force",
            source.display(),
            entry.file
        );
        return Err(CacheError::new(MODEL_CORRUPT, message));
    }
    let dest = store.place(entry);
    if options.link && converted {
        let message = format!(
            "{} is kept as .{}; a file of another format is converted and cannot be linked",
            entry.id,
            status::extension(&dest)
        );
        return Err(CacheError::new(INVALID_ARGUMENT, message));
    }
    let sha256 = if source == dest.canonicalize().unwrap_or_default() {
        hash.sha256.clone()
    } else {
        take_in(
            entry,
            &source,
            &dest,
            &hash.sha256,
            converted,
            options.link,
            watch,
        )?
    };
    let forced = converted || options.force || differs(entry, &hash).is_some();
    let trust = match entry.sha256.as_deref() == Some(&sha256) {
        true => Trust::Published,
        false => Trust::Recorded,
    };
    let trusted = Trusted {
        forced,
        ..Trusted::new(&sha256, How::Import)
    };
    let bytes = store.ledger().trust(&entry.id, &dest, trusted, trust)?;
    let file_name = source
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let is_body = entry.component == "smpl";
    Ok(Imported {
        id: entry.id.clone(),
        path: dest,
        bytes,
        sha256,
        converted,
        linked: options.link,
        warnings: file_name
            .filter(|_| is_body)
            .and_then(|name| body::warning(&name))
            .into_iter()
            .collect(),
    })
}

fn cannot_read(entry: &Entry, path: &Path, error: &std::io::Error) -> CacheError {
    let path = path.display();
    if entry.source == Origin::User && error.kind() == std::io::ErrorKind::NotFound {
        let message = format!("{path} is not there. {}", body::HOW_TO_GET);
        return CacheError::new(LICENCE, message);
    }
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => MODEL_UNAVAILABLE,
        _ => CACHE_IO,
    };
    CacheError::new(code, format!("cannot read {path}: {error}"))
}

fn check_contents(entry: &Entry, source: &Path) -> Result<(), CacheError> {
    if !structure::can_open(entry) {
        return Ok(());
    }
    structure::check(source, entry).map_err(|fault| {
        let code = match fault.wrong {
            Wrong::Corrupt => MODEL_CORRUPT,
            Wrong::Hostile => MODEL_HOSTILE,
            Wrong::Different | Wrong::Unreadable => MODEL_FILE,
        };
        CacheError::new(code, format!("{}: {}", source.display(), fault.why))
    })
}

fn differs(entry: &Entry, hash: &digest::Digest) -> Option<String> {
    let expected = entry
        .exact_bytes()
        .filter(|bytes| *bytes != hash.stamp.bytes);
    let size = expected.map(|bytes| format!("{} bytes, expected {bytes}", hash.stamp.bytes));
    size.or_else(|| digest::compare(hash, entry)?.err())
}

/// Whether the file is of another format than the model is kept in, and can be converted.
fn is_other_format(entry: &Entry, source: &Path) -> Result<bool, CacheError> {
    use crate::checkpoint::checkpoint::Format;
    let kept_as = |format: Format| match entry.format.as_str() {
        "torch" => matches!(
            format,
            Format::TorchZip | Format::TorchLegacy | Format::TorchScript
        ),
        "pickle" => format == Format::Pickle,
        "safetensors" => format == Format::Safetensors,
        "npz" => format == Format::Npz,
        "npy" => format == Format::Npy,
        _ => true,
    };
    if !structure::can_open(entry) {
        return Ok(false);
    }
    let format = open::open(source)?.format();
    if kept_as(format) {
        return Ok(false);
    }
    match drafting::target_of(&entry.format) {
        Some(_) => Ok(true),
        None => Err(CacheError::new(
            MODEL_FILE,
            format!(
                "{}: expected a .{} file, found {format:?}",
                source.display(),
                entry.format
            ),
        )),
    }
}

/// Copies, converts or links `source` to `dest`; gives the hash of what then lies there.
fn take_in(
    entry: &Entry,
    source: &Path,
    dest: &Path,
    sha256: &str,
    converted: bool,
    link: bool,
    watch: Watch,
) -> Result<String, CacheError> {
    let (folder, name) = files::split(dest)?;
    let drafts = Drafts::create(folder)?;
    let draft = drafts.path(name);
    if link {
        link_to(source, &draft).map_err(|error| place::refusal(dest, &error))?;
        std::fs::rename(&draft, dest).map_err(|error| place::refusal(dest, &error))?;
        return Ok(sha256.to_string());
    }
    let written = if converted {
        let options = convert::Options {
            target: drafting::target_of(&entry.format),
            ..convert::Options::default()
        };
        drafting::convert(source, &draft, &options, entry, watch)?;
        digest::of_file(&draft, entry, watch)?.sha256
    } else {
        drafting::copy(source, &draft, entry, watch)?;
        sha256.to_string()
    };
    files::publish(&draft, dest)?;
    Ok(written)
}

#[cfg(unix)]
fn link_to(source: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(source, link)
}

#[cfg(windows)]
fn link_to(source: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(source, link)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exported {
    pub id: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
    pub converted: bool,
}

/// Writes the model file `name` to `dest` (a file, or a folder to put it in), in `format` (pt, pkl,
/// h5, safetensors) or as it is.
pub fn export(
    store: &Store,
    name: &str,
    dest: &Path,
    format: Option<&str>,
    watch: Watch,
) -> Result<Exported, CacheError> {
    let entry = store.manifest().entry(name)?;
    let sight = lookup::usable(store, entry)?;
    let own = status::extension(&sight.path);
    let asked = format.map(str::to_ascii_lowercase);
    let dest = if dest.is_dir() {
        let file = Path::new(&entry.file);
        match &asked {
            Some(format) if !drafting::same_format(format, &own) => {
                dest.join(file.with_extension(format))
            }
            _ => dest.join(file),
        }
    } else {
        dest.to_path_buf()
    };
    let asked = asked.unwrap_or_else(|| status::extension(&dest));
    let is_convertible = drafting::target_of(&entry.format).is_some() || entry.precision.is_some();
    let converted = is_convertible && !drafting::same_format(&asked, &own);
    let target = Target::from_extension(&asked);
    if converted && target.is_none() || !is_convertible && !drafting::same_format(&asked, &own) {
        let message = format!(
            "cannot write {} as {asked:?}; formats: pt, pkl, h5, safetensors",
            entry.id
        );
        return Err(CacheError::new(INVALID_ARGUMENT, message));
    }
    let real = sight.real.as_deref().unwrap_or(&sight.path);
    if dest.canonicalize().is_ok_and(|dest| dest == real) {
        let message = format!("{} is the model file itself", dest.display());
        return Err(CacheError::new(INVALID_ARGUMENT, message));
    }
    let (folder, file_name) = files::split(&dest)?;
    let drafts = Drafts::create(folder)?;
    let draft = drafts.path(file_name);
    let sha256 = if converted {
        let options = convert::Options {
            target,
            ..convert::Options::default()
        };
        drafting::convert(real, &draft, &options, entry, watch)?;
        digest::of_file(&draft, entry, watch)?.sha256
    } else {
        let sha256 = drafting::copy(real, &draft, entry, watch)?;
        check_copy(store, entry, &sight, &sha256)?;
        sha256
    };
    files::publish(&draft, &dest)?;
    Ok(Exported {
        id: entry.id.clone(),
        bytes: Stamp::at(&dest)
            .map_err(|error| place::refusal(&dest, &error))?
            .bytes,
        path: dest,
        sha256,
        converted,
    })
}

/// A copy of bytes that are known to be wrong is not handed out as the model.
fn check_copy(store: &Store, entry: &Entry, sight: &Sight, sha256: &str) -> Result<(), CacheError> {
    let record = sight
        .real
        .as_ref()
        .map(|real| store.ledger().read(&entry.id, real));
    let trusted = record.and_then(|record| record.trusted);
    let published = entry.sha256.as_ref().filter(|_| !sight.repacked);
    let expected = match &trusted {
        Some(trusted) => Some(&trusted.sha256),
        None => published,
    };
    match expected.filter(|expected| *expected != sha256) {
        None => Ok(()),
        Some(expected) => {
            let path = sight.path.display();
            let message =
                format!("{path} is damaged: its SHA-256 is {sha256}, expected {expected}");
            Err(CacheError::new(MODEL_CORRUPT, message))
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Converted {
    pub input: PathBuf,
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
}

/// Writes a file of weights (a path, or a model's name) in another format or precision.
pub fn convert(
    store: &Store,
    input: &str,
    dest: &Path,
    format: Option<&str>,
    precision: Option<&str>,
    watch: Watch,
) -> Result<Converted, CacheError> {
    let invalid = |message: String| CacheError::new(INVALID_ARGUMENT, message);
    let (path, label) = match store.manifest().entry(input) {
        Ok(entry) if !Path::new(input).exists() => {
            let sight = lookup::usable(store, entry)?;
            (sight.real.unwrap_or(sight.path), entry.id.clone())
        }
        _ => (PathBuf::from(input), input.to_string()),
    };
    let target = format
        .map(|format| {
            Target::from_extension(format).ok_or_else(|| {
                invalid(format!(
                    "format {format:?}; expected pt, pkl, h5 or safetensors"
                ))
            })
        })
        .transpose()?;
    let dtype = precision
        .map(|name| {
            DType::from_name(name)
                .filter(|dtype| dtype.is_float())
                .ok_or_else(|| {
                    invalid(format!(
                        "precision {name:?}; expected fp32, bf16, fp16 or float64"
                    ))
                })
        })
        .transpose()?;
    let target = target.or_else(|| Target::from_extension(&status::extension(dest)));
    if target.is_none() {
        let dest = dest.display();
        return Err(invalid(format!(
            "{dest}: cannot tell the format; end it in .pt, .pkl, .h5 or .safetensors"
        )));
    }
    let options = convert::Options {
        target,
        dtype,
        metadata: Vec::new(),
    };
    let (folder, name) = files::split(dest)?;
    let drafts = Drafts::create(folder)?;
    let draft = drafts.path(name);
    let mut step = |loaded: u64, total: u64| {
        let total = Some(total);
        let file = name;
        let phase = "convert";
        watch.step(&Progress {
            phase,
            model: &label,
            file,
            loaded,
            total,
        })
    };
    convert::convert(&path, &draft, &options, &mut step)?;
    files::publish(&draft, dest)?;
    let bytes = Stamp::at(dest)
        .map_err(|error| place::refusal(dest, &error))?
        .bytes;
    let mut hash = Sha256::new();
    let mut file = File::open(dest).map_err(|error| place::refusal(dest, &error))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        watch.check()?;
        match file
            .read(&mut piece)
            .map_err(|error| place::refusal(dest, &error))?
        {
            0 => break,
            n => hash.update(&piece[..n]),
        }
    }
    Ok(Converted {
        input: path,
        path: dest.to_path_buf(),
        bytes,
        sha256: digest::hex(&hash.finalize()),
    })
}
