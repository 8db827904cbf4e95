//! Scaled dot-product attention, and the self-attention of vision transformers.

use tch::{Device, Kind, TchError, Tensor};

use crate::layers::linear::Linear;
use crate::layers::weights::{Param, Weights, WeightsError};

/// Up to this many keys, plain products in bfloat16 beat libtorch's blocked kernel on a CPU
/// (192 keys of 80 numbers: 4.5 against 8.7 ms for 128 heads on two cores; 1,009 of 64: 28 against
/// 58 ms for 16 heads on one), as long as the matrix of scores stays in the cache.
const FEW_KEYS: i64 = 2048;
/// Scores that are computed at once.
const SCORES: i64 = 1 << 21;
/// For fewer queries than this that kernel takes another way when a row is alone in the batch.
const MANY_QUERIES: i64 = 32;

/// `softmax(q kᵀ / √d) v`, by head: `[batch, heads, tokens, d]`, any strides.
///
/// The result is `[batch, tokens, heads * d]`. Rows of a batch do not influence each other, and
/// each is computed as it would be alone.
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (batch, heads, tokens, width) = q.size4()?;
    let by_row = q.f_kind()? == Kind::BFloat16 || tokens < MANY_QUERIES;
    let joined = if by_row && k.size4()?.2 <= FEW_KEYS && q.device() == Device::Cpu {
        by_products(q, k, v)?
    } else {
        let none: Option<Tensor> = None;
        Tensor::f_scaled_dot_product_attention(q, k, v, none, 0.0, false, None, false)?
            .f_transpose(1, 2)?
    };
    joined.f_reshape([batch, tokens, heads * width])
}

/// Two products and a softmax for one row of the batch after the other; `[batch, tokens, heads, d]`.
fn by_products(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    let (batch, heads, tokens, width) = q.size4()?;
    let options = (q.f_kind()?, q.device());
    let joined = Tensor::f_empty([batch, tokens, heads, v.size4()?.3], options)?;
    let nothing = Tensor::f_zeros([1, 1, 1], options)?;
    let scale = (width as f64).powf(-0.5);
    let together = (SCORES / (tokens * k.size4()?.2).max(1)).clamp(1, heads.max(1));
    for row in 0..batch {
        let place = joined.f_get(row)?.f_transpose(0, 1)?;
        let [q, k, v] = [q, k, v].map(|t| t.f_get(row));
        let (q, k, v) = (q?, k?.f_transpose(1, 2)?, v?);
        for first in (0..heads).step_by(together as usize) {
            let count = together.min(heads - first);
            let part = |t: &Tensor| t.f_narrow(0, first, count);
            let scores = nothing
                .f_baddbmm(&part(&q)?, &part(&k)?, 0.0, scale)?
                .f_softmax(-1, None::<Kind>)?;
            let _ = scores.f_bmm_out(&part(&place)?, &part(&v)?)?;
        }
    }
    Ok(joined)
}

/// Self-attention with one projection for queries, keys and values.
pub struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: i64,
}

impl Attention {
    /// Takes `qkv`, or `query`, `key` and `value`, and `proj`, with biases, of `width` features.
    pub fn load(weights: &Weights, width: i64, heads: i64) -> Result<Self, WeightsError> {
        Ok(Self {
            qkv: projection(weights, width)?,
            proj: Linear::load(&weights.sub("proj"), width, width, true)?,
            heads,
        })
    }

    /// Attends within `x` `[batch, tokens, width]` and adds the outcome to `residual`.
    pub fn forward_add(&self, x: &Tensor, residual: Tensor) -> Result<Tensor, TchError> {
        let (batch, tokens, width) = x.size3()?;
        let split = [batch, tokens, 3, self.heads, width / self.heads];
        let qkv = self
            .qkv
            .forward(x)?
            .f_reshape(split)?
            .f_permute([2, 0, 3, 1, 4])?;
        let joined = attend(&qkv.f_get(0)?, &qkv.f_get(1)?, &qkv.f_get(2)?)?;
        self.proj.forward_add(&joined, residual)
    }
}

/// Three layers that see the same input are one.
fn projection(weights: &Weights, width: i64) -> Result<Linear, WeightsError> {
    if !weights.contains("query.weight") {
        return Linear::load(&weights.sub("qkv"), width, 3 * width, true);
    }
    let parts = ["query", "key", "value"].map(|part| weights.sub(part));
    let join = |name: &str, shape: &[i64]| -> Result<Param, WeightsError> {
        let [q, k, v] = parts.each_ref().map(|part| part.get(name, shape));
        Ok(Param::from(Tensor::f_cat(&[&*q?, &*k?, &*v?], 0)?))
    };
    Linear::new(
        join("weight", &[width, width])?,
        Some(join("bias", &[width])?),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_with_the_definition() {
        // Of the second, not all heads' scores are computed at once.
        for [tokens, width] in [[7, 5], [900, 8]] {
            let shape = [2, 3, tokens, width];
            let random = || Tensor::randn(shape, (Kind::Float, Device::Cpu));
            let (q, k, v) = (random(), random(), random());
            let scores = q.matmul(&k.transpose(-2, -1)) / (width as f64).sqrt();
            let scores = scores.softmax(-1, Kind::Float);
            let expected = scores.matmul(&v).transpose(1, 2);
            let expected = expected.reshape([2, tokens, 3 * width]);
            for (kind, near) in [(Kind::Float, 2e-6), (Kind::BFloat16, 0.05)] {
                let [q, k, v] = [&q, &k, &v].map(|t| t.to_kind(kind));
                let found = attend(&q, &k, &v).unwrap().to_kind(Kind::Float);
                let furthest = (found - &expected).abs().max().double_value(&[]);
                assert!(furthest < near, "{tokens} {kind:?}: {furthest}");
            }
        }
    }
}
