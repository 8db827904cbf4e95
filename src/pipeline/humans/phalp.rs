//! People followed as PHALP follows them: by predicted place, pose and appearance.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::identity::Asker;
use super::person::Sighting;
use crate::geometry::boxes::BBox;
use crate::models::hmr2::camera::{full_focal_length, full_image_translation};
use crate::pipeline::error::EngineError;
use crate::pipeline::perception::FrameView;
use crate::pipeline::result::{Camera, Person, Smpl, Source};
use crate::tracking::config::TrackerConfig;
use crate::tracking::phalp::config::Config;
use crate::tracking::phalp::features::{Detection, POSE, Place};
use crate::tracking::phalp::track::{Prediction, State, Track};
use crate::tracking::phalp::tracker::Tracker;

/// The camera that PHALP's places are in: pixels of a square of so many that holds the frame.
const FOCAL_LENGTH: f64 = 5000.0;
const SQUARE: i64 = 256;
/// Divides the camera's distance within a pose.
const DEPTH_UNIT: f32 = 200.0;

/// The memory of a clip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Following {
    tracker: Tracker,
    /// Of the last frame, pixels.
    size: [f32; 2],
    /// Everybody being followed, as last seen.
    last: BTreeMap<u32, Arc<Last>>,
    /// Records for somebody missed, at most.
    max_predicted: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Last {
    person: Person,
    place: Place,
}

impl Following {
    pub fn new(config: Config, max_predicted: u32) -> Self {
        Self {
            tracker: Tracker::new(config),
            size: [0.0; 2],
            last: BTreeMap::new(),
            max_predicted,
        }
    }

    /// One frame, in order: `people` and what was seen of them, one for one. Who is missed comes
    /// with the body's predicted parameters; what follows from these is for others to say.
    pub async fn step(
        &mut self,
        frame: &FrameView,
        people: Vec<Person>,
        sightings: &[Sighting],
        networks: &mut Asker<'_>,
    ) -> Result<Vec<Person>, EngineError> {
        let view = View::of(frame);
        self.size = view.size;
        let seen = people.iter().zip(sightings);
        let detections: Vec<Detection> = seen
            .map(|(person, sighting)| view.detection(person, sighting, frame.index))
            .collect();
        let expected = self.predictions();
        let step = self.tracker.step(&detections, frame.cut, networks).await?;
        let mut told = Vec::new();
        for ((person, detection), owner) in people.into_iter().zip(detections).zip(step.owners) {
            // Found again, but not as anybody who was expected.
            let Some(track_id) = owner else { continue };
            let person = Person { track_id, ..person };
            let last = Last {
                person: carried(&person),
                place: detection.place,
            };
            self.last.insert(track_id, Arc::new(last));
            told.push(person);
        }
        let alive = |id: &u32| self.tracker.tracks().iter().any(|track| track.id == *id);
        self.last.retain(|id, _| alive(id));
        // Across a cut nobody is where they were expected.
        if !frame.cut {
            told.extend(self.missed(&view, &expected));
        }
        told.sort_by_key(|person| person.track_id);
        Ok(told)
    }

    fn predictions(&self) -> BTreeMap<u32, Prediction> {
        let next = |track: &Track| Some((track.id, track.predictions().next()?.clone()));
        self.tracker.tracks().iter().filter_map(next).collect()
    }

    /// A frame that could not be read: people are where they were expected, in the pose they were
    /// seen in last.
    pub fn miss(&mut self) -> Vec<Person> {
        let view = View::sized(self.size);
        let expected = self.predictions();
        self.tracker.pass();
        let still = |person: Person| {
            let last = &self.last.get(&person.track_id)?.person;
            let ([x, y], [to_x, to_y]) = (last.bbox.center(), person.bbox.center());
            let mut keypoints = person.keypoints;
            for point in &mut keypoints {
                point.x += to_x - x;
                point.y += to_y - y;
            }
            Some(Person {
                keypoints,
                joints3d: last.joints3d.clone(),
                joint_angles3d: last.joint_angles3d.clone(),
                keypoint_source: last.keypoint_source,
                camera: None,
                smpl: None,
                ..person
            })
        };
        let missed = self.missed(&view, &expected).into_iter();
        missed.filter_map(still).collect()
    }

    /// Where everybody believed in is expected.
    pub fn expected(&self, frame: &FrameView) -> Vec<BBox> {
        let view = View::of(frame);
        let tracks = self.tracker.tracks().iter();
        let confirmed = tracks.filter(|track| track.state == State::Confirmed);
        let place = |track: &Track| {
            let (last, next) = (self.last.get(&track.id)?, track.predictions().next()?);
            Some(view.predicted(last, next, 1.0)?.bbox)
        };
        confirmed.filter_map(place).collect()
    }

