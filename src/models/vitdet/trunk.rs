//! The vision transformer under ViTDet: most blocks attend in windows, some over the whole image.

use tch::{Kind, TchError, Tensor};

use super::attention::Attention;
use super::windows::Windows;
use crate::checkpoint::dtype::DType;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::vit::NORM_EPS;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Patches a side of the published model's input, 1024 pixels.
const USUAL_SIDE: i64 = 64;
/// Tokens a side of its windows.
const USUAL_WINDOW: i64 = 14;

/// The size of a trunk, as its tensors tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Features of a token, and of a head.
    pub width: i64,
    pub head: i64,
    pub depth: i64,
    /// Tokens a side: of the input, and of a window.
    pub side: i64,
    pub window: i64,
    /// Pixels a side of a token.
    pub patch: i64,
}

impl Size {
    /// `None` where these are not the weights of such a trunk.
    pub fn found(weights: &Weights) -> Option<Self> {
        let width = *weights.shape("pos_embed")?.get(2)?;
        let patch = *weights.shape("patch_embed.proj.weight")?.get(3)?;
        let mut sides = Vec::new();
        let mut head = 0;
        loop {
            let name = format!("blocks.{}.attn.rel_pos_h", sides.len());
            let Some(shape) = weights.shape(&name) else {
                break;
            };
            let [length, features] = shape.try_into().ok()?;
            head = features;
            sides.push((length + 1) / 2);
        }
        let (&small, &large) = (sides.iter().min()?, sides.iter().max()?);
        // Blocks of one kind alone do not tell which kind it is, but its usual size does.
        let (side, window) = match small == large {
            true if small == USUAL_WINDOW => (USUAL_SIDE, small),
            _ => (large, small),
        };
        let whole = head > 0 && width % head == 0 && patch > 0;
        whole.then_some(Self {
            width,
            head,
            depth: sides.len() as i64,
            side,
            window,
            patch,
        })
    }

    /// Pixels a side of the input.
    pub fn pixels(&self) -> usize {
        (self.side * self.patch) as usize
    }
}

/// Tokens that go through the perceptron at once: what lies between its layers stays in the cache.
const AT_ONCE: i64 = 1024;

/// Two layers with GELU between them.
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn load(weights: &Weights, width: i64, hidden: i64) -> Result<Self, WeightsError> {
        Ok(Self {
            fc1: Linear::load(&weights.sub("fc1"), width, hidden, true)?,
            fc2: Linear::load(&weights.sub("fc2"), hidden, width, true)?,
        })
    }

    /// Adds the outcome for `x` to `residual`, `[tokens, width]` both.
    fn add_to(&self, x: &Tensor, residual: &Tensor) -> Result<(), TchError> {
        let tokens = x.size2()?.0;
        for first in (0..tokens).step_by(AT_ONCE as usize) {
            let count = AT_ONCE.min(tokens - first);
            let hidden = self.fc1.forward_gelu(&x.f_narrow(0, first, count)?)?;
            let out = self.fc2.forward(&hidden)?;
            let _ = residual.f_narrow(0, first, count)?.f_add_(&out)?;
        }
        Ok(())
    }
}

/// Square patches of an image as tokens: as they do not overlap, one product.
struct Patches {
    linear: Linear,
    patch: i64,
}

impl Patches {
    /// Takes `proj.weight` `[width, 3, patch, patch]` and `proj.bias`.
    fn load(weights: &Weights, size: &Size) -> Result<Self, WeightsError> {
        let Size { width, patch, .. } = *size;
        let weight = weights.get("proj.weight", &[width, 3, patch, patch])?;
        // The order in which an image with its channels last is cut up.
        let weight = weight.f_permute([0, 2, 3, 1])?.f_reshape([width, -1])?;
        let bias = weights.get("proj.bias", &[width])?;
        Ok(Self {
            linear: Linear::new(Param::owned(weight), Some(bias))?,
            patch,
        })
    }

