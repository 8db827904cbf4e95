//! Where in a picture a person's body is, from the joints: places surely on it, and its outline.

use crate::pipeline::result::{Person, Segmentation};

/// The bones a body is drawn of, and half their thickness as part of the trunk's length.
const LIMBS: [(&str, &str, f32); 8] = [
    ("left_shoulder", "left_elbow", 0.11),
    ("left_elbow", "left_wrist", 0.09),
    ("right_shoulder", "right_elbow", 0.11),
    ("right_elbow", "right_wrist", 0.09),
    ("left_hip", "left_knee", 0.17),
    ("left_knee", "left_ankle", 0.12),
    ("right_hip", "right_knee", 0.17),
    ("right_knee", "right_ankle", 0.12),
];
/// Around the trunk's four corners, likewise.
const TRUNK: f32 = 0.15;
/// From between the shoulders to the nose.
const HEAD: f32 = 0.25;
/// Places on each limb, and along each side of the trunk.
const PLACES: usize = 8;
/// How near the trunk's edge places lie, as a part of its width.
const MARGIN: f32 = 0.1;
/// A keypoint less sure than this part of the person's surest is not believed: it is hidden, or
/// beyond the frame.
const SURE: f32 = 0.5;
/// Of a mask, from which on a pixel is the person's.
const COVERED: f32 = 0.5;

/// A joint, or a place between joints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Pixels.
    pub x: f32,
    pub y: f32,
    /// Along the camera's axis, metres; NaN where the person has no camera.
    pub z: f32,
}

impl Place {
    fn towards(self, other: Self, part: f32) -> Self {
        let between = |a: f32, b: f32| a + (b - a) * part;
        Self {
            x: between(self.x, other.x),
            y: between(self.y, other.y),
            z: between(self.z, other.z),
        }
    }
}

/// A round-ended stroke, pixels.
#[derive(Clone, Copy, Debug)]
struct Stroke {
    from: Place,
    to: Place,
    radius: f32,
}

impl Stroke {
    fn covers(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = (self.to.x - self.from.x, self.to.y - self.from.y);
        let length = dx * dx + dy * dy;
        let along = match length > 0.0 {
            true => ((x - self.from.x) * dx + (y - self.from.y) * dy) / length,
            false => 0.0,
        };
        let near = self.from.towards(self.to, along.clamp(0.0, 1.0));
        (near.x - x).powi(2) + (near.y - y).powi(2) <= self.radius * self.radius
    }
}

/// One person's body in the picture.
pub struct Body<'a> {
    /// Surely on the body, as far as the joints are right.
    pub places: Vec<Place>,
    strokes: Vec<Stroke>,
    trunk: Option<[Place; 4]>,
    mask: Option<&'a Segmentation>,
}

