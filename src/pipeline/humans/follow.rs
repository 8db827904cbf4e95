//! What a clip remembers, and who is who from frame to frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::identity::Asker;
use super::networks::FoundBox;
use super::person::Sighting;
use super::phalp::Following;
use crate::geometry::boxes::BBox;
use crate::geometry::joints::{BLAZEPOSE33_BODY, KeypointSet};
use crate::imaging::pixels::Rgb8;
use crate::pipeline::error::{EngineError, INTERNAL};
use crate::pipeline::perception::FrameView;
use crate::pipeline::result::{Person, Source};
use crate::tracking::config::TrackerConfig;
use crate::tracking::looks::Looks;
use crate::tracking::observation::{Observation, Origin, Record};
use crate::tracking::phalp::config::Config;
use crate::tracking::tracker::Tracker;

/// Overlap (intersection over union) of a sure box with where somebody is expected, from which they
/// are seen; and of a weak one, from which it is looked at for their sake.
const SEEN: f32 = 0.3;
const EXPECTED: f32 = 0.4;

/// The memory of a clip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Clip {
    /// A frame by itself.
    Photo,
    Joints(Joints),
    Phalp(Following),
}

impl Clip {
    pub fn photo() -> Self {
        Self::Photo
    }

    pub fn by_joints(max_predicted: u32) -> Self {
        Self::Joints(Joints::new(max_predicted))
    }

    pub fn by_phalp(config: Config, max_predicted: u32) -> Self {
        Self::Phalp(Following::new(config, max_predicted))
    }

    /// Of `weak`, the boxes where somebody believed in is expected and not surely seen: each box once,
    /// the best for each.
    pub fn worth_a_second_look(
        &self,
        frame: &FrameView,
        sure: &[Sighting],
        mut weak: Vec<FoundBox>,
    ) -> Vec<FoundBox> {
        let expected = match self {
            Self::Photo => Vec::new(),
            Self::Joints(joints) => joints.expected(frame),
            Self::Phalp(phalp) => phalp.expected(frame),
        };
        let mut chosen = Vec::new();
        for there in expected {
            if sure.iter().any(|seen| seen.bbox.iou(&there) >= SEEN) {
                continue;
            }
            let near = |found: &FoundBox| found.bbox.iou(&there) >= EXPECTED;
            if let Some(at) = weak.iter().position(near) {
                chosen.push(weak.remove(at));
            }
        }
        chosen
    }

    /// One frame, in order: `people` and what was seen of them, one for one; `networks` are those of
    /// PHALP.
    pub async fn step(
        &mut self,
        frame: &FrameView,
        people: Vec<Person>,
        sightings: &[Sighting],
        networks: Option<&mut Asker<'_>>,
    ) -> Result<Vec<Person>, EngineError> {
        match (self, networks) {
            (Self::Photo, _) => {
                let numbered = (1..).zip(people);
                Ok(numbered
                    .map(|(track_id, person)| Person { track_id, ..person })
                    .collect())
            }
            (Self::Joints(joints), _) => Ok(joints.step(frame, people, sightings)),
            (Self::Phalp(phalp), Some(networks)) => {
                phalp.step(frame, people, sightings, networks).await
            }
            (Self::Phalp(_), None) => Err(EngineError::new(
                INTERNAL,
                "a clip of PHALP's without its networks; please report this",
            )),
        }
    }
}

impl Clip {
    /// A frame that could not be read: time passes, and everybody is told from memory.
    pub fn miss(&mut self, time_s: f64) -> Vec<Person> {
        match self {
            Self::Photo => Vec::new(),
            Self::Joints(joints) => joints.miss(time_s),
            Self::Phalp(phalp) => phalp.miss(),
        }
    }
}

/// People followed by their projected joints and boxes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joints {
    tracker: Tracker,
    /// Everybody being followed, as last seen.
    last: BTreeMap<u32, Arc<Person>>,
}

impl Joints {
    fn new(max_predicted: u32) -> Self {
        let config = TrackerConfig {
            max_predicted,
            ..TrackerConfig::default()
        };
        Self {
            tracker: Tracker::new(config),
            last: BTreeMap::new(),
        }
    }

    /// Where everybody believed in is expected.
    fn expected(&self, frame: &FrameView) -> Vec<BBox> {
        let confirmed = |id: u32| self.tracker.live().any(|t| t.id() == id && t.confirmed());
        let expected = self.tracker.predict(frame.time_s).into_iter();
        let expected = expected.filter(|(id, _)| confirmed(*id));
        expected.map(|(_, there)| there.bbox).collect()
    }

