//! The person detector: image → boxes with the two points that place a body.
//!
//! `pose_detection_cpu.pbtxt`, `tensors_to_detections_calculator.cc`,
//! `non_max_suppression_calculator.cc` (weighted).

use tch::Device;

use super::ModelError;
use super::anchors::{self, INPUT};
use super::regions;
use crate::checkpoint::tflite::TfliteFile;
use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;
use crate::imaging::warp::{self, Border};
use crate::layers::network::lower::lower;
use crate::layers::network::runner::{Executor, Network};

/// Values of a row of the box tensor: centre, size, four points.
const ROW: usize = 12;

/// A place where the detector sees a person. Pixels of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// 0..=1
    pub score: f32,
    /// Around the head and shoulders, not the body.
    pub bbox: BBox,
    /// Mid hip, whole-body rim, mid shoulder, upper-body rim.
    pub points: [[f32; 2]; 4],
    /// Raw detections merged into this one.
    pub votes: usize,
}

impl Detection {
    /// The region to look for landmarks in.
    pub fn region(&self) -> Roi {
        regions::from_points(self.points[0], self.points[1])
    }
}

/// The network, ready on the thread that loaded it.
pub struct Detector {
    network: Network,
    anchors: Vec<[f32; 2]>,
}

/// The square around the whole image: what MediaPipe's detector is shown.
pub fn whole(image: &Rgb8) -> Roi {
    let (w, h) = (image.width as f32, image.height as f32);
    Roi {
        cx: w * 0.5,
        cy: h * 0.5,
        size: w.max(h),
        rotation: 0.0,
    }
}

impl Detector {
    pub fn load(tflite: &[u8], device: Device, executor: Executor) -> Result<Self, ModelError> {
        let graph = lower(&TfliteFile::parse(tflite)?, &[0, 1])?;
        let sizes: Vec<usize> = [graph.input, graph.outputs[0], graph.outputs[1]]
            .iter()
            .map(|&t| graph.shapes[t].volume())
            .collect();
        if sizes != [INPUT * INPUT * 3, anchors::COUNT * ROW, anchors::COUNT] {
            return Err(ModelError::Shape {
                expected: "pose detection",
                found: format!("tensors of {sizes:?} values"),
            });
        }
        Ok(Self {
            network: Network::new(graph, device, executor)?,
            anchors: anchors::centers(),
        })
    }

    pub fn executor(&self) -> &'static str {
        self.network.executor()
    }

    /// The network alone: `[224, 224, 3]` in -1..=1 → boxes `[2254, 12]`, logits `[2254]`.
    pub fn raw(&mut self, letterbox: &[f32]) -> Result<(&[f32], &[f32]), ModelError> {
        self.network.input_mut().copy_from_slice(letterbox);
        self.network.run()?;
        Ok((self.network.output(0), self.network.output(1)))
    }

    /// People in an upright square of the image (what lies outside the image is black), best first.
    pub fn detect(
        &mut self,
        image: &Rgb8,
        tile: &Roi,
        threshold: f32,
        nms_iou: f32,
    ) -> Result<Vec<Detection>, ModelError> {
        let input = self.network.input_mut();
        warp::warp_roi_f32(image, tile, INPUT, Border::Zero, 2.0 / 255.0, -1.0, input);
        self.network.run()?;
        let (boxes, logits) = (self.network.output(0), self.network.output(1));
        let mut found: Vec<Detection> = logits
            .iter()
            .zip(boxes.chunks_exact(ROW))
            .zip(&self.anchors)
            .filter_map(|((&logit, row), anchor)| decode(logit, row, *anchor, threshold))
            .collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(merge(found, nms_iou)
            .into_iter()
            .map(|d| place(d, tile))
            .collect())
    }
}

