//! A model family made ready before it is needed: files fetched, proven, unpacked, in their fast
//! form, every weight loaded once, and a frame run where the engine runs the family.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tch::Device;

use super::config::{DetectorChoice, EngineConfig, Precision};
use super::depth::model::{DepthModel, FAMILY};
use super::depth::{self, stand};
use super::humans::trial;
use super::perception::ModelState;
use super::plan::report::{Plan, device_name};
use super::rehearsal::{self, Rehearsal};
use crate::cache::download::request as download;
use crate::cache::error::{ABORTED, CacheError};
use crate::cache::fast;
use crate::cache::manifest::Entry;
use crate::cache::network::with_means;
use crate::cache::prepare::{self, PrepareOptions, Prepared, Readiness};
use crate::cache::progress::{Progress, Watch};
use crate::cache::store::Store;
use crate::cache::structure;
use crate::checkpoint::dtype::DType;

/// How a family is to be loaded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `fp32`, `bf16` or `fp16`; each model's own where it is not given.
    pub precision: Option<String>,
    pub device: Device,
    /// Threads that read.
    pub threads: usize,
    /// Nothing is fetched.
    pub offline: bool,
}

/// How far it got on the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overall {
    /// Every model is loaded.
    Ready,
    /// Some are.
    Partial,
    /// None is.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Loaded,
    Missing,
    Error,
}

/// A model: the files of one network.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    pub status: Outcome,
    pub load_time_seconds: f64,
    /// What is missing or wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `fp32`, `bf16` or `fp16`: what the network computes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Of its parameters in that precision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    pub files: Vec<Prepared>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub status: Overall,
    pub message: String,
    /// By the network's name.
    pub models: BTreeMap<String, Model>,
    /// How they were made to fit into memory, where the engine ran them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_plan: Option<Plan>,
}

/// The sets that the engine runs, and how it finds people with each.
const FAMILIES: [(&str, DetectorChoice); 3] = [
    ("4dhumans", DetectorChoice::VitDet),
    ("4dhumans-light", DetectorChoice::RegNetY),
    ("4dhumans-full-image", DetectorChoice::FullImage),
];
/// Components that the engine loads itself.
const OF_ENGINE: [&str; 4] = ["hmr2", "vitdet", "regnety", "smpl"];

/// Prepares and loads the models of `names` (families, or single files), one after another.
///
/// Only cancellation and names that are none are errors; the rest is in the report.
pub fn warm(
    store: &Store,
    names: &[String],
    settings: &Settings,
    watch: Watch,
) -> Result<Report, CacheError> {
    let family = names
        .iter()
        .find_map(|name| FAMILIES.into_iter().find(|(set, _)| set == name));
    let mut of_depth = false;
    for name in names {
        let entries = store.manifest().select(name)?;
        of_depth |= entries.iter().any(|entry| entry.family == FAMILY);
    }
    let options = PrepareOptions {
        // The engine casts while it loads: a fast form in bf16 would round what stays in fp32.
        precision: settings
            .precision
            .clone()
            .filter(|_| family.is_none() && !of_depth),
        ..PrepareOptions::default()
    };
    let network = download::Settings {
        offline: settings.offline,
        ..download::Settings::default()
    };
    let prepared = with_means(&network, |means| {
        prepare::prepare(store, names, &options, means, watch)
    })?;
    let of_engine = |file: &Prepared| OF_ENGINE.contains(&file.component.as_str());
    let complete = prepared
        .iter()
        .filter(|file| of_engine(file))
        .all(|file| file.status == Readiness::Ready);
    let family = family.filter(|_| complete);
    let mut models: BTreeMap<String, Model> = BTreeMap::new();
    for mut file in prepared {
        let entry = store.manifest().entry(&file.id)?;
        let (mut seconds, mut of_run) = (0.0, None);
        let skip = family.is_some() && of_engine(&file);
        if let Some(path) = file
            .path
            .clone()
            .filter(|_| file.status == Readiness::Ready && !skip)
        {
            let loaded = match DepthModel::of_id(&entry.id) {
                Some(model) => {
                    let state = run_depth(model, &path, settings, watch)?;
                    state.map(|state| {
                        let seconds = state.load_seconds.unwrap_or(0.0);
                        of_run = Some(state);
                        seconds
                    })
                }
                None => load(entry, &path, &file, settings, watch)
                    .map(|loaded| loaded.map_or(0.0, |loaded| loaded.time.as_secs_f64())),
            };
            match loaded {
                Ok(spent) => seconds = spent,
                Err(error) if error.code == ABORTED => return Err(error),
                Err(error) => {
                    file.status = Readiness::Failed;
                    file.code = Some(error.code);
                    file.problem = Some(error.message);
                }
            }
        }
        // Of a family of networks each is a model of its own.
        let key = match entry.family.as_str() {
            FAMILY => file.id.clone(),
            _ => file.component.clone(),
        };
        let model = models.entry(key).or_insert_with(Model::new);
        model.load_time_seconds += seconds;
        if let Some(state) = of_run {
            model.precision = Some(state.precision);
            model.device = Some(state.device);
            model.bytes = Some(state.bytes);
        }
        model.add(file);
    }
    let plan = match family {
        Some((_, detector)) => run(store, settings, detector, &mut models, watch)?,
        None => None,
    };
    Ok(Report::new(names, models, plan))
}

