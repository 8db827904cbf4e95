//! Self-attention with decomposed relative positions, in windows or over the whole image.
//!
//! Source: detectron2 02b5c4e, `modeling/backbone/vit.py` and `utils.py`. What they add to a score,
//! `q·Rh[y, y'] + q·Rw[x, x']`, is two numbers of the query for each of a key's row and column.
//! On the CPU they are added while the softmax is taken. Elsewhere they become part of the product:
//! queries `[q/√d, q·Rh, q·Rw]`, keys `[k, onehot(y'), onehot(x')]`, and plain attention does it all.

use tch::{Kind, TchError, Tensor};

use super::windows::Windows;
use crate::layers::linear::Linear;
use crate::layers::onednn::{Packed, Then};
use crate::layers::softmax::{self, Square};
use crate::layers::weights::{Weights, WeightsError};

/// Most scores held at once, so that they stay in the cache.
const SCORES: i64 = 1 << 21;
/// From this many keys a product with one head's keys is worth laying them out for.
const MANY_KEYS: i64 = 1024;

/// The relative positions of a square of tokens.
struct Relative {
    /// `[side, side, width]`: for a query's row (or column) and a key's.
    rows: Tensor,
    columns: Tensor,
    side: i64,
}

impl Relative {
    /// Takes `rel_pos_h` and `rel_pos_w`, `[2 * side - 1, width]`.
    fn load(weights: &Weights, side: i64, width: i64) -> Result<Self, WeightsError> {
        let at = Tensor::f_arange(side, (Kind::Int64, weights.device()))?;
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
        Ok(Self {
            rows: table("rel_pos_h")?,
            columns: table("rel_pos_w")?,
            side,
        })
    }

    /// Queries `[n, tokens, width]` → `[n, tokens, 2 * side]`: what each row and each column of
    /// keys adds to its scores.
    fn terms(&self, q: &Tensor) -> Result<Tensor, TchError> {
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
        Tensor::f_cat(&[rows, columns], 3)?.f_reshape([n, tokens, 2 * side])
    }

    /// `[side * side, 2 * side]`: a key's row and column, one-hot.
    fn places(&self) -> Result<Tensor, TchError> {
        let side = self.side;
        let one = Tensor::f_eye(side, (self.rows.f_kind()?, self.rows.device()))?;
        let shape = [side, side, side];
        let (row, column) = (one.f_unsqueeze(1)?, one.f_unsqueeze(0)?);
        let places = [row.f_expand(shape, false)?, column.f_expand(shape, false)?];
        Tensor::f_cat(&places, 2)?.f_reshape([side * side, 2 * side])
    }

    /// Attention of `[n, tokens, width]` each, `n` being windows times heads.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
        let terms = self.terms(q)?;
        if softmax::is_supported(q) {
            let (n, tokens, width) = v.size3()?;
            let joined = Tensor::f_empty([n, tokens, width], (v.f_kind()?, v.device()))?;
            match tokens >= MANY_KEYS {
                true => self.by_head(q, k, v, &terms, &joined)?,
                false => self.by_windows(q, k, v, &terms, &joined)?,
            }
            return Ok(joined);
        }
        let (n, tokens, width) = k.size3()?;
        let places = self.places()?.f_expand([n, tokens, 2 * self.side], false)?;
        let q = Tensor::f_cat(&[&q.f_mul_scalar(scale(width))?, &terms], 2)?;
        let k = Tensor::f_cat(&[k, &places], 2)?;
        // One width for all three is what the fast kernels ask for.
        let v = v.f_constant_pad_nd([0, 2 * self.side])?;
        let none: Option<Tensor> = None;
        let [q, k, v] = [q, k, v].map(|t| t.f_unsqueeze(0));
        Tensor::f_scaled_dot_product_attention(&q?, &k?, &v?, none, 0.0, false, 1.0, false)?
            .f_get(0)?
            .f_narrow(2, 0, width)
    }

    fn square(&self, width: i64) -> Square {
        Square {
            side: self.side as usize,
            scale: scale(width) as f32,
        }
    }

    /// A few windows at a time, all heads of each.
    fn by_windows(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        terms: &Tensor,
        joined: &Tensor,
    ) -> Result<(), TchError> {
        let (n, tokens, width) = q.size3()?;
        let at_once = (SCORES / (tokens * tokens)).clamp(1, n.max(1));
        let scores = Tensor::f_empty([at_once, tokens, tokens], (q.f_kind()?, q.device()))?;
        for first in (0..n).step_by(at_once as usize) {
            let count = at_once.min(n - first);
            let part = |t: &Tensor| t.f_narrow(0, first, count);
            let mut scores = scores.f_narrow(0, 0, count)?;
            let _ = part(q)?.f_bmm_out(&scores, &part(k)?.f_transpose(1, 2)?)?;
            softmax::softmax(&mut scores, &part(terms)?, self.square(width))?;
            let _ = scores.f_bmm_out(&part(joined)?, &part(v)?)?;
        }
        Ok(())
    }

    /// Some queries of a head at a time, with its keys and values laid out for oneDNN.
    fn by_head(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        terms: &Tensor,
        joined: &Tensor,
    ) -> Result<(), TchError> {
        let (n, tokens, width) = q.size3()?;
        let at_once = (SCORES / tokens).clamp(1, tokens);
        for head in 0..n {
            let [q, k, v, terms, joined] = [q, k, v, terms, joined].map(|t| t.f_get(head));
            let (q, k, terms, joined) = (q?, k?, terms?, joined?);
            let v = v?.f_transpose(0, 1)?.f_contiguous()?;
            let (keys, values) = (Packed::new(&k)?, Packed::new(&v)?);
            for first in (0..tokens).step_by(at_once as usize) {
                let count = at_once.min(tokens - first);
                let part = |t: &Tensor| t.f_narrow(0, first, count);
                let mut scores = product(&part(&q)?, &k, keys.as_ref())?;
                softmax::softmax(&mut scores, &part(&terms)?, self.square(width))?;
                let attended = product(&scores, &v, values.as_ref())?;
                part(&joined)?.f_copy_(&attended)?;
            }
        }
        Ok(())
    }
}

