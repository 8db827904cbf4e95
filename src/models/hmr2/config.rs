//! `model_config.yaml`: what HMR2 needs of it, with upstream's defaults.

use std::path::Path;

use serde_json::{Map, Value};

use crate::checkpoint::open::open;
use crate::models::error::ModelError;
use crate::models::vit::TrunkSize;

/// How a network is built and what it is fed.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Side of the square crop, pixels.
    pub image_size: i64,
    /// Mean and standard deviation of RGB in 0 to 1.
    pub mean: [f64; 3],
    pub std: [f64; 3],
    /// Width and height a person's box is expanded to the ratio of.
    pub box_shape: [f64; 2],
    /// Of the crop's camera, pixels.
    pub focal_length: f64,
    pub trunk: TrunkSize,
    pub decoder: DecoderSize,
    /// The decoder starts from the mean pose, shape and camera instead of zero.
    pub mean_shape_input: bool,
    /// Times the decoder refines its own answer.
    pub iterations: i64,
    /// OpenPose's hips are moved outwards and up.
    pub update_hips: bool,
}

/// The size of the transformer decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderSize {
    pub width: i64,
    pub depth: i64,
    pub heads: i64,
    /// Features of one head.
    pub head_width: i64,
    /// Hidden features of the perceptrons.
    pub hidden: i64,
    /// Features of the tokens it looks at.
    pub context: i64,
    /// The input is the token itself.
    pub skip_embedding: bool,
}

/// Columns left and right of the crop that the trunk does not see.
pub const SIDE: i64 = 32;

impl Config {
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = open(path)?;
        Self::read(&file.contents().values)
            .map_err(|what| ModelError::Unfit(format!("{}: {what}", path.display())))
    }

    /// From the file's values; the error names the setting.
    pub fn read(values: &Map<String, Value>) -> Result<Self, String> {
        let file = Settings(values);
        file.only("MODEL.BACKBONE.TYPE", "", "vit")?;
        file.only("MODEL.SMPL_HEAD.TYPE", "hmr", "transformer_decoder")?;
        file.only("MODEL.SMPL_HEAD.JOINT_REP", "6d", "6d")?;
        file.only("MODEL.SMPL_HEAD.TRANSFORMER_DECODER.norm", "layer", "layer")?;
        let image_size = file.whole("MODEL.IMAGE_SIZE", 224)?;
        let box_shape = file.numbers("MODEL.BBOX_SHAPE")?;
        if box_shape.is_none() && image_size != 256 {
            return Err(format!(
                "MODEL.IMAGE_SIZE is {image_size} where a vit backbone needs 256"
            ));
        }
        let joints = file.whole("SMPL.NUM_BODY_JOINTS", 23)?;
        if joints != 23 {
            return Err(format!(
                "SMPL.NUM_BODY_JOINTS is {joints} where SMPL has 23"
            ));
        }
        let mean = file.numbers("MODEL.IMAGE_MEAN")?;
        let std = file.numbers("MODEL.IMAGE_STD")?;
        Ok(Self {
            image_size,
            mean: mean.ok_or("MODEL.IMAGE_MEAN is missing")?,
            std: std.ok_or("MODEL.IMAGE_STD is missing")?,
            box_shape: box_shape.unwrap_or([192.0, 256.0]),
            focal_length: file.number("EXTRA.FOCAL_LENGTH", 5000.0)?,
            trunk: file.trunk()?,
            decoder: file.decoder()?,
            mean_shape_input: file.text("MODEL.SMPL_HEAD.TRANSFORMER_INPUT", "zero")?
                == "mean_shape",
            iterations: file.whole("MODEL.SMPL_HEAD.IEF_ITERS", 1)?,
            update_hips: file.switch("SMPL.UPDATE_HIPS")?,
        })
    }
}

struct Settings<'a>(&'a Map<String, Value>);

