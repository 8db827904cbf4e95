//! Which model family the addon runs, and how it is made.

use std::sync::Arc;
use std::time::Instant;

use crate::geometry::joints::{KeypointSet, measured_by_blazepose};
use crate::imaging::limits::DecodeLimits;
use crate::pipeline::blazepose::BlazePosePerception;
use crate::pipeline::config::{DetectorChoice, EngineConfig, Family, Precision};
use crate::pipeline::depth::stand as depth;
use crate::pipeline::engine::{Engine, EngineSettings};
use crate::pipeline::error::{EngineError, KEYPOINT_SET, MODEL_UNAVAILABLE};
use crate::pipeline::handle::AnyEngine;
use crate::pipeline::humans::files::{self, Files};
use crate::pipeline::humans::perception::Humans;
use crate::runtime::threads::worker_count;

pub const BLAZEPOSE: &str = "blazepose";
pub const HUMANS: &str = "4dhumans";

/// Why a sight of the cache's files would not do; for a thread that may take its time.
pub fn find_humans(config: &EngineConfig) -> Result<(), EngineError> {
    Files::find(&files::store(config)?, config).map(drop)
}

/// Reads the networks; for a thread that may take its time.
pub fn load_blazepose(
    config: &EngineConfig,
    detector: Vec<u8>,
    landmark: Vec<u8>,
) -> Result<Arc<dyn AnyEngine>, EngineError> {
    let start = Instant::now();
    check_blazepose(config)?;
    let model = BlazePosePerception::new(config, detector, landmark)?;
    let settings = settings(config, BLAZEPOSE, start);
    Ok(Arc::new(Engine::new(model, settings)?))
}

/// Finds and loads everything; for a thread that may take its time.
pub fn load_humans(config: &EngineConfig) -> Result<Arc<dyn AnyEngine>, EngineError> {
    let start = Instant::now();
    let model = Humans::open(config, &files::store(config)?)?;
    let settings = settings(config, HUMANS, start);
    Ok(Arc::new(Engine::new(model, settings)?))
}

fn settings(config: &EngineConfig, model: &'static str, start: Instant) -> EngineSettings {
    EngineSettings {
        model,
        threads: worker_count(config.threads),
        max_queued_frames: config.max_queued_frames,
        decode: DecodeLimits {
            max_pixels: config.max_pixels,
            max_bytes: config.max_image_bytes,
        },
        loaded_in: start.elapsed(),
        depth: depth::Settings::of(config),
    }
}

/// What BlazePose does not have, whoever chose it.
pub fn check_blazepose(config: &EngineConfig) -> Result<(), EngineError> {
    let because = match config.model {
        Family::Auto => {
            " (model 'auto' is blazepose here, as not all files of 4dhumans are there: \
             `npx pose4d warmup --model 4dhumans`)"
        }
        _ => "",
    };
    let detector = match config.detector {
        DetectorChoice::Auto => None,
        DetectorChoice::VitDet => Some("vitdet"),
        DetectorChoice::RegNetY => Some("regnety"),
        DetectorChoice::FullImage => Some("full-image"),
    };
    let precision = match config.precision {
        Precision::Auto | Precision::Fp32 => None,
        Precision::Bf16 => Some("bf16"),
        Precision::Fp16 => Some("fp16"),
    };
    for (name, given, have) in [
        ("detector", detector, "'auto', its own detector"),
        ("precision", precision, "'fp32' (also as 'auto')"),
    ] {
        if let Some(given) = given {
            return Err(EngineError::new(
                MODEL_UNAVAILABLE,
                format!("blazepose has no config.{name} '{given}'; it has: {have}{because}"),
            ));
        }
    }
    match config.keypoints {
        Some(set) if !measured_by_blazepose(set) => {
            let measured: Vec<_> = KeypointSet::ALL
                .into_iter()
                .filter(|set| measured_by_blazepose(*set))
                .map(|set| format!("'{}'", set.as_str()))
                .collect();
            Err(EngineError::new(
                KEYPOINT_SET,
                format!(
                    "blazepose does not measure the keypoint set '{}', and keypoints are never \
                     invented; it measures: 'native', {}{because}",
                    set.as_str(),
                    measured.join(", ")
                ),
            ))
        }
        _ => Ok(()),
    }
}
