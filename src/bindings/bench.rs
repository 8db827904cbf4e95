//! The native half of `pose4d bench`: a test stand that is asked in JSON, and random full-size files.

use std::path::PathBuf;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use serde_json::json;

use super::error::to_js;
use crate::checkpoint::dtype::DType;
use crate::pipeline::bench::request::Request;
use crate::pipeline::bench::stand::Stand;
use crate::pipeline::bench::synthetic::{Files, Scale};
use crate::pipeline::error::{EngineError, INTERNAL, INVALID_ARGUMENT, MODEL_FILE};

/// A thread of its own that loads networks and times their stages.
#[napi]
pub struct NativeBench(Stand);

#[napi]
impl NativeBench {
    #[napi(constructor, catch_unwind)]
    pub fn new(threads: u32) -> napi::Result<Self> {
        Ok(Self(Stand::start(threads as usize).map_err(to_js)?))
    }

    /// Takes a request as JSON, answers as JSON.
    #[napi(catch_unwind)]
    pub fn ask<'env>(
        &self,
        env: &'env Env,
        request: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let request: Request = serde_json::from_str(&request)
            .map_err(|e| to_js(EngineError::new(INVALID_ARGUMENT, e.to_string())))?;
        let answer = self.0.ask(request);
        env.spawn_future(async move {
            let answer = answer.await.map_err(to_js)?;
            serde_json::to_string(&answer)
                .map_err(|e| to_js(EngineError::new(INTERNAL, e.to_string())))
        })
    }
}

/// Writes random files of the 4D-Humans family that are not in `folder` yet; answers where each
/// is. `tiny`: narrow networks, for tests; `precision`: `fp32` or `bf16`.
#[napi(skip_typescript, catch_unwind)]
pub fn random_weights<'env>(
    env: &'env Env,
    folder: String,
    tiny: bool,
    precision: String,
) -> napi::Result<PromiseRaw<'env, String>> {
    let dtype = match precision.as_str() {
        "bf16" => DType::BF16,
        "fp32" => DType::F32,
        other => {
            let message = format!("precision {other:?}; expected fp32 or bf16");
            return Err(to_js(EngineError::new(INVALID_ARGUMENT, message)));
        }
    };
    let scale = if tiny { Scale::Tiny } else { Scale::Full };
    let write = move || {
        let files = Files::write_all(&PathBuf::from(folder), scale, dtype, &mut |_| ())
            .map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))?;
        Ok(json!({
            "vitdet": files.vitdet,
            "regnety": files.regnety,
            "hmr2": files.hmr2,
            "config": files.hmr2_config,
            "vitpose": files.vitpose,
            "body": files.body,
            "regressor": files.regressor,
        })
        .to_string())
    };
    env.spawn_future(async move {
        tokio::task::spawn_blocking(write)
            .await
            .map_err(|e| EngineError::new(INTERNAL, format!("writing failed: {e}")))
            .and_then(|written| written)
            .map_err(to_js)
    })
}
