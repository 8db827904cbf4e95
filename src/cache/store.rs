//! The handle on one cache: its folder, its table of files, and where each file is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::{self, Root};
use super::error::CacheError;
use super::ledger::Ledger;
use super::manifest::{Entry, Manifest};
use super::place;
use super::sight::{self, Sight};
use super::surroundings::Surroundings;

/// What a caller may decide.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The cache folder; goes before `POSE4D_CACHE_DIR` and the default.
    pub cache_dir: Option<PathBuf>,
    /// Files the caller knows, by id: npm packages' files, the user's own SMPL model.
    pub given: BTreeMap<String, PathBuf>,
    /// Another table of files; `POSE4D_MANIFEST` else, the built-in one else.
    pub manifest: Option<PathBuf>,
}

/// A cache. Opening it creates nothing and reads nothing but the table.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    manifest: Arc<Manifest>,
    around: Surroundings,
    given: BTreeMap<String, PathBuf>,
    ledger: Ledger,
}

impl Store {
    pub fn open(options: Options) -> Result<Self, CacheError> {
        Self::open_in(options, Surroundings::of_process())
    }

    /// As [`Store::open`], in surroundings of the caller's.
    pub fn open_in(options: Options, around: Surroundings) -> Result<Self, CacheError> {
        let root = place::root(options.cache_dir.as_deref(), &around)?;
        let named = options
            .manifest
            .as_deref()
            .or_else(|| around.variable("POSE4D_MANIFEST"));
        let manifest = match named {
            Some(path) => Manifest::read(&around.absolute(path))?,
            None => Manifest::built_in()?,
        };
        let given = options
            .given
            .into_iter()
            .map(|(id, path)| Ok((manifest.entry(&id)?.id.clone(), around.absolute(&path))))
            .collect::<Result<_, CacheError>>()?;
        Ok(Self {
            ledger: Ledger::new(&root),
            root,
            manifest,
            around,
            given,
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn given(&self) -> &BTreeMap<String, PathBuf> {
        &self.given
    }

    /// Where `entry` lies when it is ours.
    pub fn place(&self, entry: &Entry) -> PathBuf {
        self.root.join(&entry.place)
    }

    /// The other tools' folders that exist now; taken once per operation.
    pub fn roots(&self) -> Vec<Root> {
        let mut roots = discover::roots(&self.around);
        roots.retain(|root| root.path != self.root);
        roots
    }

    /// Every file found that may be `entry`, best first.
    pub fn sights(&self, entry: &Entry, roots: &[Root]) -> Vec<Sight> {
        let mut sights: Vec<Sight> = Vec::new();
        let mut look = |path: &Path, origin: &str, repacked: bool| {
            let Some(sight) = sight::look(&self.ledger, entry, path, origin, repacked) else {
                return;
            };
            let same = |seen: &Sight| seen.real == sight.real;
            if sight.real.is_none() || !sights.iter().any(same) {
                sights.push(sight);
            }
        };
        if let Some(path) = self.given.get(&entry.id) {
            look(path, "given", false);
        }
        look(&self.place(entry), "cache", false);
        // The old guide had all files side by side.
        for name in discover::plain_names(entry) {
            look(&self.root.join(name), "cache", false);
        }
        for spot in discover::spots(entry, roots) {
            look(&spot.path, &spot.origin, spot.repacked);
        }
        // Stable: among equals the order above decides.
        sights.sort_by_key(|sight| std::cmp::Reverse(sight.rank()));
        sights
    }

    /// The best file that can be used, if there is one.
    pub fn best(&self, entry: &Entry, roots: &[Root]) -> Option<Sight> {
        let first = self.sights(entry, roots).into_iter().next()?;
        first.is_usable().then_some(first)
    }
}
