//! Drafts of model files made from others: copied, or converted.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::checkpoint::convert::{self, Target};
use crate::checkpoint::error::Kind;

use super::digest;
use super::error::{ABORTED, CacheError};
use super::manifest::Entry;
use super::place;
use super::progress::{Progress, Watch};

/// Copies, and checks that what was written is what was read before: a copy is never a guess.
pub fn copy(
    source: &Path,
    draft: &Path,
    entry: &Entry,
    watch: Watch,
) -> Result<String, CacheError> {
    let writing = |error: std::io::Error| place::refusal(draft, &error);
    let mut to = File::create(draft).map_err(writing)?;
    let mut hash = Sha256::new();
    digest::read_whole(source, entry, "copy", watch, |piece| {
        hash.update(piece);
        to.write_all(piece).map_err(writing)
    })?;
    Ok(digest::hex(&hash.finalize()))
}

/// Conversion that tells and can be cancelled.
pub fn convert(
    source: &Path,
    draft: &Path,
    options: &convert::Options,
    entry: &Entry,
    watch: Watch,
) -> Result<(), CacheError> {
    let mut step = |loaded: u64, total: u64| {
        watch.step(&Progress {
            phase: "convert",
            model: &entry.id,
            file: &entry.file,
            loaded,
            total: Some(total),
        })
    };
    match convert::convert(source, draft, options, &mut step) {
        Ok(_) => Ok(()),
        Err(error) if error.kind == Kind::Cancelled => {
            Err(CacheError::new(ABORTED, "the work was cancelled"))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a file of the manifest's format is written as.
pub fn target_of(format: &str) -> Option<Target> {
    match format {
        "torch" => Some(Target::Torch),
        "pickle" => Some(Target::Pickle),
        "safetensors" => Some(Target::Safetensors),
        _ => None,
    }
}

/// Whether two extensions mean one format.
pub fn same_format(a: &str, b: &str) -> bool {
    a == b
        || matches!((Target::from_extension(a), Target::from_extension(b)), (Some(a), Some(b)) if a == b)
}
