//! Engine results → typed JS objects.

use indexmap::IndexMap;
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

use super::depth::{FrameDepth, PersonDepth};
use super::shared::Shared;
use crate::pipeline::result;

/// One keypoint of a person.
#[napi(object, object_from_js = false)]
pub struct Keypoint {
    #[napi(ts_type = "string")]
    pub name: &'static str,
    /// Pixels of the input image, from the left.
    pub x: f64,
    /// Pixels of the input image, from the top.
    pub y: f64,
    /// Metres relative to the pelvis; away from the camera is positive.
    pub z: Option<f64>,
    /// 0 to 1, from the network.
    pub confidence: f64,
}

/// A pinhole camera that looks along +z; x right, y down.
#[napi(object, object_from_js = false)]
pub struct Camera {
    /// `[3]` metres: a joint in camera space is `joint + translation`.
    pub translation: Float32Array,
    /// Pixels; given in the configuration, or assumed from the frame's size.
    pub focal_length: f64,
    /// `[2]` pixels.
    pub center: Float32Array,
}

/// A square of the input image, turned about its centre.
#[napi(object, object_from_js = false)]
pub struct Region {
    /// Centre, pixels from the left.
    pub cx: f64,
    /// Centre, pixels from the top.
    pub cy: f64,
    /// Side, pixels.
    pub size: f64,
    /// Radians, clockwise as one looks at the picture.
    pub rotation: f64,
}

/// Where in a region of the frame a person is.
#[napi(object, object_from_js = false)]
pub struct Segmentation {
    /// `[256, 256]`, row-major over the region: that the person covers the place, 0 to 1. Row `j`,
    /// column `i` lies at `cx + size * (cos(rotation) * u - sin(rotation) * v)`,
    /// `cy + size * (sin(rotation) * u + cos(rotation) * v)`, where `u = i / 256 - 0.5` and
    /// `v = j / 256 - 0.5`.
    pub mask: Float32Array,
    pub region: Region,
}

/// The parameters of an SMPL body.
#[napi(object, object_from_js = false)]
pub struct Smpl {
    /// `[3, 3]`, row-major: the pelvis against the camera's axes.
    pub global_orient: Float32Array,
    /// `[23, 3, 3]`, row-major: every other joint against its parent.
    pub body_pose: Float32Array,
    /// `[10]`
    pub betas: Float32Array,
}

/// A person's surface; its triangles are `engine.meshFaces`.
#[napi(object, object_from_js = false)]
pub struct Mesh {
    /// `[6890, 3]` metres, row-major, camera axes, around the same origin as `joints3d`.
    pub vertices: Float32Array,
}

/// What was measured of a person whose numbers are smoothed, as without `smoothing`.
#[napi(object, object_from_js = false)]
pub struct RawPose {
    /// In the order of the keypoint set.
    pub keypoints: Vec<Keypoint>,
    /// `[J, 3]` metres, row-major, as the person's own.
    #[napi(js_name = "joints3d")]
    pub joints3d: Option<Float32Array>,
    /// Degrees, by name of the joint.
    #[napi(js_name = "jointAngles3d", ts_type = "Record<string, number>")]
    pub joint_angles3d: Option<IndexMap<String, f64>>,
    pub camera: Option<Camera>,
    pub smpl: Option<Smpl>,
}