/// One row, in units of the tile.
fn decode(logit: f32, row: &[f32], anchor: [f32; 2], threshold: f32) -> Option<Detection> {
    let score = 1.0 / (1.0 + (-logit.clamp(-100.0, 100.0)).exp());
    let (w, h) = (row[2] / INPUT as f32, row[3] / INPUT as f32);
    if score.is_nan() || score < threshold || w < 0.0 || h < 0.0 {
        return None;
    }
    let at = |i: usize| {
        [
            row[i] / INPUT as f32 + anchor[0],
            row[i + 1] / INPUT as f32 + anchor[1],
        ]
    };
    let [cx, cy] = at(0);
    let bbox = BBox::new(cx - w * 0.5, cy - h * 0.5, cx + w * 0.5, cy + h * 0.5);
    Some(Detection {
        score,
        bbox,
        points: [at(4), at(6), at(8), at(10)],
        votes: 1,
    })
}

/// Weighted suppression: what overlaps the best is averaged into it by score. Best first in and out.
pub fn merge(mut rest: Vec<Detection>, iou: f32) -> Vec<Detection> {
    let mut merged = Vec::new();
    while let Some(best) = rest.first().cloned() {
        let (group, apart): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|d| d.bbox.iou(&best.bbox) > iou);
        rest = apart;
        merged.push(average(&best, &group));
        // An empty box overlaps not even itself.
        if group.is_empty() {
            rest.remove(0);
        }
    }
    merged
}

fn average(best: &Detection, group: &[Detection]) -> Detection {
    let total: f32 = group.iter().map(|d| d.score).sum();
    if group.is_empty() || total <= 0.0 {
        return best.clone();
    }
    let mean = |value: &dyn Fn(&Detection) -> f32| {
        group.iter().map(|d| value(d) * d.score).sum::<f32>() / total
    };
    let mut points = [[0.0; 2]; 4];
    for (i, point) in points.iter_mut().enumerate() {
        *point = [mean(&|d| d.points[i][0]), mean(&|d| d.points[i][1])];
    }
    Detection {
        score: best.score,
        bbox: BBox::new(
            mean(&|d| d.bbox.x1),
            mean(&|d| d.bbox.y1),
            mean(&|d| d.bbox.x2),
            mean(&|d| d.bbox.y2),
        ),
        points,
        votes: group.iter().map(|d| d.votes).sum(),
    }
}

/// From units of the tile to pixels of the image.
fn place(d: Detection, tile: &Roi) -> Detection {
    let [ox, oy] = [tile.cx - tile.size * 0.5, tile.cy - tile.size * 0.5];
    let at = |[x, y]: [f32; 2]| [x * tile.size + ox, y * tile.size + oy];
    let ([x1, y1], [x2, y2]) = (at([d.bbox.x1, d.bbox.y1]), at([d.bbox.x2, d.bbox.y2]));
    Detection {
        bbox: BBox::new(x1, y1, x2, y2),
        points: d.points.map(at),
        ..d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(score: f32, x: f32) -> Detection {
        Detection {
            score,
            bbox: BBox::new(x, 0.0, x + 1.0, 1.0),
            points: [[x, 0.0]; 4],
            votes: 1,
        }
    }

    #[test]
    fn overlapping_detections_are_averaged_by_score() {
        let merged = merge(
            vec![
                detection(0.9, 0.0),
                detection(0.3, 0.4),
                detection(0.2, 5.0),
            ],
            0.3,
        );
        assert_eq!(merged.len(), 2);
        assert!((merged[0].bbox.x1 - 0.1).abs() < 1e-6);
        assert_eq!((merged[0].score, merged[0].votes), (0.9, 2));
        assert_eq!(merged[1].bbox.x1, 5.0);
    }

    #[test]
    fn boxes_without_area_end_the_loop() {
        let flat = Detection {
            bbox: BBox::default(),
            ..detection(0.5, 0.0)
        };
        assert_eq!(merge(vec![flat.clone(), flat], 0.3).len(), 2);
    }
}
