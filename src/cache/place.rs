//! Where the model cache is, and whether it can be used.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{CACHE_IO, CacheError};
use super::surroundings::Surroundings;

/// The folder's name below the operating system's cache, as the old guide had it.
const NAME: &str = "4d-humans";
/// Our own records and drafts, inside the cache folder.
pub const OWN: &str = ".pose4d";

/// The cache folder: the caller's, else `POSE4D_CACHE_DIR`, else `<cache>/4d-humans`.
///
/// `POSE4D_CACHE_DIR` is the folder itself; libtorch lies in its `pose4d/runtime`, which nothing
/// here touches.
pub fn root(given: Option<&Path>, around: &Surroundings) -> Result<PathBuf, CacheError> {
    let named = given
        .filter(|path| !path.as_os_str().is_empty())
        .or_else(|| around.variable("POSE4D_CACHE_DIR"));
    if let Some(path) = named {
        return Ok(around.absolute(path));
    }
    let cache = around.cache.as_ref().ok_or_else(|| {
        CacheError::new(
            CACHE_IO,
            "there is no home folder to keep models in (HOME is not set); \
             set POSE4D_CACHE_DIR or the option cacheDir to a folder",
        )
    })?;
    Ok(cache.join(NAME))
}

/// Makes sure `folder` is there and can be written.
pub fn create(folder: &Path) -> Result<(), CacheError> {
    std::fs::create_dir_all(folder).map_err(|error| refusal(folder, &error))
}

/// What the operating system's refusal means, and what to do.
pub fn refusal(path: &Path, error: &io::Error) -> CacheError {
    use io::ErrorKind as Kind;
    let path = path.display();
    let (code, what) = match error.kind() {
        Kind::PermissionDenied => (CACHE_IO, "this user may not write there"),
        Kind::ReadOnlyFilesystem => (CACHE_IO, "the file system is read-only"),
        Kind::StorageFull | Kind::QuotaExceeded => (
            super::error::DISK_FULL,
            "the disk has no room left; `models optimize` frees some",
        ),
        Kind::NotADirectory | Kind::AlreadyExists => (CACHE_IO, "a file is in the way of a folder"),
        _ => return CacheError::new(CACHE_IO, format!("{path}: {error}")),
    };
    let remedy = match code {
        CACHE_IO => {
            "; point POSE4D_CACHE_DIR or the option cacheDir at a folder that can be written"
        }
        _ => "",
    };
    CacheError::new(code, format!("{path}: {what} ({error}){remedy}"))
}

/// Refuses when `bytes` more do not fit below `folder`, before any of them is written.
pub fn check_room(folder: &Path, bytes: u64, what: &str) -> Result<(), CacheError> {
    match fs4::available_space(folder) {
        Ok(free) if free < bytes => Err(CacheError::new(
            super::error::DISK_FULL,
            format!(
                "{what} needs {bytes} bytes in {}, and {free} are free; free some space, or set \
                 POSE4D_CACHE_DIR to a folder on another disk",
                folder.display()
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings {
            cache: Some("/home/a/.cache".into()),
            folder: Some("/work".into()),
            ..Surroundings::default()
        }
    }

    #[test]
    fn the_callers_folder_goes_before_the_variable_before_the_default() {
        let mut around = around();
        assert_eq!(
            root(None, &around).unwrap(),
            Path::new("/home/a/.cache/4d-humans")
        );
        around
            .variables
            .insert("POSE4D_CACHE_DIR".into(), "".into());
        assert_eq!(
            root(None, &around).unwrap(),
            Path::new("/home/a/.cache/4d-humans")
        );
        around
            .variables
            .insert("POSE4D_CACHE_DIR".into(), "models".into());
        assert_eq!(root(None, &around).unwrap(), Path::new("/work/models"));
        let given = Path::new("/elsewhere");
        assert_eq!(root(Some(given), &around).unwrap(), given);
    }

    #[test]
    fn without_a_home_the_error_says_what_to_set() {
        let error = root(None, &Surroundings::default()).unwrap_err();
        assert_eq!(error.code, CACHE_IO);
        assert!(error.message.contains("POSE4D_CACHE_DIR"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let folder = std::env::temp_dir();
        assert!(check_room(&folder, 1, "it").is_ok());
        let error = check_room(&folder, u64::MAX / 2, "it").unwrap_err();
        assert_eq!(error.code, super::super::error::DISK_FULL);
        assert!(
            error.message.contains(&(u64::MAX / 2).to_string()),
            "{error}"
        );
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = create(&file.join("models")).unwrap_err();
        assert_eq!(error.code, CACHE_IO);
        assert!(error.message.contains("file is in the way"), "{error}");
    }
}