    fn step(
        &mut self,
        frame: &FrameView,
        people: Vec<Person>,
        sightings: &[Sighting],
    ) -> Vec<Person> {
        if frame.cut {
            self.tracker.forget();
        }
        let size = (frame.image.width as f32, frame.image.height as f32);
        let seen = people.iter().zip(sightings);
        let observations: Vec<Observation> = seen
            .map(|(person, sighting)| observation(person, sighting, &frame.image))
            .collect();
        let records = self.tracker.update(frame.time_s, size, &observations);
        self.last
            .retain(|id, _| records.iter().any(|record| record.track_id == *id));
        let mut people: Vec<Option<Person>> = people.into_iter().map(Some).collect();
        let mut told = Vec::with_capacity(records.len());
        for record in records {
            let seen = record.matched.and_then(|at| people.get_mut(at)?.take());
            told.extend(self.describe(&record, seen));
        }
        told
    }

    fn miss(&mut self, time_s: f64) -> Vec<Person> {
        let records = self.tracker.update_unseen(time_s);
        self.last
            .retain(|id, _| records.iter().any(|record| record.track_id == *id));
        let told = records.iter().filter_map(|r| self.describe(r, None));
        told.collect()
    }

    fn describe(&mut self, record: &Record, seen: Option<Person>) -> Option<Person> {
        let track_id = record.track_id;
        let Some(person) = seen else {
            let last = self.last.get(&track_id).filter(|_| record.confirmed)?;
            return (record.origin == Origin::Guessed).then(|| guess(last, record));
        };
        let person = Person {
            track_id,
            confirmed: record.confirmed,
            ..person
        };
        self.last.insert(track_id, Arc::new(carried(&person)));
        Some(person)
    }
}

/// What of a person a guess goes on with.
fn carried(person: &Person) -> Person {
    Person {
        keypoints: person.keypoints.clone(),
        joints3d: person.joints3d.clone(),
        joint_angles3d: person.joint_angles3d.clone(),
        keypoint_source: person.keypoint_source,
        ..Person::at(person.track_id, person.bbox, person.source)
    }
}

/// Somebody not seen in this frame: as last seen, moved to where they are expected. What only a look
/// can tell (mesh, body parameters, camera, the detector's score) is left out.
fn guess(last: &Person, record: &Record) -> Person {
    let (from, to) = (last.bbox.center(), record.observation.bbox.center());
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let mut keypoints = last.keypoints.clone();
    for point in &mut keypoints {
        point.x += dx;
        point.y += dy;
        point.confidence *= record.confidence;
    }
    Person {
        tracking_confidence: record.confidence,
        keypoints,
        joints3d: last.joints3d.clone(),
        joint_angles3d: last.joint_angles3d.clone(),
        keypoint_source: last.keypoint_source,
        ..Person::at(record.track_id, record.observation.bbox, Source::Predicted)
    }
}

/// The person in the tracker's terms: BlazePose's points, of which it uses those of the body.
fn observation(person: &Person, sighting: &Sighting, image: &Rgb8) -> Observation {
    let names = KeypointSet::Blazepose33.names();
    let mut keypoints = vec![[f32::NAN, f32::NAN, 0.0]; names.len()];
    let mut joints = vec![[f32::NAN; 3]; names.len()];
    let smplx = KeypointSet::Smplx45.names();
    for (index, _) in BLAZEPOSE33_BODY {
        let Some(name) = names.get(index) else {
            continue;
        };
        let joint = smplx.iter().position(|known| known == name);
        let joint = joint.and_then(|at| sighting.body.joints45.get(at));
        if let (Some(joint), Some(camera)) = (joint, &person.camera)
            && let (Some(point), Some(place)) = (keypoints.get_mut(index), joints.get_mut(index))
        {
            let [x, y] = super::person::seen(*joint, camera);
            *point = [x, y, 1.0];
            *place = *joint;
        }
    }
    Observation {
        bbox: usable(sighting.bbox),
        // Whoever the detector, or the caller, lets through is believed.
        score: sighting.score.max(0.5),
        begins: person.source != Source::Recovered,
        looks: Looks::seen(image, &keypoints),
        keypoints,
        joints,
    }
}

/// The tracker has no use for a box without an area.
fn usable(b: BBox) -> BBox {
    let least = |from: f32, to: f32| to.max(from + 1e-3);
    BBox::new(b.x1, b.y1, least(b.x1, b.x2), least(b.y1, b.y2))
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
