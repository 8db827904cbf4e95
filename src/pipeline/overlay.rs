//! People drawn onto their frame: skeleton, box, identity, score, where the record came from, angles.
//!
//! The person's left is warm, the right cool; the box and its label have the track's own colour.
//! What was not seen in this frame is dashed and hollow, what is unsure is faint.

use std::collections::HashMap;

use crate::geometry::boxes::BBox;
use crate::imaging::draw::{Canvas, Colour, Pen, text_width};
use crate::imaging::pixels::Rgb8;
use crate::pipeline::result::{BoxSource, FrameResult, Keypoint, Person, Source};

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayOptions {
    pub boxes: bool,
    /// Identity, score and source, in a tab on the box.
    pub labels: bool,
    /// Names of the joint angles to write at their joints; a person too small for text has none.
    pub angles: Vec<String>,
    /// Keypoints below are not drawn.
    pub min_confidence: f32,
    /// Lines and letters that many times as large as the frame's size suggests.
    pub scale: f32,
}

impl Default for OverlayOptions {
    fn default() -> Self {
        let angles = ["left_elbow", "right_elbow", "left_knee", "right_knee"];
        Self {
            boxes: true,
            labels: true,
            angles: angles.map(String::from).to_vec(),
            min_confidence: 0.1,
            scale: 1.0,
        }
    }
}

const LEFT: Colour = Colour::new(255, 159, 28);
const RIGHT: Colour = Colour::new(46, 196, 255);
const MIDDLE: Colour = Colour::new(240, 240, 245);
const SHADOW: Colour = Colour::BLACK;
/// From here a keypoint is drawn in full strength.
const SURE: f32 = 0.6;
const FAINTEST: f32 = 0.22;

/// Trunk and limbs.
const LIMBS: &[(&str, &str)] = &[
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
];

/// The middle of the body, in SMPL's sets and in OpenPose's.
const SPINE: &[(&str, &str)] = &[
    ("pelvis", "spine1"),
    ("spine1", "spine2"),
    ("spine2", "spine3"),
    ("spine3", "neck"),
    ("neck", "head"),
    ("mid_hip", "neck"),
    ("neck", "nose"),
];

/// Joints of the same body by the habits of other data sets: beside the true ones they would only
/// blur the picture.
const REGRESSED: [&str; 3] = ["lsp_", "mpii_", "h36m_"];

/// Hands and feet, as far as a set has them.
const ENDS: &[(&str, &str)] = &[
    ("left_wrist", "left_index"),
    ("left_wrist", "left_pinky"),
    ("left_wrist", "left_thumb"),
    ("left_pinky", "left_index"),
    ("right_wrist", "right_index"),
    ("right_wrist", "right_pinky"),
    ("right_wrist", "right_thumb"),
    ("right_pinky", "right_index"),
    ("left_ankle", "left_heel"),
    ("left_heel", "left_foot_index"),
    ("left_ankle", "left_foot_index"),
    ("right_ankle", "right_heel"),
    ("right_heel", "right_foot_index"),
    ("right_ankle", "right_foot_index"),
    ("left_wrist", "left_hand"),
    ("right_wrist", "right_hand"),
    ("left_ankle", "left_foot"),
    ("right_ankle", "right_foot"),
    ("left_ankle", "left_big_toe"),
    ("left_big_toe", "left_small_toe"),
    ("left_heel", "left_big_toe"),
    ("right_ankle", "right_big_toe"),
    ("right_big_toe", "right_small_toe"),
    ("right_heel", "right_big_toe"),
];

const FACE_BLAZEPOSE: &[(&str, &str)] = &[
    ("nose", "left_eye_inner"),
    ("left_eye_inner", "left_eye"),
    ("left_eye", "left_eye_outer"),
    ("left_eye_outer", "left_ear"),
    ("nose", "right_eye_inner"),
    ("right_eye_inner", "right_eye"),
    ("right_eye", "right_eye_outer"),
    ("right_eye_outer", "right_ear"),
    ("mouth_left", "mouth_right"),
];

const FACE_COCO: &[(&str, &str)] = &[
    ("nose", "left_eye"),
    ("left_eye", "left_ear"),
    ("nose", "right_eye"),
    ("right_eye", "right_ear"),
];

