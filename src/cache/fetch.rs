//! Downloads by name: single files or whole sets, each proven and unpacked.

use super::ensure::{self, Means};
use super::error::{ABORTED, CacheError};
use super::manifest::{Entry, Origin};
use super::progress::Watch;
use super::status::{self, Status};
use super::store::Store;

/// Makes sure that all that `names` mean is there; says where.
///
/// Sets leave out what only the user can supply. One file that cannot be had does not keep the
/// others from coming; it is the error in the end.
pub fn fetch(
    store: &Store,
    names: &[String],
    means: Means,
    watch: Watch,
) -> Result<Vec<Status>, CacheError> {
    let mut failures: Vec<CacheError> = Vec::new();
    let entries = entries(store, names)?;
    for entry in &entries {
        watch.check()?;
        match ensure::ensure(store, entry, means, watch) {
            Ok(_) => {}
            Err(error) if error.code == ABORTED => return Err(error),
            Err(error) => failures.push(error),
        }
    }
    let Some(first) = failures.first() else {
        let status = |entry: &&Entry| status::status(store, &entry.id);
        return entries.iter().map(status).collect();
    };
    let messages: Vec<_> = failures
        .iter()
        .map(|error| error.message.as_str())
        .collect();
    Err(CacheError::new(first.code, messages.join("\n")))
}

fn entries<'a>(store: &'a Store, names: &[String]) -> Result<Vec<&'a Entry>, CacheError> {
    let mut entries: Vec<&Entry> = Vec::new();
    for name in names {
        let is_set = store.manifest().sets().any(|set| set == name);
        for entry in store.manifest().select(name)? {
            let is_left_out = is_set && entry.source == Origin::User;
            if !is_left_out && !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}
