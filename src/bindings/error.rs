//! Engine errors as napi errors. The code travels in front of the message, because a rejected
//! promise carries nothing else; `lib/errors.cjs` takes it apart again.

use napi::Status;

use crate::pipeline::error::EngineError;

pub fn to_js(error: EngineError) -> napi::Error {
    napi::Error::new(
        Status::GenericFailure,
        format!("{}: {}", error.code, error.message),
    )
}
