//! A clip gone over again when all of it is known: gaps filled from both sides, and what was held
//! back of somebody who proved real told after all.

use std::collections::BTreeMap;

use super::beginnings::leads;
use super::posture::{bones_of, posture, read, unseen, with_bones};
use super::result::{FrameResult, Person, Source};
use super::sights::{Order, Sight, clip_order, is_seen, sights};
use crate::tracking::bones::BoneLengths;
use crate::tracking::infill::{Gap, Posture, likeliest};

/// So many sights beside each edge of a gap, and of so many seconds from it, say how it is crossed.
const BESIDE: usize = 5;
const BESIDE_SECONDS: f64 = 0.3;
/// Frames after which an interpolated record, counted to the nearer side, is worth 1/e: about so
/// many are within 150 mm of the truth (scripts/eval_gaps.mjs, docs/results.md).
const DECAY_FRAMES: f64 = 10.0;

/// What the model family allows.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// For at most so many frames somebody not seen is guessed.
    pub max_predicted: u32,
    /// Who was seen is smoothed by the sights before and after.
    pub smooth: bool,
}

/// Goes over a clip's results, in whatever order they are. People found in earlier frames are told
/// there; records that were `predicted` between two sights become `interpolated`, frames that had
/// none there, broken ones too, get one; before their first sight people are `predicted` by the rules
/// by which they are after their last. Nothing of this reaches across a cut. Returned are the places
/// (frame, person) of the records that are interpolated.
pub fn revise(results: &mut [FrameResult], rules: &Rules) -> Vec<(usize, usize)> {
    let order = clip_order(results);
    tell_earlier(results, &order);
    let clip = Order::new(results, order);
    drop_beyond_cuts(results, &clip);
    let sights = sights(results, &clip.frames);
    let mut fresh: Vec<(usize, Person)> = Vec::new();
    let told = sights.values().filter(|seen| is_told(seen, results));
    for seen in told.clone() {
        match rules.smooth {
            true => fresh.extend(smoothed(seen, &clip)),
            false => fresh.extend(held_back(seen, results)),
        }
        fresh.extend(gaps(seen, results, &clip));
    }
    let mut changed: Vec<(usize, u32)> = Vec::new();
    let starts: Vec<Vec<Sight>> = told.cloned().collect();
    for (frame, person) in fresh {
        if person.source == Source::Interpolated {
            changed.push((frame, person.track_id));
        }
        put(results, frame, person);
    }
    for seen in starts {
        for (frame, person) in leads(&seen, results, &clip, rules.max_predicted) {
            put(results, frame, person);
        }
    }
    for result in results.iter_mut() {
        result.persons.sort_by_key(|person| person.track_id);
        result.held.clear();
        result.earlier.clear();
    }
    let place = |(frame, id): (usize, u32)| {
        let persons = &results.get(frame)?.persons;
        Some((frame, persons.iter().position(|p| p.track_id == id)?))
    };
    changed.into_iter().filter_map(place).collect()
}

/// The record of a person in a frame, in the place of the one they may have there.
fn put(results: &mut [FrameResult], frame: usize, person: Person) {
    if let Some(result) = results.get_mut(frame) {
        result.persons.retain(|old| old.track_id != person.track_id);
        result.persons.push(person);
    }
}

/// People found in earlier frames get their records there, unless they were seen there after all.
fn tell_earlier(results: &mut [FrameResult], order: &[usize]) {
    let mut found = Vec::new();
    for result in results.iter_mut() {
        found.append(&mut result.earlier);
    }
    for (number, person) in found {
        let number_of = |at: &usize| results.get(*at).map_or(f64::NAN, |r| r.frame_number);
        let Ok(place) = order.binary_search_by(|at| number_of(at).total_cmp(&number)) else {
            continue; // Of a part of the clip that was gone over before.
        };
        let Some(&frame) = order.get(place) else {
            continue;
        };
        let known = results.get(frame).is_none_or(|r| {
            let own = |p: &&Person| p.track_id == person.track_id;
            r.persons.iter().filter(own).any(is_seen)
        });
        if !known {
            put(results, frame, person);
        }
    }
}

/// Predictions in another shot than that of the last sight are none.
fn drop_beyond_cuts(results: &mut [FrameResult], clip: &Order) {
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, &frame) in clip.frames.iter().enumerate() {
        let Some(result) = results.get_mut(frame) else {
            continue;
        };
        for person in result.persons.iter().chain(&result.held) {
            if is_seen(person) {
                seen.insert(person.track_id, at);
            }
        }
        result.persons.retain(|person| {
            let last = seen.get(&person.track_id);
            is_seen(person) || last.is_none_or(|&last| clip.same_shot(last, at))
        });
    }
}

