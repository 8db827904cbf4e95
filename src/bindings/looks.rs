//! Looks at frames, as JS has them.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::pipeline::looks::Looked;

/// What a look at a frame came to: `look`, or `error` and `errorCode`.
#[napi(object, object_from_js = false)]
pub struct FrameLook {
    pub frame_number: f64,
    /// To be handed over with the frame: `clip.processFrames([{ ...frame, look }])`.
    #[napi(ts_type = "Uint8Array")]
    pub look: Option<Uint8Array>,
    /// What is wrong with the frame, and what to do.
    pub error: Option<String>,
    /// Stable, `ERR_POSE4D_…`.
    pub error_code: Option<&'static str>,
}

impl From<Looked> for FrameLook {
    fn from((frame_number, outcome): Looked) -> Self {
        let (look, error) = match outcome {
            Ok(look) => (Some(look.into()), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            frame_number,
            look,
            error_code: error.as_ref().map(|why| why.code),
            error: error.map(|why| why.message),
        }
    }
}