/// One person in one frame.
#[napi(object, object_from_js = false)]
pub struct Person {
    /// The same person keeps the same number through a clip.
    pub track_id: u32,
    /// `[x1, y1, x2, y2]` pixels of the input image.
    #[napi(js_name = "box")]
    pub bbox: Float32Array,
    /// The detector's score, 0 to 1; with 4dhumans 1 for a box that the caller gave, and 0 where
    /// nobody looked (`boxSource` is `full-image`).
    pub score: f64,
    /// How the record came about; `predicted`: not seen in this frame.
    #[napi(ts_type = "'detected' | 'recovered' | 'predicted' | 'interpolated'")]
    pub source: &'static str,
    /// 1: seen in this frame; decays while not seen.
    pub tracking_confidence: f64,
    /// In the order of the keypoint set.
    #[napi(ts_type = "Array<Keypoint>")]
    pub keypoints: Shared<Vec<Keypoint>>,
    /// `[J, 3]` metres, row-major, camera axes (x right, y down, z forward); joints in the order of
    /// the keypoints. The origin is the middle of the hips, with 4dhumans SMPL's own.
    #[napi(js_name = "joints3d")]
    pub joints3d: Option<Float32Array>,
    /// Degrees, by name of the joint.
    #[napi(js_name = "jointAngles3d", ts_type = "Record<string, number>")]
    pub joint_angles3d: Option<Shared<IndexMap<String, f64>>>,
    pub camera: Option<Camera>,
    /// With `blazepose.segmentation`, of everybody seen in this frame.
    pub segmentation: Option<Segmentation>,
    /// Who drew the box: a detector of 4D-Humans, the caller (`given`), or nobody (`full-image`).
    #[napi(ts_type = "'vitdet' | 'regnety' | 'full-image' | 'given'")]
    pub box_source: Option<&'static str>,
    /// `measured`: each keypoint was found in the image, with a confidence of its own; `projected`:
    /// they are the 3D joints seen through the camera.
    #[napi(ts_type = "'measured' | 'projected'")]
    pub keypoint_source: Option<&'static str>,
    /// Of 4D-Humans, for everybody seen in this frame.
    pub smpl: Option<Smpl>,
    /// Of 4D-Humans, for everybody seen in this frame, unless `mesh: false`.
    pub mesh: Option<Mesh>,
    /// With `smoothing`, of everybody seen in this frame: what was measured.
    pub raw: Option<RawPose>,
    /// With `depth: true`, of everybody seen in this frame: 0 is nearest to the camera.
    pub depth_order: Option<u32>,
    /// With `depth: true`, of everybody seen in this frame.
    pub depth: Option<PersonDepth>,
}

/// Everything about one frame. A bad frame has `error` and `errorCode`, and of persons at most those who
/// are being followed, as `predicted`.
#[napi(object, object_from_js = false)]
pub struct PoseResult {
    /// As given; NaN where it was not a number.
    pub frame_number: f64,
    /// Pixels, upright; 0 where the image could not be decoded.
    pub frame_width: u32,
    /// Pixels, upright; 0 where the image could not be decoded.
    pub frame_height: u32,
    /// By `trackId`, ascending: the first is the one found first, of those found at once the surest.
    pub persons: Vec<Person>,
    /// Those of the first person, the same array; empty without one.
    #[napi(ts_type = "Array<Keypoint>")]
    pub keypoints: Shared<Vec<Keypoint>>,
    pub keypoint_count: u32,
    /// Whether the first person has 3D joints.
    #[napi(js_name = "has3d")]
    pub has3d: bool,
    /// Those of the first person, the same object; degrees.
    #[napi(js_name = "jointAngles3d", ts_type = "Record<string, number>")]
    pub joint_angles3d: Option<Shared<IndexMap<String, f64>>>,
    /// That of the first person: `[x, y, z]` metres.
    pub camera_translation: Option<Vec<f64>>,
    /// That of the first person.
    pub tracking_confidence: Option<f64>,
    /// `true` for the first frame of another shot: nobody is where they were.
    pub shot_cut: Option<bool>,
    /// Work spent on this frame, milliseconds; waiting for a free worker is not counted.
    pub processing_time_ms: f64,
    /// The same per stage, milliseconds.
    pub timings: IndexMap<String, f64>,
    pub model_version: String,
    /// With `depth: true`.
    pub depth: Option<FrameDepth>,
    /// Why a frame that is good otherwise has no depth, and what to do.
    pub depth_error: Option<String>,
    /// Stable code, `ERR_POSE4D_…`.
    pub depth_error_code: Option<String>,
    /// What is wrong with this frame, and what to do.
    pub error: Option<String>,
    /// Stable code, `ERR_POSE4D_…`.
    pub error_code: Option<String>,
}

