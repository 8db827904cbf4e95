//! What belongs to one track beside its place: where to look next, its bones, its filters.

use serde::{Deserialize, Serialize};

use super::person::Body;
use super::pose::Pose;
use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;
use crate::models::blazepose::regions;
use crate::tracking::bones::BoneLengths;
use crate::tracking::one_euro::{LandmarkFilter, OneEuroConfig};
use crate::tracking::stored::maybe_roi;

/// What belongs to one track beside its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Carried {
    /// Where to look in the next frame; `None` while lost.
    #[serde(with = "maybe_roi")]
    pub(super) region: Option<Roi>,
    /// How that lay about the body when they were last seen.
    seat: Option<Seat>,
    aux: LandmarkFilter,
    image: LandmarkFilter,
    world: LandmarkFilter,
    pub(super) bones: BoneLengths,
    /// From what was measured in the last sight to what was told: where smoothing goes on from.
    lag: Option<Lag>,
}

/// A region about a body, in sizes of its box.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Seat {
    /// From the middle of the box.
    offset: [f32; 2],
    size: f32,
    rotation: f32,
}

impl Seat {
    fn of(region: &Roi, body: &BBox) -> Self {
        let ([x, y], size) = (body.center(), size_of(body));
        Self {
            offset: [(region.cx - x) / size, (region.cy - y) / size],
            size: region.size / size,
            rotation: region.rotation,
        }
    }

    fn at(&self, body: &BBox) -> Roi {
        let ([x, y], size) = (body.center(), size_of(body));
        Roi {
            cx: x + size * self.offset[0],
            cy: y + size * self.offset[1],
            size: size * self.size,
            rotation: self.rotation,
        }
    }
}

fn size_of(body: &BBox) -> f32 {
    body.width().max(body.height()).max(1.0)
}

/// How far what was told is from what was measured, point by point and joint by joint.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lag {
    points: Vec<[f32; 3]>,
    joints: Vec<[f32; 3]>,
}

impl Carried {
    pub(super) fn new() -> Self {
        Self::with_bones(BoneLengths::new())
    }

    /// Somebody whose bones are known.
    pub(super) fn with_bones(bones: BoneLengths) -> Self {
        Self {
            region: None,
            seat: None,
            aux: LandmarkFilter::new(OneEuroConfig::AUXILIARY),
            image: LandmarkFilter::new(OneEuroConfig::IMAGE),
            world: LandmarkFilter::new(OneEuroConfig::WORLD),
            bones,
            lag: None,
        }
    }

    /// Takes in the pose of this frame.
    pub(super) fn learn(&mut self, pose: &Pose, body: &Body, time_s: f64) {
        let [center, rim] = pose.landmarks.aux;
        let scale = pose.aux_size();
        let mut aux = [[center[0], center[1], 0.0], [rim[0], rim[1], 0.0]];
        self.aux.apply(time_s, Some(scale), &mut aux, &mut []);
        let region = regions::from_points([aux[0][0], aux[0][1]], [aux[1][0], aux[1][1]]);
        self.region = (region.size.is_finite() && region.size >= 1.0).then_some(region);
        self.seat = self.region.map(|region| Seat::of(&region, &pose.bbox()));
        let confidences: Vec<f32> = body.points.iter().map(|p| p[2]).collect();
        self.bones.observe(&body.joints, &confidences);
    }

    /// Where to look for somebody lost who is expected there: the region that would have been carried
    /// over, gone along.
    pub(super) fn region_at(&self, there: &BBox) -> Option<Roi> {
        let region = self.seat.as_ref()?.at(there);
        (region.size.is_finite() && region.size >= 1.0).then_some(region)
    }

    /// The body of this frame, smoothed as MediaPipe does.
    pub(super) fn smoothed(&mut self, pose: &Pose, body: &Body, time_s: f64) -> Body {
        let scale = Some(pose.aux_size());
        let mut sure: Vec<f32> = body.points.iter().map(|p| p[2]).collect();
        let mut image: Vec<[f32; 3]> = body.points.iter().map(|p| [p[0], p[1], 0.0]).collect();
        let mut joints = body.joints.clone();
        self.image.apply(time_s, scale, &mut image, &mut sure);
        self.world.apply(time_s, None, &mut joints, &mut []);
        let points = image.iter().zip(&sure).map(|(p, &c)| [p[0], p[1], c]);
        let smooth = Body {
            points: points.collect(),
            joints,
        };
        self.lag = Some(Lag {
            points: between(&body.points, &smooth.points),
            joints: between(&body.joints, &smooth.joints),
        });
        smooth
    }

    /// Somebody not seen goes on from what was told of them, and not from what was measured.
    pub(super) fn go_on(&self, body: &mut Body) {
        if let Some(Lag { points, joints }) = &self.lag {
            move_by(&mut body.joints, joints);
            let sure: Vec<f32> = body.points.iter().map(|p| p[2]).collect();
            move_by(&mut body.points, points);
            for (point, sure) in body.points.iter_mut().zip(sure) {
                point[2] = sure;
            }
        }
    }
}

fn between(from: &[[f32; 3]], to: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let apart = |(a, b): (&[f32; 3], &[f32; 3])| std::array::from_fn(|k| b[k] - a[k]);
    from.iter().zip(to).map(apart).collect()
}

fn move_by(places: &mut [[f32; 3]], way: &[[f32; 3]]) {
    for (place, way) in places.iter_mut().zip(way) {
        *place = std::array::from_fn(|k| place[k] + way[k]);
    }
}
