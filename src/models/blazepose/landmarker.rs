//! The landmark network: a region of the image → 33 points, in pixels and in metres.
//!
//! `tensors_to_pose_landmarks_and_segmentation.pbtxt`, `landmark_projection_calculator.cc`,
//! `world_landmark_projection_calculator.cc`.

use std::sync::Arc;

use tch::Device;

use super::ModelError;
use super::refine::{CELLS, refine};
use super::regions;
use crate::checkpoint::tflite::TfliteFile;
use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;
use crate::imaging::warp::{self, Border};
use crate::layers::network::kernels::sigmoid;
use crate::layers::network::lower::lower;
use crate::layers::network::runner::{Executor, Network};

/// Pixels along a side of the crop.
pub const INPUT: usize = 256;
/// Body landmarks.
pub const BODY: usize = 33;
/// Rows of the network: the body, two auxiliary points, four unused.
const ROWS: usize = 39;

/// One body landmark.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Landmark {
    /// Pixels of the image.
    pub x: f32,
    pub y: f32,
    /// Pixels too, relative to the hips, towards the camera negative.
    pub z: f32,
    /// That it lies in the frame and is not hidden, 0..=1.
    pub visibility: f32,
    /// That it lies in the frame, 0..=1.
    pub presence: f32,
    /// Peak of its heat map near the point, 0..=1.
    pub heat: f32,
}

/// What the network sees in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmarks {
    pub roi: Roi,
    /// That there is a body at all, 0..=1.
    pub flag: f32,
    pub points: [Landmark; BODY],
    /// Metres, origin between the hips, x right, y down, z away from the camera.
    pub world: [[f32; 3]; BODY],
    /// Centre and rim of the body, pixels: where to look next.
    pub aux: [[f32; 2]; 2],
    /// That the person covers a place, 0..=1, `[256, 256]` over the region; if asked for.
    pub mask: Option<Arc<[f32]>>,
}

impl Landmarks {
    /// The region to look in next: in the next frame, or once more in this one.
    pub fn next_region(&self) -> Roi {
        regions::from_points(self.aux[0], self.aux[1])
    }
}

/// The network's tensors as they are.
#[derive(Clone, Debug)]
pub struct RawLandmarks {
    /// `[39, 5]`: x, y, z in crop pixels; visibility and presence logits.
    pub ld: Vec<f32>,
    pub flag: f32,
    /// `[64, 64, 39]` logits.
    pub heatmap: Vec<f32>,
    /// `[39, 3]` metres.
    pub world: Vec<f32>,
}

/// The network, ready on the thread that loaded it.
pub struct Landmarker {
    network: Network,
    segmentation: bool,
}

/// Positions in the file's output list, and of each output in ours.
const FILE_OUTPUTS: [usize; 5] = [0, 1, 3, 4, 2];
const LD: usize = 0;
const FLAG: usize = 1;
const HEAT: usize = 2;
const WORLD: usize = 3;
const MASK: usize = 4;

impl Landmarker {
    /// Without `segmentation` that branch, a third of the work, is never built.
    pub fn load(
        tflite: &[u8],
        segmentation: bool,
        device: Device,
        executor: Executor,
    ) -> Result<Self, ModelError> {
        let outputs = if segmentation {
            &FILE_OUTPUTS[..]
        } else {
            &FILE_OUTPUTS[..4]
        };
        let graph = lower(&TfliteFile::parse(tflite)?, outputs)?;
        let sizes: Vec<usize> = std::iter::once(&graph.input)
            .chain(&graph.outputs)
            .map(|&t| graph.shapes[t].volume())
            .collect();
        let expected = [
            INPUT * INPUT * 3,
            ROWS * 5,
            1,
            CELLS * CELLS * ROWS,
            ROWS * 3,
            INPUT * INPUT,
        ];
        if sizes != expected[..sizes.len()] {
            return Err(ModelError::Shape {
                expected: "pose landmark",
                found: format!("tensors of {sizes:?} values"),
            });
        }
        Ok(Self {
            network: Network::new(graph, device, executor)?,
            segmentation,
        })
    }

    pub fn executor(&self) -> &'static str {
        self.network.executor()
    }

    /// The network alone: `[256, 256, 3]` in 0..=1.
    pub fn raw(&mut self, crop: &[f32]) -> Result<RawLandmarks, ModelError> {
        self.network.input_mut().copy_from_slice(crop);
        self.network.run()?;
        Ok(RawLandmarks {
            ld: self.network.output(LD).to_vec(),
            flag: self.network.output(FLAG)[0],
            heatmap: self.network.output(HEAT).to_vec(),
            world: self.network.output(WORLD).to_vec(),
        })
    }

    /// The body in a region of the image; `kernel` is the side of the heat-map window in cells.
    pub fn estimate(
        &mut self,
        image: &Rgb8,
        roi: &Roi,
        kernel: usize,
    ) -> Result<Landmarks, ModelError> {
        warp::warp_roi_f32(
            image,
            roi,
            INPUT,
            Border::Replicate,
            1.0 / 255.0,
            0.0,
            self.network.input_mut(),
        );
        self.network.run()?;
        let (ld, heat) = (self.network.output(LD), self.network.output(HEAT));
        let point = |index: usize| {
            let row = &ld[index * 5..index * 5 + 5];
            let (x, y) = (row[0] / INPUT as f32, row[1] / INPUT as f32);
            let (heat, [x, y]) = refine(heat, ROWS, index, x, y, kernel);
            let [x, y] = regions::to_image(roi, x, y);
            let z = row[2] / INPUT as f32 * roi.size;
            Landmark {
                x,
                y,
                z,
                visibility: sigmoid(row[3]),
                presence: sigmoid(row[4]),
                heat,
            }
        };
        let world = self.network.output(WORLD);
        let (sin, cos) = roi.rotation.sin_cos();
        let turned = |index: usize| {
            let [x, y, z] = [world[index * 3], world[index * 3 + 1], world[index * 3 + 2]];
            [cos * x - sin * y, sin * x + cos * y, z]
        };
        let aux = [point(BODY), point(BODY + 1)].map(|p| [p.x, p.y]);
        Ok(Landmarks {
            roi: *roi,
            flag: self.network.output(FLAG)[0],
            points: std::array::from_fn(point),
            world: std::array::from_fn(turned),
            aux,
            mask: self.segmentation.then(|| {
                self.network
                    .output(MASK)
                    .iter()
                    .map(|&l| sigmoid(l))
                    .collect()
            }),
        })
    }
}