impl<'a> Body<'a> {
    /// `None` where too few joints are known to tell where it is.
    pub fn of(person: &'a Person) -> Option<Self> {
        let joints = Joints::of(person);
        let corners = [
            joints.at("left_shoulder"),
            joints.at("right_shoulder"),
            joints.at("right_hip"),
            joints.at("left_hip"),
        ];
        let trunk = match corners {
            [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
            _ => None,
        };
        let unit = unit(person, trunk);
        let mut body = Self {
            places: Vec::new(),
            strokes: Vec::new(),
            trunk,
            mask: person.segmentation.as_ref(),
        };
        if let Some(corners) = trunk {
            body.add_trunk(corners, unit);
        } else if let [Some(a), Some(b), ..] = corners {
            body.add_limb(a, b, TRUNK * unit);
        }
        for (from, to, radius) in LIMBS {
            if let (Some(from), Some(to)) = (joints.at(from), joints.at(to)) {
                body.add_limb(from, to, radius * unit);
            }
        }
        if let ([Some(a), Some(b), ..], Some(nose)) = (corners, joints.at("nose")) {
            body.add_limb(a.towards(b, 0.5), nose, HEAD * unit);
        }
        if let Some(mask) = body.mask {
            body.places.retain(|place| in_mask(mask, place.x, place.y));
        }
        (!body.places.is_empty()).then_some(body)
    }

    fn add_limb(&mut self, from: Place, to: Place, radius: f32) {
        self.places
            .extend(steps().map(|part| from.towards(to, part)));
        self.strokes.push(Stroke { from, to, radius });
    }

    /// Corners one after the other around it.
    fn add_trunk(&mut self, corners: [Place; 4], unit: f32) {
        let [a, b, c, d] = corners;
        let inner = |part: f32| MARGIN + (1.0 - 2.0 * MARGIN) * part;
        for down in steps().map(inner) {
            let (left, right) = (a.towards(d, down), b.towards(c, down));
            let across = steps().map(inner).map(|part| left.towards(right, part));
            self.places.extend(across);
        }
        let radius = TRUNK * unit;
        for (from, to) in [(a, b), (b, c), (c, d), (d, a)] {
            self.strokes.push(Stroke { from, to, radius });
        }
    }

    /// Whether the body, were nobody before it, would be seen there.
    pub fn covers(&self, x: f32, y: f32) -> bool {
        if let Some(mask) = self.mask {
            return in_mask(mask, x, y);
        }
        self.strokes.iter().any(|stroke| stroke.covers(x, y))
            || self.trunk.is_some_and(|[a, b, c, d]| {
                in_triangle([a, b, c], x, y) || in_triangle([a, c, d], x, y)
            })
    }
}

/// The middles of equal parts of a line.
fn steps() -> impl Iterator<Item = f32> {
    (0..PLACES).map(|step| (step as f32 + 0.5) / PLACES as f32)
}

/// The length of the trunk, or what it is about where that is not to be seen, pixels.
fn unit(person: &Person, trunk: Option<[Place; 4]>) -> f32 {
    let by_box = 0.3 * (person.bbox.y2 - person.bbox.y1).max(0.0);
    let Some([a, b, c, d]) = trunk else {
        return by_box;
    };
    let length = |a: Place, b: Place| (a.x - b.x).hypot(a.y - b.y);
    let height = length(a.towards(b, 0.5), c.towards(d, 0.5));
    // Of somebody bent towards the camera the shoulders tell more.
    height.max(1.3 * length(a, b))
}

fn in_triangle(corners: [Place; 3], x: f32, y: f32) -> bool {
    let [a, b, c] = corners;
    let side = |a: Place, b: Place| (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x);
    let sides = [side(a, b), side(b, c), side(c, a)];
    sides.iter().all(|s| *s >= 0.0) || sides.iter().all(|s| *s <= 0.0)
}

/// Whether the mask says that the person covers the place; what lies beyond it is not covered.
fn in_mask(segmentation: &Segmentation, x: f32, y: f32) -> bool {
    /// Cells along a side.
    const SIDE: usize = 256;
    let region = segmentation.region;
    let (dx, dy) = (x - region.cx, y - region.cy);
    let (sin, cos) = region.rotation.sin_cos();
    let cell = |across: f32| {
        let at = (across / region.size + 0.5) * SIDE as f32;
        (0.0..SIDE as f32).contains(&at).then_some(at as usize)
    };
    let (column, row) = (cell(cos * dx + sin * dy), cell(cos * dy - sin * dx));
    let value = row.zip(column).and_then(|(row, column)| {
        let at = row * SIDE + column;
        segmentation.mask.get(at).copied()
    });
    value.is_some_and(|value| value >= COVERED)
}

/// A person's joints by name, those that are believed.
struct Joints<'a> {
    person: &'a Person,
    least: f32,
}

impl<'a> Joints<'a> {
    fn of(person: &'a Person) -> Self {
        let sure = person.keypoints.iter().map(|point| point.confidence);
        let surest = sure.fold(0.0, f32::max);
        Self {
            person,
            least: SURE * surest,
        }
    }

    fn at(&self, name: &str) -> Option<Place> {
        let all = &self.person.keypoints;
        let index = all.iter().position(|point| point.name == name)?;
        let point = all.get(index)?;
        let sure = point.confidence >= self.least;
        if !sure || !point.x.is_finite() || !point.y.is_finite() {
            return None;
        }
        let joint = self.person.joints3d.as_ref().and_then(|all| all.get(index));
        let z = joint
            .zip(self.person.camera.as_ref())
            .map(|(joint, camera)| joint[2] + camera.translation[2]);
        Some(Place {
            x: point.x,
            y: point.y,
            z: z.unwrap_or(f32::NAN),
        })
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
