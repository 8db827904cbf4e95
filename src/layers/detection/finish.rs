//! What both detectors do with their detections: back to the photo, with masks if wanted.

use tch::{TchError, Tensor};

use super::heads::Detection;
use super::input::to_original;
use super::mask::{self, Mask, MaskHead};
use super::roi_align::Pooler;
use crate::imaging::pixels::Rgb8;

/// Something found, in pixels of the photo.
#[derive(Clone, Debug)]
pub struct Seen {
    pub detection: Detection,
    /// Where masks were asked for.
    pub mask: Option<Mask>,
}

/// The head for masks and what it looks at.
pub struct Masks<'a> {
    pub head: &'a MaskHead,
    pub pooler: &'a Pooler,
}

impl Masks<'_> {
    /// `(detections, 28, 28)` probabilities, from boxes in pixels of the network's input.
    pub fn probabilities(&self, found: &[Detection]) -> Result<Tensor, TchError> {
        let boxes: Vec<_> = found.iter().map(|d| d.bounds).collect();
        let classes: Vec<i64> = found.iter().map(|d| d.class as i64).collect();
        let pooled = self.pooler.pool(&boxes, mask::POOLED)?;
        self.head.forward(&pooled, &classes)
    }
}

/// `found` in `resized` as seen in `original`; boxes that become empty are dropped.
pub fn finish(
    found: &[Detection],
    resized: &Rgb8,
    original: &Rgb8,
    masks: Option<Masks>,
) -> Result<Vec<Seen>, TchError> {
    let (kept, detections): (Vec<Detection>, Vec<Detection>) = found
        .iter()
        .filter_map(|d| Some((*d, to_original(d, resized, original)?)))
        .unzip();
    let masks = match masks {
        Some(masks) if !kept.is_empty() => {
            let probabilities = masks.probabilities(&kept)?;
            mask::paste(&probabilities, &detections, original.width, original.height)?
        }
        _ => Vec::new(),
    };
    let masks = masks.into_iter().map(Some).chain(std::iter::repeat(None));
    let seen = |(detection, mask)| Seen { detection, mask };
    Ok(detections.into_iter().zip(masks).map(seen).collect())
}
