//! A clip gone over again as a whole: results revised, bodies and meshes posed anew.

use super::control::JobControl;
use super::error::EngineError;
use super::memory::is_revised;
use super::perception::{ClipSettings, Perception};
use super::result::{FrameResult, Person, Source};
use super::revise::{Rules, revise};
use super::shared::Core;

/// Bodies asked for at a time: their meshes are 83 kB each.
const AT_ONCE: usize = 64;

/// The result as a record keeps it: of a mesh, only that there was one.
pub(super) fn without_meshes(result: &FrameResult) -> FrameResult {
    let mut kept = result.clone();
    for person in kept.persons.iter_mut().chain(&mut kept.held) {
        person.vertices = person.vertices.take().map(|_| Vec::new());
    }
    kept
}

/// Gaps filled, and all else that is known only at the end; bodies are not posed yet.
pub(super) fn settle<P: Perception>(
    core: &Core<P>,
    settings: &ClipSettings,
    results: &mut [FrameResult],
) {
    if is_revised(settings) {
        let rules = Rules {
            max_predicted: core.perception().max_predicted(),
            smooth: core.perception().smooths(),
        };
        revise(results, &rules);
    }
}

/// A body to be posed: in which of the frames, and which of its people.
type Place = (usize, usize);

/// What the model's body says of people whose parameters were made up or smoothed, and meshes that
/// were not kept.
pub(super) async fn embody<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    mesh: bool,
    frames: &mut [FrameResult],
) -> Result<(), EngineError> {
    let changed =
        |p: &Person| p.smpl.is_some() && (p.source == Source::Interpolated || p.raw.is_some());
    for part in places(frames, changed).chunks(AT_ONCE) {
        let bodies = posed(core, ctl, mesh, frames, part).await?;
        for (place, body) in part.iter().zip(bodies) {
            if let Some(person) = at(frames, place) {
                *person = body;
            }
        }
    }
    let bare = |p: &Person| p.vertices.as_ref().is_some_and(Vec::is_empty);
    for part in places(frames, bare).chunks(AT_ONCE) {
        let bodies = posed(core, ctl, true, frames, part).await?;
        for (place, body) in part.iter().zip(bodies) {
            if let Some(person) = at(frames, place) {
                // What was seen stays as it was told.
                person.vertices = body.vertices.filter(|v| !v.is_empty());
            }
        }
    }
    Ok(())
}

fn places(frames: &[FrameResult], wanted: impl Fn(&Person) -> bool) -> Vec<Place> {
    let mut found = Vec::new();
    for (frame, result) in frames.iter().enumerate() {
        let people = result.persons.iter().enumerate();
        found.extend(people.filter(|(_, p)| wanted(p)).map(|(i, _)| (frame, i)));
    }
    found
}

fn at<'a>(frames: &'a mut [FrameResult], &(frame, person): &Place) -> Option<&'a mut Person> {
    frames.get_mut(frame)?.persons.get_mut(person)
}

async fn posed<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    mesh: bool,
    frames: &[FrameResult],
    places: &[Place],
) -> Result<Vec<Person>, EngineError> {
    let person = |&(frame, at): &Place| frames.get(frame)?.persons.get(at).cloned();
    let people = places.iter().filter_map(person).collect();
    core.perception().embody(ctl, people, mesh).await
}
