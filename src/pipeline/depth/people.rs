//! A depth map and the people in it: who is before whom, and what the map's values are in metres.

use super::body::{Body, Place};
use super::fit::{Evidence, Fit};
use super::map::DepthMap;
use crate::pipeline::result::{FrameDepth, Person, PersonDepth, Source};
use crate::pipeline::words::Word;

/// So many places on a body, and this part of all of them, that nobody else's body covers are enough
/// to judge it by them alone.
const ENOUGH: usize = 8;
const ENOUGH_PART: f32 = 0.1;
/// Nearer than this nobody stands before a lens, metres.
const NEAREST: f32 = 0.1;

/// What the map shows of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    /// Median of the map over the body.
    value: f32,
    /// Median of one over the distance at the same places, 1/m; NaN where it is not known.
    inverse: f32,
    places: usize,
}

/// Writes into everybody seen in this frame where the map has them, and says what it comes to. Who
/// was not seen keeps nothing: what the map shows at their place is somebody or something else.
pub fn measure(map: &DepthMap, people: &mut [Person], model: Word) -> FrameDepth {
    let seen = |person: &Person| matches!(person.source, Source::Detected | Source::Recovered);
    let bodies: Vec<Option<Body>> = people
        .iter()
        .map(|person| Body::of(person).filter(|_| seen(person)))
        .collect();
    let readings: Vec<Option<Reading>> =
        (0..bodies.len()).map(|at| read(map, &bodies, at)).collect();
    drop(bodies);
    let evidence = |reading: &Reading| Evidence {
        value: reading.value,
        inverse: reading.inverse,
    };
    let known: Vec<Evidence> = readings.iter().flatten().map(evidence).collect();
    let fit = Fit::of(&known);
    let mut order: Vec<usize> = (0..people.len())
        .filter(|at| readings.get(*at).is_some_and(Option::is_some))
        .collect();
    let value = |at: &usize| {
        let reading = readings.get(*at).copied().flatten();
        reading.map_or(f32::NEG_INFINITY, |reading| reading.value)
    };
    // A stable sort: of two at one depth the one told first is first.
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    for (rank, at) in order.into_iter().enumerate() {
        let reading = readings.get(at).copied().flatten();
        if let (Some(person), Some(reading)) = (people.get_mut(at), reading) {
            person.depth = Some(PersonDepth {
                order: u32::try_from(rank).unwrap_or(u32::MAX),
                value: reading.value,
                places: u32::try_from(reading.places).unwrap_or(u32::MAX),
                metres: fit.and_then(|fit| fit.metres(reading.value)),
            });
        }
    }
    let range = map.range();
    FrameDepth {
        model,
        min: range.min,
        max: range.max,
        fit,
    }
}

/// Where bodies overlap, the map shows whoever is in front: those places say nothing of either.
fn read(map: &DepthMap, bodies: &[Option<Body>], at: usize) -> Option<Reading> {
    let body = bodies.get(at)?.as_ref()?;
    let others = || {
        let all = bodies.iter().enumerate();
        all.filter_map(move |(other, body)| body.as_ref().filter(|_| other != at))
    };
    let alone = |place: &&Place| !others().any(|other| other.covers(place.x, place.y));
    let inside = |place: &&Place| map.at(place.x, place.y).is_some();
    let all: Vec<&Place> = body.places.iter().filter(inside).collect();
    let own: Vec<&Place> = all.iter().copied().filter(alone).collect();
    let enough = own.len() >= ENOUGH && own.len() as f32 >= ENOUGH_PART * all.len() as f32;
    let used = if enough { own } else { all };
    let values = used.iter().filter_map(|place| map.at(place.x, place.y));
    let inverses = used
        .iter()
        .filter(|place| place.z > NEAREST)
        .map(|place| place.z.recip());
    Some(Reading {
        value: median(values.collect())?,
        inverse: median(inverses.collect()).unwrap_or(f32::NAN),
        places: used.len(),
    })
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
