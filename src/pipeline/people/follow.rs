//! What a clip remembers, and one step of following: look where people were, then where they may
//! be, then tell who is who.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::candidates::Candidate;
use super::carried::Carried;
use super::person::{Body, Shape, Standing};
use super::pose::{Found, Pose};
use super::search::Looker;
use super::select;
use super::tiles::{self, Tile};
use super::watch::{Thumbnail, stirred};
use crate::geometry::boxes::BBox;
use crate::geometry::joints::BLAZEPOSE33_BODY;
use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;
use crate::models::blazepose::{Landmarks, regions};
use crate::pipeline::config::BlazePoseConfig;
use crate::pipeline::error::EngineError;
use crate::pipeline::past::{Past, Told};
use crate::pipeline::perception::{Blind, FrameView};
use crate::pipeline::result::{Person, Source};
use crate::tracking::config::TrackerConfig;
use crate::tracking::looks::Looks;
use crate::tracking::observation::{Observation, Origin, Record};
use crate::tracking::tracker::Tracker;

type Result<T> = std::result::Result<T, EngineError>;

/// What a frame shows by itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sightings {
    pub candidates: Vec<Candidate>,
    /// Whether tiles were looked at, and not the whole frame alone.
    pub searched: bool,
    /// For the next frame to compare with, if watching.
    pub thumbnail: Option<Thumbnail>,
}

/// A second look spans this many body sizes around the expected place.
const LOOK_AGAIN_SPANS: [f32; 2] = [2.5, 5.0];
/// And lowers the detector's threshold by this factor: the pose flag decides.
const LOOK_AGAIN_THRESHOLD: f32 = 0.5;
/// A followed pose may be this far from where it is expected, in body sizes.
const MAX_JUMP: f32 = 1.0;
/// Quality from which a followed pose is believed.
const FOLLOW_QUALITY: f32 = 0.1;
/// A body found on a second look has this part of its joints in the frame: at the border the
/// network completes people who have left.
const MIN_IN_FRAME: f32 = 0.4;
/// In a photo, somebody found has so many of shoulders and hips in the frame: a body mostly beyond
/// the border is the network's own completion.
const MIN_TRUNK_IN_PHOTO: usize = 2;
/// From this worth on (of a pose found by several looks) somebody new is believed at once.
const INSTANT_QUALITY: f32 = 0.3;

/// The memory of a clip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Clip {
    /// A frame by itself.
    photo: bool,
    /// Who is seen is smoothed at once; a clip that is gone over again is smoothed then.
    smoothing: bool,
    pub(super) tracker: Tracker,
    pub(super) carried: BTreeMap<u32, Carried>,
    /// The last frame, if watching.
    before: Option<Thumbnail>,
    /// Who was where of late, of a clip that looks back.
    pub(super) past: Option<Past>,
}

impl Clip {
    /// `reach`: so many frames are remembered to look back at; 0 for none.
    pub fn new(config: &BlazePoseConfig, photo: bool, smoothing: bool, reach: usize) -> Self {
        let tracker = TrackerConfig {
            max_predicted: config.max_predicted,
            ..TrackerConfig::default()
        };
        Self {
            photo,
            smoothing: smoothing && !photo,
            tracker: Tracker::new(tracker),
            carried: BTreeMap::new(),
            before: None,
            past: (reach > 0).then(|| Past::new(reach)),
        }
    }

    /// A frame that could not be read: time passes, and everybody is told from memory.
    pub fn miss(&mut self, config: &BlazePoseConfig, shape: &Shape, frame: &Blind) -> Vec<Person> {
        if self.photo {
            return Vec::new();
        }
        let records = self.tracker.update_unseen(frame.time_s);
        self.remember(frame, &records);
        let (width, height) = self.tracker.frame();
        let size = (width as usize, height as usize);
        let mut told = Vec::with_capacity(records.len());
        for record in records {
            told.extend(self.describe(record, None, config, shape, (frame.time_s, size)));
        }
        told
    }

    /// Somebody is not where they were: the place is of no use any more.
    pub(super) fn lose(&mut self, id: u32) {
        if let Some(carried) = self.carried.get_mut(&id) {
            carried.region = None;
        }
    }

    /// Drops what belonged to tracks that have ended.
    pub(super) fn remember(&mut self, frame: &Blind, records: &[Record]) {
        self.carried
            .retain(|id, _| records.iter().any(|r| r.track_id == *id));
        if let Some(past) = &mut self.past {
            past.add(
                frame,
                self.tracker.frame(),
                records.iter().map(Told::of).collect(),
            );
        }
    }

