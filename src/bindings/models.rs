//! The native half of `models`: the cache asked, filled and tidied, files inspected and converted.
//!
//! Options are read on the JS thread, so that mistakes are told at once; the work is a task.

use std::path::{Path, PathBuf};

use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::engine::NativeJob;
use super::error::{cache_to_js, to_js};
use super::fields::Fields;
use super::model_options::{self as options, Asked};
use super::task::{self, Task};
use super::value::Value;
use crate::cache::error::CacheError;
use crate::cache::manifest::{Manifest, Origin};
use crate::cache::progress::Progress;
use crate::cache::transfer::ImportOptions;
use crate::cache::{clear, info, status, transfer, verify};
use crate::checkpoint::inspect;
use crate::pipeline::error::INTERNAL;

type Tell<'a> = Function<'a, String, ()>;

/// As JSON, with ids under the name that callers know.
fn answer(value: impl Serialize) -> Result<Json, CacheError> {
    let failed = |error: serde_json::Error| {
        CacheError::new(INTERNAL, format!("the answer cannot be passed on: {error}"))
    };
    let mut json = serde_json::to_value(value).map_err(failed)?;
    match &mut json {
        Json::Array(list) => list.iter_mut().for_each(name),
        one => name(one),
    }
    Ok(json)
}

fn name(json: &mut Json) {
    if let Json::Object(fields) = json
        && let Some(id) = fields.remove("id")
    {
        fields.insert("name".into(), id);
    }
}

/// The model files that npm packages bring: `[{ name, package, file }]`.
#[napi(skip_typescript, catch_unwind)]
pub fn packaged_files() -> napi::Result<String> {
    let manifest = Manifest::built_in().map_err(cache_to_js)?;
    let files: Vec<_> = manifest
        .entries()
        .filter(|entry| entry.source == Origin::Package)
        .map(|entry| json!({ "name": entry.id, "package": entry.package, "file": entry.file }))
        .collect();
    Ok(Json::Array(files).to_string())
}

/// `models.list`.
#[napi(skip_typescript, catch_unwind)]
pub fn models_list(given: Value, options: Value) -> napi::Result<String> {
    let Asked { store, .. } = options::cache(given, options, &[])?;
    let models = answer(status::list(&store)).map_err(cache_to_js)?;
    Ok(models.to_string())
}

/// `models.status`.
#[napi(skip_typescript, catch_unwind)]
pub fn models_status(name: Value, given: Value, options: Value) -> napi::Result<String> {
    let name = options::text(name, "name")?;
    let Asked { store, .. } = options::cache(given, options, &[])?;
    let model = status::status(&store, &name).and_then(answer);
    model.map(|json| json.to_string()).map_err(cache_to_js)
}

/// `models.info`.
#[napi(skip_typescript, catch_unwind)]
pub fn models_info(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    given: Value,
    options: Value,
) -> napi::Result<()> {
    let Asked { store, fields, .. } = options::cache(given, options, &["detailed"])?;
    let detailed = options::flag(&fields, "detailed")?;
    task::spawn(env, job.control(), tell, listened, move |_| {
        answer(info::info(&store, detailed))
    })
}

/// `models.verify`.
#[napi(skip_typescript, catch_unwind)]
pub fn models_verify(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    names: Value,
    given: Value,
    options: Value,
) -> napi::Result<()> {
    let names = options::names(names)?.unwrap_or_default();
    let Asked { store, .. } = options::cache(given, options, &[])?;
    task::spawn(env, job.control(), tell, listened, move |task| {
        let files = task.watched(|watch| verify::verify(&store, &names, watch))?;
        let ok = files.iter().all(|file| file.ok);
        Ok(json!({ "ok": ok, "files": answer(files)? }))
    })
}

