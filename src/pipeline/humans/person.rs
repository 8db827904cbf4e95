//! What the networks say of a person → a person in the public result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::networks::BodyFound;
use crate::geometry::body_angles::body_angles;
use crate::geometry::boxes::BBox;
use crate::geometry::camera::project;
use crate::geometry::joints::KeypointSet;
use crate::models::hmr2::camera::{full_focal_length, full_image_translation};
use crate::models::hmr2::config::Config;
use crate::models::hmr2::crop::Square;
use crate::models::vitpose::model::Keypoints;
use crate::pipeline::result::{BoxSource, Camera, Keypoint, KeypointSource, Person, Smpl, Source};
use crate::tracking::phalp::texture::Texture;
use crate::tracking::stored::StoredBox;

/// Which joint of a body a keypoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    /// Of `smplx45`.
    Smplx(usize),
    /// Of `hmr44`.
    Hmr(usize),
}

impl Joint {
    fn of(self, body: &BodyFound) -> [f32; 3] {
        let joint = match self {
            Self::Smplx(at) => body.joints45.get(at),
            Self::Hmr(at) => body.joints44.get(at),
        };
        joint.copied().unwrap_or([f32::NAN; 3])
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: &'static str,
    joint: Joint,
    /// The keypoint of COCO at the same place of the body.
    coco: Option<usize>,
}

/// What all people of an engine share.
#[derive(Clone, Debug)]
pub struct Shape {
    set: KeypointSet,
    slots: Vec<Slot>,
    /// Pixels; `None`: as the network assumes.
    focal_length: Option<f32>,
}

/// A person as the networks see them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sighting {
    #[serde(with = "StoredBox")]
    pub bbox: BBox,
    /// The detector's; 1 for a box of the caller's, 0 where nobody looked.
    pub score: f32,
    pub box_source: BoxSource,
    pub square: Square,
    pub body: BodyFound,
    /// What was seen of the body's surface, where people are told apart by it.
    pub texture: Option<Arc<Texture>>,
    /// Measured by ViTPose, where it runs.
    pub points: Option<Keypoints>,
}

impl Shape {
    /// `None` where an SMPL body does not have the points of the set.
    pub fn new(set: KeypointSet, focal_length: Option<f32>) -> Option<Self> {
        let named = |name: &str| {
            let all = KeypointSet::Openpose25.names();
            all.iter().position(|known| *known == name).map(Joint::Hmr)
        };
        let joint = |(at, name): (usize, &&'static str)| match set {
            KeypointSet::Smpl24 | KeypointSet::Smplx45 => Some(Joint::Smplx(at)),
            KeypointSet::Openpose25 | KeypointSet::Hmr44 => Some(Joint::Hmr(at)),
            KeypointSet::Coco17 => named(name),
            KeypointSet::Blazepose33 => None,
        };
        let slot = |(at, name): (usize, &&'static str)| {
            let bare = name.strip_prefix("lsp_").unwrap_or(name);
            let coco = KeypointSet::Coco17.names();
            Some(Slot {
                name,
                joint: joint((at, name))?,
                coco: coco.iter().position(|known| *known == bare),
            })
        };
        let slots: Option<Vec<Slot>> = set.names().iter().enumerate().map(slot).collect();
        Some(Self {
            set,
            slots: slots?,
            focal_length,
        })
    }

    pub fn set(&self) -> KeypointSet {
        self.set
    }

    /// Joints of `hmr44` that the set needs.
    pub fn needs(&self) -> usize {
        let last = |slot: &Slot| match slot.joint {
            Joint::Hmr(at) => at + 1,
            Joint::Smplx(_) => 0,
        };
        self.slots.iter().map(last).max().unwrap_or(0)
    }

