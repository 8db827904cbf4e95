//! Which depth network is meant, where its file is, and how it is called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cache::fast;
use crate::cache::lookup;
use crate::cache::store::{Options, Store};
use crate::models::midas::Kind;
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT, MODEL_UNAVAILABLE};

/// The family in the manifest.
pub const FAMILY: &str = "midas";

/// A network, by its name in torch.hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthModel(pub Kind);

impl DepthModel {
    pub const ALL: [Self; 4] = [
        Self(Kind::DptLarge),
        Self(Kind::DptHybrid),
        Self(Kind::MidasV21),
        Self(Kind::MidasSmall),
    ];

    /// As torch.hub and results call it.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// As the manifest and reports call it.
    pub fn id(self) -> &'static str {
        match self.0 {
            Kind::DptLarge => "dpt-large",
            Kind::DptHybrid => "dpt-hybrid",
            Kind::MidasV21 => "midas-v21",
            Kind::MidasSmall => "midas-v21-small",
        }
    }

    /// The network whose file is called so in the manifest.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.id() == id)
    }
}

impl Default for DepthModel {
    /// The most accurate one.
    fn default() -> Self {
        Self(Kind::DptLarge)
    }
}

impl Serialize for DepthModel {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DepthModel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let known = Kind::from_name(&name).map(Self);
        known.ok_or_else(|| D::Error::custom("a depth model that pose4d does not have"))
    }
}

/// The cache in that folder, or the usual one.
pub fn store(cache_dir: Option<&PathBuf>) -> Result<Store, EngineError> {
    let options = Options {
        cache_dir: cache_dir.cloned(),
        given: BTreeMap::default(),
        manifest: None,
    };
    Store::open(options).map_err(|e| EngineError::new(e.code, e.message))
}

/// The file to load: the caller's own of `files` (by any name of the manifest), else the best found,
/// in its fast form where there is one.
pub fn find(
    store: &Store,
    model: DepthModel,
    files: &BTreeMap<String, PathBuf>,
) -> Result<PathBuf, EngineError> {
    let from_cache = |e: crate::cache::error::CacheError| EngineError::new(e.code, e.message);
    let mut own = None;
    for (name, path) in files {
        let entry = store.manifest().entry(name);
        let known = entry.ok().and_then(|entry| DepthModel::of_id(&entry.id));
        match known {
            Some(named) if named == model => own = Some(path),
            Some(_) => {}
            None => {
                let names = DepthModel::ALL.map(|model| model.name()).join(", ");
                let message = format!(
                    "config.depth.files: there is no depth model {name:?}; there are: {names}"
                );
                return Err(EngineError::new(INVALID_ARGUMENT, message));
            }
        }
    }
    if let Some(path) = own {
        // What is in it the loading will tell.
        return match path.is_file() {
            true => Ok(path.clone()),
            false => Err(EngineError::new(
                MODEL_UNAVAILABLE,
                format!(
                    "{}: config.depth.files: {} is not there",
                    model.name(),
                    path.display()
                ),
            )),
        };
    }
    let entry = store.manifest().entry(model.id()).map_err(from_cache)?;
    match store.sights(entry, &store.roots()).first() {
        Some(sight) if sight.is_usable() => Ok(fast::find(store, entry, sight, "fp32")
            .map_or_else(|| sight.path.clone(), |form| form.path)),
        first => Err(from_cache(lookup::unusable(entry, first))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_has_its_entry_in_the_manifest_and_its_name_in_torch_hub() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(Some(&folder.path().to_path_buf())).unwrap();
        for model in DepthModel::ALL {
            let entry = store.manifest().entry(model.name()).unwrap();
            assert_eq!(
                (entry.id.as_str(), entry.family.as_str()),
                (model.id(), FAMILY)
            );
            assert_eq!(DepthModel::of_id(model.id()), Some(model));
            let json = serde_json::to_string(&model).unwrap();
            assert_eq!(serde_json::from_str::<DepthModel>(&json).unwrap(), model);
        }
        assert!(serde_json::from_str::<DepthModel>("\"MiDaS_huge\"").is_err());
    }

    #[test]
    fn a_file_of_the_callers_own_comes_before_the_caches() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(Some(&folder.path().to_path_buf())).unwrap();
        let own = folder.path().join("mine.pt");
        let files = |name: &str| BTreeMap::from([(name.to_owned(), own.clone())]);
        let code = |name: &str| {
            let found = find(&store, DepthModel(Kind::MidasV21), &files(name));
            found.map_err(|e| e.code)
        };
        assert_eq!(code("midas-v21"), Err(MODEL_UNAVAILABLE));
        std::fs::write(&own, "x").unwrap();
        assert_eq!(code("midas-v21"), Ok(own.clone()));
        assert_eq!(code("MiDaS"), Ok(own.clone()));
        assert_eq!(code("midas"), Err(INVALID_ARGUMENT));
        assert_eq!(code("hmr2"), Err(INVALID_ARGUMENT));
    }
}
