//! What the tracker is told about a person in a frame, and what it says back.

use serde::{Deserialize, Serialize};

use crate::geometry::boxes::BBox;
use crate::geometry::joints::BLAZEPOSE33_BODY;
use crate::geometry::oks::pose_area;
use crate::tracking::config::MIN_CONFIDENCE;
use crate::tracking::looks::Looks;
use crate::tracking::stored::StoredBox;

/// A person found in one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Pixels of the frame.
    #[serde(with = "StoredBox")]
    pub bbox: BBox,
    /// How sure the detector is that this is a person, 0..=1.
    pub score: f32,
    /// Whether it may be somebody new; otherwise it counts only as somebody known.
    pub begins: bool,
    /// BlazePose's 33 points `[x, y, confidence]`, pixels; may be empty.
    pub keypoints: Vec<[f32; 3]>,
    /// BlazePose's 33 joints, metres in camera axes, pelvis as origin; may be empty.
    pub joints: Vec<[f32; 3]>,
    /// What they wear, where that was looked at.
    pub looks: Option<Looks>,
}

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One of this frame's observations.
    Seen,
    /// Nobody was found; the last pose, moved to where the person is expected.
    Guessed,
}

/// One track in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub track_id: u32,
    pub origin: Origin,
    /// 1 where seen; while missed it decays with every frame and with what has left the frame.
    pub confidence: f32,
    /// Index among this frame's observations.
    pub matched: Option<usize>,
    /// As seen, or extrapolated.
    pub observation: Observation,
    /// Frames since the first observation, which is 0.
    pub age: u32,
    /// Frames in a row without an observation.
    pub misses: u32,
    /// False while it may yet be a false alarm.
    pub confirmed: bool,
}

const TORSO: [usize; 4] = [11, 12, 23, 24];

impl Observation {
    /// Whether there is a place to speak of.
    pub(super) fn is_usable(&self) -> bool {
        let b = &self.bbox;
        [b.x1, b.y1, b.x2, b.y2, self.score]
            .iter()
            .all(|v| v.is_finite())
            && b.area() > 0.0
            && b.area().is_finite()
    }

    /// The middle of the shoulders and hips, which limbs do not swing about; of the box where
    /// fewer than two of them are sure.
    pub(super) fn root(&self) -> [f64; 2] {
        let (mut sum, mut weight, mut count) = ([0.0, 0.0], 0.0, 0);
        for point in TORSO.iter().filter_map(|&i| self.keypoints.get(i)) {
            let [x, y, confidence] = point.map(f64::from);
            if x.is_finite() && y.is_finite() && point[2] >= MIN_CONFIDENCE {
                sum = [sum[0] + confidence * x, sum[1] + confidence * y];
                weight += confidence;
                count += 1;
            }
        }
        if count >= 2 && weight.is_finite() {
            sum.map(|s| s / weight)
        } else {
            self.bbox.center().map(f64::from)
        }
    }

    /// The person's size in pixels: the square root of the area of the body's joints, or of the
    /// box where too few joints are sure. Positive for a usable observation.
    pub(super) fn size(&self) -> f64 {
        let area = pose_area(&self.keypoints, &BLAZEPOSE33_BODY, MIN_CONFIDENCE);
        let sure = |p: &&[f32; 3]| p[2] >= MIN_CONFIDENCE;
        let joints = BLAZEPOSE33_BODY
            .iter()
            .filter_map(|&(i, _)| self.keypoints.get(i));
        let whole = joints.filter(sure).count() >= 8;
        let area = area.filter(|_| whole).unwrap_or_else(|| self.bbox.area());
        f64::from(area).sqrt()
    }

    /// The same person elsewhere in the image.
    pub(super) fn moved(&self, by: [f64; 2]) -> Self {
        let [dx, dy] = by.map(|v| v as f32);
        let b = &self.bbox;
        Self {
            bbox: BBox::new(b.x1 + dx, b.y1 + dy, b.x2 + dx, b.y2 + dy),
            score: self.score,
            begins: self.begins,
            keypoints: self
                .keypoints
                .iter()
                .map(|&[x, y, c]| [x + dx, y + dy, c])
                .collect(),
            joints: self.joints.clone(),
            looks: self.looks,
        }
    }

    /// The part of the box inside a frame of that size, 0..=1.
    pub(super) fn visible_part(&self, frame: (f32, f32)) -> f32 {
        let whole = BBox::new(0.0, 0.0, frame.0, frame.1);
        if self.bbox.area() > 0.0 {
            self.bbox.intersection(&whole) / self.bbox.area()
        } else {
            0.0
        }
    }
}
