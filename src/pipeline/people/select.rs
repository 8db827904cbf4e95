//! Which of the poses found in a frame are people, each once.

use super::pose::{Pose, similarity};
use crate::geometry::boxes::BBox;
use crate::geometry::joints::BLAZEPOSE33_BODY;

/// From here on two poses are one person.
const SAME: f32 = 0.5;
/// Joints closer than this part of the better pose's size are the same joint.
const SAME_JOINT: f32 = 0.1;
/// A pose sharing so many body joints with a better one is a half of it.
const SHARED_PART: f32 = 0.4;
/// A much weaker pose lying so far inside a better one is a part of it.
const INSIDE: f32 = 0.7;
const MUCH_WEAKER: f32 = 0.75;
/// One look alone is worth less than several that agree.
pub const ALONE: f32 = 0.8;

/// Best first; doubles add their votes to the one they double, halves are dropped.
///
/// Poses that are followed or given are sure of themselves: they come first.
pub fn people(mut poses: Vec<Pose>, min_quality: f32, limit: usize) -> Vec<Pose> {
    poses.retain(Pose::is_finite);
    poses.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let mut kept: Vec<Pose> = Vec::new();
    for pose in poses {
        let same = kept
            .iter()
            .position(|k| similarity(&k.landmarks, &pose.landmarks) > SAME);
        match same {
            Some(index) => kept[index].votes += pose.votes,
            None if kept.iter().any(|k| is_half(k, &pose)) => {}
            None => kept.push(pose),
        }
    }
    kept.retain(|p| p.found != super::pose::Found::Detected || worth(p) >= min_quality);
    kept.truncate(limit);
    kept
}

fn rank(pose: &Pose) -> f32 {
    let known = pose.found != super::pose::Found::Detected;
    pose.quality() + if known { 1.0 } else { 0.0 }
}

fn worth(pose: &Pose) -> f32 {
    pose.quality() * if pose.votes > 1 { 1.0 } else { ALONE }
}

/// Whether `pose` is a part of the better one: shares its face and shoulders, its trunk, or many
/// joints, or lies inside it and is much weaker.
fn is_half(better: &Pose, pose: &Pose) -> bool {
    let reach = SAME_JOINT * better.size();
    let same = |i: usize| {
        let (a, b) = (&better.landmarks.points[i], &pose.landmarks.points[i]);
        (a.x - b.x).hypot(a.y - b.y) < reach
    };
    let count = |joints: &[usize]| joints.iter().filter(|&&i| same(i)).count();
    let head = count(&[0, 2, 5, 7, 8]) >= 3;
    let (shoulders, hips) = (count(&[11, 12]) == 2, count(&[23, 24]) == 2);
    let shared = BLAZEPOSE33_BODY.iter().filter(|&&(i, _)| same(i)).count() as f32;
    (shoulders && (head || hips))
        || shared >= SHARED_PART * BLAZEPOSE33_BODY.len() as f32
        || (inside(&body(pose), &body(better)) > INSIDE
            && pose.quality() < MUCH_WEAKER * better.quality())
}

/// Nose, shoulders to ankles: the box of what is compared.
fn body(pose: &Pose) -> BBox {
    let points = &pose.landmarks.points;
    let joints = [0, 2, 5, 7, 8]
        .into_iter()
        .chain(BLAZEPOSE33_BODY.iter().map(|&(i, _)| i));
    BBox::around(joints.map(|i| [points[i].x, points[i].y])).unwrap_or_default()
}

/// The part of `a` that lies in `b`.
fn inside(a: &BBox, b: &BBox) -> f32 {
    a.intersection(b) / a.area().max(1.0)
}
