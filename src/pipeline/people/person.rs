//! A pose → a person in the public result: keypoints by set, metric joints, angles, camera.

use crate::geometry::angles::blazepose_angles;
use crate::geometry::boxes::BBox;
use crate::geometry::camera::{assumed_focal_length, fit_translation};
use crate::geometry::joints::{KeypointSet, map_from_blazepose};
use crate::pipeline::result::{Camera, Keypoint, KeypointSource, Person, Segmentation, Source};

/// Keypoints surer than this place a person in front of the camera.
const CAMERA_CONFIDENCE: f32 = 0.5;

/// What all people of an engine share.
#[derive(Clone, Debug)]
pub struct Shape {
    names: Vec<&'static str>,
    indices: Vec<usize>,
    /// Pixels; `None`: assumed from the frame's size.
    focal_length: Option<f32>,
}

/// One person's numbers, in BlazePose's order.
pub struct Body {
    /// `[x, y, confidence]`, pixels.
    pub points: Vec<[f32; 3]>,
    /// Metres, origin between the hips.
    pub joints: Vec<[f32; 3]>,
}

/// Who it is and how they were found.
pub struct Standing {
    pub track_id: u32,
    pub bbox: BBox,
    pub score: f32,
    pub source: Source,
    pub tracking_confidence: f32,
    pub segmentation: Option<Segmentation>,
}

impl Shape {
    /// `None` where BlazePose does not measure the set.
    pub fn new(set: KeypointSet, focal_length: Option<f32>) -> Option<Self> {
        let indices = map_from_blazepose(set)?;
        Some(Self {
            names: set.names().to_vec(),
            indices,
            focal_length,
        })
    }

    pub fn person(&self, standing: Standing, body: &Body, width: usize, height: usize) -> Person {
        let person = Person {
            score: standing.score,
            tracking_confidence: standing.tracking_confidence,
            segmentation: standing.segmentation,
            keypoint_source: Some(KeypointSource::Measured),
            ..Person::at(standing.track_id, standing.bbox, standing.source)
        };
        self.with_body(person, body, width, height)
    }

    /// The person with that body in the place of their own.
    pub fn with_body(&self, person: Person, body: &Body, width: usize, height: usize) -> Person {
        let keypoint = |(&name, &index): (&&'static str, &usize)| {
            let [x, y, confidence] =
                body.points
                    .get(index)
                    .copied()
                    .unwrap_or([f32::NAN, f32::NAN, 0.0]);
            Keypoint {
                name,
                x,
                y,
                z: body.joints.get(index).map(|j| j[2]),
                confidence,
            }
        };
        let joints3d = self
            .indices
            .iter()
            .filter_map(|&i| body.joints.get(i).copied())
            .collect();
        Person {
            keypoints: self.names.iter().zip(&self.indices).map(keypoint).collect(),
            joints3d: Some(joints3d),
            joint_angles3d: Some(blazepose_angles(&body.joints)),
            camera: self.camera(body, width as f32, height as f32),
            ..person
        }
    }

    fn camera(&self, body: &Body, width: f32, height: f32) -> Option<Camera> {
        let focal_length = self
            .focal_length
            .unwrap_or_else(|| assumed_focal_length(width, height));
        let center = [width * 0.5, height * 0.5];
        let fit = fit_translation(
            &body.joints,
            &body.points,
            focal_length,
            center,
            CAMERA_CONFIDENCE,
        )?;
        Some(Camera {
            translation: fit.translation,
            focal_length,
            center,
        })
    }
}
