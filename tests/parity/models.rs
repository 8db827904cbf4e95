//! The networks under test, loaded from the `.tflite` files of the npm package.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pose4d::imaging::decode::decode_file;
use pose4d::imaging::limits::DecodeLimits;
use pose4d::imaging::pixels::Rgb8;
use pose4d::layers::network::runner::Executor;
use pose4d::models::blazepose::{Detector, Landmarker};

pub const VARIANTS: [&str; 3] = ["lite", "full", "heavy"];
pub const DETECTOR: &str = "pose_solution_packed_assets.data";

/// One detector and a landmark network of each size, on one executor.
pub struct Models {
    pub detector: Detector,
    pub landmarkers: BTreeMap<&'static str, Landmarker>,
}

/// `POSE4D_TEST_MODELS`, or the npm package in the project.
pub fn folder() -> Result<PathBuf, String> {
    let folder = match std::env::var_os("POSE4D_TEST_MODELS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/@mediapipe/pose"),
    };
    if folder.join(DETECTOR).is_file() {
        return Ok(folder);
    }
    Err(format!(
        "no {DETECTOR} in {}; run `npm install`, or name the folder in POSE4D_TEST_MODELS",
        folder.display()
    ))
}

impl Models {
    pub fn load(folder: &Path, executor: Executor) -> Result<Self, String> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let cpu = tch::Device::Cpu;
        let detector = Detector::load(&read(DETECTOR)?, cpu, executor)
            .map_err(|e| format!("detector: {e}"))?;
        let mut landmarkers = BTreeMap::new();
        for variant in VARIANTS {
            let bytes = read(&format!("pose_landmark_{variant}.tflite"))?;
            let net = Landmarker::load(&bytes, false, cpu, executor)
                .map_err(|e| format!("{variant}: {e}"))?;
            landmarkers.insert(variant, net);
        }
        Ok(Self {
            detector,
            landmarkers,
        })
    }
}

pub fn photo(path: &Path) -> Result<Rgb8, String> {
    decode_file(path, &DecodeLimits::default()).map_err(|e| format!("{}: {e}", path.display()))
}
