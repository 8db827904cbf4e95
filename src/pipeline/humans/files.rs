//! The files of 4D-Humans: which are needed, where they are, and what to say of those that are not.

use std::path::{Path, PathBuf};

use crate::cache::discover::Root;
use crate::cache::error::{LICENCE, MODEL_UNAVAILABLE};
use crate::cache::fast;
use crate::cache::lookup;
use crate::cache::manifest::{Entry, Origin};
use crate::cache::store::{Options, Store};
use crate::pipeline::config::{DetectorChoice, EngineConfig, TrackerChoice, Weights};
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT};

/// The manifest's name of the user's body model.
const SMPL: &str = "smpl-neutral";
const VITDET: &str = "vitdet-h";
const REGNETY: &str = "regnety";
/// In the order in which one that is there is taken: accuracy before size, up to B, whose cost
/// beside HMR2 is small; larger ones are for those who put nothing else there.
const VITPOSES: [&str; 11] = [
    "vitpose-b",
    "vitpose-b-mmpose",
    "vitpose-b-hf",
    "vitpose-b-simple",
    "vitpose-b-simple-hf",
    "vitpose-s",
    "vitpose-s-mmpose",
    "vitpose-l",
    "vitpose-l-mmpose",
    "vitpose-h",
    "vitpose-h-mmpose",
];
const WARMUP: &str = "npx pose4d warmup --model 4dhumans";
const IMPORT: &str = "npx pose4d models import --input <file> --name smpl-neutral";

/// Every file that is used, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    pub hmr2: PathBuf,
    pub config: PathBuf,
    /// Only where the checkpoint lacks its own.
    pub mean_params: Option<PathBuf>,
    pub regressor: Option<PathBuf>,
    pub body: PathBuf,
    pub vitdet: Option<PathBuf>,
    pub regnety: Option<PathBuf>,
    /// The model file's name and its place.
    pub vitpose: Option<(String, PathBuf)>,
    pub phalp: Option<PhalpFiles>,
}

/// What PHALP's tracker knows people by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhalpFiles {
    pub hmar: PathBuf,
    pub predictor: PathBuf,
    pub predictor_config: PathBuf,
    pub mean_std: PathBuf,
    pub bmap: PathBuf,
    pub fmap: PathBuf,
}

/// In the order of [`PhalpFiles`].
const PHALP: [&str; 6] = [
    "phalp-hmar",
    "phalp-pose-predictor",
    "phalp-pose-predictor-config",
    "phalp-mean-std",
    "phalp-bmap",
    "phalp-fmap",
];

/// A file that is needed and not usable.
struct Lack {
    id: String,
    file: String,
    error: EngineError,
    user: bool,
}

/// The cache that a configuration means.
pub fn store(config: &EngineConfig) -> Result<Store, EngineError> {
    let open = |given| {
        let options = Options {
            cache_dir: config.cache_dir.clone(),
            given,
            manifest: None,
        };
        Store::open(options).map_err(|e| EngineError::new(e.code, e.message))
    };
    let store = open(Default::default())?;
    match &config.smpl_path {
        Some(path) if store.manifest().entry(SMPL).is_ok() => {
            open([(SMPL.to_owned(), path.clone())].into())
        }
        _ => Ok(store),
    }
}

impl Files {
    /// Finds every file that `config` needs, or names all that are missing in one error.
    pub fn find(store: &Store, config: &EngineConfig) -> Result<Self, EngineError> {
        let mut search = Search {
            store,
            config,
            roots: store.roots(),
            lacks: Vec::new(),
        };
        search.check_names()?;
        let (hmr2, settings) = match config.humans.weights {
            Weights::A => ("hmr2a", "hmr2a-config"),
            Weights::B => ("hmr2", "hmr2-config"),
        };
        let hmr2 = search.needed(hmr2);
        let settings = search.needed(settings);
        let mean_params = search.optional("hmr2-mean-params");
        let regressor = search.needed("hmr2-joint-regressor");
        let (vitdet, regnety) = search.detectors();
        let body = search.needed(SMPL);
        let vitpose = search.vitpose();
        let phalp = search.phalp();
        match (hmr2, settings, regressor, body) {
            (Some(hmr2), Some(config), Some(regressor), Some(body)) if search.lacks.is_empty() => {
                Ok(Self {
                    hmr2,
                    config,
                    mean_params,
                    regressor: Some(regressor),
                    body,
                    vitdet,
                    regnety,
                    vitpose,
                    phalp,
                })
            }
            _ => Err(search.refusal()),
        }
    }
}

struct Search<'a> {
    store: &'a Store,
    config: &'a EngineConfig,
    roots: Vec<Root>,
    lacks: Vec<Lack>,
}