    fn missed(&self, view: &View, expected: &BTreeMap<u32, Prediction>) -> Vec<Person> {
        let tracks = self.tracker.tracks().iter();
        let missed = tracks.filter(|track| {
            track.state == State::Confirmed && (1..=self.max_predicted).contains(&track.unseen)
        });
        let person = |track: &Track| {
            let (last, prediction) = (self.last.get(&track.id)?, expected.get(&track.id)?);
            let decay = TrackerConfig::default().decay_frames;
            let confidence = (-(track.unseen as f32) / decay).exp();
            view.predicted(last, prediction, confidence)
        };
        missed.filter_map(person).collect()
    }
}

/// What of a person a prediction goes on with.
fn carried(person: &Person) -> Person {
    Person {
        segmentation: None,
        vertices: None,
        ..person.clone()
    }
}

/// A frame in PHALP's terms.
struct View {
    /// Pixels.
    size: [f32; 2],
    focal_length: f32,
}

impl View {
    fn of(frame: &FrameView) -> Self {
        Self::sized([frame.image.width as f32, frame.image.height as f32])
    }

    fn sized(size: [f32; 2]) -> Self {
        let [width, height] = size.map(f64::from);
        Self {
            size,
            focal_length: full_focal_length(FOCAL_LENGTH, SQUARE, width, height),
        }
    }

    fn longer(&self) -> f32 {
        self.size[0].max(self.size[1])
    }

    fn detection(&self, person: &Person, sighting: &Sighting, index: u64) -> Detection {
        let (square, body) = (sighting.square, &sighting.body);
        let [x, y, z] = full_image_translation(
            body.camera,
            square.center,
            square.side,
            self.size,
            self.focal_length,
        );
        let scale = self.focal_length / self.longer();
        let root = [x, y].map(|v| f64::from(0.5 + scale * v / z));
        let mut pose = Vec::with_capacity(POSE);
        pose.extend_from_slice(&body.rotations);
        pose.extend_from_slice(&body.betas);
        pose.extend([x, y, z / DEPTH_UNIT]);
        Detection {
            time: i64::try_from(index).unwrap_or(i64::MAX),
            score: f64::from(person.score),
            pose: pose.into(),
            place: Place::measured(root, [x, y, z].map(f64::from)),
            embedding: Vec::new().into(),
            texture: sighting.texture.clone(),
            begins: person.source != Source::Recovered,
        }
    }

    /// Somebody not seen, in the pose and at the place that were predicted for this frame; nobody
    /// where the prediction is no body before the camera.
    fn predicted(&self, last: &Last, prediction: &Prediction, confidence: f32) -> Option<Person> {
        let (orient, rest) = prediction.pose.split_first_chunk::<9>()?;
        let (body_pose, rest) = rest.split_at_checked(23 * 9)?;
        let betas = *rest.first_chunk::<10>()?;
        let camera = self.camera(last.person.camera?, &prediction.place)?;
        let pixel = |place: &Place| {
            let at = |axis: usize| (place.root[axis] as f32 - 0.5) * self.longer();
            [0, 1].map(|axis| at(axis) + self.size[axis] / 2.0)
        };
        let closer = (last.place.depth / prediction.place.depth) as f32;
        let (from, to) = (pixel(&last.place), pixel(&prediction.place));
        let moved = |value: f32, axis: usize| to[axis] + closer * (value - from[axis]);
        let b = last.person.bbox;
        let bbox = BBox::new(
            moved(b.x1, 0),
            moved(b.y1, 1),
            moved(b.x2, 0),
            moved(b.y2, 1),
        );
        let mut keypoints = last.person.keypoints.clone();
        for point in &mut keypoints {
            point.confidence *= confidence;
        }
        Some(Person {
            tracking_confidence: confidence,
            keypoints,
            camera: Some(camera),
            smpl: Some(Smpl {
                global_orient: *orient,
                body_pose: body_pose.to_vec(),
                betas,
            }),
            ..Person::at(last.person.track_id, bbox, Source::Predicted)
        })
    }

    /// The camera of the last sight, before which the body now stands at `place`.
    fn camera(&self, last: Camera, place: &Place) -> Option<Camera> {
        // Another focal length puts the body at another distance.
        let z = place.depth as f32 * last.focal_length / self.focal_length;
        let shift = |axis: usize| {
            let pixels = (place.root[axis] as f32 - 0.5) * self.longer();
            pixels * z / last.focal_length
        };
        let translation = [shift(0), shift(1), z];
        let there = translation.iter().all(|v| v.is_finite()) && z > 0.0;
        there.then_some(Camera {
            translation,
            ..last
        })
    }
}

#[cfg(test)]
#[path = "phalp_tests.rs"]
mod tests;