/// `x wᵀ`
fn product(x: &Tensor, w: &Tensor, packed: Option<&Packed>) -> Result<Tensor, TchError> {
    match packed {
        Some(packed) => packed.linear(x, None, Then::Nothing),
        None => x.f_matmul(&w.f_transpose(0, 1)?),
    }
}

fn scale(width: i64) -> f64 {
    (width as f64).powf(-0.5)
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
        let attended = self
            .relative
            .attend(&part(0)?, &part(1)?, &part(2)?)?
            .f_reshape([n, n, self.heads, size, size, head])?;
        let joined = Tensor::f_empty([side, side, self.heads, head], (qkv.f_kind()?, x.device()))?;
        self.windows
            .join(&attended.f_permute([0, 3, 1, 4, 2, 5])?, &joined)?;
        self.proj
            .forward_add(&joined.f_reshape([tokens, width])?, residual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// All ways give what the definition gives.
    #[test]
    fn relative_positions_are_those_of_the_definition() {
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let (n, side, width) = (3, 5, 8);
        let relative = Relative {
            rows: random(&[side, side, width]),
            columns: random(&[side, side, width]),
            side,
        };
        let [q, k, v] = [0; 3].map(|_| random(&[n, side * side, width]));
        let square = q.reshape([n, side, side, width]);
        let einsum =
            |how: &str, table: &Tensor| Tensor::einsum(how, &[&square, table], None::<i64>);
        let rows = einsum("bhwc,hkc->bhwk", &relative.rows).unsqueeze(-1);
        let columns = einsum("bhwc,wkc->bhwk", &relative.columns).unsqueeze(-2);
        let added = (rows + columns).reshape([n, side * side, side * side]);
        let scores = q.matmul(&k.transpose(1, 2)) * scale(width) + added;
        let expected = scores.softmax(-1, Kind::Float).matmul(&v);
        let apart = |found: &Tensor| (found - &expected).abs().max().double_value(&[]);
        assert!(apart(&relative.attend(&q, &k, &v).unwrap()) < 1e-5);
        let terms = relative.terms(&q).unwrap();
        let joined = expected.zeros_like();
        relative.by_head(&q, &k, &v, &terms, &joined).unwrap();
        assert!(apart(&joined) < 1e-5);
        // Half precision has no kernel of ours.
        let [q, k, v] = [q, k, v].map(|t| t.to_kind(Kind::Double));
        let wide = Relative {
            rows: relative.rows.to_kind(Kind::Double),
            columns: relative.columns.to_kind(Kind::Double),
            side,
        };
        assert!(apart(&wide.attend(&q, &k, &v).unwrap().to_kind(Kind::Float)) < 1e-5);
    }
}