    /// Everything but who it is. The vertices are taken out of the sighting.
    pub fn person(
        &self,
        sighting: &mut Sighting,
        config: &Config,
        width: usize,
        height: usize,
    ) -> Person {
        let size = [width as f32, height as f32];
        let camera = self.camera(sighting, config, size);
        let vertices = sighting.body.vertices.take();
        let body = &sighting.body;
        let pelvis = body.joints45.first().map_or(0.0, |joint| joint[2]);
        // ViTPose measures COCO's points themselves; of other sets it only vouches for some.
        let measured = sighting.points.filter(|_| self.set == KeypointSet::Coco17);
        let mut joints = Vec::with_capacity(self.slots.len());
        let mut keypoints = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let joint = slot.joint.of(body);
            let place = match measured.zip(slot.coco) {
                Some((points, at)) => points.get(at).map_or([f32::NAN; 2], |p| [p[0], p[1]]),
                None => seen(joint, &camera),
            };
            let evidence = sighting.points.zip(slot.coco);
            let evidence = evidence.and_then(|(points, at)| Some(points.get(at)?[2]));
            let confidence = match evidence {
                Some(measured) => measured.clamp(0.0, 1.0),
                None => unmeasured(sighting.score, place, size),
            };
            keypoints.push(Keypoint {
                name: slot.name,
                x: place[0],
                y: place[1],
                z: Some(joint[2] - pelvis),
                confidence,
            });
            joints.push(joint);
        }
        Person {
            score: sighting.score,
            tracking_confidence: 1.0,
            keypoints,
            joints3d: Some(joints),
            joint_angles3d: Some(body_angles(&body.joints45)),
            camera: Some(camera),
            box_source: Some(sighting.box_source),
            keypoint_source: Some(match measured {
                Some(_) => KeypointSource::Measured,
                None => KeypointSource::Projected,
            }),
            smpl: smpl(body),
            vertices,
            ..Person::at(0, sighting.bbox, Source::Detected)
        }
    }

    /// Somebody whose body's parameters and camera are known. Points that were measured in this frame
    /// stay where they are.
    pub fn embodied(&self, mut person: Person, body: BodyFound) -> Person {
        let seen_now = matches!(person.source, Source::Detected | Source::Recovered);
        let measured = seen_now && person.keypoint_source == Some(KeypointSource::Measured);
        let pelvis = body.joints45.first().map_or(0.0, |joint| joint[2]);
        let joints: Vec<[f32; 3]> = self.slots.iter().map(|slot| slot.joint.of(&body)).collect();
        for (point, joint) in person.keypoints.iter_mut().zip(&joints) {
            if let Some(camera) = person.camera.as_ref().filter(|_| !measured) {
                [point.x, point.y] = seen(*joint, camera);
            }
            point.z = Some(joint[2] - pelvis);
        }
        Person {
            joints3d: Some(joints),
            joint_angles3d: Some(body_angles(&body.joints45)),
            keypoint_source: Some(match measured {
                true => KeypointSource::Measured,
                false => KeypointSource::Projected,
            }),
            vertices: body.vertices,
            ..person
        }
    }

    /// The camera of the whole image.
    fn camera(&self, sighting: &Sighting, config: &Config, size: [f32; 2]) -> Camera {
        let [width, height] = size;
        let focal_length = self.focal_length.unwrap_or_else(|| {
            let (width, height) = (f64::from(width), f64::from(height));
            full_focal_length(config.focal_length, config.image_size, width, height)
        });
        let Square { center, side } = sighting.square;
        let crop = sighting.body.camera;
        Camera {
            translation: full_image_translation(crop, center, side, size, focal_length),
            focal_length,
            center: [width / 2.0, height / 2.0],
        }
    }
}

/// Where the camera sees a joint, pixels.
pub fn seen(joint: [f32; 3], camera: &Camera) -> [f32; 2] {
    let place = std::array::from_fn(|axis| joint[axis] + camera.translation[axis]);
    project(place, camera.focal_length, camera.center)
}

/// Nothing was measured at this joint: how sure it is that there is a person at all, and nothing
/// beyond the frame, where no pixel speaks for it.
fn unmeasured(score: f32, [x, y]: [f32; 2], [width, height]: [f32; 2]) -> f32 {
    let inside = (0.0..width).contains(&x) && (0.0..height).contains(&y);
    if inside { score } else { 0.0 }
}

fn smpl(body: &BodyFound) -> Option<Smpl> {
    let (global_orient, body_pose) = body.rotations.split_first_chunk::<9>()?;
    Some(Smpl {
        global_orient: *global_orient,
        body_pose: body_pose.to_vec(),
        betas: body.betas,
    })
}

#[cfg(test)]
#[path = "person_tests.rs"]
pub mod tests;
