//! The SMPL body before it is posed, as typed arrays.

use std::path::Path;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Float32Array, Int32Array, PromiseRaw, Uint32Array};
use napi_derive::napi;

use super::blocking::off_the_runtime;
use super::error::to_js;
use super::value::Value;
use crate::models::smpl::body::Body;
use crate::models::smpl::rest::{Betas, Rest};
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT, MODEL_FILE};

/// A body of one shape in SMPL's rest pose (arms out): metres, axes x to the body's left, y up, z
/// forward. Source: the SMPL model file.
#[napi(object, object_from_js = false)]
pub struct BodyModel {
    /// `[10]`: the shape this is.
    pub betas: Float32Array,
    /// `[6890, 3]` metres.
    pub rest_vertices: Float32Array,
    /// `[13776 * 3]` vertex numbers.
    pub faces: Uint32Array,
    /// `[24, 3]` metres; joints in the order of `smpl24`.
    pub joints: Float32Array,
    /// `[24]`: the joint each joint hangs on; -1 for the pelvis. Parents come first.
    pub parents: Int32Array,
    /// `[6890, 24]`: how much each joint moves each vertex; a row sums to 1.
    pub weights: Float32Array,
}

impl BodyModel {
    pub fn of(rest: &Rest, betas: &Betas) -> Self {
        let shaped = rest.shaped(betas);
        Self {
            betas: Float32Array::new(betas.to_vec()),
            rest_vertices: Float32Array::new(shaped.vertices),
            faces: Uint32Array::new(rest.faces.clone()),
            joints: Float32Array::new(shaped.joints),
            parents: Int32Array::new(rest.parents.clone()),
            weights: Float32Array::new(rest.skinning.clone()),
        }
    }
}

/// Absent: the mean shape.
pub fn read_betas(value: Value) -> Result<Betas, EngineError> {
    if value.is_absent() {
        return Ok(Betas::default());
    }
    let read = value
        .floats()
        .filter(|all| all.iter().all(|v| v.is_finite()));
    read.and_then(|all| all.try_into().ok()).ok_or_else(|| {
        EngineError::new(
            INVALID_ARGUMENT,
            format!("betas must be 10 numbers, but is {}", value.describe()),
        )
    })
}

/// A body read from its file, without an engine.
#[napi]
pub struct NativeBody(Arc<Rest>);

#[napi]
impl NativeBody {
    #[napi(catch_unwind)]
    pub fn body_model(&self, betas: Value) -> napi::Result<BodyModel> {
        let betas = read_betas(betas).map_err(to_js)?;
        Ok(BodyModel::of(&self.0, &betas))
    }
}

/// Reads an SMPL file of any form.
#[napi(skip_typescript, catch_unwind)]
pub fn open_body(env: &Env, path: String) -> napi::Result<PromiseRaw<'_, NativeBody>> {
    env.spawn_future(async move {
        let read = move || {
            Body::read_rest(Path::new(&path))
                .map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))
        };
        let rest = off_the_runtime(read).await.map_err(to_js)?;
        Ok(NativeBody(Arc::new(rest)))
    })
}
