//! Self-attention with decomposed relative positions, in windows or over the whole image.
//!
//! Source: detectron2 02b5c4e, `modeling/backbone/vit.py` and `utils.py`. What they add to the
//! scores, `q·Rh[y, y'] + q·Rw[x, x']`, is a product too: queries become `[q/√d, q·Rh, q·Rw]` and
//! keys `[k, onehot(y'), onehot(x')]`, so that plain attention does the rest.

use tch::{Device, Kind, TchError, Tensor};

use super::windows::Windows;
use crate::layers::linear::Linear;
use crate::layers::weights::{Weights, WeightsError};

/// The relative positions of a square of tokens.
struct Relative {
    /// `[side, side, width]`: for a query's row (or column) and a key's.
    rows: Tensor,
    columns: Tensor,
    /// `[side * side, 2 * side]`: a key's row and column, one-hot.
    places: Tensor,
    side: i64,
}

impl Relative {
    /// Takes `rel_pos_h` and `rel_pos_w`, `[2 * side - 1, width]`.
    fn load(weights: &Weights, side: i64, width: i64) -> Result<Self, WeightsError> {
        let device = weights.device();
        let options = (Kind::Int64, device);
        let at = Tensor::f_arange(side, options)?;
        let apart = at
            .f_unsqueeze(1)?
            .f_sub(&at)?
            .f_add_scalar(side - 1)?
            .f_reshape([-1])?;
        let table = |name: &str| -> Result<Tensor, WeightsError> {
            let stored = weights.get(name, &[2 * side - 1, width])?;
            let rows = stored.f_index_select(0, &apart)?;
            Ok(rows.f_reshape([side, side, width])?)
        };
        let one = Tensor::f_eye(side, (weights.kind(), device))?;
        let shape = [side, side, side];
        let (row, column) = (one.f_unsqueeze(1)?, one.f_unsqueeze(0)?);
        let places = [row.f_expand(shape, false)?, column.f_expand(shape, false)?];
        Ok(Self {
            rows: table("rel_pos_h")?,
            columns: table("rel_pos_w")?,
            places: Tensor::f_cat(&places, 2)?.f_reshape([side * side, 2 * side])?,
            side,
        })
    }

    /// `q` `[n, tokens, width]` → `[n, tokens, width + 2 * side]`.
    fn queries(&self, q: &Tensor) -> Result<Tensor, TchError> {
        let (n, tokens, width) = q.size3()?;
        let side = self.side;
        let square = q.f_reshape([n, side, side, width])?;
        let by = |axes: [i64; 4], table: &Tensor| {
            let flat = square.f_permute(axes)?.f_reshape([side, -1, width])?;
            flat.f_bmm(&table.f_transpose(1, 2)?)?
                .f_reshape([side, n, side, side])
        };
        let rows = by([1, 0, 2, 3], &self.rows)?.f_permute([1, 0, 2, 3])?;
        let columns = by([2, 0, 1, 3], &self.columns)?.f_permute([1, 2, 0, 3])?;
        let scaled = square.f_mul_scalar((width as f64).powf(-0.5))?;
        Tensor::f_cat(&[scaled, rows, columns], 3)?.f_reshape([n, tokens, width + 2 * side])
    }

    /// `k` `[n, tokens, width]` → `[n, tokens, width + 2 * side]`.
    fn keys(&self, k: &Tensor) -> Result<Tensor, TchError> {
        let (n, tokens, _) = k.size3()?;
        let places = self.places.f_expand([n, tokens, 2 * self.side], false)?;
        Tensor::f_cat(&[k, &places], 2)
    }
}

/// Attention of one block.
pub struct Attention {
    qkv: Linear,
    /// `[3 * width]`: what tokens beyond the image have for queries, keys and values.
    qkv_bias: Tensor,
    proj: Linear,
    relative: Relative,
    heads: i64,
    windows: Windows,
}

impl Attention {
    /// `side` tokens a side, in windows of `window` tokens (`side` for none).
    pub fn load(
        weights: &Weights,
        width: i64,
        head: i64,
        windows: Windows,
    ) -> Result<Self, WeightsError> {
        let qkv = weights.sub("qkv");
        let bias = qkv.get("bias", &[3 * width])?;
        Ok(Self {
            qkv_bias: bias.f_alias()?,
            qkv: Linear::new(qkv.get("weight", &[3 * width, width])?, Some(bias))?,
            proj: Linear::load(&weights.sub("proj"), width, width, true)?,
            relative: Relative::load(weights, windows.size, head)?,
            heads: width / head.max(1),
            windows,
        })
    }

    /// Attends within `x` `[tokens, width]` and adds the outcome to `residual`.
    pub fn forward_add(&self, x: &Tensor, residual: Tensor) -> Result<Tensor, TchError> {
        let (tokens, width) = x.size2()?;
        let Windows { side, size } = self.windows;
        let (n, head) = (self.windows.along(), width / self.heads);
        let qkv = self.qkv.forward(x)?;
        let places = [n * n * self.heads, size * size, head];
        // Beyond the image tokens are zero before `qkv`, and its bias after.
        let parts = [3, n, n, self.heads, size, size, head];
        let ordered = [1, 4, 2, 5, 0, 3, 6];
        let windowed = match side % size {
            0 => Tensor::f_empty(parts, (qkv.kind(), qkv.device()))?,
            _ => self
                .qkv_bias
                .f_reshape([3, 1, 1, self.heads, 1, 1, head])?
                .f_expand(parts, false)?
                .f_contiguous()?,
        };
        let square = qkv.f_reshape([side, side, 3, self.heads, head])?;
        self.windows.split(&square, &windowed.f_permute(ordered)?)?;
        let part = |i| windowed.f_get(i)?.f_reshape(places);
        let q = self.relative.queries(&part(0)?)?;
        let k = self.relative.keys(&part(1)?)?;
        let attended =
            attend(&q, &k, &part(2)?)?.f_reshape([n, n, self.heads, size, size, head])?;
        let joined = Tensor::f_empty(
            [side, side, self.heads, head],
            (x_kind(&attended), x.device()),
        )?;
        self.windows
            .join(&attended.f_permute([0, 3, 1, 4, 2, 5])?, &joined)?;
        self.proj
            .forward_add(&joined.f_reshape([tokens, width])?, residual)
    }
}

fn x_kind(x: &Tensor) -> Kind {
    x.kind()
}

/// Most scores held at once.
const SCORES: i64 = 1 << 24;

/// `softmax(q kᵀ) v`, `[n, tokens, …]` each.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (n, tokens, width) = v.size3()?;
    let joined = Tensor::f_empty([n, tokens, width], (v.kind(), v.device()))?;
    let at_once = (SCORES / (tokens * tokens)).clamp(1, n);
    let mut done = 0;
    while done < n {
        let count = at_once.min(n - done);
        let scores = q
            .f_narrow(0, done, count)?
            .f_bmm(&k.f_narrow(0, done, count)?.f_transpose(1, 2)?)?
            .f_softmax(-1, None::<Kind>)?;
        let place = joined.f_narrow(0, done, count)?;
        let _ = scores.f_bmm_out(&place, &v.f_narrow(0, done, count)?)?;
        done += count;
    }
    let _ = Device::Cpu;
    Ok(joined)
}