/// Joints that get a full-sized dot; the others get a small one.
const JOINTS: [&str; 6] = ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"];

/// Draws every person of `result` onto the frame it belongs to. Coordinates are scaled where
/// `image` is not of the size the result speaks of.
pub fn draw_overlay(image: &mut Rgb8, result: &FrameResult, options: &OverlayOptions) {
    let Some(mut canvas) = Canvas::over(image) else {
        return;
    };
    let scale = |have: usize, said: u32| match said {
        0 => 1.0,
        said => have as f32 / said as f32,
    };
    let sheet = Sheet {
        options,
        width: image.width as f32,
        height: image.height as f32,
        scale: [
            scale(image.width, result.width),
            scale(image.height, result.height),
        ],
    };
    let mut tabs = Vec::new();
    for person in &result.persons {
        let figure = Figure::new(&sheet, person);
        figure.draw_box(&mut canvas);
        figure.draw_skeleton(&mut canvas);
    }
    // Text last, so that nobody's limbs cross it.
    for person in &result.persons {
        let figure = Figure::new(&sheet, person);
        figure.draw_angles(&mut canvas);
        figure.draw_tab(&mut canvas, &mut tabs);
    }
    canvas.write_to(image);
}

/// The frame's measures.
struct Sheet<'a> {
    options: &'a OverlayOptions,
    width: f32,
    height: f32,
    /// From the result's pixels to the image's.
    scale: [f32; 2],
}

impl Sheet<'_> {
    /// Width of a fine line: 1 px at 640x360, 4 px at 4K, thinner than proportional between.
    fn unit(&self) -> f32 {
        let scale = if self.options.scale.is_finite() {
            self.options.scale.clamp(0.1, 10.0)
        } else {
            1.0
        };
        (self.width.hypot(self.height) / 734.0).max(0.35).powf(0.8) * scale
    }

    fn place(&self, x: f32, y: f32) -> [f32; 2] {
        [x * self.scale[0], y * self.scale[1]]
    }
}

/// One person with all that drawing needs.
struct Figure<'a> {
    sheet: &'a Sheet<'a>,
    person: &'a Person,
    area: BBox,
    points: HashMap<&'static str, &'a Keypoint>,
    /// Seen in this frame.
    seen: bool,
    /// Width of a limb: thinner for small people, whose limbs lie close together.
    limb: f32,
    colour: Colour,
}

impl<'a> Figure<'a> {
    fn new(sheet: &'a Sheet<'a>, person: &'a Person) -> Self {
        let b = person.bbox;
        let ([x1, y1], [x2, y2]) = (sheet.place(b.x1, b.y1), sheet.place(b.x2, b.y2));
        let area = BBox::new(x1, y1, x2, y2);
        let share = area.height().max(area.width()) / (0.45 * sheet.height);
        Self {
            sheet,
            person,
            area,
            points: person.keypoints.iter().map(|k| (k.name, k)).collect(),
            seen: matches!(person.source, Source::Detected | Source::Recovered),
            limb: sheet.unit() * 2.6 * share.clamp(0.45, 1.0),
            colour: track_colour(person.track_id),
        }
    }

    fn position(&self, point: &Keypoint) -> [f32; 2] {
        self.sheet.place(point.x, point.y)
    }

    /// How strongly a keypoint is drawn; `None`: not at all.
    fn strength(&self, point: &Keypoint) -> Option<f32> {
        let least = self.sheet.options.min_confidence;
        // Where nobody looked for people, nothing speaks for any joint: all of them are drawn, faint.
        let unlooked = self.person.box_source == Some(BoxSource::FullImage);
        let confidence = match unlooked && point.x.is_finite() && point.y.is_finite() {
            true => point.confidence.max(least),
            false => point.confidence,
        };
        // Not `<`: a NaN is not drawn either.
        (confidence >= least).then(|| (confidence / SURE).clamp(FAINTEST, 1.0))
    }

