//! Room on the disk: asked for before the first byte, and set aside where the file system can.

use std::fs::File;
use std::path::Path;

use crate::cache::error::{CacheError, DISK_FULL};

/// Bytes an ordinary user may still write below `folder`; `None` when the system does not say.
pub fn free(folder: &Path) -> Option<u64> {
    fs4::available_space(folder).ok()
}

/// Refuses when `lacking` more bytes do not fit.
pub fn check(label: &str, folder: &Path, lacking: u64) -> Result<(), CacheError> {
    match free(folder) {
        Some(free) if free < lacking => Err(CacheError::new(
            DISK_FULL,
            format!(
                "{label} needs {lacking} more bytes in {}, and {free} are free; free some space, or \
                 set POSE4D_CACHE_DIR to a folder on another disk",
                folder.display()
            ),
        )),
        _ => Ok(()),
    }
}

/// Sets the blocks from `held` to `total` aside without changing the file's length.
///
/// So a disk that fills up meanwhile costs another program its room, not this download. Not every file
/// system can; then the check alone has to do.
pub fn reserve(file: &File, held: u64, total: u64) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if total > held {
        let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(file, keep, held, total - held);
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, held, total);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let folder = std::env::temp_dir();
        let free = free(&folder).unwrap();
        assert!(check("x", &folder, 1).is_ok());
        let error = check("weights", &folder, u64::MAX / 2).unwrap_err();
        assert_eq!(error.code, DISK_FULL);
        assert!(
            error.message.contains(&(u64::MAX / 2).to_string()),
            "{error}"
        );
        assert!(error.message.contains("weights") && free > 1);
    }
}
