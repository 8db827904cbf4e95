//! A feature pyramid (FPN): maps of one width at strides 4, 8, 16, 32 and 64.

use tch::{TchError, Tensor};

use super::conv::{Conv, Use};
use crate::layers::weights::{Weights, WeightsError};

/// First level's number: p2 has stride 2².
const FIRST: usize = 2;

/// Top-down: every level adds the one above it, enlarged.
pub struct Fpn {
    lateral: Vec<Conv>,
    output: Vec<Conv>,
}

impl Fpn {
    /// Reads `fpn_lateral2`, `fpn_output2`, … for bottom-up maps of `channels`.
    pub fn load(weights: &Weights, channels: &[i64]) -> Result<Self, WeightsError> {
        let plain = Use {
            stride: 1,
            relu: false,
        };
        let mut fpn = Self {
            lateral: Vec::new(),
            output: Vec::new(),
        };
        for (index, &channels) in channels.iter().enumerate() {
            let conv = |what: &str, channels| {
                let name = format!("fpn_{what}{}", index + FIRST);
                Conv::load(weights, &name, &format!("{name}.norm"), channels, plain)
            };
            let lateral = conv("lateral", channels)?;
            fpn.output.push(conv("output", lateral.out_channels())?);
            fpn.lateral.push(lateral);
        }
        Ok(fpn)
    }

    pub fn out_channels(&self) -> i64 {
        self.output.first().map_or(0, Conv::out_channels)
    }

    /// Bottom-up maps, finest first → p2, p3, … and one more of every second place of the last.
    pub fn forward(&self, maps: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        let mut levels = Vec::new();
        let mut above: Option<Tensor> = None;
        for (index, map) in maps.iter().enumerate().rev() {
            let mut x = self.lateral[index].forward(map)?;
            if let Some(above) = above {
                let size = above.size();
                let enlarged =
                    above.f_upsample_nearest2d([size[2] * 2, size[3] * 2], None, None)?;
                x = x.f_add(&enlarged)?;
            }
            levels.insert(0, self.output[index].forward(&x)?);
            above = Some(x);
        }
        with_top(levels)
    }
}

/// Adds the level above the last: every second place of it.
pub fn with_top(mut levels: Vec<Tensor>) -> Result<Vec<Tensor>, TchError> {
    if let Some(last) = levels.last() {
        levels.push(last.f_max_pool2d([1, 1], [2, 2], [0, 0], [1, 1], false)?);
    }
    Ok(levels)
}
