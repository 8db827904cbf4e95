//! What it costs to read many parts of bytes that can only be read from their beginning.

use crate::checkpoint::blob::{Blob, Encoding};
use crate::checkpoint::error::{Fault, Parse};

/// Bytes that may be unpacked without questions.
const FREE: u64 = 4 << 30;
/// How often all of a file's bytes may be unpacked: views that share a storage are few.
const TIMES: u64 = 64;

/// Counts the bytes that reading every tensor once would unpack.
pub struct Effort {
    left: u64,
    total: u64,
}

impl Effort {
    /// For a file whose members unpack to `total` bytes.
    pub fn new(total: u64) -> Self {
        Self {
            left: FREE.max(total.saturating_mul(TIMES)),
            total,
        }
    }

    /// Counts a tensor that is a part of `blob`.
    pub fn spend(&mut self, blob: &Blob) -> Parse<()> {
        if blob.encoding == Encoding::Raw {
            return Ok(());
        }
        self.spend_bytes(blob.len)
    }

    /// Counts a tensor for which `bytes` must be gone through.
    pub fn spend_bytes(&mut self, bytes: u64) -> Parse<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| {
            Fault::hostile(format!(
                "so many tensors share compressed bytes that {} would be unpacked again and again; \
                 if you trust the file, zip it again without compression",
                self.total
            ))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checkpoint::source::Source;

    #[test]
    fn only_compressed_bytes_count() {
        let source: Source = Arc::new(vec![0; 1 << 17]);
        let raw = Blob::raw(&source, 0, 1 << 17).unwrap();
        let packed = Blob::encoded(&source, 0, 1 << 17, 1 << 24, Encoding::Deflate).unwrap();
        let mut effort = Effort::new(1 << 24);
        for _ in 0..256 {
            effort.spend(&raw).unwrap();
            effort.spend(&packed).unwrap();
        }
        effort.spend(&raw).unwrap();
        assert!(effort.spend(&packed).is_err());
    }
}
