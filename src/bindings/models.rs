//! The native half of `models`: files inspected and converted, the cache listed and filled.

use std::path::PathBuf;

use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;

use super::engine::NativeJob;
use super::error::to_js;
use super::fields::Fields;
use super::task::{self, Task};
use super::value::Value;
use crate::cache::error::CacheError;
use crate::cache::progress::Progress;
use crate::checkpoint::inspect;
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT};

/// A string that is not empty, such as a path or a name.
fn text(value: Value, what: &str) -> napi::Result<String> {
    value
        .string()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            let got = value.describe();
            let message = format!("{what} must be a string that is not empty, but is {got}");
            to_js(EngineError::new(INVALID_ARGUMENT, message))
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

fn file_name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// `models.inspect`.
#[napi(skip_typescript, catch_unwind)]
pub fn inspect_file(
    env: &Env,
    job: &NativeJob,
    tell: Function<'_, String, ()>,
    listened: bool,
    file: Value,
    options: Value,
) -> napi::Result<()> {
    let path = PathBuf::from(text(file, "file")?);
    let fields = Fields::new("options", options, &["hashes"]).map_err(to_js)?;
    let hashes = fields.boolean("hashes").map_err(to_js)?.unwrap_or(true);
    task::spawn(env, job.control(), tell, listened, move |task| {
        let name = file_name(&path);
        let mut progress = bytes_of(task, "inspect", &name);
        inspect::inspect(&path, hashes, &mut progress).map_err(CacheError::from)
    })
}
