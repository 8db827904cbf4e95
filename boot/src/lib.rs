//! The addon that is loaded first: it opens libtorch, so that the main addon finds it already in the process.

#![cfg_attr(
    test,
    allow(dead_code, reason = "in test builds #[napi] exports nothing")
)]

mod open;
mod plan;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use napi::{Error, Result, Status};
use napi_derive::{module_init, napi};

/// Compiled oneDNN kernels kept per process. The library's own default (1024) looks like a leak
/// when shapes change from frame to frame.
const ONEDNN_CACHE: (&str, &str) = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64");

/// One library that was opened, or was not.
#[napi(object)]
#[derive(Clone)]
pub struct PreloadStep {
    /// Absolute path of the library.
    pub path: String,
    /// Time taken, milliseconds.
    pub ms: f64,
    /// The dynamic linker's own words; absent: it was opened.
    pub error: Option<String>,
}

/// What `preload` did.
#[napi(object)]
#[derive(Clone)]
pub struct PreloadReport {
    /// The folder of the libraries.
    pub dir: String,
    pub steps: Vec<PreloadStep>,
    /// Whether libtorch's CUDA half is in the process now.
    pub cuda: bool,
}

#[napi(object)]
pub struct PreloadOptions {
    /// Open libtorch's CUDA half too, where it lies beside the rest and a driver answers.
    /// @default true
    pub cuda: Option<bool>,
}

static DONE: Mutex<Option<PreloadReport>> = Mutex::new(None);

/// Opens the libtorch in `dir` (its `lib` folder) for the whole process. Later calls, from any
/// thread, answer with the first one's report: a process holds one libtorch.
#[napi(catch_unwind)]
pub fn preload(dir: String, options: Option<PreloadOptions>) -> Result<PreloadReport> {
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(report) = done.as_ref() {
        return Ok(report.clone());
    }
    let want_cuda = options.and_then(|given| given.cuda).unwrap_or(true);
    if std::env::var_os(ONEDNN_CACHE.0).is_none() {
        // SAFETY: under the lock, before libtorch starts its threads; JavaScript's own
        // `process.env` in a worker thread is a copy that native code never sees.
        unsafe { std::env::set_var(ONEDNN_CACHE.0, ONEDNN_CACHE.1) };
    }
    let lib_dir = Path::new(&dir);
    let mut opened = open::Opened::default();
    let needed =
        plan::cpu_libraries(lib_dir).map_err(|error| Error::new(Status::GenericFailure, error))?;
    for library in needed {
        if let Err(error) = opened.open(&library, lib_dir) {
            return Err(Error::new(
                Status::GenericFailure,
                format!("{}: {error}", library.display()),
            ));
        }
    }
    let cuda = want_cuda && open_cuda(lib_dir, &mut opened);
    let report = PreloadReport {
        dir: dir.clone(),
        steps: opened.into_steps(),
        cuda,
    };
    *done = Some(report.clone());
    Ok(report)
}

/// A failure here is recorded and the CPU goes on: a broken CUDA install must not take photos away.
fn open_cuda(lib_dir: &Path, opened: &mut open::Opened) -> bool {
    let libraries = plan::cuda_libraries(lib_dir);
    if libraries.is_empty() || opened.open(Path::new(plan::CUDA_DRIVER), lib_dir).is_err() {
        return false;
    }
    libraries
        .iter()
        .all(|library| opened.open(library, lib_dir).is_ok())
}

/// Opens the addon at `path` for good: a worker thread that ends can then never unmap code that
/// another thread is running.
#[napi(catch_unwind)]
pub fn pin(path: String) -> Result<()> {
    open::pin(Path::new(&path))
        .map_err(|error| Error::new(Status::GenericFailure, format!("{path}: {error}")))
}

#[module_init]
fn pin_self() {
    open::pin_containing(pin_self as *const () as *const core::ffi::c_void);
}
