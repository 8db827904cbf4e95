//! JS options → engine settings, filled up from the engine's own defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::depth::{DEPTH, depth_config, depth_of_clip};
use super::fields::{Fields, PRECISIONS};
use super::model::check_blazepose;
use super::value::{Bytes, Value};
use crate::geometry::joints::KeypointSet;
use crate::pipeline::config::{
    BlazePoseConfig, DepthConfig, DetectorChoice, EngineConfig, Family, HumansConfig, Preset,
    TrackerChoice, TrackerPreset, Variant, Weights,
};
use crate::pipeline::depth::model::DepthModel;
use crate::pipeline::error::{DEVICE, EngineError, INVALID_ARGUMENT};
use crate::pipeline::perception::{ClipSettings, Mode};

const ENGINE: &[&str] = &[
    "model",
    "modelVariant",
    "device",
    "detector",
    "detectorDevice",
    "precision",
    "memoryBudgetMb",
    "maxPersons",
    "maxQueuedFrames",
    "threads",
    "keypoints",
    "cacheDir",
    "smplPath",
    "focalLength",
    "maxPixels",
    "maxImageBytes",
    "smoothing",
    "blazepose",
    "humans",
    "depth",
];

const BLAZEPOSE: &[&str] = &[
    "variant",
    "tileScales",
    "tileOverlap",
    "detectionThreshold",
    "nmsIou",
    "poseThreshold",
    "minQuality",
    "minQualityPhoto",
    "refine",
    "searchEvery",
    "watch",
    "smoothing",
    "constantBones",
    "heatmapKernel",
    "maxPredicted",
    "segmentation",
];

const HUMANS: &[&str] = &[
    "weights",
    "vitpose",
    "preset",
    "scoreThreshold",
    "nmsIou",
    "batchSize",
    "maxPredicted",
    "smoothing",
    "tracker",
    "trackerPreset",
    "files",
];

const MODELS: &[(&str, Family)] = &[
    ("auto", Family::Auto),
    ("blazepose", Family::BlazePose),
    ("4dhumans", Family::Humans),
];

const DETECTORS: &[(&str, DetectorChoice)] = &[
    ("auto", DetectorChoice::Auto),
    ("vitdet", DetectorChoice::VitDet),
    ("regnety", DetectorChoice::RegNetY),
    ("full-image", DetectorChoice::FullImage),
];

const VARIANTS: &[(&str, Variant)] = &[
    ("fast", Variant::Lite),
    ("lite", Variant::Lite),
    ("full", Variant::Full),
    ("accurate", Variant::Heavy),
    ("heavy", Variant::Heavy),
];

/// Beyond this an `f64` no longer tells whole numbers apart.
const MAX_WHOLE: u64 = (1 << 53) - 1;

/// Puts what was given in the place of a default.
fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *place = given;
    }
}

pub fn engine_config(value: Value) -> Result<EngineConfig, EngineError> {
    let fields = Fields::new("config", value, ENGINE)?;
    let mut config = EngineConfig::default();
    set(&mut config.model, fields.choice("model", MODELS)?);
    set(&mut config.device, device(&fields, "device")?);
    let detector = fields.choice("detector", DETECTORS)?;
    set(&mut config.detector, detector);
    let detector_device = device(&fields, "detectorDevice")?;
    set(&mut config.detector_device, detector_device);
    let precision = fields.choice("precision", PRECISIONS)?;
    set(&mut config.precision, precision);
    config.memory_budget_mb = fields.whole("memoryBudgetMb", 1, MAX_WHOLE)?;
    config.cache_dir = fields.string("cacheDir")?.map(PathBuf::from);
    config.smpl_path = fields.string("smplPath")?.map(PathBuf::from);
    set(
        &mut config.threads,
        fields.whole("threads", 0, 1024)?.map(|n| n as usize),
    );
    let queued = fields.whole("maxQueuedFrames", 1, 1 << 24)?;
    set(&mut config.max_queued_frames, queued.map(|n| n as usize));
    set(
        &mut config.max_persons,
        fields.whole("maxPersons", 1, 1000)?.map(|n| n as usize),
    );
    set(
        &mut config.max_pixels,
        fields.whole("maxPixels", 1, 1 << 32)?,
    );
    set(
        &mut config.max_image_bytes,
        fields.whole("maxImageBytes", 1, 1 << 32)?,
    );
    config.focal_length = fields.number("focalLength", 1.0, 1e7)?.map(|n| n as f32);
    config.keypoints = keypoints(&fields)?;
    if let Some(given) = fields.value("blazepose")? {
        config.blazepose = blazepose(given)?;
    }
    if let Some(given) = fields.value("humans")? {
        config.humans = humans(given)?;
    }
    if let Some(given) = fields.value("depth")? {
        config.depth = depth(given)?;
    }
    short_cuts(&fields, &mut config)?;
    if config.model == Family::BlazePose {
        check_blazepose(&config)?;
    }
    Ok(config)
}

