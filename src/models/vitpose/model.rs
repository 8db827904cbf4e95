//! The whole network: boxes in, keypoints with confidences out.

use std::path::Path;

use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::{LoadReport, Tolerance};
use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;
use crate::layers::weights::{Options, Weights};
use crate::models::error::ModelError;
use crate::models::vit::{Trunk, TrunkSize};
use crate::models::vitpose::crop::{CropError, HEIGHT, NUMBERS, Region, WIDTH, crop};
use crate::models::vitpose::decode::{Decoding, HeatMap};
use crate::models::vitpose::head::Head;
use crate::models::vitpose::layouts::{RENAMES, trunk_size};

/// COCO's keypoints, in the order of [`crate::geometry::joints::KeypointSet::Coco17`].
pub const KEYPOINTS: usize = 17;
/// What is left on the right side when the image is seen in a mirror.
const MIRRORED: [i64; KEYPOINTS] = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15];
/// Rows and columns of patches.
const ROWS: i64 = HEIGHT as i64 / 16;
const COLUMNS: i64 = WIDTH as i64 / 16;
/// Crops that go through the network together; with the mirrored ones twice as many.
const TOGETHER: usize = 8;

/// Heads for other data sets, what pre-training leaves behind, and counters of training.
const UNUSED: Tolerance = Tolerance {
    missing: &[],
    unused: &[
        "associate_keypoint_heads.*",
        "associate_heads.*",
        "other_experts.*",
        "backbone.cls_token",
        "backbone.mask_token",
        "data_preprocessor.*",
        "keypoint_head.deconv_layers.1.num_batches_tracked",
        "keypoint_head.deconv_layers.4.num_batches_tracked",
        "keypoint_head.deconv_layers.7.num_batches_tracked",
    ],
};

/// Precision and place.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of the trunk's and the head's weights: F32, BF16 or F16. Norms are always F32.
    pub precision: DType,
    pub device: Device,
    /// Threads that read and cast.
    pub threads: usize,
}

/// How keypoints are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// The mean of the image's maps and those of its mirror image.
    pub flip: bool,
    /// Moves the mirror image's maps one value to the right, for networks that were trained with
    /// [`crate::models::vitpose::crop::Warp::Plain`].
    pub shift: bool,
    pub decoding: Decoding,
}

impl Procedure {
    /// That of ViTPose's published configurations for COCO.
    pub const PUBLISHED: Self = Self {
        flip: true,
        shift: false,
        decoding: Decoding::Dark,
    };
}

impl Default for Procedure {
    fn default() -> Self {
        Self::PUBLISHED
    }
}

/// `[x, y, confidence]` for each keypoint: pixels of the image; the heat map's highest value,
/// which a trained network keeps between 0 and 1.
pub type Keypoints = [[f32; 3]; KEYPOINTS];

/// ViTPose on one device.
pub struct VitPose {
    trunk: Trunk,
    head: Head,
    device: Device,
    /// How [`VitPose::estimate`] measures.
    pub procedure: Procedure,
}

impl VitPose {
    /// Opens a checkpoint in the original's layout, mmpose's or Hugging Face's, of any size.
    pub fn open(path: &Path, settings: Settings) -> Result<(Self, LoadReport), ModelError> {
        Self::open_with(path, settings, None)
    }

    /// As [`VitPose::open`], with the number of the trunk's attention heads, which a checkpoint
    /// does not tell: needed for a width that ViTPose was not released in.
    pub fn open_with(
        path: &Path,
        settings: Settings,
        heads: Option<i64>,
    ) -> Result<(Self, LoadReport), ModelError> {
        let options = Options {
            precision: settings.precision,
            device: settings.device,
            renames: RENAMES,
            threads: settings.threads,
        };
        let weights = Weights::open_unmapped(path, options)?;
        let mut size = check(&weights)?;
        size.heads = heads.unwrap_or(size.heads);
        if size.heads < 1 || size.width % size.heads != 0 {
            return Err(ModelError::Unfit(format!(
                "{}: {} features do not divide into {} heads",
                path.display(),
                size.width,
                size.heads
            )));
        }
        let model = Self {
            trunk: Trunk::load(&weights.sub("backbone"), size, ROWS * COLUMNS)?,
            head: Head::load(&weights.sub("keypoint_head"), size.width, KEYPOINTS as i64)?,
            device: settings.device,
            procedure: Procedure::PUBLISHED,
        };
        let report = weights.finish(&UNUSED)?;
        Ok((model, report))
    }

    /// Of the trunk.
    pub fn size(&self) -> TrunkSize {
        self.trunk.size()
    }

    /// The keypoints of the people in `boxes` (pixels), in their order.
    ///
    /// A box may reach beyond the image, which is black there, but must have an area.
    pub fn estimate(&self, image: &Rgb8, boxes: &[BBox]) -> Result<Vec<Keypoints>, TchError> {
        let wrong = |error: CropError| TchError::Shape(error.to_string());
        let mut found = Vec::with_capacity(boxes.len());
        for boxes in boxes.chunks(TOGETHER) {
            let regions = boxes.iter().map(|&b| Region::around(b));
            let regions: Vec<Region> = regions.collect::<Result<_, _>>().map_err(wrong)?;
            let crops = self.crops(image, &regions).map_err(wrong)?;
            let maps = self.heat_maps(&batch(&crops)?)?;
            found.extend(self.keypoints(&maps, &regions)?);
        }
        Ok(found)
    }