/// `models.clear`.
#[napi(skip_typescript, catch_unwind)]
pub fn models_clear(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    given: Value,
    options: Value,
) -> napi::Result<()> {
    let Asked { store, fields, .. } = options::cache(given, options, &["model", "confirm"])?;
    let model = fields.string("model").map_err(to_js)?;
    let confirm = options::flag(&fields, "confirm")?;
    task::spawn(env, job.control(), tell, listened, move |_| {
        answer(clear::clear(&store, model.as_deref(), confirm)?)
    })
}

/// `models.export`.
#[napi(skip_typescript, catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "they are the JS function's own, and the task's four"
)]
pub fn models_export(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    name: Value,
    path: Value,
    format: Value,
    given: Value,
    options: Value,
) -> napi::Result<()> {
    let name = options::text(name, "name")?;
    let path = PathBuf::from(options::text(path, "path")?);
    let format = options::optional_text(format, "format")?;
    let Asked { store, .. } = options::cache(given, options, &[])?;
    task::spawn(env, job.control(), tell, listened, move |task| {
        let format = format.as_deref();
        answer(task.watched(|watch| transfer::export(&store, &name, &path, format, watch))?)
    })
}

/// `models.import`.
#[napi(skip_typescript, catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "they are the JS function's own, and the task's four"
)]
pub fn models_import(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    path: Value,
    name: Value,
    given: Value,
    options: Value,
) -> napi::Result<()> {
    let path = PathBuf::from(options::text(path, "path")?);
    let name = options::text(name, "name")?;
    let Asked { store, fields, .. } = options::cache(given, options, &["force", "link"])?;
    let how = ImportOptions {
        link: options::flag(&fields, "link")?,
        force: options::flag(&fields, "force")?,
    };
    task::spawn(env, job.control(), tell, listened, move |task| {
        answer(task.watched(|watch| transfer::import(&store, &path, &name, how, watch))?)
    })
}

/// `models.convert`.
#[napi(skip_typescript, catch_unwind)]
#[allow(
    clippy::too_many_arguments,
    reason = "they are the JS function's own, and the task's four"
)]
pub fn models_convert(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    input: Value,
    output: Value,
    given: Value,
    options: Value,
) -> napi::Result<()> {
    let input = options::text(input, "input")?;
    let output = PathBuf::from(options::text(output, "output")?);
    let known = ["format", "dtype", "precision"];
    let Asked { store, fields, .. } = options::cache(given, options, &known)?;
    let format = fields.string("format").map_err(to_js)?;
    let dtype = options::dtype(&fields)?;
    task::spawn(env, job.control(), tell, listened, move |task| {
        let (format, dtype) = (format.as_deref(), dtype.as_deref());
        answer(task.watched(|watch| {
            transfer::convert(&store, &input, &output, format, dtype, watch)
        })?)
    })
}

/// `models.inspect`.
#[napi(skip_typescript, catch_unwind)]
pub fn inspect_file(
    env: &Env,
    job: &NativeJob,
    tell: Tell,
    listened: bool,
    file: Value,
    options: Value,
) -> napi::Result<()> {
    let path = PathBuf::from(options::text(file, "file")?);
    let fields = Fields::new("options", options, &["hashes"]).map_err(to_js)?;
    let hashes = fields.boolean("hashes").map_err(to_js)?;
    task::spawn(env, job.control(), tell, listened, move |task| {
        let name = file_name(&path);
        let mut progress = bytes_of(task, "inspect", &name);
        inspect::inspect(&path, hashes.unwrap_or(true), &mut progress).map_err(CacheError::from)
    })
}

/// Passes `(done, total)` in bytes on to the caller; false when the caller wants no more.
fn bytes_of<'a>(
    task: &'a Task,
    phase: &'static str,
    file: &'a str,
) -> impl FnMut(u64, u64) -> bool + 'a {
    move |loaded, total| {
        task.report(&Progress {
            phase,
            model: "",
            file,
            loaded,
            total: Some(total),
        });
        task.is_wanted()
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