    /// One frame, in order.
    pub async fn step(
        &mut self,
        look: &Looker<'_>,
        shape: &Shape,
        frame: &FrameView,
        mut sightings: Sightings,
        max_persons: usize,
    ) -> Result<Vec<Person>> {
        if frame.cut {
            self.tracker.forget();
            self.carried.clear();
            self.before = None;
        }
        let thumbnail = sightings.thumbnail.take();
        let mut found = match &frame.boxes {
            Some(boxes) => {
                let place = |b| Candidate {
                    region: regions::from_box(b),
                    score: 1.0,
                    votes: 2,
                };
                look.poses(boxes.iter().map(|b| (place(b), Found::Given)).collect())
                    .await?
            }
            None => {
                let moved = (self.before.as_ref(), thumbnail.as_ref());
                self.find(look, frame, sightings, moved, max_persons)
                    .await?
            }
        };
        self.before = thumbnail;
        let enough = if self.photo {
            look.config.min_quality_photo
        } else {
            look.config.min_quality
        };
        let size = (frame.image.width as f32, frame.image.height as f32);
        if self.photo {
            found.retain(|p| p.found != Found::Detected || p.trunk_in(size) >= MIN_TRUNK_IN_PHOTO);
        }
        let people = select::people(found, enough, max_persons);
        let observations: Vec<Observation> = people
            .iter()
            .map(|p| observation(p, self.photo, look.image))
            .collect();
        let records = self.tracker.update(frame.time_s, size, &observations);
        let place = Blind {
            time_s: frame.time_s,
            index: frame.index,
        };
        self.remember(&place, &records);
        let whole = (frame.image.width, frame.image.height);
        let mut persons = Vec::with_capacity(records.len());
        for record in records {
            let pose = record.matched.and_then(|i| people.get(i));
            let moment = (frame.time_s, whole);
            let person = self.describe(record, pose, look.config, shape, moment);
            persons.extend(person);
        }
        Ok(persons)
    }

    /// Every pose of the frame, doubles included.
    async fn find(
        &self,
        look: &Looker<'_>,
        frame: &FrameView,
        mut sightings: Sightings,
        (before, now): (Option<&Thumbnail>, Option<&Thumbnail>),
        max_persons: usize,
    ) -> Result<Vec<Pose>> {
        let expected: BTreeMap<u32, Observation> =
            self.tracker.predict(frame.time_s).into_iter().collect();
        let watched = self.watched(look, frame, &sightings, (before, now), &expected);
        let threshold = look.config.detection_threshold;
        let watching = look.detect(watched, threshold, max_persons * 4);
        let mut poses = self.carry_on(look, &expected).await?;
        sightings.candidates.extend(watching.await?);
        let fresh = |candidates: Vec<Candidate>, poses: &[Pose]| -> Vec<(Candidate, Found)> {
            let new = candidates
                .into_iter()
                .filter(|c| !poses.iter().any(|p| explains(p, &c.region)));
            new.map(|c| (c, Found::Detected)).collect()
        };
        poses.extend(look.poses(fresh(sightings.candidates, &poses)).await?);
        for id in self.lost(&poses) {
            let Some(there) = expected.get(&id) else {
                continue;
            };
            if poses.iter().any(|p| near(p, there)) {
                continue;
            }
            let again = self.look_again(look, id, there).await?;
            if !again.is_empty() {
                poses.extend(again);
            } else if !sightings.searched && self.search_is_due(id) {
                sightings.searched = true;
                let all = self.all_tiles(look, frame);
                let found = look
                    .detect(all, look.config.detection_threshold, max_persons * 4)
                    .await?;
                poses.extend(look.poses(fresh(found, &poses)).await?);
            }
        }
        Ok(poses)
    }

    /// Where to look for newcomers beside the searches: where something moves, or everywhere at once
    /// while nobody is known.
    fn watched(
        &self,
        look: &Looker<'_>,
        frame: &FrameView,
        sightings: &Sightings,
        (before, now): (Option<&Thumbnail>, Option<&Thumbnail>),
        expected: &BTreeMap<u32, Observation>,
    ) -> Vec<Tile> {
        if sightings.searched || frame.index == 0 {
            return Vec::new();
        }
        let mut tiles = Vec::new();
        if self.tracker.live().next().is_none() {
            tiles = tiles::tiles(look.image.width, look.image.height, &[], 0.0);
        }
        if let (Some(before), Some(now)) = (before, now) {
            let known: Vec<BBox> = expected.values().map(|o| o.bbox).collect();
            let place = stirred(before, now, &known);
            tiles.extend(place.map(|roi| Tile { roi, scale: 0.0 }));
        }
        tiles
    }

