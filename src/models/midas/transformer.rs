//! The vision transformer of the DPT networks: tokens with positions through blocks, looked at on
//! the way.
//!
//! Source: `midas/backbones/vit.py` (`forward_flex`, `_resize_pos_embed`) around timm's
//! `VisionTransformer`.

use tch::{TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::vit::Block;
use crate::layers::weights::{Weights, WeightsError};

/// Features of a head in every released vision transformer.
const HEAD: i64 = 64;

/// What becomes of the class token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readout {
    Ignore,
    /// It is added to every token.
    Add,
    /// Every token is projected together with it: all released networks.
    Project,
}

/// The sizes of a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Features of a token.
    pub width: i64,
    pub depth: i64,
    pub heads: i64,
    /// Tokens a side of the square that the positions were trained for.
    pub side: i64,
}

impl Size {
    /// From the tensors' shapes; `heads`, which no shape tells, is that of the released networks
    /// unless it is given. The text says what does not fit.
    pub fn found(weights: &Weights, heads: Option<i64>) -> Result<Self, String> {
        let shape = weights.shape("pos_embed").unwrap_or_default();
        let [1, positions, width] = shape[..] else {
            return Err(format!("positions of shape {shape:?}"));
        };
        let side = ((positions - 1).max(0) as f64).sqrt().round() as i64;
        if side < 1 || side * side + 1 != positions {
            return Err(format!(
                "{positions} positions: not those of a square of tokens and a class token"
            ));
        }
        let usual = (width % HEAD == 0).then_some(width / HEAD);
        let heads = heads.or(usual).unwrap_or(0);
        if heads < 1 || width % heads != 0 {
            return Err(format!(
                "{width} features and {heads} heads; released networks have {HEAD} features a head, \
                 for others give their number of heads"
            ));
        }
        let block = |name: &str| {
            let (index, _) = name.strip_prefix("blocks.")?.split_once('.')?;
            index.parse::<i64>().ok()
        };
        let last = weights.names().filter_map(block).max();
        let depth = last.map_or(0, |last| last + 1);
        Ok(Self {
            width,
            depth,
            heads,
            side,
        })
    }
}

pub struct Transformer {
    /// `[1, 1, width]`, f32, its position added.
    class: Tensor,
    /// `[1, width, side, side]`, f32.
    positions: Tensor,
    blocks: Vec<Block>,
    side: i64,
}

impl Transformer {
    pub fn load(weights: &Weights, size: Size) -> Result<Self, WeightsError> {
        let Size { width, side, .. } = size;
        let count = side * side;
        let positions = weights.get_in("pos_embed", &[1, count + 1, width], DType::F32)?;
        let class = weights.get_in("cls_token", &[1, 1, width], DType::F32)?;
        let square = positions
            .f_narrow(1, 1, count)?
            .f_transpose(1, 2)?
            .f_reshape([1, width, side, side])?;
        let blocks =
            (0..size.depth).map(|i| Block::load(&weights.sub("blocks").sub(i), width, size.heads));
        Ok(Self {
            class: class.f_add(&positions.f_narrow(1, 0, 1)?)?,
            // A copy: the stored ones may be a view of a mapped file.
            positions: square.f_detach_copy()?.f_contiguous()?,
            blocks: blocks.collect::<Result<_, _>>()?,
            side,
        })
    }

    /// `tokens` `[n, rows * columns, width]`, row by row. `look` sees what comes out of each of the
    /// blocks `hooks`, `[n, 1 + rows * columns, width]`, the class token first, and gives a map.
    pub fn forward(
        &self,
        tokens: &Tensor,
        [rows, columns]: [i64; 2],
        hooks: &[usize],
        look: impl Fn(usize, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Vec<Tensor>, TchError> {
        let (batch, count, width) = tokens.size3()?;
        let mut positions = self.positions.shallow_clone();
        if [rows, columns] != [self.side; 2] {
            positions = positions.f_upsample_bilinear2d([rows, columns], false, None, None)?;
        }
        let positions = positions.f_reshape([1, width, count])?.f_transpose(1, 2)?;
        let class = self.class.f_expand([batch, 1, width], false)?;
        let mut x = Tensor::f_cat(&[&class, &positions.f_add(tokens)?], 1)?;
        let mut maps = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x)?;
            for (which, _) in hooks.iter().enumerate().filter(|(_, h)| **h == index) {
                maps.push(look(which, &x)?);
            }
            if maps.len() == hooks.len() {
                break;
            }
        }
        Ok(maps)
    }
}
