//! From a photo to a detector's input, and its boxes back.

use tch::{Device, Kind, TchError, Tensor};

use super::heads::Detection;
use crate::imaging::pixels::Rgb8;

/// Width and height with the short side `short`, unless the long one would exceed `long`.
///
/// detectron2 02b5c4e, `ResizeShortestEdge.get_output_shape`.
pub fn fit(width: usize, height: usize, short: usize, long: usize) -> (usize, usize) {
    let (w, h) = (width as f64, height as f64);
    let scale = short as f64 / w.min(h);
    let (mut new_w, mut new_h) = if h < w {
        (scale * w, short as f64)
    } else {
        (short as f64, scale * h)
    };
    let largest = new_w.max(new_h);
    if largest > long as f64 {
        let scale = long as f64 / largest;
        (new_w, new_h) = (new_w * scale, new_h * scale);
    }
    // A sliver's short side would vanish.
    let round = |v: f64| ((v + 0.5) as usize).max(1);
    (round(new_w), round(new_h))
}

/// The statistics a network was trained with, in the order of its channels.
#[derive(Clone, Copy, Debug)]
pub struct Normalise {
    pub bgr: bool,
    pub mean: [f32; 3],
    pub deviation: [f32; 3],
}

impl Normalise {
    /// `(1, 3, height, width)`, channels last in memory: the image top left, zeros beyond it.
    pub fn tensor(
        &self,
        image: &Rgb8,
        [width, height]: [usize; 2],
        (kind, device): (Kind, Device),
    ) -> Result<Tensor, TchError> {
        let mut values = vec![0.0_f32; 3 * width * height];
        // Every value a pixel can have, once.
        let table: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            let (mean, deviation) = (self.mean[channel], self.deviation[channel]);
            std::array::from_fn(|value| (value as f32 - mean) / deviation)
        });
        let order = if self.bgr { [2, 1, 0] } else { [0, 1, 2] };
        let rows = image.data.chunks_exact(image.width * 3);
        for (out, row) in values.chunks_exact_mut(width * 3).zip(rows) {
            for (out, pixel) in out.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
                for (channel, out) in out.iter_mut().enumerate() {
                    *out = table[channel][usize::from(pixel[order[channel]])];
                }
            }
        }
        Tensor::f_from_slice(&values)?
            .f_reshape([1, height as i64, width as i64, 3])?
            .f_to_device(device)?
            .f_to_kind(kind)?
            .f_permute([0, 3, 1, 2])
    }
}

/// A detection in the resized image in pixels of the original; `None` when it becomes empty.
pub fn to_original(found: &Detection, resized: &Rgb8, original: &Rgb8) -> Option<Detection> {
    let (width, height) = (original.width as f64, original.height as f64);
    let sx = (width / resized.width as f64) as f32;
    let sy = (height / resized.height as f64) as f32;
    let [x1, y1, x2, y2] = found.bounds;
    let scaled = [x1 * sx, y1 * sy, x2 * sx, y2 * sy];
    let bounds = super::boxes::clip(scaled, width as f32, height as f32);
    let whole = bounds[2] > bounds[0] && bounds[3] > bounds[1];
    whole.then_some(Detection { bounds, ..*found })
}
