//! Guesses for the frames before somebody was first seen, by the rules that hold after their last sight.

use super::result::{Camera, FrameResult, Keypoint, Person, Source};
use super::sights::{Order, Sight};
use crate::geometry::boxes::BBox;
use crate::tracking::lead::Lead;

/// A guess whose box lies like this on another person's (intersection over union) is theirs.
const SAME_PLACE: f32 = 0.3;

/// Guesses for the frames before the first sight, and before the first in a shot.
pub(super) fn leads(
    seen: &[Sight],
    results: &[FrameResult],
    clip: &Order,
    max_predicted: u32,
) -> Vec<(usize, Person)> {
    let mut found = Vec::new();
    let mut before: Option<usize> = None;
    for (index, sight) in seen.iter().enumerate() {
        let at = clip.place(sight.frame);
        if before.is_none_or(|before| !clip.same_shot(before, at)) {
            let sights = seen.get(index..).unwrap_or_default();
            let earliest = before.map_or(0, |before| before + 1);
            found.extend(lead(sights, results, clip, earliest, max_predicted));
        }
        before = Some(at);
    }
    found
}

/// Backward from the first of the sights, down to position `earliest`.
fn lead(
    sights: &[Sight],
    results: &[FrameResult],
    clip: &Order,
    earliest: usize,
    max_predicted: u32,
) -> Vec<(usize, Person)> {
    let Some(first) = sights.first() else {
        return Vec::new();
    };
    let at = clip.place(first.frame);
    let in_shot = sights
        .iter()
        .take_while(|s| clip.same_shot(clip.place(s.frame), at));
    let moments: Vec<(f64, BBox)> = in_shot.map(|s| (s.time, s.person.bbox)).collect();
    let mut size = results.get(first.frame).map_or((0.0, 0.0), frame_size);
    let Some(lead) = Lead::new(&moments, size, max_predicted) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (step, place) in (earliest..at).rev().enumerate() {
        let frame = clip.frames.get(place).copied();
        let (true, Some((frame, result))) = (
            clip.same_shot(place, at),
            frame.and_then(|f| Some((f, results.get(f)?))),
        ) else {
            break;
        };
        if result.error.is_none() {
            size = frame_size(result);
        }
        let Some((by, confidence)) = lead.at(step as u32 + 1, result.time_s, size) else {
            break;
        };
        let person = guess(&first.person, by, confidence);
        let there = |other: &&Person| other.track_id != person.track_id;
        let mut others = result.persons.iter().filter(there);
        // Where somebody is told to be, it is most likely them, under another number.
        if others.any(|other| other.bbox.iou(&person.bbox) >= SAME_PLACE) {
            break;
        }
        found.push((frame, person));
    }
    found
}

fn frame_size(result: &FrameResult) -> (f32, f32) {
    (result.width as f32, result.height as f32)
}

/// As first seen, moved; what only a look can tell is left out, as of any guess.
fn guess(first: &Person, [dx, dy]: [f32; 2], confidence: f32) -> Person {
    let b = first.bbox;
    let bbox = BBox::new(b.x1 + dx, b.y1 + dy, b.x2 + dx, b.y2 + dy);
    let moved = |point: &Keypoint| Keypoint {
        x: point.x + dx,
        y: point.y + dy,
        confidence: point.confidence * confidence,
        ..*point
    };
    let camera = first.camera.filter(|_| first.smpl.is_none()).map(|camera| {
        let [x, y, z] = camera.translation;
        let metres = z / camera.focal_length;
        Camera {
            translation: [x + dx * metres, y + dy * metres, z],
            ..camera
        }
    });
    Person {
        tracking_confidence: confidence,
        keypoints: first.keypoints.iter().map(moved).collect(),
        joints3d: first.joints3d.clone(),
        joint_angles3d: first.joint_angles3d.clone(),
        keypoint_source: first.keypoint_source,
        camera,
        ..Person::at(first.track_id, bbox, Source::Predicted)
    }
}
