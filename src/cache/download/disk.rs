//! What the file system is asked for beyond the standard library: renames that replace nothing, life signs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

/// Sets a file's time to now, as a sign of life.
pub fn touch(path: &Path) {
    if let Ok(file) = OpenOptions::new().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// A rename that does not replace anything: `AlreadyExists` then.
pub fn rename_beside(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Network file systems know no such rename.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
    }
    // Whatever appears between these two lines was verified as well.
    if fs::symlink_metadata(to).is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Makes the names in a folder survive a power cut, where the system knows how.
pub fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// Gives back what was set aside beyond the end of the file.
pub fn release(file: &File) {
    if let Ok(data) = file.metadata() {
        let _ = file.set_len(data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        fs::write(&a, "a").unwrap();
        rename_beside(&a, &b).unwrap();
        fs::write(&a, "new").unwrap();
        let error = rename_beside(&a, &b).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&b).unwrap(), "a");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_set_aside_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::tempfile().unwrap();
        crate::cache::download::space::reserve(&file, 0, 1 << 20);
        let before = file.metadata().unwrap().blocks();
        release(&file);
        let after = file.metadata().unwrap();
        assert_eq!(
            (after.len(), after.blocks()),
            (0, 0),
            "{before} blocks were set aside"
        );
    }
}
