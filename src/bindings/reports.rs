//! What warm-up and health tell → typed JS objects.

use indexmap::IndexMap;
use napi_derive::napi;

use super::runtime::MemoryInfo;
use crate::pipeline::config::EngineConfig;
use crate::pipeline::engine;
use crate::pipeline::perception::ModelState;
use crate::pipeline::plan::report::{self, Plan, Residence};

/// What warming up did with one model.
#[napi(object, object_from_js = false)]
pub struct ModelWarmup {
    #[napi(ts_type = "'loaded' | 'missing' | 'error'")]
    pub status: &'static str,
    /// 0 where nothing was loaded.
    pub load_time_seconds: f64,
    /// What is missing or wrong, and what to do.
    pub message: Option<String>,
    /// What the network computes in.
    #[napi(ts_type = "'fp32' | 'bf16' | 'fp16'")]
    pub precision: Option<&'static str>,
    /// `cpu` or `cuda:N`.
    pub device: Option<String>,
    /// Of its parameters in that precision.
    pub bytes: Option<f64>,
}

/// `ready`: everything is loaded; `partial`: something is missing; `error`: something is wrong.
#[napi(object, object_from_js = false)]
pub struct WarmupReport {
    #[napi(ts_type = "'ready' | 'partial' | 'error'")]
    pub status: &'static str,
    /// What was done, and what to do where it is not `ready`.
    pub message: String,
    /// By name of the model.
    pub models: IndexMap<String, ModelWarmup>,
    /// How the models were made to fit into memory; of 4D-Humans.
    pub memory_plan: Option<MemoryPlan>,
}

/// A network of a loaded engine.
#[napi(object, object_from_js = false)]
pub struct ModelHealth {
    /// `on-demand`: loaded when its turn comes, and not loaded now.
    #[napi(ts_type = "'loaded' | 'on-demand'")]
    pub status: &'static str,
    /// The last load; absent before the first.
    pub load_time_seconds: Option<f64>,
    #[napi(ts_type = "'fp32' | 'bf16' | 'fp16'")]
    pub precision: &'static str,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Of its parameters in that precision.
    pub bytes: f64,
}

/// A network's place in the memory plan.
#[napi(object, object_from_js = false)]
pub struct PlannedModel {
    /// `vitdet`, `regnety`, `hmr2` or `vitpose`.
    #[napi(ts_type = "string")]
    pub name: &'static str,
    #[napi(ts_type = "'fp32' | 'bf16' | 'fp16'")]
    pub precision: &'static str,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Kept in memory, or loaded when its turn comes and let go after it.
    #[napi(ts_type = "'resident' | 'on-demand'")]
    pub residence: &'static str,
    pub weight_bytes: f64,
    /// Beside the weights, while it works.
    pub working_bytes: f64,
}

/// A device's memory under the plan, bytes.
#[napi(object, object_from_js = false)]
pub struct PlannedDevice {
    /// `cpu` (RAM) or `cuda:N`.
    pub device: String,
    /// The most that the plan takes at one time.
    pub needed_bytes: f64,
    /// What there was when the plan was made; absent where the system does not say.
    pub available_bytes: Option<f64>,
    /// What bounds it, in words.
    pub bound: String,
}

/// A step that was looked at to make the models fit.
#[napi(object, object_from_js = false)]
pub struct PlanStep {
    /// In words: `as wished`, `bf16`, `detector on the CPU`, …
    #[napi(ts_type = "string")]
    pub step: &'static str,
    /// Whether it is part of the plan.
    pub taken: bool,
    /// Why it was taken, or not.
    pub reason: String,
    /// What the networks would need at least, with batches of one, after this step.
    pub needs: Vec<PlannedNeed>,
}

#[napi(object, object_from_js = false)]
pub struct PlannedNeed {
    /// `cpu` (RAM) or `cuda:N`.
    pub device: String,
    pub bytes: f64,
}

/// What is loaded where, why, and how much memory that takes; made before anything is loaded.
#[napi(object, object_from_js = false)]
pub struct MemoryPlan {
    pub models: Vec<PlannedModel>,
    /// Crops of people in one forward pass, at most.
    pub batch: u32,
    /// The batch that was wished for.
    pub wished_batch: u32,
    /// RAM first, then the cards in use.
    pub devices: Vec<PlannedDevice>,
    /// As wished first, then every step that was looked at.
    pub steps: Vec<PlanStep>,
}