impl<'a> Settings<'a> {
    /// The value at a path of keys joined by dots; null counts as absent.
    fn get(&self, path: &str) -> Option<&'a Value> {
        let mut keys = path.split('.');
        let mut value = self.0.get(keys.next()?)?;
        for key in keys {
            value = value.get(key)?;
        }
        Some(value).filter(|v| !v.is_null())
    }

    fn number(&self, path: &str, default: f64) -> Result<f64, String> {
        let Some(value) = self.get(path) else {
            return Ok(default);
        };
        let number = value.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        number.ok_or_else(|| format!("{path} is {value} where a positive number belongs"))
    }

    fn whole(&self, path: &str, default: i64) -> Result<i64, String> {
        let Some(value) = self.get(path) else {
            return Ok(default);
        };
        let number = value.as_i64().filter(|n| (1..1 << 20).contains(n));
        number.ok_or_else(|| format!("{path} is {value} where a positive whole number belongs"))
    }

    fn numbers<const N: usize>(&self, path: &str) -> Result<Option<[f64; N]>, String> {
        let Some(value) = self.get(path) else {
            return Ok(None);
        };
        let numbers: Option<Vec<f64>> = value
            .as_array()
            .and_then(|list| list.iter().map(Value::as_f64).collect());
        let array = numbers.and_then(|n| <[f64; N]>::try_from(n).ok());
        let array = array.filter(|n| n.iter().all(|v| v.is_finite() && *v > 0.0));
        let wrong = || format!("{path} is {value} where {N} positive numbers belong");
        array.map(Some).ok_or_else(wrong)
    }

    fn text(&self, path: &str, default: &'a str) -> Result<&'a str, String> {
        let Some(value) = self.get(path) else {
            return Ok(default);
        };
        let wrong = || format!("{path} is {value} where a word belongs");
        value.as_str().ok_or_else(wrong)
    }

    fn switch(&self, path: &str) -> Result<bool, String> {
        let Some(value) = self.get(path) else {
            return Ok(false);
        };
        let wrong = || format!("{path} is {value} where true or false belongs");
        value.as_bool().ok_or_else(wrong)
    }

    /// Refuses what upstream knows and nobody released a checkpoint of.
    fn only(&self, path: &str, default: &'a str, known: &str) -> Result<(), String> {
        match self.text(path, default)? {
            found if found == known => Ok(()),
            "" => Err(format!("{path} is missing; {known:?} is what HMR2 has")),
            found => Err(format!("{path} is {found:?}; only {known:?} is supported")),
        }
    }

    /// Released files say nothing about the trunk's size, which is ViT-H; others state it in
    /// `BACKBONE` or in a block of its own there.
    fn trunk(&self) -> Result<TrunkSize, String> {
        let stated = |block: &Value| block.get("embed_dim").is_some();
        let place = match self.get("MODEL.BACKBONE") {
            Some(backbone) if stated(backbone) => "MODEL.BACKBONE".to_owned(),
            Some(Value::Object(backbone)) => {
                let inner = backbone.iter().find(|(_, value)| stated(value));
                let Some((name, _)) = inner else {
                    return Ok(TrunkSize::HUGE);
                };
                format!("MODEL.BACKBONE.{name}")
            }
            _ => return Ok(TrunkSize::HUGE),
        };
        let usual = TrunkSize::HUGE;
        let size = TrunkSize {
            width: self.whole(&format!("{place}.embed_dim"), usual.width)?,
            depth: self.whole(&format!("{place}.depth"), usual.depth)?,
            heads: self.whole(&format!("{place}.num_heads"), usual.heads)?,
        };
        if size.width % size.heads != 0 {
            return Err(format!(
                "{place}: {} features do not divide into {} heads",
                size.width, size.heads
            ));
        }
        Ok(size)
    }

    fn decoder(&self) -> Result<DecoderSize, String> {
        let place = "MODEL.SMPL_HEAD.TRANSFORMER_DECODER";
        if self.get(place).is_none() {
            return Err(format!("{place} is missing"));
        }
        let width = self.whole(&format!("{place}.dim"), 1024)?;
        let needed = |key: &str| {
            let path = format!("{place}.{key}");
            match self.get(&path) {
                Some(_) => self.whole(&path, 1),
                None => Err(format!("{path} is missing")),
            }
        };
        Ok(DecoderSize {
            width,
            depth: needed("depth")?,
            heads: needed("heads")?,
            hidden: needed("mlp_dim")?,
            head_width: self.whole(&format!("{place}.dim_head"), 64)?,
            context: self.whole(&format!("{place}.context_dim"), width)?,
            skip_embedding: self.switch(&format!("{place}.skip_token_embedding"))?,
        })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
