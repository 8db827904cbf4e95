//! Four maps to one of depth: the RefineNet-like decoder that all networks of the family share.
//!
//! Source: `midas/blocks.py` (`FeatureFusionBlock`, `FeatureFusionBlock_custom`), `dpt_depth.py`,
//! `midas_net.py`, `midas_net_custom.py`.

use tch::{Kind, TchError, Tensor};

use crate::layers::detection::conv::{Conv, Use};
use crate::layers::weights::{Weights, WeightsError};

const PLAIN: Use = Use {
    stride: 1,
    relu: false,
};
const RECTIFIED: Use = Use {
    stride: 1,
    relu: true,
};

/// Where the networks' decoders differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavour {
    /// What goes around a unit's convolutions is rectified: `ReLU(inplace=True)` of MiDaS v2.1.
    pub rectified: bool,
    /// Whether corners meet where the head enlarges.
    pub aligned_head: bool,
}

/// `scratch`: finest map first.
pub struct Decoder {
    /// `layer1_rn` to `layer4_rn`
    layers: [Conv; 4],
    /// `refinenet1` to `refinenet4`
    fusions: [Fusion; 4],
    head: Head,
}

impl Decoder {
    /// `channels` are those of the trunk's four maps.
    pub fn load(
        weights: &Weights,
        channels: [i64; 4],
        flavour: Flavour,
    ) -> Result<Self, WeightsError> {
        let layer = |i: usize| {
            Conv::load(
                weights,
                &format!("layer{}_rn", i + 1),
                "",
                channels[i],
                PLAIN,
            )
        };
        let layers = [layer(0)?, layer(1)?, layer(2)?, layer(3)?];
        let fusion = |i: usize| {
            let own = weights.sub(format!("refinenet{}", i + 1));
            Fusion::load(&own, layers[i].out_channels(), flavour.rectified)
        };
        let fusions = [fusion(0)?, fusion(1)?, fusion(2)?, fusion(3)?];
        let last = fusions[0].out_channels();
        Ok(Self {
            head: Head::load(&weights.sub("output_conv"), last, flavour.aligned_head)?,
            layers,
            fusions,
        })
    }

    /// The trunk's maps `[n, channels, h, w]`, finest first → `[n, 2 h, 2 w]`, f32, of the first's
    /// `h` and `w` times two.
    pub fn forward(&self, maps: [Tensor; 4]) -> Result<Tensor, TchError> {
        let sizes = maps.each_ref().map(Tensor::size4);
        let mut path: Option<Tensor> = None;
        for (level, map) in maps.into_iter().enumerate().rev() {
            let own = self.layers[level].forward(&map)?;
            drop(map);
            let size = match level.checked_sub(1).and_then(|finer| sizes.get(finer)) {
                Some(Ok((_, _, height, width))) => [*height, *width],
                _ => {
                    let (_, _, height, width) = own.size4()?;
                    [2 * height, 2 * width]
                }
            };
            path = Some(self.fusions[level].forward(path, own, size)?);
        }
        let path = path.ok_or_else(|| TchError::Shape("no maps to decode".into()))?;
        self.head.forward(&path)
    }
}

/// Two maps become one of twice the size.
struct Fusion {
    beside: Unit,
    together: Unit,
    /// Not in MiDaS v2.1.
    out: Option<Conv>,
    channels: i64,
}

impl Fusion {
    fn load(weights: &Weights, channels: i64, rectified: bool) -> Result<Self, WeightsError> {
        let out = match weights.contains("out_conv.weight") {
            true => Some(Conv::load(weights, "out_conv", "", channels, PLAIN)?),
            false => None,
        };
        Ok(Self {
            beside: Unit::load(&weights.sub("resConfUnit1"), channels, rectified)?,
            together: Unit::load(&weights.sub("resConfUnit2"), channels, rectified)?,
            out,
            channels,
        })
    }

    fn out_channels(&self) -> i64 {
        self.out.as_ref().map_or(self.channels, Conv::out_channels)
    }

    fn forward(
        &self,
        coarser: Option<Tensor>,
        own: Tensor,
        size: [i64; 2],
    ) -> Result<Tensor, TchError> {
        let sum = match coarser {
            Some(mut coarser) => coarser.f_add_(&self.beside.forward(&own)?)?,
            None => own,
        };
        let mut out = self.together.forward(&sum)?;
        // Upstream enlarges first. Both are linear and the enlargement's weights add up to one, so
        // that the order does not matter but for the work: a quarter of it.
        if let Some(conv) = &self.out {
            out = conv.forward(&out)?;
        }
        out.f_upsample_bilinear2d(size, true, None, None)
    }
}

/// Two convolutions and a way around them.
struct Unit {
    conv1: Conv,
    conv2: Conv,
    rectified: bool,
}

impl Unit {
    fn load(weights: &Weights, channels: i64, rectified: bool) -> Result<Self, WeightsError> {
        Ok(Self {
            conv1: Conv::load(weights, "conv1", "bn1", channels, RECTIFIED)?,
            conv2: Conv::load(weights, "conv2", "bn2", channels, PLAIN)?,
            rectified,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let seen = x.f_relu()?;
        let mut y = self.conv2.forward(&self.conv1.forward(&seen)?)?;
        y.f_add_(if self.rectified { &seen } else { x })
    }
}

/// `output_conv`: to the size of the input, and to one number each.
struct Head {
    first: Conv,
    second: Conv,
    last: Conv,
    aligned: bool,
}

impl Head {
    fn load(weights: &Weights, channels: i64, aligned: bool) -> Result<Self, WeightsError> {
        let first = Conv::load(weights, "0", "", channels, PLAIN)?;
        let second = Conv::load(weights, "2", "", first.out_channels(), RECTIFIED)?;
        Ok(Self {
            last: Conv::load(weights, "4", "", second.out_channels(), RECTIFIED)?,
            first,
            second,
            aligned,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.first.forward(x)?;
        let (_, _, height, width) = x.size4()?;
        let size = [2 * height, 2 * width];
        let x = x.f_upsample_bilinear2d(size, self.aligned, None, None)?;
        self.last
            .forward(&self.second.forward(&x)?)?
            .f_squeeze_dim(1)?
            .f_to_dtype(Kind::Float, false, false)
    }
}
