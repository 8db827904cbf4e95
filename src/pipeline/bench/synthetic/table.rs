//! Names and shapes of a checkpoint, put together layer by layer.

use crate::checkpoint::dtype::DType;
use crate::checkpoint::write::Entry;

/// A list of tensors to be.
#[derive(Default)]
pub(super) struct Table(Vec<(String, Vec<u64>, bool)>);

/// A ViT trunk's sizes.
#[derive(Clone, Copy)]
pub(super) struct Vit {
    pub width: u64,
    pub depth: u64,
    pub tokens: u64,
}

impl Table {
    /// Real numbers.
    pub fn real(&mut self, name: impl Into<String>, shape: &[u64]) {
        self.0.push((name.into(), shape.to_vec(), true));
    }

    /// Whole numbers.
    pub fn whole(&mut self, name: impl Into<String>, shape: &[u64]) {
        self.0.push((name.into(), shape.to_vec(), false));
    }

    /// `weight` of any shape and `bias` of its outputs.
    pub fn layer(&mut self, place: &str, shape: &[u64]) {
        self.real(format!("{place}.weight"), shape);
        self.real(format!("{place}.bias"), &shape[..1]);
    }

    /// A layer norm.
    pub fn norm(&mut self, place: &str, width: u64) {
        self.layer(place, &[width]);
    }

    /// A batch norm.
    pub fn batch_norm(&mut self, place: &str, width: u64) {
        self.norm(place, width);
        self.real(format!("{place}.running_mean"), &[width]);
        self.real(format!("{place}.running_var"), &[width]);
        self.whole(format!("{place}.num_batches_tracked"), &[]);
    }

    /// Positions, patches and blocks below `place` (with its dot); `relative` is the length of the
    /// relative positions of a block, where it has them.
    pub fn vit(&mut self, place: &str, size: Vit, relative: impl Fn(u64) -> Option<(u64, u64)>) {
        let w = size.width;
        self.real(format!("{place}pos_embed"), &[1, size.tokens, w]);
        self.layer(&format!("{place}patch_embed.proj"), &[w, 3, 16, 16]);
        for block in 0..size.depth {
            let block_at = format!("{place}blocks.{block}");
            self.norm(&format!("{block_at}.norm1"), w);
            if let Some((length, features)) = relative(block) {
                self.real(format!("{block_at}.attn.rel_pos_h"), &[length, features]);
                self.real(format!("{block_at}.attn.rel_pos_w"), &[length, features]);
            }
            for (part, outputs, inputs) in [
                ("attn.qkv", 3 * w, w),
                ("attn.proj", w, w),
                ("mlp.fc1", 4 * w, w),
                ("mlp.fc2", w, 4 * w),
            ] {
                self.layer(&format!("{block_at}.{part}"), &[outputs, inputs]);
            }
            self.norm(&format!("{block_at}.norm2"), w);
        }
    }

    /// For the writer, real numbers as `dtype`.
    pub fn entries(self, dtype: DType) -> Vec<Entry> {
        let entry = |(name, shape, real)| Entry {
            name,
            dtype: if real { dtype } else { DType::I64 },
            shape,
        };
        self.0.into_iter().map(entry).collect()
    }
}
