//! Detections of many tiles → the places worth a look, each once.

use std::f32::consts::PI;

use serde::{Deserialize, Serialize};

use crate::geometry::roi::Roi;
use crate::models::blazepose::Detection;
use crate::tracking::stored::StoredRoi;

/// A region where one or more tiles saw a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Candidate {
    #[serde(with = "StoredRoi")]
    pub region: Roi,
    /// Of the surest detection.
    pub score: f32,
    /// Detections that agree.
    pub votes: usize,
}

/// As it is stored: numbers of which some may be none.
#[derive(Deserialize)]
struct Stored {
    #[serde(with = "StoredRoi")]
    region: Roi,
    score: f32,
    votes: usize,
}

impl TryFrom<Stored> for Candidate {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored {
            region,
            score,
            votes,
        } = stored;
        let Roi {
            cx,
            cy,
            size,
            rotation,
        } = region;
        let known = [cx, cy, size, rotation, score]
            .iter()
            .all(|v| v.is_finite());
        let candidate = Self {
            region,
            score,
            votes,
        };
        (known && size >= 1.0)
            .then_some(candidate)
            .ok_or("a place that is none")
    }
}

/// Regions alike enough that the network would be shown the same crop, as parts of their size.
const SAME_CENTER: f32 = 0.12;
const SAME_SIZE: f32 = 1.25;
const SAME_ANGLE: f32 = 0.35;

/// Groups detections by region, the surest standing for the group; at most `limit`, surest first.
pub fn group(mut detections: Vec<Detection>, limit: usize) -> Vec<Candidate> {
    detections.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut groups: Vec<Candidate> = Vec::new();
    for detection in detections {
        let region = detection.region();
        if !(region.size.is_finite() && region.size >= 1.0) {
            continue;
        }
        match groups.iter_mut().find(|g| alike(&g.region, &region)) {
            Some(group) => group.votes += 1,
            None => groups.push(Candidate {
                region,
                score: detection.score,
                votes: 1,
            }),
        }
    }
    groups.truncate(limit);
    groups
}

/// Whether two regions show the same crop.
pub fn alike(a: &Roi, b: &Roi) -> bool {
    let small = a.size.min(b.size);
    let distance = (a.cx - b.cx).hypot(a.cy - b.cy);
    let turn = (a.rotation - b.rotation).rem_euclid(2.0 * PI);
    distance <= SAME_CENTER * small
        && a.size.max(b.size) <= SAME_SIZE * small
        && turn.min(2.0 * PI - turn) <= SAME_ANGLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::boxes::BBox;

    fn detection(score: f32, x: f32) -> Detection {
        Detection {
            score,
            bbox: BBox::default(),
            points: [[x, 100.0], [x, 50.0], [x, 80.0], [x, 60.0]],
            votes: 1,
        }
    }

    #[test]
    fn the_surest_of_a_place_stands_for_it() {
        let found = group(
            vec![
                detection(0.4, 101.0),
                detection(0.8, 100.0),
                detection(0.5, 200.0),
            ],
            9,
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].score, found[0].votes, found[0].region.cx),
            (0.8, 2, 100.0)
        );
    }

    #[test]
    fn turned_regions_are_other_crops_and_the_limit_holds() {
        let mut lying = detection(0.3, 100.0);
        lying.points[1] = [150.0, 100.0];
        assert_eq!(
            group(vec![detection(0.8, 100.0), lying.clone()], 9).len(),
            2
        );
        assert_eq!(group(vec![detection(0.8, 100.0), lying], 1).len(), 1);
    }
}