    /// The poses in the regions carried over from the last frame.
    pub(super) async fn carry_on(
        &self,
        look: &Looker<'_>,
        expected: &BTreeMap<u32, Observation>,
    ) -> Result<Vec<Pose>> {
        let places: Vec<(u32, Roi)> = self
            .carried
            .iter()
            .filter_map(|(&id, c)| c.region.map(|r| (id, r)))
            .collect();
        let found = |(id, region)| (Found::Carried(id), region);
        let poses = followed(look, places.into_iter().map(found).collect()).await?;
        let in_place = |p: &Pose| match p.found {
            Found::Carried(id) => expected.get(&id).is_some_and(|there| near(p, there)),
            _ => true,
        };
        Ok(poses.into_iter().filter(in_place).collect())
    }

    /// Confirmed tracks without a pose of their own.
    fn lost(&self, poses: &[Pose]) -> Vec<u32> {
        let has_pose = |id: u32| poses.iter().any(|p| p.found == Found::Carried(id));
        self.tracker
            .live()
            .filter(|t| t.confirmed() && !has_pose(t.id()))
            .map(|t| t.id())
            .collect()
    }

    /// Frames in which somebody was not seen, up to the last one.
    fn misses(&self, id: u32) -> u32 {
        let track = self.tracker.live().find(|t| t.id() == id);
        track.map_or(0, |t| t.misses())
    }

    /// A full search is paid for when somebody is lost, then ever more rarely.
    fn search_is_due(&self, id: u32) -> bool {
        (self.misses(id) + 1).is_power_of_two()
    }

    fn all_tiles(&self, look: &Looker<'_>, frame: &FrameView) -> Vec<Tile> {
        let (width, height) = (frame.image.width, frame.image.height);
        tiles::tiles(
            width,
            height,
            &look.config.tile_scales,
            look.config.tile_overlap,
        )
    }

    /// Looks where a lost person is expected: the landmarks first, then the detector, closer up.
    pub(super) async fn look_again(
        &self,
        look: &Looker<'_>,
        id: u32,
        there: &Observation,
    ) -> Result<Vec<Pose>> {
        let near_enough = |mut poses: Vec<Pose>| {
            poses.retain(|p| {
                p.quality() >= FOLLOW_QUALITY
                    && near(p, there)
                    && in_frame(p, look.image) >= MIN_IN_FRAME
            });
            poses
        };
        let found = Found::LookedAgain(id);
        let carried = self.carried.get(&id);
        // Where they would have been carried to shows them as before; their box finds those who turned.
        let regions = [
            Some(regions::from_box(&there.bbox)),
            carried.and_then(|c| c.region_at(&there.bbox)),
        ];
        let usable = |region: &Roi| region.size.is_finite() && region.size >= 1.0;
        let places: Vec<(Candidate, Found)> = regions
            .into_iter()
            .flatten()
            .filter(usable)
            .map(|region| {
                let place = Candidate {
                    region,
                    score: 0.0,
                    votes: 1,
                };
                (place, found)
            })
            .collect();
        let Some((Candidate { region, .. }, _)) = places.first().cloned() else {
            return Ok(Vec::new());
        };
        let mut poses = look.poses(places).await?;
        poses.iter_mut().for_each(|p| p.score = p.landmarks.flag);
        let poses = near_enough(poses);
        if !poses.is_empty() {
            return Ok(poses);
        }
        let body = there.bbox.width().max(there.bbox.height());
        let tiles = LOOK_AGAIN_SPANS
            .map(|span| Tile {
                roi: Roi {
                    size: body * span,
                    rotation: 0.0,
                    ..region
                },
                scale: 0.0,
            })
            .to_vec();
        let threshold = look.config.detection_threshold * LOOK_AGAIN_THRESHOLD;
        let candidates = look.detect(tiles, threshold, 4).await?;
        let poses = look
            .poses(candidates.into_iter().map(|c| (c, found)).collect())
            .await?;
        Ok(near_enough(poses))
    }

