//! The reference files of a case folder, as their generators wrote them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Per photo.
pub type ByPhoto<T> = BTreeMap<String, T>;

/// `litert_pipeline.json`: the whole pipeline on the TFLite interpreter.
#[derive(Deserialize)]
pub struct LitertPhoto {
    /// Width and height, pixels.
    pub wh: [f64; 2],
    /// Landmarks in the best detection's region, by network.
    #[serde(default)]
    pub models: BTreeMap<String, LitertLandmarks>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub struct LitertDetection {
    pub score: f64,
    /// x1, y1, x2, y2 over the image's width and height.
    #[serde(rename = "box")]
    pub bbox: [f64; 4],
    /// Centre x, y, side (pixels), rotation (radians).
    pub roi: [f64; 4],
}

#[derive(Deserialize)]
pub struct LitertLandmarks {
    pub presence: f64,
    pub vis: Vec<f64>,
    pub pres: Vec<f64>,
    pub world: Vec<[f64; 3]>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// The detections at one setting of the detector.
pub struct LitertSetting {
    pub threshold: f32,
    pub nms_iou: f32,
    pub detections: Vec<LitertDetection>,
}

impl LitertPhoto {
    /// Keys `dets[_thr<score>]_iou<overlap>`; the usual threshold is 0.5.
    pub fn settings(&self) -> Result<Vec<LitertSetting>, String> {
        let mut out = Vec::new();
        for (key, value) in &self.rest {
            let Some(setting) = key.strip_prefix("dets_") else {
                continue;
            };
            let (mut threshold, mut nms_iou) = (0.5, None);
            for part in setting.split('_') {
                let number = |digits: &str| {
                    digits
                        .parse::<f32>()
                        .map_err(|_| format!("unknown setting {part:?} in key {key:?}"))
                };
                if let Some(digits) = part.strip_prefix("thr") {
                    threshold = number(digits)?;
                } else if let Some(digits) = part.strip_prefix("iou") {
                    nms_iou = Some(number(digits)?);
                } else {
                    return Err(format!("unknown setting {part:?} in key {key:?}"));
                }
            }
            let Some(nms_iou) = nms_iou else { continue };
            let detections = Deserialize::deserialize(value).map_err(|e| format!("{key}: {e}"))?;
            out.push(LitertSetting {
                threshold,
                nms_iou,
                detections,
            });
        }
        Ok(out)
    }

    /// The region the landmark networks looked at: that of the best detection.
    pub fn landmark_roi(&self) -> Result<Option<[f64; 4]>, String> {
        let settings = self.settings()?;
        let usual = settings
            .iter()
            .find(|s| s.threshold == 0.5 && !s.detections.is_empty());
        Ok(usual.and_then(|s| s.detections.first()).map(|d| d.roi))
    }
}

/// x, y, z each.
type Points = Vec<[f64; 3]>;

impl LitertLandmarks {
    /// Keys `px_k<kernel>`: landmarks x, y, z in pixels after refinement with that window.
    pub fn kernels(&self) -> Result<Vec<(usize, Points)>, String> {
        let mut out = Vec::new();
        for (key, value) in &self.rest {
            let Some(kernel) = key.strip_prefix("px_k") else {
                continue;
            };
            let kernel = kernel.parse().map_err(|_| format!("bad key {key:?}"))?;
            out.push((
                kernel,
                Deserialize::deserialize(value).map_err(|e| format!("{key}: {e}"))?,
            ));
        }
        Ok(out)
    }

    /// `aux_k<kernel>`: the two auxiliary points, pixels.
    pub fn aux(&self, kernel: usize) -> Option<Vec<[f64; 2]>> {
        Deserialize::deserialize(self.rest.get(&format!("aux_k{kernel}"))?).ok()
    }
}

/// A person as MediaPipe gives it.
#[derive(Default, Deserialize)]
pub struct MpPerson {
    /// x, y over the image's size, z, visibility, perhaps presence; empty: nobody.
    #[serde(default)]
    pub lm: Vec<Vec<f64>>,
    /// x, y, z in metres, perhaps more.
    #[serde(default)]
    pub world: Vec<Vec<f64>>,
}

impl MpPerson {
    pub fn is_nobody(&self) -> bool {
        self.lm.is_empty()
    }

    /// Landmarks in pixels.
    pub fn pixels(&self, width: f64, height: f64) -> Vec<[f64; 2]> {
        self.lm
            .iter()
            .filter_map(|p| Some([p.first()? * width, p.get(1)? * height]))
            .collect()
    }

    pub fn world(&self) -> Vec<[f64; 3]> {
        self.world
            .iter()
            .filter_map(|p| p.first_chunk().copied())
            .collect()
    }
}

/// `mediapipe_tasks_*.json`: people by network (the entry `wh` aside).
pub fn tasks_people(
    photo: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Vec<MpPerson>>, String> {
    photo
        .iter()
        .filter(|(key, _)| *key != "wh")
        .map(|(key, value)| {
            let people = Deserialize::deserialize(value).map_err(|e| format!("{key}: {e}"))?;
            Ok((key.clone(), people))
        })
        .collect()
}

/// Reads a JSON file; `Ok(None)` when there is none.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// Files of `folder` whose names begin and end so, sorted.
pub fn files(folder: &Path, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut out: Vec<PathBuf> = entries
        .filter(|e| {
            let name = e.file_name();
            let name = name.to_string_lossy();
            !name.starts_with('.') && name.starts_with(prefix) && name.ends_with(suffix)
        })
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    out.sort();
    out
}

pub fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}