    /// `[1, 3, side * patch, side * patch]` → `[tokens, width]`.
    fn forward(&self, image: &Tensor) -> Result<Tensor, TchError> {
        let (_, channels, height, width) = image.size4()?;
        let patch = self.patch;
        let (rows, columns) = (height / patch, width / patch);
        let cut = image
            .f_permute([0, 2, 3, 1])?
            .f_reshape([rows, patch, columns, patch, channels])?
            .f_permute([0, 2, 1, 3, 4])?
            .f_reshape([rows * columns, patch * patch * channels])?;
        self.linear.forward(&cut)
    }
}

/// Attention and perceptron, each after a normalisation and beside a way around it.
struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn load(weights: &Weights, size: &Size) -> Result<Self, WeightsError> {
        let width = size.width;
        let stored = weights.shape("attn.rel_pos_h");
        let own = stored.and_then(|s| s.first().map(|length| (length + 1) / 2));
        let windows = Windows {
            side: size.side,
            size: own.unwrap_or(size.window),
        };
        let hidden = weights
            .shape("mlp.fc1.weight")
            .and_then(|s| s.first().copied());
        Ok(Self {
            norm1: LayerNorm::load(&weights.sub("norm1"), width, NORM_EPS)?,
            attn: Attention::load(&weights.sub("attn"), width, size.head, windows)?,
            norm2: LayerNorm::load(&weights.sub("norm2"), width, NORM_EPS)?,
            mlp: Mlp::load(&weights.sub("mlp"), width, hidden.unwrap_or(4 * width))?,
        })
    }

    /// `x` is `[tokens, width]`, f32: the sum of all blocks so far keeps its precision whatever
    /// the weights have.
    fn forward(&self, x: Tensor) -> Result<Tensor, TchError> {
        let x = self.attn.forward_add(&self.norm1.forward(&x)?, x)?;
        self.mlp.add_to(&self.norm2.forward(&x)?, &x)?;
        Ok(x)
    }
}

/// The trunk, for square inputs of one size.
pub struct Trunk {
    patches: Patches,
    /// `[tokens, width]`, f32.
    positions: Tensor,
    blocks: Vec<Block>,
    pub size: Size,
}

impl Trunk {
    pub fn load(weights: &Weights, size: Size) -> Result<Self, WeightsError> {
        let blocks = (0..size.depth).map(|i| Block::load(&weights.sub("blocks").sub(i), &size));
        Ok(Self {
            patches: Patches::load(&weights.sub("patch_embed"), &size)?,
            positions: positions(weights, &size)?,
            blocks: blocks.collect::<Result<_, _>>()?,
            size,
        })
    }

    /// `[1, 3, pixels, pixels]` to `[tokens, width]`, f32, row by row of the image.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor, TchError> {
        let mut x = self.positions.f_add(&self.patches.forward(image)?)?;
        for block in &self.blocks {
            x = block.forward(x)?;
        }
        Ok(x)
    }
}

/// The pre-training's square of positions, enlarged to the input's; the class token's is dropped.
fn positions(weights: &Weights, size: &Size) -> Result<Tensor, WeightsError> {
    let shape = weights.shape("pos_embed").unwrap_or_default();
    let stored = weights.get_in("pos_embed", &shape, DType::F32)?;
    let count = shape.get(1).copied().unwrap_or(0);
    let square = |n: i64| (n.max(0) as f64).sqrt().round() as i64;
    let whole = |n: i64| square(n) * square(n) == n;
    // With the class token first, or without.
    let places = if whole(count - 1) { count - 1 } else { count };
    let (side, width) = (square(places), size.width);
    let places = stored.f_narrow(1, count - places, side * side)?;
    if side == size.side {
        return Ok(places.f_reshape([-1, width])?.f_contiguous()?);
    }
    let enlarged = places
        .f_reshape([1, side, side, width])?
        .f_permute([0, 3, 1, 2])?
        .f_upsample_bicubic2d([size.side, size.side], false, None, None)?
        .f_permute([0, 2, 3, 1])?;
    let flat = enlarged.f_reshape([size.side * size.side, width])?;
    Ok(flat.f_to_kind(Kind::Float)?.f_contiguous()?)
}
