//! A clip's results in its order: its shots, and who was seen when.

use std::collections::BTreeMap;

use super::result::{FrameResult, Person, Source};

/// Somebody seen: the frame's place in the list, its time, and the record.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub frame: usize,
    pub time: f64,
    pub person: Person,
}

pub(super) fn is_seen(person: &Person) -> bool {
    matches!(person.source, Source::Detected | Source::Recovered)
}

/// The frames in the clip's order, and where in it shots begin.
pub(super) struct Order {
    pub frames: Vec<usize>,
    /// Frame → its position.
    place: BTreeMap<usize, usize>,
    /// Number of the shot, by position.
    shot: Vec<usize>,
}

impl Order {
    pub fn new(results: &[FrameResult], frames: Vec<usize>) -> Self {
        let place = frames.iter().enumerate().map(|(i, &f)| (f, i)).collect();
        let mut number = 0;
        let shot = |frame: &usize| {
            number += usize::from(results.get(*frame).is_some_and(|r| r.starts_shot));
            number
        };
        let shot = frames.iter().map(shot).collect();
        Self {
            frames,
            place,
            shot,
        }
    }

    pub fn place(&self, frame: usize) -> usize {
        self.place.get(&frame).copied().unwrap_or(0)
    }

    pub fn same_shot(&self, a: usize, b: usize) -> bool {
        self.shot.get(a) == self.shot.get(b)
    }
}

/// The frames that have a place in the clip, earliest first.
pub(super) fn clip_order(results: &[FrameResult]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..results.len())
        .filter(|&at| results.get(at).is_some_and(|r| r.time_s.is_finite()))
        .collect();
    order.sort_by(|a, b| {
        results[*a]
            .frame_number
            .total_cmp(&results[*b].frame_number)
    });
    order
}

pub(super) fn sights(results: &[FrameResult], order: &[usize]) -> BTreeMap<u32, Vec<Sight>> {
    let mut all: BTreeMap<u32, Vec<Sight>> = BTreeMap::new();
    for &frame in order {
        let result = &results[frame];
        for person in result.persons.iter().chain(&result.held) {
            if is_seen(person) {
                all.entry(person.track_id).or_default().push(Sight {
                    frame,
                    time: result.time_s,
                    person: person.clone(),
                });
            }
        }
    }
    all
}
