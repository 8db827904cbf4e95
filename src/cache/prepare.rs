//! Everything a model family needs: found or fetched, verified, unpacked, in its fast form.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::ensure::{self, Ensured, Means};
use super::error::{ABORTED, CacheError, LICENCE, MODEL_UNAVAILABLE, OFFLINE};
use super::fast::{self, FastForm};
use super::manifest::Entry;
use super::progress::Watch;
use super::sight::Sight;
use super::status;
use super::store::Store;
use super::turn;

#[derive(Clone, Debug, Default)]
pub struct PrepareOptions {
    /// Working type of the weights; each model's own by default.
    pub precision: Option<String>,
    /// Leave out the fast forms.
    pub originals_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    Ready,
    /// Not there, and not to be had without the user or the network.
    Missing,
    Failed,
}

/// How far one model file got.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prepared {
    pub id: String,
    pub component: String,
    pub status: Readiness,
    /// The file to load: the fast form where there is one.
    pub path: Option<PathBuf>,
    pub bytes: Option<u64>,
    /// Of the fast form.
    pub precision: Option<String>,
    pub source_path: Option<PathBuf>,
    pub origin: Option<String>,
    pub downloaded: bool,
    pub unpacked: bool,
    /// The fast form was written just now.
    pub converted: bool,
    pub seconds: f64,
    pub code: Option<&'static str>,
    pub problem: Option<String>,
}

/// Prepares the files of a model family (or single files), one after another.
///
/// A file that cannot be had is an answer among the others; only cancellation ends the work. What
/// is done stays done: the next call goes on from there.
pub fn prepare(
    store: &Store,
    names: &[String],
    options: &PrepareOptions,
    means: Means,
    watch: Watch,
) -> Result<Vec<Prepared>, CacheError> {
    let mut entries: Vec<&Entry> = Vec::new();
    for name in names {
        for entry in store.manifest().select(name)? {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    let mut report = Vec::with_capacity(entries.len());
    for entry in entries {
        watch.check()?;
        fast::dtype(entry, options.precision.as_deref())?;
        report.push(one(store, entry, options, means, watch)?);
    }
    Ok(report)
}

fn one(
    store: &Store,
    entry: &Entry,
    options: &PrepareOptions,
    means: Means,
    watch: Watch,
) -> Result<Prepared, CacheError> {
    let begun = Instant::now();
    let mut prepared = Prepared {
        id: entry.id.clone(),
        component: entry.component.clone(),
        status: Readiness::Ready,
        path: None,
        bytes: None,
        precision: None,
        source_path: None,
        origin: None,
        downloaded: false,
        unpacked: false,
        converted: false,
        seconds: 0.0,
        code: None,
        problem: None,
    };
    let mut result = attempt(store, entry, options, means, watch);
    for _ in 1..ensure::ATTEMPTS {
        match result {
            Err((_, Some(sight))) if sight.has_changed() => {
                result = attempt(store, entry, options, means, watch);
            }
            _ => break,
        }
    }
    match result {
        Ok((
            Ensured {
                sight,
                downloaded,
                unpacked,
            },
            form,
        )) => {
            prepared.downloaded = downloaded;
            prepared.unpacked = unpacked;
            prepared.converted = form.as_ref().is_some_and(|form| form.made);
            prepared.precision = form.as_ref().map(|form| form.precision.clone());
            prepared.bytes = form.as_ref().map(|form| form.bytes).or(sight.bytes);
            prepared.path = Some(form.map_or_else(|| sight.path.clone(), |form| form.path));
            prepared.source_path = Some(sight.path);
            prepared.origin = Some(sight.origin);
        }
        Err((error, _)) if error.code == ABORTED => return Err(error),
        Err((error, _)) => {
            let is_missing = matches!(error.code, OFFLINE | LICENCE | MODEL_UNAVAILABLE);
            prepared.status = if is_missing {
                Readiness::Missing
            } else {
                Readiness::Failed
            };
            prepared.code = Some(error.code);
            prepared.problem = Some(error.message);
        }
    }
    prepared.seconds = begun.elapsed().as_secs_f64();
    Ok(prepared)
}

/// The verified file and its fast form; a failure names the file it failed on, if it had one.
type Attempt = Result<(Ensured, Option<FastForm>), (CacheError, Option<Sight>)>;

fn attempt(
    store: &Store,
    entry: &Entry,
    options: &PrepareOptions,
    means: Means,
    watch: Watch,
) -> Attempt {
    let ensured = ensure::ensure(store, entry, means, watch).map_err(|error| (error, None))?;
    if options.originals_only {
        return Ok((ensured, None));
    }
    match fast_form(store, entry, &ensured, options.precision.as_deref(), watch) {
        Ok(form) => Ok((ensured, form)),
        Err(error) => Err((error, Some(ensured.sight))),
    }
}

/// The fast form, made if need be; none for files that have none.
fn fast_form(
    store: &Store,
    entry: &Entry,
    ensured: &Ensured,
    precision: Option<&str>,
    watch: Watch,
) -> Result<Option<FastForm>, CacheError> {
    let Some((precision, _)) = fast::dtype(entry, precision)? else {
        return Ok(None);
    };
    // A downloaded safetensors file in its working type is a fast form already.
    let own = status::extension(&ensured.sight.path);
    if own == "safetensors" && entry.precision.as_deref() == Some(precision) {
        return Ok(None);
    }
    if let Some(form) = fast::find(store, entry, &ensured.sight, precision) {
        return Ok(Some(form));
    }
    let _turn = turn::take(store, &format!("{}.{precision}", entry.id), watch)?;
    fast::ensure(store, entry, &ensured.sight, precision, watch).map(Some)
}