fn device(fields: &Fields, name: &str) -> Result<Option<String>, EngineError> {
    let Some(device) = fields.string(name)? else {
        return Ok(None);
    };
    let cuda = device
        .strip_prefix("cuda:")
        .map(|n| n.parse::<u8>().is_ok());
    if matches!(device.as_str(), "auto" | "cpu" | "cuda") || cuda == Some(true) {
        return Ok(Some(device));
    }
    Err(EngineError::new(
        DEVICE,
        format!(
            "{} must be 'auto', 'cpu', 'cuda' or 'cuda:N', but is {device:?}",
            fields.path(name)
        ),
    ))
}

fn keypoints(fields: &Fields) -> Result<Option<KeypointSet>, EngineError> {
    let Some(name) = fields.string("keypoints")? else {
        return Ok(None);
    };
    if name == "native" {
        return Ok(None);
    }
    let known = || {
        let names = KeypointSet::ALL.map(|set| format!("'{}'", set.as_str()));
        format!("'native', {}", names.join(", "))
    };
    // Which of them are measured depends on the model.
    match KeypointSet::parse(&name) {
        Some(set) => Ok(Some(set)),
        None => Err(EngineError::new(
            INVALID_ARGUMENT,
            format!(
                "config.keypoints must be one of {}, but is {name:?}",
                known()
            ),
        )),
    }
}

/// How 4D-Humans looks for people and follows them.
fn humans(value: Value) -> Result<HumansConfig, EngineError> {
    let fields = Fields::new("config.humans", value, HUMANS)?;
    let mut config = HumansConfig::default();
    let weights = [("2.0a", Weights::A), ("2.0b", Weights::B)];
    set(&mut config.weights, fields.choice("weights", &weights)?);
    set(&mut config.vitpose, fields.string("vitpose")?);
    let presets = [("demo", Preset::Demo), ("phalp", Preset::Phalp)];
    set(&mut config.preset, fields.choice("preset", &presets)?);
    let share = |name| Ok::<_, EngineError>(fields.number(name, 0.0, 1.0)?.map(|n| n as f32));
    config.score_threshold = share("scoreThreshold")?;
    config.nms_iou = share("nmsIou")?;
    let batch = fields.whole("batchSize", 0, 256)?.map(|n| n as usize);
    set(&mut config.batch_size, batch);
    let predicted = fields.whole("maxPredicted", 0, 1 << 20)?;
    set(&mut config.max_predicted, predicted.map(|n| n as u32));
    set(&mut config.smoothing, fields.boolean("smoothing")?);
    let trackers = [
        ("auto", TrackerChoice::Auto),
        ("phalp", TrackerChoice::Phalp),
        ("joints", TrackerChoice::Joints),
    ];
    set(&mut config.tracker, fields.choice("tracker", &trackers)?);
    let presets = [
        ("posetrack", TrackerPreset::PoseTrack),
        ("ava", TrackerPreset::Ava),
    ];
    let preset = fields.choice("trackerPreset", &presets)?;
    set(&mut config.tracker_preset, preset);
    if let Some(files) = fields.value("files")? {
        config.files = own_files("config.humans.files", files)?;
    }
    Ok(config)
}

/// Which depth network runs and how.
fn depth(value: Value) -> Result<DepthConfig, EngineError> {
    let fields = Fields::new("config.depth", value, DEPTH)?;
    let mut config = depth_config(&fields)?;
    if let Some(files) = fields.value("files")? {
        config.files = own_files("config.depth.files", files)?;
    }
    Ok(config)
}

/// `{ hmr2: 'my.ckpt' }`: which names there are the manifest knows.
fn own_files(of: &str, value: Value) -> Result<BTreeMap<String, PathBuf>, EngineError> {
    let wrong = |what: &str, got: &Value| {
        EngineError::new(
            INVALID_ARGUMENT,
            format!("{what}, but is {}", got.describe()),
        )
    };
    if !value.is_object() || value.array_length().is_some() {
        let what = format!("{of} must be an object of paths by model name");
        return Err(wrong(&what, &value));
    }
    let path = |name: String| {
        let given = value.get(&name).unwrap_or(value);
        let path = given.string().filter(|path| !path.is_empty());
        let what = format!("{of}.{name} must be a path");
        path.map(|path| (name, PathBuf::from(path)))
            .ok_or_else(|| wrong(&what, &given))
    };
    value.keys().into_iter().map(path).collect()
}

