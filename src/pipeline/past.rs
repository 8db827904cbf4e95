//! Who was where in the last frames of a clip that looks back, and whom that gives reason to look for.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::pipeline::perception::Blind;
use crate::tracking::observation::{Observation, Record};

/// Sights in a row after which somebody is looked for in earlier frames: enough to tell a velocity.
const SIGHTS: usize = 3;

/// Frames remembered at most, whatever a stored clip says.
const MOST: usize = 128;

/// An offline clip looks back at most so many frames, however long people may be guessed for …
const MOST_BACK: usize = 60;
/// … beside those in which they are first seen.
const SIGHTS_BACK: usize = 6;

/// So many frames an offline clip remembers to look back at.
pub(super) fn reach(max_predicted: u32) -> usize {
    (max_predicted as usize).min(MOST_BACK) + SIGHTS_BACK
}

/// One track in one frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub track_id: u32,
    pub seen: bool,
    pub confirmed: bool,
    pub observation: Observation,
}

impl Told {
    pub fn of(record: &Record) -> Self {
        Self {
            track_id: record.track_id,
            seen: record.matched.is_some(),
            confirmed: record.confirmed,
            observation: record.observation.clone(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PastFrame {
    pub index: u64,
    pub time_s: f64,
    /// Width and height, pixels.
    pub size: (f32, f32),
    pub told: Vec<Told>,
}

impl PastFrame {
    pub fn of(&self, id: u32) -> Option<&Told> {
        self.told.iter().find(|told| told.track_id == id)
    }

    fn sees(&self, id: u32) -> bool {
        self.of(id).is_some_and(|told| told.seen)
    }
}

/// The last frames, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Past {
    reach: usize,
    frames: VecDeque<PastFrame>,
}

/// Somebody to be looked for in the frames before `first`, down to, and not in, `until`.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub track_id: u32,
    pub until: Option<u64>,
    /// The sights that start the search, latest first.
    pub sights: Vec<PastFrame>,
    /// The frames before them, latest first.
    pub before: Vec<PastFrame>,
}

impl Wanted {
    /// Index of the earliest of the sights.
    pub fn first(&self) -> u64 {
        self.sights.last().map_or(0, |frame| frame.index)
    }
}

impl Past {
    pub fn new(reach: usize) -> Self {
        Self {
            reach,
            frames: VecDeque::new(),
        }
    }

    pub fn add(&mut self, frame: &Blind, size: (f32, f32), told: Vec<Told>) {
        while self.frames.len() >= self.reach.clamp(1, MOST) {
            self.frames.pop_front();
        }
        self.frames.push_back(PastFrame {
            index: frame.index,
            time_s: frame.time_s,
            size,
            told,
        });
    }

    /// Whom the last frame gives reason to look for: those believed, and seen for the third time in
    /// a row, who were not seen in the frame before that.
    pub fn wanted(&self) -> Vec<Wanted> {
        let Some(now) = self.frames.back() else {
            return Vec::new();
        };
        let due = now.told.iter().filter(|told| told.seen && told.confirmed);
        due.filter_map(|told| self.search(told.track_id)).collect()
    }

    fn search(&self, id: u32) -> Option<Wanted> {
        let run = self.frames.iter().rev().take_while(|frame| frame.sees(id));
        let run = run.count();
        let last = self.frames.len().checked_sub(2);
        let last = last.and_then(|at| self.frames.get(at));
        let was_due = last.is_some_and(|f| f.of(id).is_some_and(|told| told.confirmed));
        if run < SIGHTS || (run > SIGHTS && was_due) {
            return None;
        }
        let mut latest = self.frames.iter().rev();
        let sights: Vec<PastFrame> = latest.by_ref().take(run).cloned().collect();
        let before: Vec<PastFrame> = latest.cloned().collect();
        let until = before.iter().find(|frame| frame.sees(id));
        Some(Wanted {
            track_id: id,
            until: until.map(|frame| frame.index),
            // From a frame that the memory does not reach beyond, nothing can be looked at.
            before: (!before.is_empty()).then_some(before)?,
            sights,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::boxes::BBox;
    use crate::tracking::observation::Origin;

    /// A track's frames: `s` seen, `u` seen and not believed yet, `p` guessed, `.` not there.
    fn wanted(story: &str, reach: usize) -> Vec<(usize, Option<u64>, usize)> {
        let mut past = Past::new(reach);
        let mut found = Vec::new();
        for (n, how) in story.chars().enumerate() {
            let record = Record {
                track_id: 4,
                origin: Origin::Seen,
                confidence: 1.0,
                matched: (how != 'p').then_some(0),
                observation: Observation {
                    bbox: BBox::new(0.0, 0.0, 9.0, 9.0),
                    score: 1.0,
                    begins: true,
                    keypoints: Vec::new(),
                    joints: Vec::new(),
                    looks: None,
                },
                age: 0,
                misses: 0,
                confirmed: how != 'u',
            };
            let told = if how == '.' {
                vec![]
            } else {
                vec![Told::of(&record)]
            };
            let place = Blind {
                time_s: n as f64 / 30.0,
                index: n as u64,
            };
            past.add(&place, (90.0, 90.0), told);
            let due = past.wanted().into_iter();
            found.extend(due.map(|w| (n, w.until, w.sights.len())));
        }
        found
    }

    #[test]
    fn somebody_is_looked_for_once_when_first_and_when_again_seen() {
        assert_eq!(wanted("..ssssss", 40), [(4, None, 3)]);
        assert_eq!(wanted(".uuuss", 40), [(4, None, 4)]);
        assert_eq!(wanted("ssssppsssss", 40), [(8, Some(3), 3)]);
        assert_eq!(wanted("..ssppss", 40), []);
    }

    #[test]
    fn who_is_there_from_the_first_frame_is_not_looked_for() {
        assert_eq!(wanted("ssssss", 40), []);
        assert_eq!(wanted("..ssssss", 3), []);
    }
}