    /// `moment`: the frame's time, and its width and height.
    pub(super) fn describe(
        &mut self,
        record: Record,
        pose: Option<&Pose>,
        config: &BlazePoseConfig,
        shape: &Shape,
        (time_s, (width, height)): (f64, (usize, usize)),
    ) -> Option<Person> {
        let carried = self
            .carried
            .entry(record.track_id)
            .or_insert_with(Carried::new);
        let mut body = Body {
            points: record.observation.keypoints,
            joints: record.observation.joints,
        };
        let mut smooth = None;
        match pose {
            Some(pose) => {
                carried.learn(pose, &body, time_s);
                if self.smoothing {
                    smooth = Some(carried.smoothed(pose, &body, time_s));
                }
            }
            None => {
                carried.region = None;
                carried.go_on(&mut body);
            }
        }
        if config.constant_bones {
            for body in std::iter::once(&mut body).chain(&mut smooth) {
                body.joints = carried.bones.apply(&body.joints);
            }
        }
        if !record.confirmed && pose.is_none() {
            return None;
        }
        let source = match (record.origin, pose.map(|p| p.found)) {
            (Origin::Guessed, _) | (_, None) => Source::Predicted,
            (_, Some(Found::LookedAgain(_))) => Source::Recovered,
            _ => Source::Detected,
        };
        let standing = Standing {
            track_id: record.track_id,
            bbox: record.observation.bbox,
            score: pose.map_or(0.0, |p| p.score),
            source,
            tracking_confidence: record.confidence,
            segmentation: pose.and_then(Pose::segmentation),
        };
        let person = Person {
            confirmed: record.confirmed,
            ..shape.person(standing, &body, width, height)
        };
        Some(match smooth {
            Some(body) => Person {
                raw: Some(Box::new(person.measured())),
                ..shape.with_body(person, &body, width, height)
            },
            None => person,
        })
    }
}

/// The poses in regions known from frames before, that are believed.
async fn followed(look: &Looker<'_>, places: Vec<(Found, Roi)>) -> Result<Vec<Pose>> {
    let seen = look
        .landmarks(places.iter().map(|(_, region)| *region).collect())
        .await?;
    let pose = |((found, _), landmarks): ((Found, Roi), Landmarks)| Pose {
        score: landmarks.flag,
        consistency: 1.0,
        votes: 1,
        found,
        landmarks,
    };
    let poses = places.into_iter().zip(seen).map(pose);
    let threshold = look.config.pose_threshold;
    let believed = |p: &Pose| p.landmarks.flag >= threshold && p.quality() >= FOLLOW_QUALITY;
    Ok(poses.filter(believed).collect())
}

/// In a photo there is nothing to wait for, and in a box of the caller's nothing to doubt: who is
/// found is believed.
pub(super) fn observation(pose: &Pose, photo: bool, image: &Rgb8) -> Observation {
    let sure = photo || pose.found == Found::Given;
    let votes = if pose.votes > 1 { 1.0 } else { select::ALONE };
    let points = pose.points();
    Observation {
        bbox: pose.bbox(),
        // In the tracker's measure, where a half is enough to be believed at once.
        score: (0.5 * pose.quality() * votes / INSTANT_QUALITY)
            .max(if sure { 0.5 } else { 0.0 })
            .min(1.0),
        begins: true,
        looks: Looks::seen(image, &points),
        keypoints: points,
        joints: pose.landmarks.world.to_vec(),
    }
}

/// The part of the body joints that lies in the frame.
fn in_frame(pose: &Pose, image: &Rgb8) -> f32 {
    let (width, height) = (image.width as f32, image.height as f32);
    let inside = |&&(i, _): &&(usize, f32)| {
        let p = &pose.landmarks.points[i];
        (0.0..width).contains(&p.x) && (0.0..height).contains(&p.y)
    };
    let count = BLAZEPOSE33_BODY.iter().filter(inside).count();
    count as f32 / BLAZEPOSE33_BODY.len() as f32
}

/// Whether somebody already found stands in that region.
fn explains(pose: &Pose, region: &Roi) -> bool {
    let own = pose.landmarks.next_region();
    let small = own.size.min(region.size);
    (own.cx - region.cx).hypot(own.cy - region.cy) < 0.25 * small
        && own.size.max(region.size) < 1.6 * small
}

/// Whether a pose is where, and about as large as, somebody is expected.
fn near(pose: &Pose, there: &Observation) -> bool {
    let (own, expected) = (pose.bbox(), there.bbox);
    let size = |b: &BBox| b.width().max(b.height()).max(1.0);
    let ([x, y], [ex, ey]) = (own.center(), expected.center());
    let ratio = size(&own) / size(&expected);
    (x - ex).hypot(y - ey) <= MAX_JUMP * size(&expected) && (0.4..=2.5).contains(&ratio)
}