fn blazepose(value: Value) -> Result<BlazePoseConfig, EngineError> {
    let fields = Fields::new("config.blazepose", value, BLAZEPOSE)?;
    let mut config = BlazePoseConfig::default();
    let share = |name| Ok::<_, EngineError>(fields.number(name, 0.0, 1.0)?.map(|n| n as f32));
    set(&mut config.variant, fields.choice("variant", VARIANTS)?);
    let scales = |s: &[f32]| s.len() <= 8 && s.iter().all(|s| (0.05..=1.0).contains(s));
    let scales = fields.floats("tileScales", "at most 8 numbers from 0.05 to 1", scales)?;
    set(&mut config.tile_scales, scales);
    let overlap = fields.number("tileOverlap", 0.0, 0.9)?.map(|n| n as f32);
    set(&mut config.tile_overlap, overlap);
    set(
        &mut config.detection_threshold,
        share("detectionThreshold")?,
    );
    set(&mut config.nms_iou, share("nmsIou")?);
    set(&mut config.pose_threshold, share("poseThreshold")?);
    set(&mut config.min_quality, share("minQuality")?);
    set(&mut config.min_quality_photo, share("minQualityPhoto")?);
    set(&mut config.refine, fields.boolean("refine")?);
    set(
        &mut config.search_every,
        fields.whole("searchEvery", 0, 1 << 20)?.map(|n| n as u32),
    );
    set(&mut config.watch, fields.boolean("watch")?);
    set(&mut config.segmentation, fields.boolean("segmentation")?);
    set(&mut config.smoothing, fields.boolean("smoothing")?);
    set(&mut config.constant_bones, fields.boolean("constantBones")?);
    let kernel = fields.whole("heatmapKernel", 1, 63)?.map(|n| n as usize);
    set(&mut config.heatmap_kernel, kernel);
    set(
        &mut config.max_predicted,
        fields.whole("maxPredicted", 0, 1 << 20)?.map(|n| n as u32),
    );
    if config.heatmap_kernel % 2 == 0 {
        return Err(EngineError::new(
            INVALID_ARGUMENT,
            format!(
                "config.blazepose.heatmapKernel must be odd, but is {}",
                config.heatmap_kernel
            ),
        ));
    }
    Ok(config)
}

/// `modelVariant` and `smoothing` may stand at the top, where most callers look for them.
fn short_cuts(fields: &Fields, config: &mut EngineConfig) -> Result<(), EngineError> {
    let variant = fields.choice("modelVariant", VARIANTS)?;
    set(&mut config.blazepose.variant, variant);
    let smoothing = fields.boolean("smoothing")?;
    set(&mut config.blazepose.smoothing, smoothing);
    set(&mut config.humans.smoothing, smoothing);
    Ok(())
}

/// The name of a variant's file: `pose_landmark_<name>.tflite`.
pub fn variant_name(variant: Variant) -> &'static str {
    match variant {
        Variant::Lite => "lite",
        Variant::Full => "full",
        Variant::Heavy => "heavy",
    }
}

/// `usual`: the depth network where the caller does not say.
pub fn clip_settings(value: Value, usual: DepthModel) -> Result<ClipSettings, EngineError> {
    const KNOWN: &[&str] = &["mesh", "tracking", "fps", "mode", "depth", "depthModel"];
    let fields = Fields::new("options", value, KNOWN)?;
    let mut settings = ClipSettings::default();
    let modes = [("online", Mode::Online), ("offline", Mode::Offline)];
    set(&mut settings.mode, fields.choice("mode", &modes)?);
    set(&mut settings.tracking, fields.boolean("tracking")?);
    set(&mut settings.fps, fields.number("fps", 0.001, 1e6)?);
    set(&mut settings.mesh, fields.boolean("mesh")?);
    settings.depth = depth_of_clip(&fields, usual)?;
    Ok(settings)
}

/// Of `lookAtFrames`: what holds for the clip, and how many of its frames come before.
pub fn look_settings(value: Value) -> Result<(ClipSettings, u64), EngineError> {
    const KNOWN: &[&str] = &["mesh", "tracking", "startIndex"];
    let fields = Fields::new("options", value, KNOWN)?;
    let mut settings = ClipSettings::default();
    set(&mut settings.tracking, fields.boolean("tracking")?);
    set(&mut settings.mesh, fields.boolean("mesh")?);
    let start = fields.whole("startIndex", 0, MAX_WHOLE)?;
    Ok((settings, start.unwrap_or(0)))
}

/// A call that takes nothing but a signal and a time limit.
pub fn no_options(value: Value) -> Result<(), EngineError> {
    Fields::new("options", value, &[]).map(drop)
}

/// The bytes of `openClip({ snapshot })`.
pub fn snapshot_bytes(value: &Value) -> Result<&[u8], EngineError> {
    match value.bytes() {
        Bytes::Here(bytes) => Ok(bytes),
        Bytes::Detached | Bytes::Other => Err(EngineError::new(
            INVALID_ARGUMENT,
            format!(
                "options.snapshot must be a Uint8Array that clip.snapshot() gave, but is {}",
                value.describe()
            ),
        )),
    }
}

/// A call on a clip: what holds for the clip was settled when it was opened.
pub fn clip_call(value: Value) -> Result<Option<bool>, EngineError> {
    Fields::new("options", value, &["mesh"])?.boolean("mesh")
}

pub fn timeout(value: Value) -> Result<Option<Duration>, EngineError> {
    let fields = Fields::new("options", value, &["timeoutMs"])?;
    let limit = fields.number("timeoutMs", 0.0, MAX_WHOLE as f64)?;
    Ok(limit.map(|ms| Duration::from_secs_f64(ms / 1000.0)))
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