    fn draw_box(&self, canvas: &mut Canvas) {
        if !self.sheet.options.boxes {
            return;
        }
        let width = (self.sheet.unit() * 1.2).max(1.0);
        let strength = if self.seen { 0.95 } else { 0.7 };
        let pen = Pen {
            dashed: !self.seen,
            ..Pen::solid(self.colour.faded(strength), width)
        };
        let under = Pen::solid(SHADOW.faded(0.3), width * 2.0);
        if self.seen {
            canvas.frame(&self.area, width * 3.0, under);
        }
        canvas.frame(&self.area, width * 3.0, pen);
    }

    fn draw_skeleton(&self, canvas: &mut Canvas) {
        let face = if self.points.contains_key("left_eye_inner") {
            FACE_BLAZEPOSE
        } else {
            FACE_COCO
        };
        let mut bones: Vec<Bone> = [(face, 0.35), (ENDS, 0.5), (SPINE, 0.7), (LIMBS, 1.0)]
            .into_iter()
            .flat_map(|(edges, thickness)| self.bones(edges, thickness))
            .collect();
        // Far bones first, so that the near arm covers the far one.
        bones.sort_by(|a, b| b.depth.total_cmp(&a.depth));
        for bone in &bones {
            bone.draw(canvas, self.seen);
        }
        let drawn = |point: &&Keypoint| !REGRESSED.iter().any(|set| point.name.starts_with(set));
        for point in self.person.keypoints.iter().filter(drawn) {
            self.draw_joint(canvas, point);
        }
    }

    fn bones(
        &self,
        edges: &[(&'static str, &'static str)],
        thickness: f32,
    ) -> impl Iterator<Item = Bone> {
        edges.iter().filter_map(move |(from, to)| {
            let (a, b) = (self.points.get(from)?, self.points.get(to)?);
            let strength = self.strength(a)?.min(self.strength(b)?);
            Some(Bone {
                ends: [self.position(a), self.position(b)],
                colour: side_colour(from, to).faded(strength),
                width: self.limb * thickness,
                depth: a.z.unwrap_or(0.0) + b.z.unwrap_or(0.0),
            })
        })
    }

    fn draw_joint(&self, canvas: &mut Canvas, point: &Keypoint) {
        let Some(strength) = self.strength(point) else {
            return;
        };
        let main = JOINTS.iter().any(|joint| point.name.ends_with(joint));
        let radius = self.limb * if main { 1.0 } else { 0.4 };
        let centre = self.position(point);
        let colour = side_colour(point.name, point.name).faded(strength);
        if !self.seen {
            canvas.ring(centre, radius, Pen::solid(colour, self.limb * 0.35));
            return;
        }
        canvas.disc(
            centre,
            radius + self.limb * 0.28,
            SHADOW.faded(0.55 * strength),
        );
        canvas.disc(centre, radius, colour);
        if main {
            canvas.disc(centre, radius * 0.45, Colour::WHITE.faded(strength));
        }
    }

    fn draw_angles(&self, canvas: &mut Canvas) {
        let height = (self.sheet.unit() * 11.0).max(11.0);
        let Some(angles) = &self.person.joint_angles3d else {
            return;
        };
        // On a person of a few lines' height the numbers would hide the person.
        if self.area.height().max(self.area.width()) < height * 9.0 {
            return;
        }
        for (name, degrees) in angles {
            let wanted = self.sheet.options.angles.iter().any(|w| w == name);
            let joint = self
                .points
                .get(joint_of(name))
                .filter(|_| wanted && degrees.is_finite());
            let Some((joint, strength)) = joint.and_then(|p| Some((p, self.strength(p)?))) else {
                continue;
            };
            let text = format!("{degrees:.0}°");
            let width = text_width(&text, height);
            let [x, y] = self.position(joint);
            // Away from the body: the person's left is mostly on the picture's right.
            let middle = self.area.center()[0];
            let gap = self.limb * 1.8;
            let left = if x < middle { x - gap - width } else { x + gap };
            let left = left.clamp(0.0, (self.sheet.width - width).max(0.0));
            let top = y - height / 2.0;
            let pad = height * 0.18;
            let plate = BBox::new(left - pad, top, left + width + pad, top + height);
            canvas.panel(&plate, height * 0.3, SHADOW.faded(0.6 * strength));
            let colour = side_colour(name, name);
            let light = colour.lighter(0.45).faded(strength.max(0.5));
            canvas.text([left, top], height, &text, light);
        }
    }