/// Sends a frame through the family, and notes how each network did.
fn run(
    store: &Store,
    settings: &Settings,
    detector: DetectorChoice,
    models: &mut BTreeMap<String, Model>,
    watch: Watch,
) -> Result<Option<Plan>, CacheError> {
    watch.check()?;
    watch.step(&Progress {
        phase: "run",
        model: "4dhumans",
        file: "",
        loaded: 0,
        total: None,
    });
    let config = EngineConfig {
        device: device_name(settings.device),
        detector,
        precision: match settings.precision.as_deref() {
            Some("fp32") => Precision::Fp32,
            Some("bf16") => Precision::Bf16,
            Some("fp16") => Precision::Fp16,
            _ => Precision::Auto,
        },
        threads: settings.threads,
        ..EngineConfig::default()
    };
    let warmed = match trial::run(&config, store, watch) {
        Ok(warmed) => warmed,
        Err(error) => {
            watch.check()?;
            let whole = models
                .entry("4dhumans".to_owned())
                .or_insert_with(Model::new);
            whole.status = Outcome::Error;
            whole.message = Some(error.message);
            return Ok(None);
        }
    };
    for state in warmed.models {
        let model = models
            .entry(state.name.to_owned())
            .or_insert_with(Model::new);
        model.load_time_seconds = state.load_seconds.unwrap_or(0.0);
        model.precision = Some(state.precision);
        model.device = Some(state.device);
        model.bytes = Some(state.bytes);
    }
    Ok(warmed.plan)
}

/// A depth network loaded, and a frame sent through it. `Err` where nobody waits for it any more.
fn run_depth(
    model: DepthModel,
    path: &Path,
    settings: &Settings,
    watch: Watch,
) -> Result<Result<ModelState, CacheError>, CacheError> {
    watch.check()?;
    watch.step(&Progress {
        phase: "run",
        model: model.id(),
        file: "",
        loaded: 0,
        total: None,
    });
    let precision = settings.precision.as_deref();
    let how = stand::Settings {
        device: device_name(settings.device),
        precision: precision.and_then(DType::from_name),
        threads: settings.threads,
        ..stand::Settings::default()
    };
    Ok(depth::trial::run(model, path, &how).map_err(|e| CacheError::new(e.code, e.message)))
}

/// Loads one file as its network would; nothing for what only brings other files.
fn load(
    entry: &Entry,
    path: &Path,
    file: &Prepared,
    settings: &Settings,
    watch: Watch,
) -> Result<Option<Rehearsal>, CacheError> {
    let mut progress = |loaded, total| {
        watch.step(&Progress {
            phase: "load",
            model: &entry.id,
            file: &entry.file,
            loaded,
            total: Some(total),
        })
    };
    let precision = file.precision.as_deref().or(settings.precision.as_deref());
    match fast::dtype(entry, precision)? {
        Some((_, dtype)) => {
            let Settings {
                device, threads, ..
            } = *settings;
            rehearsal::load(path, dtype, device, threads, &mut progress).map(Some)
        }
        None if structure::can_open(entry) => rehearsal::read(path, &mut progress).map(Some),
        None => Ok(None),
    }
}