impl Search<'_> {
    /// A misspelt name must not be passed over.
    fn check_names(&self) -> Result<(), EngineError> {
        for name in self.config.humans.files.keys() {
            self.store.manifest().entry(name).map_err(|e| {
                EngineError::new(
                    INVALID_ARGUMENT,
                    format!("config.humans.files: {}", e.message),
                )
            })?;
        }
        Ok(())
    }

    fn given(&self, entry: &Entry) -> Option<&Path> {
        let files = &self.config.humans.files;
        let named = files.iter().find(|(name, _)| {
            let named = self.store.manifest().entry(name);
            named.is_ok_and(|named| named.id == entry.id)
        });
        named.map(|(_, path)| path.as_path())
    }

    /// The file of a manifest entry: the caller's own, else the best found.
    fn look(&self, id: &str) -> Result<PathBuf, Lack> {
        let lack = |entry: Option<&Entry>, code, message: String| Lack {
            id: id.to_owned(),
            file: entry.map_or_else(String::new, |e| e.file.clone()),
            error: EngineError::new(code, message),
            user: entry.is_some_and(|e| e.source == Origin::User),
        };
        let entry = match self.store.manifest().entry(id) {
            Ok(entry) => entry,
            Err(e) => return Err(lack(None, e.code, e.message)),
        };
        if let Some(path) = self.given(entry) {
            // What is in it the loading will tell.
            return match path.is_file() {
                true => Ok(path.to_path_buf()),
                false => {
                    let message = format!("{} is not there", path.display());
                    Err(lack(Some(entry), MODEL_UNAVAILABLE, message))
                }
            };
        }
        let sights = self.store.sights(entry, &self.roots);
        match sights.first() {
            // Only the form in full precision: one in bf16 would round what bf16 networks keep
            // in single precision, as the body's vertices.
            Some(sight) if sight.is_usable() => Ok(fast::find(self.store, entry, sight, "fp32")
                .map_or_else(|| sight.path.clone(), |form| form.path)),
            first => {
                let error = lookup::unusable(entry, first);
                Err(lack(Some(entry), error.code, error.message))
            }
        }
    }

    fn optional(&self, id: &str) -> Option<PathBuf> {
        self.look(id).ok()
    }

    fn needed(&mut self, id: &str) -> Option<PathBuf> {
        self.look(id).map_err(|lack| self.lacks.push(lack)).ok()
    }

    /// ViTDet and RegNetY, as far as they may be used.
    fn detectors(&mut self) -> (Option<PathBuf>, Option<PathBuf>) {
        match self.config.detector {
            DetectorChoice::FullImage => (None, None),
            DetectorChoice::VitDet => (self.needed(VITDET), None),
            DetectorChoice::RegNetY => (None, self.needed(REGNETY)),
            DetectorChoice::Auto => {
                let regnety = self.optional(REGNETY);
                let vitdet = match &regnety {
                    Some(_) => self.optional(VITDET),
                    None => self.needed(VITDET),
                };
                (vitdet, regnety)
            }
        }
    }

    fn vitpose(&mut self) -> Option<(String, PathBuf)> {
        match self.config.humans.vitpose.as_str() {
            "off" => None,
            "auto" => VITPOSES.iter().find_map(|id| {
                let path = self.optional(id)?;
                Some(((*id).to_owned(), path))
            }),
            id => Some((id.to_owned(), self.needed(id)?)),
        }
    }

    /// All of them, or none.
    fn phalp(&mut self) -> Option<PhalpFiles> {
        let found = match self.config.humans.tracker {
            TrackerChoice::Joints => return None,
            TrackerChoice::Phalp => PHALP.map(|id| self.needed(id)),
            TrackerChoice::Auto => PHALP.map(|id| self.optional(id)),
        };
        let [hmar, predictor, predictor_config, mean_std, bmap, fmap] = found;
        Some(PhalpFiles {
            hmar: hmar?,
            predictor: predictor?,
            predictor_config: predictor_config?,
            mean_std: mean_std?,
            bmap: bmap?,
            fmap: fmap?,
        })
    }

    /// One error that names every file.
    fn refusal(self) -> EngineError {
        let only_user = self.lacks.iter().all(|lack| lack.user);
        let wrong = self
            .lacks
            .iter()
            .find(|lack| ![MODEL_UNAVAILABLE, LICENCE].contains(&lack.error.code));
        let code = match (wrong, only_user) {
            (Some(wrong), _) => wrong.error.code,
            (None, true) => LICENCE,
            (None, false) => MODEL_UNAVAILABLE,
        };
        let mut lines = vec!["model '4dhumans' cannot be loaded; these files are needed:".into()];
        for lack in &self.lacks {
            // What to do is said once, at the end.
            let what = match lack.error.code {
                MODEL_UNAVAILABLE | LICENCE if !lack.error.message.contains("is not there") => {
                    "was not found".to_owned()
                }
                _ => lack.error.message.clone(),
            };
            lines.push(format!("- {} ({}): {what}", lack.id, lack.file));
        }
        if self.lacks.iter().any(|lack| !lack.user) {
            lines.push(format!("Fetch what is missing with `{WARMUP}`."));
        }
        if self.lacks.iter().any(|lack| lack.user) {
            lines.push(format!(
                "The SMPL body model is yours to supply: register at \
                 https://smplify.is.tue.mpg.de, then `{IMPORT}`, or name the file with smplPath."
            ));
        }
        EngineError::new(code, lines.join("\n"))
    }
}