/// Whether the track was ever told: one that never was is a false alarm.
fn is_told(seen: &[Sight], results: &[FrameResult]) -> bool {
    let told = |sight: &Sight| {
        let persons = &results[sight.frame].persons;
        persons.iter().any(|p| p.track_id == sight.person.track_id)
    };
    seen.iter().any(told)
}

/// Sights from before the track was believed.
fn held_back(seen: &[Sight], results: &[FrameResult]) -> Vec<(usize, Person)> {
    let is_new = |sight: &&Sight| {
        let id = sight.person.track_id;
        !results[sight.frame]
            .persons
            .iter()
            .any(|p| p.track_id == id)
    };
    let told = |sight: &Sight| (sight.frame, sight.person.clone());
    seen.iter().filter(is_new).map(told).collect()
}

/// Those of `others`, nearest first, that say how somebody moves at that sight.
fn beside<'a>(
    others: impl Iterator<Item = &'a Sight>,
    edge: &Sight,
    clip: &Order,
) -> impl Iterator<Item = &'a Sight> {
    let place = clip.place(edge.frame);
    let near = move |sight: &&Sight| {
        let away = (sight.time - edge.time).abs();
        away <= BESIDE_SECONDS && clip.same_shot(clip.place(sight.frame), place)
    };
    others.take(BESIDE).take_while(near)
}

/// Everybody seen as they likeliest were, by the sights around; what was measured is kept beside.
fn smoothed(seen: &[Sight], clip: &Order) -> Vec<(usize, Person)> {
    let one = |(index, sight): (usize, &Sight)| {
        let before = seen.get(..index).unwrap_or_default().iter().rev();
        let after = seen.get(index + 1..).unwrap_or_default().iter();
        let others = beside(before, sight, clip).chain(beside(after, sight, clip));
        let others: Vec<Posture> = others.map(|s| posture(&s.person, s.time)).collect();
        let smooth = likeliest(&posture(&sight.person, sight.time), &others);
        let model = Person {
            raw: Some(Box::new(sight.person.measured())),
            ..sight.person.clone()
        };
        let place = model.bbox;
        let person = with_bones(read(model, &smooth), &bones_of(&[&sight.person]));
        // The box is the detector's word.
        (
            sight.frame,
            Person {
                bbox: place,
                ..person
            },
        )
    };
    seen.iter().enumerate().map(one).collect()
}

fn gaps(seen: &[Sight], results: &[FrameResult], clip: &Order) -> Vec<(usize, Person)> {
    let mut filled = Vec::new();
    for (index, pair) in seen.windows(2).enumerate() {
        let [from, to] = pair else { continue };
        let (last, next) = (clip.place(from.frame), clip.place(to.frame));
        let between = clip.frames.get(last + 1..next).unwrap_or_default();
        if between.is_empty() || !clip.same_shot(last, next) {
            continue;
        }
        let before = seen.get(..index).unwrap_or_default().iter().rev();
        let before = beside(before, from, clip);
        let after = seen.get(index + 2..).unwrap_or_default().iter();
        let after = beside(after, to, clip);
        let others = before.chain(after).map(|s| posture(&s.person, s.time));
        let edges = Edges::new(from, to, others.collect());
        for (step, &frame) in between.iter().enumerate() {
            let nearer = (step + 1).min(between.len() - step);
            filled.push((frame, edges.person(results[frame].time_s, nearer)));
        }
    }
    filled
}

/// Both sides of a gap.
struct Edges<'a> {
    from: (&'a Person, Posture),
    to: (&'a Person, Posture),
    others: Vec<Posture>,
    bones: BoneLengths,
}

impl<'a> Edges<'a> {
    fn new(from: &'a Sight, to: &'a Sight, others: Vec<Posture>) -> Self {
        Self {
            from: (&from.person, posture(&from.person, from.time)),
            to: (&to.person, posture(&to.person, to.time)),
            others,
            bones: bones_of(&[&from.person, &to.person]),
        }
    }

    /// `frames` from the nearer side.
    fn person(&self, time: f64, frames: usize) -> Person {
        let gap = Gap {
            from: &self.from.1,
            to: &self.to.1,
            others: &self.others,
        };
        let confidence = (-(frames as f64) / DECAY_FRAMES).exp() as f32;
        let model = Person {
            tracking_confidence: confidence,
            ..unseen(self.from.0, Source::Interpolated)
        };
        let mut person = read(model, &gap.at(time));
        for (point, other) in person.keypoints.iter_mut().zip(&self.to.0.keypoints) {
            point.confidence = point.confidence.min(other.confidence) * confidence;
        }
        with_bones(person, &self.bones)
    }
}

#[cfg(test)]
#[path = "revise_tests.rs"]
mod tests;