impl Model {
    fn new() -> Self {
        Self {
            status: Outcome::Loaded,
            load_time_seconds: 0.0,
            message: None,
            precision: None,
            device: None,
            bytes: None,
            files: Vec::new(),
        }
    }

    fn add(&mut self, file: Prepared) {
        let outcome = match file.status {
            Readiness::Ready => Outcome::Loaded,
            Readiness::Missing => Outcome::Missing,
            Readiness::Failed => Outcome::Error,
        };
        // What is wrong weighs more than what is missing.
        if self.status == Outcome::Loaded || outcome == Outcome::Error {
            self.status = outcome;
        }
        if let Some(problem) = &file.problem {
            let message = self.message.get_or_insert_default();
            // One archive that is missing is what all its members lack.
            if !message.lines().any(|line| line == problem) {
                let gap = if message.is_empty() { "" } else { "\n" };
                *message = format!("{message}{gap}{problem}");
            }
        }
        self.files.push(file);
    }
}

impl Report {
    /// `plan`: of the family that a frame was run through.
    fn new(names: &[String], models: BTreeMap<String, Model>, plan: Option<Plan>) -> Self {
        let of = |outcome| {
            let named = models
                .iter()
                .filter(move |(_, model)| model.status == outcome);
            named.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
        };
        let (loaded, missing, wrong) = (
            of(Outcome::Loaded),
            of(Outcome::Missing),
            of(Outcome::Error),
        );
        let status = match (loaded.len(), models.len()) {
            (loaded, all) if loaded == all => Overall::Ready,
            (0, _) => Overall::Error,
            _ => Overall::Partial,
        };
        let mut message = format!(
            "{}: {} of {} models are loaded",
            names.join(", "),
            loaded.len(),
            models.len()
        );
        for (what, which) in [("missing", missing), ("wrong", wrong)] {
            if !which.is_empty() {
                message.push_str(&format!("; {what}: {}", which.join(", ")));
            }
        }
        message.push_str(match plan {
            Some(_) => ". A frame went the whole way",
            None => ". No frame was run",
        });
        Self {
            status,
            message,
            models,
            memory_plan: plan,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(component: &str, status: Readiness, problem: Option<&str>) -> Prepared {
        Prepared {
            id: component.into(),
            component: component.into(),
            status,
            path: None,
            bytes: None,
            precision: None,
            source_path: None,
            origin: None,
            downloaded: false,
            unpacked: false,
            converted: false,
            seconds: 0.0,
            code: None,
            problem: problem.map(str::to_owned),
        }
    }

    fn model(files: impl IntoIterator<Item = Prepared>) -> Model {
        let mut model = Model::new();
        files.into_iter().for_each(|file| model.add(file));
        model
    }

    #[test]
    fn one_bad_file_is_a_model_that_is_not_loaded() {
        use Readiness::{Failed, Missing, Ready};
        let ready = || file("a", Ready, None);
        let missing = || file("a", Missing, Some("no archive"));
        let failed = || file("a", Failed, Some("cut off"));
        assert_eq!(model([ready(), ready()]).status, Outcome::Loaded);
        assert_eq!(
            model([ready(), missing(), ready()]).status,
            Outcome::Missing
        );
        assert_eq!(
            model([missing(), failed(), missing()]).status,
            Outcome::Error
        );
        let told = model([missing(), missing(), failed()]).message;
        assert_eq!(told.as_deref(), Some("no archive\ncut off"));
    }

    #[test]
    fn the_whole_is_ready_partial_or_an_error() {
        let loaded = || ("a".to_owned(), model([file("a", Readiness::Ready, None)]));
        let missing = || ("b".to_owned(), model([file("b", Readiness::Missing, None)]));
        let report = |models: Vec<(String, Model)>| {
            Report::new(&["set".into()], models.into_iter().collect(), None)
        };
        assert_eq!(report(vec![loaded()]).status, Overall::Ready);
        assert_eq!(report(vec![missing()]).status, Overall::Error);
        let partial = report(vec![loaded(), missing()]);
        assert_eq!(partial.status, Overall::Partial);
        assert!(
            partial
                .message
                .starts_with("set: 1 of 2 models are loaded; missing: b.")
        );
    }
}
