//! Options of `models`: which cache is meant, and what is to be done with it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::{cache_to_js, to_js};
use super::fields::Fields;
use super::value::Value;
use crate::cache::store::{Options, Store};
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT};

/// Options that every function of the cache takes.
const COMMON: [&str; 2] = ["cacheDir", "offline"];

/// The cache that is meant, and the options that are left.
pub struct Asked {
    pub store: Store,
    pub offline: bool,
    pub fields: Fields,
}

/// Reads `options`, which may hold the common ones and those in `more`; `given` names files that
/// only the caller can find, by model.
pub fn cache(given: Value, options: Value, more: &[&str]) -> napi::Result<Asked> {
    let known: Vec<&str> = COMMON.iter().chain(more).copied().collect();
    let fields = Fields::new("options", options, &known).map_err(to_js)?;
    let cache_dir = fields.string("cacheDir").map_err(to_js)?.map(PathBuf::from);
    let offline = flag(&fields, "offline")? || is_offline();
    let open = |given| {
        let options = Options {
            cache_dir: cache_dir.clone(),
            given,
            manifest: None,
        };
        Store::open(options).map_err(cache_to_js)
    };
    let store = open(BTreeMap::new())?;
    // A manifest of the user's own need not know our packages.
    let given: BTreeMap<_, _> = paths(given)
        .into_iter()
        .filter(|(name, _)| store.manifest().entry(name).is_ok())
        .collect();
    Ok(Asked {
        store: if given.is_empty() { store } else { open(given)? },
        offline,
        fields,
    })
}

/// `POSE4D_OFFLINE`, set to anything but nothing, `0` or `false`.
fn is_offline() -> bool {
    let value = std::env::var_os("POSE4D_OFFLINE").unwrap_or_default();
    !value.is_empty() && value != "0" && !value.eq_ignore_ascii_case("false")
}

fn paths(given: Value) -> BTreeMap<String, PathBuf> {
    if !given.is_object() {
        return BTreeMap::new();
    }
    let path = |name: String| {
        let path = given.get(&name).ok()?.string()?;
        Some((name, PathBuf::from(path)))
    };
    given.keys().into_iter().filter_map(path).collect()
}

fn wrong(what: &str, expected: &str, got: &Value) -> napi::Error {
    let message = format!("{what} must be {expected}, but is {}", got.describe());
    to_js(EngineError::new(INVALID_ARGUMENT, message))
}

/// A string that is not empty, such as a path or a name.
pub fn text(value: Value, what: &str) -> napi::Result<String> {
    value
        .string()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| wrong(what, "a string that is not empty", &value))
}

pub fn optional_text(value: Value, what: &str) -> napi::Result<Option<String>> {
    if value.is_absent() {
        return Ok(None);
    }
    text(value, what).map(Some)
}

/// A list of names; absent where nothing was given.
pub fn names(value: Value) -> napi::Result<Option<Vec<String>>> {
    if value.is_absent() {
        return Ok(None);
    }
    let refuse = || wrong("names", "a name or an array of names", &value);
    let length = value.array_length().ok_or_else(refuse)?;
    let name = |i| text(value.at(i).map_err(|_| refuse())?, &format!("names[{i}]"));
    (0..length).map(name).collect::<napi::Result<_>>().map(Some)
}

/// An option that is off unless it is said to be on.
pub fn flag(fields: &Fields, name: &str) -> napi::Result<bool> {
    Ok(fields.boolean(name).map_err(to_js)?.unwrap_or(false))
}

/// `dtype`, or `precision`, as it is called elsewhere; `auto` is to leave it.
pub fn dtype(fields: &Fields) -> napi::Result<Option<String>> {
    let given = match fields.string("dtype").map_err(to_js)? {
        Some(dtype) => Some(dtype),
        None => fields.string("precision").map_err(to_js)?,
    };
    Ok(given.filter(|name| name != "auto"))
}
