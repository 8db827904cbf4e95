//! A pose as the landmark network gave it, and how far it can be trusted.

use crate::geometry::boxes::BBox;
use crate::geometry::joints::BLAZEPOSE33_BODY;
use crate::geometry::oks;
use crate::models::blazepose::Landmarks;
use crate::models::blazepose::landmarker::Landmark;
use crate::pipeline::result::Segmentation;

/// How a pose was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// By the detector.
    Detected,
    /// In a box the caller gave.
    Given,
    /// In the region carried over from a track's last frame.
    Carried(u32),
    /// On a second look where a track was expected.
    LookedAgain(u32),
}

/// A body in the frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Pose {
    pub landmarks: Landmarks,
    /// The detector's score; the pose flag where no detector was asked.
    pub score: f32,
    /// Agreement of the last two crops, 0..=1.
    pub consistency: f32,
    /// How many looks came to this pose.
    pub votes: usize,
    pub found: Found,
}

impl Pose {
    /// `[x, y, confidence]` of the 33 points; confidence is the lesser of visibility and presence.
    pub fn points(&self) -> Vec<[f32; 3]> {
        self.landmarks
            .points
            .iter()
            .map(|p| [p.x, p.y, p.visibility.min(p.presence)])
            .collect()
    }

    /// How well the body's heat maps, the pose flag and the two crops agree, 0..=1.
    pub fn quality(&self) -> f32 {
        let points = &self.landmarks.points;
        let heat: f32 = BLAZEPOSE33_BODY.iter().map(|&(i, _)| points[i].heat).sum();
        let heat = heat / BLAZEPOSE33_BODY.len() as f32;
        self.landmarks.flag * heat * (0.5 + 0.5 * self.consistency)
    }

    /// Side of the region between the auxiliary points, pixels: what MediaPipe's filters take for the
    /// person's size.
    pub fn aux_size(&self) -> f32 {
        let [center, rim] = self.landmarks.aux;
        2.0 * (rim[0] - center[0]).hypot(rim[1] - center[1])
    }

    /// Around all points.
    pub fn bbox(&self) -> BBox {
        BBox::around(self.landmarks.points.iter().map(|p| [p.x, p.y])).unwrap_or_default()
    }

    /// Longer side of the box around the twelve body joints, pixels; at least 1.
    pub fn size(&self) -> f32 {
        let body = BLAZEPOSE33_BODY
            .iter()
            .map(|&(i, _)| &self.landmarks.points[i]);
        let bbox = BBox::around(body.map(|p| [p.x, p.y])).unwrap_or_default();
        bbox.width().max(bbox.height()).max(1.0)
    }

    /// How many of shoulders and hips lie in a frame of this width and height, pixels.
    pub fn trunk_in(&self, (width, height): (f32, f32)) -> usize {
        let trunk = [11, 12, 23, 24].map(|i| &self.landmarks.points[i]);
        let inside = |p: &&Landmark| (0.0..width).contains(&p.x) && (0.0..height).contains(&p.y);
        trunk.into_iter().filter(inside).count()
    }

    /// The outline, where it was asked for.
    pub fn segmentation(&self) -> Option<Segmentation> {
        let mask = self.landmarks.mask.clone()?;
        let region = self.landmarks.roi;
        Some(Segmentation { mask, region })
    }

    /// Whether every number is one.
    pub fn is_finite(&self) -> bool {
        let numbers = |p: &Landmark| p.x.is_finite() && p.y.is_finite() && p.z.is_finite();
        self.landmarks.flag.is_finite()
            && self.landmarks.points.iter().all(numbers)
            && self.landmarks.world.iter().flatten().all(|v| v.is_finite())
    }
}

/// How alike two sets of landmarks are, 0..=1.
pub fn similarity(a: &Landmarks, b: &Landmarks) -> f32 {
    let points =
        |l: &Landmarks| -> Vec<[f32; 3]> { l.points.iter().map(|p| [p.x, p.y, 1.0]).collect() };
    oks::pose_similarity(&points(a), &points(b), &BLAZEPOSE33_BODY, 0.0).unwrap_or(0.0)
}
