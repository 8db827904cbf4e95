//! JS options → engine settings, filled up from the engine's own defaults.

use std::time::Duration;

use super::fields::Fields;
use super::value::Value;
use crate::geometry::joints::{KeypointSet, measured_by_blazepose};
use crate::pipeline::config::{BlazePoseConfig, EngineConfig, Variant};
use crate::pipeline::error::{
    DEVICE, EngineError, INVALID_ARGUMENT, KEYPOINT_SET, MODEL_UNAVAILABLE,
};
use crate::pipeline::perception::ClipSettings;

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

fn unavailable(fields: &Fields, name: &str, given: &str, have: &str) -> EngineError {
    EngineError::new(
        MODEL_UNAVAILABLE,
        format!(
            "{} '{given}' is not in this version; there is: {have}",
            fields.path(name)
        ),
    )
}

pub fn engine_config(value: Value) -> Result<EngineConfig, EngineError> {
    let fields = Fields::new("config", value, ENGINE)?;
    let mut config = EngineConfig::default();
    refuse_unavailable(&fields)?;
    set(&mut config.device, device(&fields)?);
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
    short_cuts(&fields, &mut config.blazepose)?;
    Ok(config)
}

/// Options whose other values belong to later versions.
fn refuse_unavailable(fields: &Fields) -> Result<(), EngineError> {
    let model = fields.choice(
        "model",
        &[("auto", true), ("blazepose", true), ("4dhumans", false)],
    )?;
    if model == Some(false) {
        return Err(unavailable(
            fields,
            "model",
            "4dhumans",
            "'blazepose' (also as 'auto')",
        ));
    }
    let detectors = [
        ("auto", ""),
        ("vitdet", "vitdet"),
        ("regnety", "regnety"),
        ("full-image", "full-image"),
    ];
    if let Some(given) = fields
        .choice("detector", &detectors)?
        .filter(|d| !d.is_empty())
    {
        return Err(unavailable(
            fields,
            "detector",
            given,
            "'auto', BlazePose's own detector",
        ));
    }
    let precisions = [
        ("auto", ""),
        ("fp32", ""),
        ("bf16", "bf16"),
        ("fp16", "fp16"),
    ];
    if let Some(given) = fields
        .choice("precision", &precisions)?
        .filter(|p| !p.is_empty())
    {
        return Err(unavailable(
            fields,
            "precision",
            given,
            "'fp32' (also as 'auto')",
        ));
    }
    // They belong to 4dhumans: checked, and without effect on BlazePose.
    fields.string("detectorDevice")?;
    fields.string("cacheDir")?;
    fields.string("smplPath")?;
    fields.whole("memoryBudgetMb", 1, MAX_WHOLE)?;
    Ok(())
}

fn device(fields: &Fields) -> Result<Option<String>, EngineError> {
    let Some(device) = fields.string("device")? else {
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
        format!("config.device must be 'auto', 'cpu', 'cuda' or 'cuda:N', but is {device:?}"),
    ))
}

fn keypoints(fields: &Fields) -> Result<Option<KeypointSet>, EngineError> {
    let Some(name) = fields.string("keypoints")? else {
        return Ok(None);
    };
    if name == "native" {
        return Ok(None);
    }
    let measured: Vec<_> = KeypointSet::ALL
        .into_iter()
        .filter(|set| measured_by_blazepose(*set))
        .map(|set| format!("'{}'", set.as_str()))
        .collect();
    let measured = format!("'native', {}", measured.join(", "));
    match KeypointSet::parse(&name) {
        Some(set) if measured_by_blazepose(set) => Ok(Some(set)),
        Some(set) => Err(EngineError::new(
            KEYPOINT_SET,
            format!(
                "blazepose does not measure the keypoint set '{}', and keypoints are never invented; \
                 it measures: {measured}",
                set.as_str()
            ),
        )),
        None => Err(EngineError::new(
            INVALID_ARGUMENT,
            format!("config.keypoints must be one of {measured}, but is {name:?}"),
        )),
    }
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
fn short_cuts(fields: &Fields, config: &mut BlazePoseConfig) -> Result<(), EngineError> {
    set(
        &mut config.variant,
        fields.choice("modelVariant", VARIANTS)?,
    );
    set(&mut config.smoothing, fields.boolean("smoothing")?);
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

pub fn clip_settings(value: Value) -> Result<ClipSettings, EngineError> {
    const KNOWN: &[&str] = &["mesh", "tracking", "fps"];
    let fields = Fields::new("options", value, KNOWN)?;
    let mut settings = ClipSettings::default();
    set(&mut settings.tracking, fields.boolean("tracking")?);
    set(&mut settings.fps, fields.number("fps", 0.001, 1e6)?);
    // BlazePose has no mesh: nothing to leave in or out.
    fields.boolean("mesh")?;
    Ok(settings)
}

/// A call on a clip: what holds for the clip was settled when it was opened.
pub fn clip_call(value: Value) -> Result<(), EngineError> {
    let fields = Fields::new("options", value, &["mesh"])?;
    fields.boolean("mesh").map(drop)
}

pub fn timeout(value: Value) -> Result<Option<Duration>, EngineError> {
    let fields = Fields::new("options", value, &["timeoutMs"])?;
    let limit = fields.number("timeoutMs", 0.0, MAX_WHOLE as f64)?;
    Ok(limit.map(|ms| Duration::from_secs_f64(ms / 1000.0)))
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
