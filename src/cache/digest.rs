//! Hashes of whole files, told as they go.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::error::{CACHE_IO, CacheError};
use super::files::Stamp;
use super::manifest::{Algorithm, Entry};
use super::progress::{Progress, Watch};

const PIECE: usize = 1 << 20;

/// Of one state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub stamp: Stamp,
    pub sha256: String,
    /// Only where the published prefix is one of MD5.
    pub md5: Option<String>,
}

/// Reads all of `path`; a file that changes meanwhile is an error, not a hash of neither state.
pub fn of_file(path: &Path, entry: &Entry, watch: Watch) -> Result<Digest, CacheError> {
    let by_md5 = |prefix: &super::manifest::Prefix| prefix.algorithm == Algorithm::Md5;
    let mut md5 = entry.prefix.as_ref().is_some_and(by_md5).then(Md5::new);
    let mut sha256 = Sha256::new();
    let stamp = read_whole(path, entry, "verify", watch, |piece| {
        sha256.update(piece);
        if let Some(md5) = &mut md5 {
            md5.update(piece);
        }
        Ok(())
    })?;
    Ok(Digest {
        stamp,
        sha256: hex(&sha256.finalize()),
        md5: md5.map(|md5| hex(&md5.finalize())),
    })
}

/// Gives every piece of `path` to `take`; an error when the file is another at the end than at
/// the beginning.
pub fn read_whole(
    path: &Path,
    entry: &Entry,
    phase: &'static str,
    watch: Watch,
    mut take: impl FnMut(&[u8]) -> Result<(), CacheError>,
) -> Result<Stamp, CacheError> {
    let io = |error: std::io::Error| {
        CacheError::new(CACHE_IO, format!("cannot read {}: {error}", path.display()))
    };
    let mut file = File::open(path).map_err(io)?;
    let stamp = Stamp::of(&file.metadata().map_err(io)?);
    let mut piece = vec![0; PIECE];
    let mut loaded = 0;
    loop {
        let n = file.read(&mut piece).map_err(io)?;
        if n == 0 {
            break;
        }
        take(&piece[..n])?;
        loaded += n as u64;
        let progress = Progress {
            phase,
            model: &entry.id,
            file: &entry.file,
            loaded,
            total: Some(stamp.bytes),
        };
        if !watch.step(&progress) {
            watch.check()?;
        }
    }
    let after = Stamp::of(&file.metadata().map_err(io)?);
    if loaded != stamp.bytes || !stamp.looks_untouched(&after) {
        let message = format!("{} changed while it was read; try again", path.display());
        return Err(CacheError::new(CACHE_IO, message));
    }
    Ok(stamp)
}

pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the published hashes say: `None` where none is published.
pub fn compare(digest: &Digest, entry: &Entry) -> Option<Result<(), String>> {
    if let Some(published) = &entry.sha256 {
        return Some(if *published == digest.sha256 {
            Ok(())
        } else {
            Err(format!(
                "its SHA-256 is {}, published is {published}",
                digest.sha256
            ))
        });
    }
    let prefix = entry.prefix.as_ref()?;
    let (name, found) = match prefix.algorithm {
        Algorithm::Sha256 => ("SHA-256", digest.sha256.as_str()),
        Algorithm::Md5 => ("MD5", digest.md5.as_deref()?),
    };
    Some(if found.starts_with(&prefix.hex) {
        Ok(())
    } else {
        Err(format!(
            "its {name} is {found}, published is {}…",
            prefix.hex
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::manifest::Manifest;

    #[test]
    fn hashes_are_the_well_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let table = Manifest::built_in().unwrap();
        let digest = of_file(&path, table.entry("regnety").unwrap(), Watch::SILENT).unwrap();
        assert_eq!(
            digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest.md5.as_deref(),
            Some("900150983cd24fb0d6963f7d28e17f72")
        );
        assert!(
            compare(&digest, table.entry("regnety").unwrap())
                .unwrap()
                .is_err()
        );
        assert!(compare(&digest, table.entry("hmr2").unwrap()).is_none());
        assert!(
            of_file(&path, table.entry("vitdet-h").unwrap(), Watch::SILENT)
                .unwrap()
                .md5
                .is_some()
        );
        assert!(
            of_file(&path, table.entry("hmr2").unwrap(), Watch::SILENT)
                .unwrap()
                .md5
                .is_none()
        );
    }

    #[test]
    fn the_package_in_node_modules_is_the_one_of_the_table() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/@mediapipe/pose");
        if !package.exists() {
            return;
        }
        let table = Manifest::built_in().unwrap();
        for entry in table.select("blazepose").unwrap() {
            let digest = of_file(&package.join(&entry.file), entry, Watch::SILENT).unwrap();
            assert_eq!(compare(&digest, entry), Some(Ok(())), "{}", entry.id);
            assert_eq!(
                entry.exact_bytes(),
                Some(digest.stamp.bytes),
                "{}",
                entry.id
            );
        }
    }

    #[test]
    fn a_cancelled_hash_ends_with_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let table = Manifest::built_in().unwrap();
        let watch = Watch {
            cancelled: &|| true,
            ..Watch::SILENT
        };
        let error = of_file(&path, table.entry("hmr2").unwrap(), watch).unwrap_err();
        assert_eq!(error.code, crate::cache::error::ABORTED);
    }
}
