//! Errors of the floors below as napi errors. The code travels in front of the message, because a
//! rejected promise carries nothing else; `lib/errors.cjs` takes it apart again.

use napi::Status;

use crate::cache::error::CacheError;
use crate::pipeline::error::EngineError;

pub fn to_js(error: EngineError) -> napi::Error {
    napi::Error::new(Status::GenericFailure, coded(error.code, error.message))
}

pub fn cache_to_js(error: CacheError) -> napi::Error {
    napi::Error::new(Status::GenericFailure, coded(error.code, error.message))
}

pub fn coded(code: &str, message: impl std::fmt::Display) -> String {
    format!("{code}: {message}")
}
