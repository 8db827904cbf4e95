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

    /// Has all of it at hand, which will be needed soon, and does not wait for that: what is in the page cache is
    /// put in place by `threads` threads, each its part, rather than page by page when it is first read.
    pub fn prefetch(&self, threads: usize) {
        // A hint, as everything here: what it cannot do, reading will.
        #[cfg(unix)]
        let _ = self.0.advise(memmap2::Advice::WillNeed);
        #[cfg(not(target_os = "linux"))]
        let _ = threads;
        #[cfg(target_os = "linux")]
        for part in parts(self.0.len(), threads) {
            let map = self.0.clone();
            // In pieces, since nobody gets memory from the system during one.
            let populate = move || {
                for start in part.clone().step_by(PIECE) {
                    let length = PIECE.min(part.end - start);
                    let _ = map.advise_range(memmap2::Advice::PopulateRead, start, length);
                }
            };
            let _ = std::thread::Builder::new()
                .name("pose4d-prefetch".into())
                .spawn(populate);
        }
    }
}

/// Of whole pages, whatever their size.
#[cfg(target_os = "linux")]
const PIECE: usize = 4 << 20;

/// `length` bytes in at most `count` parts that begin where pages do.
#[cfg(target_os = "linux")]
fn parts(length: usize, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let each = length.div_ceil(count.max(1));
    let each = each.next_multiple_of(PIECE).max(PIECE);
    let begins = (0..length).step_by(each);
    begins.map(move |start| start..length.min(start + each))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        for length in [0, 1, 4095, 2 << 20, (2 << 20) + 1, 40 << 20, (41 << 20) + 7] {
            for count in [0, 1, 2, 3, 8] {
                let parts: Vec<_> = parts(length, count).collect();
                assert!(parts.len() <= count.max(1));
                let mut end = 0;
                for part in parts {
                    assert_eq!(part.start, end);
                    assert!(part.start.is_multiple_of(4096) && !part.is_empty());
                    end = part.end;
                }
                assert_eq!(end, length);
            }
        }
    }

    #[test]
    fn a_file_fetched_ahead_is_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..5_000_000u32).map(|i| (i >> 3) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapping = Mapping::open(&path).unwrap();
        mapping.prefetch(2);
        // The threads hold it as long as they are at it.
        let same = mapping.clone();
        drop(mapping);
        assert_eq!(same.0[..], bytes[..]);
    }
}
