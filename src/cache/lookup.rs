//! The file to use for a model, or why there is none and what to do.

use super::error::{
    CacheError, LICENCE, MODEL_CORRUPT, MODEL_FILE, MODEL_HOSTILE, MODEL_UNAVAILABLE,
};
use super::ledger::Wrong;
use super::manifest::{Entry, Origin};
use super::sight::{Sight, State};
use super::status;
use super::store::Store;

/// The best file of an entry, or an error that says what to do.
pub fn usable(store: &Store, entry: &Entry) -> Result<Sight, CacheError> {
    let first = store.sights(entry, &store.roots()).into_iter().next();
    match first {
        Some(sight) if sight.is_usable() => Ok(sight),
        first => Err(unusable(entry, first.as_ref())),
    }
}

/// Why an entry cannot be used, and what to do.
pub fn unusable(entry: &Entry, sight: Option<&Sight>) -> CacheError {
    let remedy = status::remedy(entry, sight);
    let (code, what) = match sight {
        None if entry.source == Origin::User => (LICENCE, format!("{} was not found", entry.file)),
        None => (MODEL_UNAVAILABLE, format!("{} was not found", entry.file)),
        Some(sight) => {
            let (wrong, why) = match &sight.state {
                State::Faulty { wrong, why } => (*wrong, why.as_str()),
                _ => (Wrong::Unreadable, "not usable"),
            };
            let code = match wrong {
                Wrong::Corrupt => MODEL_CORRUPT,
                Wrong::Hostile => MODEL_HOSTILE,
                Wrong::Different | Wrong::Unreadable => MODEL_FILE,
            };
            (code, format!("{}: {why}", sight.path.display()))
        }
    };
    CacheError::new(code, format!("{}: {what}; {remedy}", entry.id))
}
