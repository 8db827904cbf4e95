//! Backward in time: somebody just seen, looked for in earlier frames among the boxes that the detector
//! half believed in. A body fitted where it believed in nothing would prove nothing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::networks::FoundBox;
use crate::geometry::boxes::BBox;
use crate::pipeline::past::{Past, PastFrame, Told, Wanted};
use crate::pipeline::perception::{Blind, FrameView};
use crate::pipeline::result::{BoxSource, Person, Source};
use crate::tracking::config::TrackerConfig;
use crate::tracking::motion::Motion;
use crate::tracking::observation::Observation;
use crate::tracking::stored::StoredBox;

/// Overlap (intersection over union) of a weak box with where they are expected, from which it is
/// looked at; and with somebody else seen there, from which it is theirs.
const EXPECTED: f32 = 0.4;
const TAKEN: f32 = 0.3;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct WeakBox {
    #[serde(with = "StoredBox")]
    bbox: BBox,
    score: f32,
}

/// What of a frame's boxes made nobody.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WeakFrame {
    index: u64,
    /// Best first.
    boxes: Vec<WeakBox>,
    source: BoxSource,
    /// Whether the frame's result holds meshes.
    mesh: bool,
}

/// The last frames of a clip that looks back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memories {
    past: Past,
    weak: VecDeque<WeakFrame>,
    reach: usize,
    max_predicted: u32,
}

impl Memories {
    /// `reach`: so many frames are remembered.
    pub fn new(reach: usize, max_predicted: u32) -> Self {
        Self {
            past: Past::new(reach),
            weak: VecDeque::new(),
            reach,
            max_predicted,
        }
    }

    /// A frame that was followed: who is told in it, and the boxes that made nobody.
    pub fn see(
        &mut self,
        frame: &FrameView,
        told: &[Person],
        weak: &[FoundBox],
        source: BoxSource,
    ) {
        let place = Blind {
            time_s: frame.time_s,
            index: frame.index,
        };
        let size = (frame.image.width as f32, frame.image.height as f32);
        self.past.add(&place, size, people(told));
        while self.weak.len() >= self.reach.max(1) {
            self.weak.pop_front();
        }
        let weak = weak.iter().map(|found| WeakBox {
            bbox: found.bbox,
            score: found.score,
        });
        self.weak.push_back(WeakFrame {
            index: frame.index,
            boxes: weak.collect(),
            source,
            mesh: frame.mesh,
        });
    }

    /// A frame that could not be read.
    pub fn miss(&mut self, place: &Blind, told: &[Person]) {
        self.past.add(place, (0.0, 0.0), people(told));
    }

    /// Whom the last frame gives reason to look for: each with the index of the frame before which to
    /// look. Nobody, where no weak box lies.
    pub fn traces(&self) -> Vec<(u64, Trace)> {
        let wanted = self.past.wanted().into_iter();
        let traces = wanted.filter_map(|wanted| {
            let first = wanted.first();
            Some((first, Trace::new(wanted, &self.weak, self.max_predicted)?))
        });
        traces.collect()
    }
}

/// Everybody told, as far as places go.
fn people(told: &[Person]) -> Vec<Told> {
    let one = |person: &Person| Told {
        track_id: person.track_id,
        seen: matches!(person.source, Source::Detected | Source::Recovered),
        confirmed: person.confirmed,
        observation: Observation {
            bbox: person.bbox,
            score: person.score,
            begins: true,
            keypoints: Vec::new(),
            joints: Vec::new(),
            looks: None,
        },
    };
    told.iter().map(one).collect()
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Trace {
    pub track_id: u32,
    until: Option<u64>,
    motion: Motion,
    /// As last seen.
    bbox: BBox,
    /// Latest first.
    weak: Vec<WeakFrame>,
    /// Who else was where, latest first.
    others: Vec<PastFrame>,
    misses: u32,
    max_predicted: u32,
}

/// What an earlier frame has for the search.
#[derive(Debug)]
pub enum Step {
    End,
    Nobody,
    Look(Place),
}

/// A box to be looked at.
#[derive(Debug)]
pub struct Place {
    pub found: FoundBox,
    pub source: BoxSource,
    pub mesh: bool,
}

impl Trace {
    fn new(wanted: Wanted, weak: &VecDeque<WeakFrame>, max_predicted: u32) -> Option<Self> {
        let (first, config) = (wanted.first(), TrackerConfig::default());
        let before = |frame: &&WeakFrame| {
            let due = wanted.until.is_none_or(|until| frame.index > until);
            due && frame.index < first
        };
        let weak: Vec<WeakFrame> = weak.iter().rev().filter(before).cloned().collect();
        if weak.iter().all(|frame| frame.boxes.is_empty()) {
            return None;
        }
        let sight = |frame: &PastFrame| {
            let told = frame.of(wanted.track_id)?;
            Some((-frame.time_s, told.observation.bbox))
        };
        let mut sights = wanted.sights.iter().filter_map(sight);
        let (time, mut bbox) = sights.next()?;
        let mut motion = Motion::new(time, middle(&bbox), size(&bbox));
        for (time, seen) in sights {
            motion.see(&config, time, middle(&seen), size(&seen));
            bbox = seen;
        }
        Some(Self {
            track_id: wanted.track_id,
            until: wanted.until,
            motion,
            bbox,
            weak,
            others: wanted.before,
            misses: 0,
            max_predicted,
        })
    }

    /// The frame before the last one, at that place in the clip.
    pub fn step(&mut self, place: &Blind) -> Step {
        let known = |until| place.index <= until;
        if self.until.is_some_and(known) || self.misses >= self.max_predicted {
            return Step::End;
        }
        let expected = self.expected(-place.time_s);
        let frame = self.weak.iter().find(|frame| frame.index == place.index);
        let chosen = frame.and_then(|frame| {
            let mut boxes = frame.boxes.iter();
            let found = boxes.find(|weak| {
                weak.bbox.iou(&expected) >= EXPECTED && !self.is_taken(place.index, &weak.bbox)
            })?;
            Some(Place {
                found: FoundBox {
                    bbox: found.bbox,
                    score: found.score,
                    mask: None,
                },
                source: frame.source,
                mesh: frame.mesh,
            })
        });
        let Some(chosen) = chosen else {
            self.misses += 1;
            return Step::Nobody;
        };
        self.misses = 0;
        self.bbox = chosen.found.bbox;
        let (config, bbox) = (TrackerConfig::default(), &self.bbox);
        self.motion
            .see(&config, -place.time_s, middle(bbox), size(bbox));
        Step::Look(chosen)
    }

    /// Where they are expected, on a clock that runs backward.
    fn expected(&self, time_s: f64) -> BBox {
        let moved = self.motion.displacement(&TrackerConfig::default(), time_s);
        let [x, y] = moved.map(|v| v as f32);
        let BBox { x1, y1, x2, y2 } = self.bbox;
        BBox::new(x1 + x, y1 + y, x2 + x, y2 + y)
    }

    fn is_taken(&self, index: u64, bbox: &BBox) -> bool {
        let frame = self.others.iter().find(|frame| frame.index == index);
        let others = frame.into_iter().flat_map(|frame| &frame.told);
        others
            .filter(|told| told.seen && told.track_id != self.track_id)
            .any(|told| told.observation.bbox.iou(bbox) >= TAKEN)
    }
}

fn middle(bbox: &BBox) -> [f64; 2] {
    bbox.center().map(f64::from)
}

fn size(bbox: &BBox) -> f64 {
    f64::from(bbox.width().max(bbox.height()).max(1.0))
}

#[cfg(test)]
#[path = "back_tests.rs"]
mod tests;
