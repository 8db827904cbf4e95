//! The vision transformer under HMR2 and ViTPose: patches, positions, blocks.
//!
//! Source: ViTPose's `ViT` (Apache-2.0), as 4D-Humans uses it in `hmr2/models/backbones/vit.py`.

use tch::{TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::norm::LayerNorm;
use crate::layers::vit::{Block, NORM_EPS, PatchEmbed};
use crate::layers::weights::{Weights, WeightsError};

/// Pixels of a patch's side.
const PATCH: i64 = 16;
/// Pixels of black around the image. With it the rows and columns of patches are as many as
/// without: what lies beyond the last whole patch is dropped.
const PADDING: i64 = 2;

/// The size of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkSize {
    /// Features of a token.
    pub width: i64,
    pub depth: i64,
    pub heads: i64,
}

impl TrunkSize {
    /// ViT-H, the size of every released HMR2.
    pub const HUGE: Self = Self {
        width: 1280,
        depth: 32,
        heads: 16,
    };

    /// The width and depth of the trunk whose weights these are; `None` where there is none.
    pub fn found(weights: &Weights) -> Option<(i64, i64)> {
        let width = *weights.shape("pos_embed")?.get(2)?;
        let block = |name: &str| {
            let (index, _) = name.strip_prefix("blocks.")?.split_once('.')?;
            index.parse::<i64>().ok()
        };
        let depth = weights.names().filter_map(block).max()? + 1;
        Some((width, depth))
    }
}

/// A trunk for images of one size.
pub struct Trunk {
    patches: PatchEmbed,
    /// `[1, tokens, width]`, f32, the class token's position added to each.
    positions: Tensor,
    blocks: Vec<Block>,
    last_norm: LayerNorm,
    size: TrunkSize,
}

impl Trunk {
    /// `tokens` is the number of patches of the images it will see.
    pub fn load(weights: &Weights, size: TrunkSize, tokens: i64) -> Result<Self, WeightsError> {
        let width = size.width;
        let positions = positions(weights, width, tokens)?;
        let blocks =
            (0..size.depth).map(|i| Block::load(&weights.sub("blocks").sub(i), width, size.heads));
        Ok(Self {
            patches: PatchEmbed::load(&weights.sub("patch_embed"), width, PATCH, PADDING)?,
            positions,
            blocks: blocks.collect::<Result<_, _>>()?,
            last_norm: LayerNorm::load(&weights.sub("last_norm"), width, NORM_EPS)?,
            size,
        })
    }

    pub fn size(&self) -> TrunkSize {
        self.size
    }

    /// `[batch, 3, h, w]` to `[batch, tokens, width]`, f32; tokens row by row.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor, TchError> {
        let patches = self.patches.forward(image)?;
        let tokens = patches.f_flatten(2, 3)?.f_transpose(1, 2)?;
        // Positions first: the sum is then in their precision and a fresh tensor.
        let mut x = self.positions.f_add(&tokens)?.f_contiguous()?;
        for block in &self.blocks {
            x = block.forward(x)?;
        }
        self.last_norm.forward(&x)
    }
}

/// `[1, tokens, width]`, f32: those of the patches, with that of the class token added to each
/// where the checkpoint keeps one. Without one (mmpose's layout) they are what they are.
fn positions(weights: &Weights, width: i64, tokens: i64) -> Result<Tensor, WeightsError> {
    let stored = weights.shape("pos_embed").unwrap_or_default();
    if stored.get(1) == Some(&tokens) {
        let own = weights.get_in("pos_embed", &[1, tokens, width], DType::F32)?;
        return Ok(own.f_detach_copy()?);
    }
    let stored = weights.get_in("pos_embed", &[1, tokens + 1, width], DType::F32)?;
    let class = stored.f_narrow(1, 0, 1)?;
    Ok(stored.f_narrow(1, 1, tokens)?.f_add(&class)?)
}