impl From<&Plan> for MemoryPlan {
    fn from(plan: &Plan) -> Self {
        let model = |part: &report::Component| PlannedModel {
            name: part.name,
            precision: part.precision,
            device: part.device.clone(),
            residence: match part.residence {
                Residence::Resident => "resident",
                Residence::OnDemand => "on-demand",
            },
            weight_bytes: part.weight_bytes as f64,
            working_bytes: part.working_bytes as f64,
        };
        let device = |device: &report::DeviceUse| PlannedDevice {
            device: device.device.clone(),
            needed_bytes: device.needed_bytes as f64,
            available_bytes: device.available_bytes.map(|bytes| bytes as f64),
            bound: device.bound.clone(),
        };
        let need = |need: &report::Needed| PlannedNeed {
            device: need.device.clone(),
            bytes: need.bytes as f64,
        };
        let step = |trial: &report::Trial| PlanStep {
            step: trial.step.text(),
            taken: trial.taken,
            reason: trial.reason.clone(),
            needs: trial.needs.iter().map(need).collect(),
        };
        Self {
            models: plan.components.iter().map(model).collect(),
            batch: count(plan.batch),
            wished_batch: count(plan.wished_batch),
            devices: plan.devices.iter().map(device).collect(),
            steps: plan.ladder.iter().map(step).collect(),
        }
    }
}

impl From<engine::Warmup> for WarmupReport {
    fn from(warmup: engine::Warmup) -> Self {
        let whole = ModelWarmup {
            status: "loaded",
            load_time_seconds: warmup.load_seconds,
            message: None,
            precision: None,
            device: None,
            bytes: None,
        };
        let part = |model: ModelState| {
            let loaded = ModelWarmup {
                status: "loaded",
                load_time_seconds: model.load_seconds.unwrap_or(0.0),
                message: None,
                precision: Some(model.precision),
                device: Some(model.device),
                bytes: Some(model.bytes as f64),
            };
            (model.name.to_owned(), loaded)
        };
        let models = match warmup.models.is_empty() {
            true => IndexMap::from([(warmup.model.to_owned(), whole)]),
            false => warmup.models.into_iter().map(part).collect(),
        };
        Self {
            status: "ready",
            message: format!("{} is loaded and has run a frame", warmup.model),
            models,
            memory_plan: warmup.plan.as_ref().map(Into::into),
        }
    }
}

fn health_of(model: ModelState) -> (String, ModelHealth) {
    let health = ModelHealth {
        status: if model.loaded { "loaded" } else { "on-demand" },
        load_time_seconds: model.load_seconds,
        precision: model.precision,
        device: model.device,
        bytes: model.bytes as f64,
    };
    (model.name.to_owned(), health)
}

/// How an engine is.
#[napi(object, object_from_js = false)]
pub struct Health {
    /// `idle`: nothing was asked of it yet; `warming`: its first work is under way; `ready`: a
    /// frame has gone through; `closed`.
    #[napi(ts_type = "'idle' | 'warming' | 'ready' | 'closed'")]
    pub status: &'static str,
    pub model: &'static str,
    /// Absent while no model is loaded.
    pub model_version: Option<String>,
    /// `cpu` or `cuda:N`; as configured while no model is loaded.
    pub device: String,
    /// How the networks run: `xnnpack` (packed operators) or `tensors`; absent until a worker has
    /// built them.
    #[napi(ts_type = "'xnnpack' | 'tensors'")]
    pub executor: Option<&'static str>,
    /// Worker threads.
    pub threads: u32,
    /// Accepted and not yet answered, over all calls.
    pub queued_frames: u32,
    pub max_queued_frames: u32,
    /// Answered with a result, since the engine was made.
    pub frames_done: f64,
    /// Answered with an error, since the engine was made.
    pub frames_failed: f64,
    /// The networks of 4D-Humans and those for depth that were loaded, by name; absent where there are none.
    pub models: Option<IndexMap<String, ModelHealth>>,
    /// How they were made to fit into memory.
    pub memory_plan: Option<MemoryPlan>,
    /// Of pose4d itself.
    pub version: &'static str,
    /// Of this process and its machine, bytes.
    pub memory: MemoryInfo,
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Health {
    /// No engine yet.
    pub fn idle(config: &EngineConfig, model: &'static str, threads: usize) -> Self {
        Self {
            status: engine::Status::Idle.as_str(),
            model,
            model_version: None,
            device: config.device.clone(),
            executor: None,
            threads: count(threads),
            queued_frames: 0,
            max_queued_frames: count(config.max_queued_frames),
            frames_done: 0.0,
            frames_failed: 0.0,
            models: None,
            memory_plan: None,
            version: env!("CARGO_PKG_VERSION"),
            memory: MemoryInfo::read(),
        }
    }
}

impl From<engine::Health> for Health {
    fn from(health: engine::Health) -> Self {
        Self {
            status: health.status.as_str(),
            model: health.model,
            model_version: Some(health.model_version),
            device: health.device,
            executor: health.executor,
            threads: count(health.threads),
            queued_frames: count(health.queued_frames),
            max_queued_frames: count(health.max_queued_frames),
            frames_done: health.frames_done as f64,
            frames_failed: health.frames_failed as f64,
            models: (!health.models.is_empty())
                .then(|| health.models.into_iter().map(health_of).collect()),
            memory_plan: health.plan.as_ref().map(Into::into),
            version: env!("CARGO_PKG_VERSION"),
            memory: MemoryInfo::read(),
        }
    }
}
