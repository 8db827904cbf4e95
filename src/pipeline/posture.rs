//! A person's record as a posture, in which motion is smooth, and back.

use super::result::{Keypoint, Person, Smpl, Source};
use crate::geometry::angles::blazepose_angles;
use crate::geometry::boxes::BBox;
use crate::tracking::bones::BoneLengths;
use crate::tracking::infill::Posture;

/// Joints of the set whose bones are known.
const BLAZEPOSE: usize = 33;

/// A person's numbers, in the order in which [`read`] takes them.
pub(super) fn posture(person: &Person, time: f64) -> Posture {
    let b = person.bbox;
    let mut numbers = vec![b.x1, b.y1, b.x2, b.y2];
    for point in &person.keypoints {
        numbers.extend([point.x, point.y, point.z.unwrap_or(f32::NAN)]);
    }
    numbers.extend(person.joints3d.iter().flatten().flatten());
    numbers.extend(person.camera.iter().flat_map(|c| c.translation));
    numbers.extend(person.smpl.iter().flat_map(|s| s.betas));
    numbers.extend(person.joint_angles3d.iter().flatten().map(|(_, v)| v));
    let rotations = person.smpl.iter().flat_map(|smpl| {
        let own = smpl.body_pose.as_chunks::<9>().0.iter().copied();
        std::iter::once(smpl.global_orient).chain(own)
    });
    Posture {
        time,
        numbers,
        rotations: rotations.collect(),
    }
}

/// A person in that posture; all that it does not tell is as in `person`.
pub(super) fn read(mut person: Person, posture: &Posture) -> Person {
    let mut numbers = posture.numbers.iter().copied();
    let mut next = || numbers.next().unwrap_or(f32::NAN);
    person.bbox = BBox::new(next(), next(), next(), next());
    for point in &mut person.keypoints {
        let (x, y, z) = (next(), next(), next());
        *point = Keypoint {
            x,
            y,
            z: point.z.map(|_| z),
            ..*point
        };
    }
    for joint in person.joints3d.iter_mut().flatten() {
        *joint = std::array::from_fn(|_| next());
    }
    if let Some(camera) = &mut person.camera {
        camera.translation = std::array::from_fn(|_| next());
    }
    let betas: Option<[f32; 10]> = person
        .smpl
        .as_ref()
        .map(|_| std::array::from_fn(|_| next()));
    for (_, angle) in person.joint_angles3d.iter_mut().flatten() {
        *angle = next().clamp(0.0, 180.0);
    }
    let smpl = betas.zip(posture.rotations.split_first());
    person.smpl = smpl.map(|(betas, (global_orient, rest))| Smpl {
        global_orient: *global_orient,
        body_pose: rest.concat(),
        betas,
    });
    person
}

/// What of a person who was seen can be told where they were not: not what only a look can tell.
pub(super) fn unseen(person: &Person, source: Source) -> Person {
    Person {
        keypoints: person.keypoints.clone(),
        joints3d: person.joints3d.clone(),
        joint_angles3d: person.joint_angles3d.clone(),
        camera: person.camera,
        keypoint_source: person.keypoint_source,
        smpl: person.smpl.clone(),
        ..Person::at(person.track_id, person.bbox, source)
    }
}

pub(super) fn bones_of(people: &[&Person]) -> BoneLengths {
    let mut bones = BoneLengths::new();
    for person in people {
        let joints = person.joints3d.as_deref().unwrap_or_default();
        bones.observe(joints, &vec![1.0; joints.len()]);
    }
    bones
}

/// The person with bones of those lengths, where a body of the model's does not say them.
pub(super) fn with_bones(mut person: Person, bones: &BoneLengths) -> Person {
    let Some(joints) = person.joints3d.take() else {
        return person;
    };
    if person.smpl.is_some() {
        person.joints3d = Some(joints);
        return person;
    }
    let whole = bones.apply(&joints);
    if whole.len() == BLAZEPOSE {
        person.joint_angles3d = Some(blazepose_angles(&whole));
    }
    for (point, joint) in person.keypoints.iter_mut().zip(&whole) {
        point.z = point.z.map(|_| joint[2]);
    }
    person.joints3d = Some(whole);
    person
}