    /// The tab sits on the box, inside the frame, and makes way for tabs already there.
    fn draw_tab(&self, canvas: &mut Canvas, taken: &mut Vec<BBox>) {
        if !self.sheet.options.labels {
            return;
        }
        let height = (self.sheet.unit() * 12.5).max(12.0);
        let text = self.tab_text();
        let pad = height * 0.35;
        let (wide, high) = (text_width(&text, height) + 2.0 * pad, height * 1.25);
        let left = self.area.x1.clamp(0.0, (self.sheet.width - wide).max(0.0));
        let lowest = (self.sheet.height - high).max(0.0);
        let tab = |top: f32| BBox::new(left, top, left + wide, top + high);
        let free = |top: &f32| {
            taken
                .iter()
                .all(|other| other.intersection(&tab(*top)) <= 0.0)
        };
        let first = (self.area.y1 - high).clamp(0.0, lowest);
        let top = up_then_down(first, high, lowest)
            .find(free)
            .unwrap_or(first);
        taken.push(tab(top));

        let (paper, ink) = if self.seen {
            let dark = self.colour.lightness() > 0.5;
            (
                self.colour,
                if dark { Colour::BLACK } else { Colour::WHITE },
            )
        } else {
            (SHADOW.faded(0.65), self.colour)
        };
        canvas.panel(&tab(top), height * 0.25, paper);
        if !self.seen {
            let pen = Pen {
                dashed: true,
                ..Pen::solid(self.colour, (height * 0.08).max(1.0))
            };
            canvas.frame(&tab(top), height * 0.25, pen);
        }
        canvas.text([left + pad, top + height * 0.125], height, &text, ink);
    }

    /// The number shown is the one that says how far to trust the record.
    fn tab_text(&self) -> String {
        let (id, source) = (self.person.track_id, self.person.source);
        let number = if self.seen {
            self.person.score
        } else {
            self.person.tracking_confidence
        };
        match source {
            Source::Detected => format!("#{id} {number:.2}"),
            other => format!("#{id} {number:.2} {}", other.as_str()),
        }
    }
}

struct Bone {
    ends: [[f32; 2]; 2],
    colour: Colour,
    width: f32,
    depth: f32,
}

impl Bone {
    fn draw(&self, canvas: &mut Canvas, seen: bool) {
        let [from, to] = self.ends;
        if seen {
            let shadow = SHADOW.faded(0.55 * self.colour.alpha);
            canvas.line(from, to, Pen::solid(shadow, self.width * 1.55));
        }
        let pen = Pen {
            dashed: !seen,
            ..Pen::solid(self.colour, self.width * if seen { 1.0 } else { 0.7 })
        };
        canvas.line(from, to, pen);
    }
}

/// The keypoint that an angle is written at: the one of its name, but for the spine's.
fn joint_of(angle: &str) -> &str {
    if angle == "spine" { "spine2" } else { angle }
}

/// Places for a tab: from `first` upwards, off the person, and only then downwards.
fn up_then_down(first: f32, step: f32, lowest: f32) -> impl Iterator<Item = f32> {
    const MOST: usize = 64;
    let places = |step: f32| (0..MOST).map(move |n| first + n as f32 * step);
    let up = places(-step).take_while(|top| *top >= 0.0);
    up.chain(places(step).take_while(move |top| *top <= lowest))
}

/// Between two sides: neutral.
fn side_colour(from: &str, to: &str) -> Colour {
    let side = |name: &str| (name.starts_with("left_"), name.starts_with("right_"));
    match (side(from), side(to)) {
        ((true, _), (_, true)) | ((_, true), (true, _)) => MIDDLE,
        ((true, _), _) | (_, (true, _)) => LEFT,
        ((_, true), _) | (_, (_, true)) => RIGHT,
        _ => MIDDLE,
    }
}

/// Neighbouring identities lie far apart on the colour wheel (steps of the golden ratio).
fn track_colour(id: u32) -> Colour {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let hue = (f64::from(id) * GOLDEN + 0.33).fract();
    Colour::from_hsv(hue as f32, 0.62, 0.97)
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