fn named(values: &[(&'static str, f32)]) -> IndexMap<String, f64> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), f64::from(*value)))
        .collect()
}

fn keypoints(points: &[result::Keypoint]) -> Vec<Keypoint> {
    points
        .iter()
        .map(|k| Keypoint {
            name: k.name,
            x: k.x.into(),
            y: k.y.into(),
            z: k.z.map(Into::into),
            confidence: k.confidence.into(),
        })
        .collect()
}

impl From<&result::Camera> for Camera {
    fn from(camera: &result::Camera) -> Self {
        Self {
            translation: Float32Array::new(camera.translation.to_vec()),
            focal_length: camera.focal_length.into(),
            center: Float32Array::new(camera.center.to_vec()),
        }
    }
}

impl From<&result::Segmentation> for Segmentation {
    fn from(segmentation: &result::Segmentation) -> Self {
        let region = segmentation.region;
        Self {
            mask: Float32Array::new(segmentation.mask.to_vec()),
            region: Region {
                cx: region.cx.into(),
                cy: region.cy.into(),
                size: region.size.into(),
                rotation: region.rotation.into(),
            },
        }
    }
}

impl From<result::Smpl> for Smpl {
    fn from(smpl: result::Smpl) -> Self {
        Self {
            global_orient: Float32Array::new(smpl.global_orient.to_vec()),
            body_pose: Float32Array::new(smpl.body_pose),
            betas: Float32Array::new(smpl.betas.to_vec()),
        }
    }
}

fn flat(joints: &[[f32; 3]]) -> Float32Array {
    Float32Array::new(joints.concat())
}

impl From<result::Raw> for RawPose {
    fn from(raw: result::Raw) -> Self {
        Self {
            keypoints: keypoints(&raw.keypoints),
            joints3d: raw.joints3d.as_deref().map(flat),
            joint_angles3d: raw.joint_angles3d.as_deref().map(named),
            camera: raw.camera.as_ref().map(Into::into),
            smpl: raw.smpl.map(Into::into),
        }
    }
}

impl From<result::Person> for Person {
    /// Large arrays are handed over, not copied.
    fn from(person: result::Person) -> Self {
        let b = &person.bbox;
        Self {
            track_id: person.track_id,
            bbox: Float32Array::new(vec![b.x1, b.y1, b.x2, b.y2]),
            score: person.score.into(),
            source: person.source.as_str(),
            tracking_confidence: person.tracking_confidence.into(),
            keypoints: Shared::new(keypoints(&person.keypoints)),
            joints3d: person.joints3d.as_deref().map(flat),
            joint_angles3d: person.joint_angles3d.as_deref().map(named).map(Shared::new),
            camera: person.camera.as_ref().map(Into::into),
            segmentation: person.segmentation.as_ref().map(Into::into),
            box_source: person.box_source.map(result::BoxSource::as_str),
            keypoint_source: person.keypoint_source.map(result::KeypointSource::as_str),
            smpl: person.smpl.map(Into::into),
            depth_order: person.depth.map(|depth| depth.order),
            depth: person.depth.map(Into::into),
            mesh: person.vertices.map(|vertices| Mesh {
                vertices: Float32Array::new(vertices),
            }),
            raw: person.raw.map(|raw| (*raw).into()),
        }
    }
}

impl From<result::FrameResult> for PoseResult {
    fn from(frame: result::FrameResult) -> Self {
        let first = frame.persons.first();
        let keypoint_count = first.map_or(0, |p| p.keypoints.len());
        let has3d = first.is_some_and(|p| p.joints3d.is_some());
        let camera_translation = first
            .and_then(|p| p.camera)
            .map(|c| c.translation.map(f64::from).to_vec());
        let tracking_confidence = first.map(|p| p.tracking_confidence.into());
        let (error_code, error) = frame
            .error
            .map(|(code, message)| (code.to_owned(), message))
            .unzip();
        let (depth_error_code, depth_error) = frame
            .depth_error
            .map(|(code, message)| (code.to_owned(), message))
            .unzip();
        let persons: Vec<Person> = frame.persons.into_iter().map(Into::into).collect();
        let first = persons.first();
        Self {
            frame_number: frame.frame_number,
            frame_width: frame.width,
            frame_height: frame.height,
            keypoint_count: keypoint_count.try_into().unwrap_or(u32::MAX),
            keypoints: first.map_or_else(|| Shared::new(Vec::new()), |p| p.keypoints.clone()),
            has3d,
            joint_angles3d: first.and_then(|p| p.joint_angles3d.clone()),
            persons,
            camera_translation,
            tracking_confidence,
            shot_cut: frame.starts_shot.then_some(true),
            processing_time_ms: frame.processing_time_ms,
            timings: frame
                .timings
                .iter()
                .map(|(n, ms)| ((*n).to_owned(), *ms))
                .collect(),
            model_version: frame.model_version,
            depth: frame.depth.map(Into::into),
            depth_error,
            depth_error_code,
            error,
            error_code,
        }
    }
}