    /// Crops for [`batch`], one after the other.
    pub fn crops(&self, image: &Rgb8, regions: &[Region]) -> Result<Vec<f32>, CropError> {
        let mut crops = vec![0.0; regions.len() * NUMBERS];
        for (out, &region) in crops.chunks_exact_mut(NUMBERS).zip(regions) {
            crop(image, region, self.procedure.decoding.warp(), out)?;
        }
        Ok(crops)
    }

    /// The maps keypoints are read from, f32 `[batch, 17, 64, 48]` on the model's device: those of
    /// `crops` or, as the procedure has it, the mean with those of their mirror images.
    pub fn heat_maps(&self, crops: &Tensor) -> Result<Tensor, TchError> {
        if !self.procedure.flip {
            return self.forward(crops);
        }
        let both = self.forward(&Tensor::f_cat(&[crops, &crops.f_flip([3])?], 0)?)?;
        let rows = crops.size4()?.0;
        let order = Tensor::f_from_slice(&MIRRORED)?.f_to_device(both.device())?;
        let mirrored = both
            .f_narrow(0, rows, rows)?
            .f_index_select(1, &order)?
            .f_flip([3])?;
        if self.procedure.shift {
            let columns = mirrored.size4()?.3;
            let moved = mirrored.f_narrow(3, 0, columns - 1)?.f_detach_copy()?;
            mirrored.f_narrow(3, 1, columns - 1)?.f_copy_(&moved)?;
        }
        both.f_narrow(0, 0, rows)?
            .f_add(&mirrored)?
            .f_mul_scalar(0.5)
    }

    /// Heat maps as the network gives them, f32 `[batch, 17, 64, 48]`, of `crops`
    /// `[batch, 3, 256, 192]`, normalised RGB.
    pub fn forward(&self, crops: &Tensor) -> Result<Tensor, TchError> {
        let crops = crops.f_to_device(self.device)?;
        self.head.forward(&self.feature_map(&crops)?)
    }

    /// The trunk's features, `[batch, width, 16, 12]`.
    pub fn feature_map(&self, crops: &Tensor) -> Result<Tensor, TchError> {
        let features = self.trunk.forward(crops)?;
        let (batch, _, width) = features.size3()?;
        features
            .f_transpose(1, 2)?
            .f_reshape([batch, width, ROWS, COLUMNS])
    }

    /// Keypoints from maps, `[batch, 17, rows, columns]`, of crops of these regions.
    pub fn keypoints(&self, maps: &Tensor, regions: &[Region]) -> Result<Vec<Keypoints>, TchError> {
        let (batch, keypoints, rows, columns) = maps.size4()?;
        if batch != regions.len() as i64 || keypoints != KEYPOINTS as i64 {
            return Err(TchError::Shape(format!(
                "{batch} times {keypoints} maps where {} times {KEYPOINTS} belong",
                regions.len()
            )));
        }
        let flat = maps
            .f_to_device(Device::Cpu)?
            .f_to_dtype(Kind::Float, false, false)?
            .f_contiguous()?
            .f_reshape([-1])?;
        let values = Vec::<f32>::try_from(flat)?;
        let width = columns as usize;
        let map = rows as usize * width;
        let people = values.chunks_exact(map * KEYPOINTS).zip(regions);
        let person = |(maps, region): (&[f32], &Region)| {
            std::array::from_fn(|k| {
                let values = &maps[k * map..(k + 1) * map];
                HeatMap { values, width }.keypoint(region, self.procedure.decoding)
            })
        };
        Ok(people.map(person).collect())
    }
}

/// Crops as [`VitPose::crops`] gives them, `[batch, 3, 256, 192]`.
pub fn batch(crops: &[f32]) -> Result<Tensor, TchError> {
    let (height, width) = (HEIGHT as i64, WIDTH as i64);
    Tensor::f_from_slice(crops)?.f_reshape([-1, 3, height, width])
}

/// Told here, a wrong file is one clear sentence instead of hundreds of tensors.
fn check(weights: &Weights) -> Result<TrunkSize, ModelError> {
    let place = weights.path().display();
    let wrong = |what: String| Err(ModelError::Unfit(format!("{place}: {what}")));
    let shape = weights.shape("keypoint_head.final_layer.weight");
    let (Some(size), Some(shape)) = (trunk_size(weights), shape) else {
        let some: Vec<&str> = weights.names().take(3).collect();
        return wrong(format!(
            "not a checkpoint of ViTPose, which has `backbone.*` and `keypoint_head.*` (`head.*` \
             in mmpose's and Hugging Face's); it begins with {some:?}"
        ));
    };
    let keypoints = shape.first().copied().unwrap_or(0);
    if keypoints != KEYPOINTS as i64 {
        return wrong(format!(
            "heat maps of {keypoints} keypoints where COCO has {KEYPOINTS}; give a checkpoint \
             trained on COCO"
        ));
    }
    let stored = weights.shape("backbone.pos_embed").unwrap_or_default();
    let positions = stored.get(1).copied().unwrap_or(0);
    // With or without the class token's.
    if ![ROWS * COLUMNS, ROWS * COLUMNS + 1].contains(&positions) {
        return wrong(format!(
            "{positions} positions where crops of {WIDTH}x{HEIGHT} pixels have {}; only \
             checkpoints for that size are supported",
            ROWS * COLUMNS
        ));
    }
    Ok(size)
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
