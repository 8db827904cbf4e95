//! The native half of `pose4d bench`: a test stand that is asked in JSON, and random full-size files.

use std::path::PathBuf;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use serde_json::json;

use super::error::to_js;
use super::results::PoseResult;
use crate::checkpoint::dtype::DType;
use crate::geometry::boxes::BBox;
use crate::geometry::joints::KeypointSet;
use crate::pipeline::bench::request::Request;
use crate::pipeline::bench::stand::Stand;
use crate::pipeline::bench::synthetic::{Files, Scale};
use crate::pipeline::error::{EngineError, INTERNAL, INVALID_ARGUMENT, MODEL_FILE};
use crate::pipeline::result::{Camera, FrameResult, Keypoint, Person, Smpl, Source};

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

/// A result of 4D-Humans with so many people and their meshes, made up: what handing one over
/// costs is timed by who calls this.
#[napi(skip_typescript, catch_unwind)]
pub fn mesh_result(people: u32) -> PoseResult {
    const VERTICES: usize = 6890;
    let name = |index: usize| KeypointSet::Hmr44.names().get(index).copied();
    let keypoint = |index| Keypoint {
        name: name(index).unwrap_or_default(),
        x: index as f32,
        y: 0.0,
        z: Some(0.0),
        confidence: 1.0,
    };
    let person = |id| Person {
        keypoints: (0..44).map(keypoint).collect(),
        joints3d: Some(vec![[0.0; 3]; 44]),
        joint_angles3d: Some(
            (0..16)
                .map(|index| (name(index).unwrap_or_default(), 90.0))
                .collect(),
        ),
        camera: Some(Camera {
            translation: [0.0; 3],
            focal_length: 5000.0,
            center: [960.0, 540.0],
        }),
        smpl: Some(Smpl {
            global_orient: [0.0; 9],
            body_pose: vec![0.0; 23 * 9],
            betas: [0.0; 10],
        }),
        vertices: Some(vec![0.0; 3 * VERTICES]),
        ..Person::at(id, BBox::new(0.0, 0.0, 1.0, 1.0), Source::Detected)
    };
    PoseResult::from(FrameResult {
        frame_number: 0.0,
        time_s: 0.0,
        held: Vec::new(),
        starts_shot: false,
        earlier: Vec::new(),
        width: 1920,
        height: 1080,
        persons: (0..people).map(person).collect(),
        processing_time_ms: 0.0,
        timings: vec![("decode", 0.0)],
        model_version: "made up".into(),
        depth: None,
        depth_error: None,
        error: None,
    })
}
