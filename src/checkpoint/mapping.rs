//! A file as memory: tensors of the fast form are used where the system's page cache has them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use super::tensor::{Extent, Tensor};

/// A whole file, mapped read-only. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct Mapping(Arc<Mmap>);

impl Mapping {
    /// Maps `path`.
    ///
    /// The mapped files are those we published: read-only, replaced by rename and never written
    /// in place. Somebody who cuts one off nevertheless ends the process when it is read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the contract above; no `&mut` to the bytes exists anywhere.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(Arc::new(map)))
    }

    /// The tensor's bytes, when the file holds them just as memory would and at a place that
    /// elements of its type may have.
    pub fn bytes(&self, tensor: &Tensor) -> Option<&[u8]> {
        let Extent { offset, len } = tensor.extent()?;
        let start = usize::try_from(offset).ok()?;
        let bytes = self.0.get(start..)?.get(..usize::try_from(len).ok()?)?;
        (bytes.as_ptr() as usize)
            .is_multiple_of(tensor.dtype.word())
            .then_some(bytes)
    }

    /// Has all of it at hand, which will be needed soon: what is in the page cache is put in place in one
    /// go rather than page by page when it is first read (1.4 GB in 10 to 100 ms rather than 200 to 300).
    pub fn prefetch(&self) {
        // Hints: what they cannot do, reading will.
        #[cfg(unix)]
        let _ = self.0.advise(memmap2::Advice::WillNeed);
        #[cfg(target_os = "linux")]
        let _ = self.0.advise(memmap2::Advice::PopulateRead);
    }
}
