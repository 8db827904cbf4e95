//! 4D-Humans on its way into memory: sizes against what there is, networks to their desks.

use std::path::Path;
use std::sync::Arc;

use tch::Device;

use super::bell::Bell;
use super::desk::Desk;
use super::files::{Files, PhalpFiles};
use super::identity::Identity;
use super::networks::{Bodies, BodyFacts, Finder};
use super::post::{Account, AnyPost, Counter, Network, Open, Post};
use crate::checkpoint::dtype::DType;
use crate::layers::detection::heads::Choice;
use crate::layers::weights::Options;
use crate::models::error::ModelError;
use crate::models::hmr2::model::{self as hmr2, Hmr2};
use crate::models::person_detector::{self as detector, PersonDetector};
use crate::models::phalp::appearance::AppearanceEncoder;
use crate::models::phalp::pose_predictor::{self, PosePredictor};
use crate::models::smpl::body;
use crate::models::vitpose::model::{self as vitpose, VitPose};
use crate::pipeline::config::{DetectorChoice, EngineConfig, Precision, Preset, Weights};
use crate::pipeline::device::{device, fastest};
use crate::pipeline::error::{EngineError, MODEL_FILE};
use crate::pipeline::plan::machine::Machine;
use crate::pipeline::plan::report::{Component, Plan, Residence};
use crate::pipeline::plan::sizes::{ModelSize, Network as Kind, Sizes};
use crate::pipeline::plan::wish::{Asked, Detector, Wish};
use crate::pipeline::result::BoxSource;
use crate::runtime::threads::{multiplies_bf16, worker_count};

/// Crops in one forward pass where the caller does not say.
const BATCH_CPU: usize = 8;
const BATCH_CARD: usize = 32;
/// A box of less than a person's score, but of this part of it, is looked at where somebody known
/// is expected.
const WEAK: f32 = 0.5;
/// Decoded frames that are alive at most, beyond one per worker; of this many bytes each.
const FRAME: u64 = 1920 * 1080 * 3;

/// Sizes from the files' headers against the memory there is.
pub(super) fn plan(config: &EngineConfig, files: &Files) -> Result<Plan, EngineError> {
    let main = device(&config.device, fastest())?;
    let found = device(&config.detector_device, main)?;
    let size = |kind: Kind, path: &Path| {
        ModelSize::of_file(kind, path).map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))
    };
    let optional =
        |kind, path: Option<&std::path::PathBuf>| path.map(|path| size(kind, path)).transpose();
    let single = |path: &Path| {
        ModelSize::of_single(path).map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))
    };
    let sizes = Sizes {
        vitdet: optional(Kind::VitDet, files.vitdet.as_ref())?,
        regnety: optional(Kind::RegNetY, files.regnety.as_ref())?,
        hmr2: Some(size(Kind::Hmr2, &files.hmr2)?.and(single(&files.body)?)),
        vitpose: optional(Kind::VitPose, files.vitpose.as_ref().map(|(_, path)| path))?,
        phalp: match &files.phalp {
            Some(phalp) => {
                let encoder = size(Kind::Phalp, &phalp.hmar)?;
                Some(encoder.and(size(Kind::Phalp, &phalp.predictor)?))
            }
            None => None,
        },
    };
    let auto = |name: &str| name == "auto";
    let wish = Wish {
        detector: match config.detector {
            DetectorChoice::Auto => Asked::Auto(Detector::VitDet),
            DetectorChoice::VitDet => Asked::Fixed(Detector::VitDet),
            DetectorChoice::RegNetY => Asked::Fixed(Detector::RegNetY),
            DetectorChoice::FullImage => Asked::Fixed(Detector::None),
        },
        detector_device: match auto(&config.detector_device) {
            true => Asked::Auto(found),
            false => Asked::Fixed(found),
        },
        hmr2_device: main,
        vitpose_device: main,
        precision: match config.precision {
            Precision::Auto => Asked::Auto(usual_precision(main)),
            Precision::Fp32 => Asked::Fixed(DType::F32),
            Precision::Bf16 => Asked::Fixed(DType::BF16),
            Precision::Fp16 => Asked::Fixed(DType::F16),
        },
        batch: match (config.humans.batch_size, main) {
            (0, Device::Cpu) => BATCH_CPU,
            (0, _) => BATCH_CARD,
            (batch, _) => batch,
        },
        frame_bytes: FRAME * (worker_count(config.threads) as u64 + 9),
    };
    let budget = config.memory_budget_mb.map(|mb| mb.saturating_mul(1 << 20));
    let machine = Machine::read(&[main, found], budget);
    Plan::make(&wish, &sizes, &machine)
}

/// bf16 where it is several times as fast; else fp32.
fn usual_precision(device: Device) -> DType {
    if device.is_cuda() || multiplies_bf16() {
        DType::BF16
    } else {
        DType::F32
    }
}

/// Such as `4dhumans-hmr2b-vitdet-phalp`.
pub(super) fn version(config: &EngineConfig, files: &Files, boxes: Option<BoxSource>) -> String {
    let hmr2 = match config.humans.weights {
        Weights::A => "hmr2a",
        Weights::B => "hmr2b",
    };
    let boxes = boxes.unwrap_or(BoxSource::FullImage).as_str();
    let vitpose = files.vitpose.as_ref();
    let vitpose = vitpose.map_or_else(String::new, |(id, _)| format!("-{id}"));
    let phalp = files.phalp.as_ref().map_or("", |_| "-phalp");
    format!("4dhumans-{hmr2}-{boxes}{vitpose}{phalp}")
}

/// What beside the model changes what is seen of a frame.
pub(super) fn settings(config: &EngineConfig, plan: &Plan) -> String {
    let humans = &config.humans;
    let networks = plan.components.iter();
    let precision: Vec<String> = networks
        .map(|c| format!("{} {}", c.name, c.precision))
        .collect();
    format!(
        "{} preset {:?} score {:?} iou {:?} people {}",
        precision.join(" "),
        humans.preset,
        humans.score_threshold,
        humans.nms_iou,
        config.max_persons,
    )
}

pub(super) fn model_file(error: &ModelError) -> EngineError {
    EngineError::new(MODEL_FILE, error.to_string())
}

/// One device's owner in the making.
struct Place {
    device: Device,
    bell: Arc<Bell>,
    posts: Vec<Box<dyn AnyPost>>,
}

/// The detector at its desk.
pub(super) struct FoundBy {
    pub counter: Arc<Counter<Finder>>,
    pub source: BoxSource,
    /// The score above which somebody is a person.
    pub sure: f32,
}

/// Networks on their way to their desks.
pub(super) struct Opening<'a> {
    config: &'a EngineConfig,
    files: &'a Files,
    threads: usize,
    pub facts: Arc<BodyFacts>,
    desks: Vec<Place>,
    pub accounts: Vec<Arc<Account>>,
}

impl<'a> Opening<'a> {
    pub fn new(config: &'a EngineConfig, files: &'a Files) -> Self {
        Self {
            config,
            files,
            threads: worker_count(config.threads),
            facts: Arc::default(),
            desks: Vec::new(),
            accounts: Vec::new(),
        }
    }

    /// Starts every owner, which loads its networks.
    pub fn start(self) -> Result<Vec<Desk>, EngineError> {
        let start = |place: Place| {
            let Place {
                device,
                bell,
                posts,
            } = place;
            Desk::start(device, self.threads, bell, posts)
        };
        self.desks.into_iter().map(start).collect()
    }

    /// Gives a network its place at the desk of its device.
    fn post<N: Network + Send>(
        &mut self,
        part: &Component,
        batch: usize,
        open: Open<N>,
    ) -> Arc<Counter<N>> {
        let known = self.desks.iter().position(|desk| desk.device == part.place);
        let at = known.unwrap_or_else(|| {
            self.desks.push(Place {
                device: part.place,
                bell: Arc::default(),
                posts: Vec::new(),
            });
            self.desks.len() - 1
        });
        let account = Arc::new(Account::new(
            part.name,
            part.precision,
            part.device.clone(),
            part.weight_bytes,
            part.residence == Residence::Resident,
        ));
        self.accounts.push(Arc::clone(&account));
        let bell = self
            .desks
            .get(at)
            .map_or_else(Arc::default, |desk| Arc::clone(&desk.bell));
        let counter = Arc::new(Counter::new(bell));
        let post = Post::new(Arc::clone(&counter), open, account, batch);
        if let Some(desk) = self.desks.get_mut(at) {
            desk.posts.push(Box::new(post));
        }
        counter
    }

    pub fn vitpose(
        &mut self,
        path: &Path,
        part: &Component,
        batch: usize,
    ) -> Arc<Counter<VitPose>> {
        let path = path.to_path_buf();
        let settings = vitpose::Settings {
            precision: part.dtype,
            device: part.place,
            threads: self.threads,
        };
        let open = move || {
            let opened = VitPose::open(&path, settings);
            opened.map(|(net, _)| net).map_err(|e| model_file(&e))
        };
        self.post(part, batch, Box::new(open))
    }

    pub fn hmr2(
        &mut self,
        part: Option<&Component>,
        batch: usize,
    ) -> Result<Arc<Counter<Bodies>>, EngineError> {
        let unplanned = || EngineError::new(MODEL_FILE, "the plan has no place for HMR2");
        let part = part.ok_or_else(unplanned)?;
        let (files, facts) = (self.files.clone(), Arc::clone(&self.facts));
        let settings = hmr2::Settings {
            precision: part.dtype,
            device: part.place,
            threads: self.threads,
        };
        let open = move || {
            let files = hmr2::Files {
                checkpoint: &files.hmr2,
                config: &files.config,
                mean_params: files.mean_params.as_deref(),
                body: body::Files {
                    body: Some(&files.body),
                    regressor: files.regressor.as_deref(),
                },
            };
            let (model, _) = Hmr2::open(files, settings).map_err(|e| model_file(&e))?;
            Ok(Bodies::new(model, settings.device, &facts))
        };
        Ok(self.post(part, batch, Box::new(open)))
    }

    pub fn finder(&mut self, part: &Component) -> Result<FoundBy, EngineError> {
        let (path, kind, source) = match part.network {
            Kind::RegNetY => (
                &self.files.regnety,
                detector::Kind::RegNetY,
                BoxSource::RegNetY,
            ),
            _ => (
                &self.files.vitdet,
                detector::Kind::VitDet,
                BoxSource::VitDet,
            ),
        };
        let unplanned = || EngineError::new(MODEL_FILE, "the planned detector has no file");
        let path = path.clone().ok_or_else(unplanned)?;
        let settings = detector::Settings {
            precision: part.dtype,
            device: part.place,
            threads: self.threads,
        };
        let choice = self.choice(kind);
        let masks = self.files.phalp.is_some();
        let open = move || {
            let opened = match masks {
                true => PersonDetector::open_with_masks(kind, &path, settings),
                false => PersonDetector::open(kind, &path, settings),
            };
            let (detector, _) = opened.map_err(|e| model_file(&e))?;
            Ok(Finder {
                detector,
                choice,
                masks,
            })
        };
        Ok(FoundBy {
            sure: self.sure(kind).person,
            counter: self.post(part, 1, Box::new(open)),
            source,
        })
    }

    pub fn identity(&mut self, files: &PhalpFiles, part: &Component) -> Arc<Counter<Identity>> {
        let files = files.clone();
        let options = Options {
            precision: part.dtype,
            device: part.place,
            renames: &[],
            threads: self.threads,
        };
        let open = move || {
            let (encoder, _) =
                AppearanceEncoder::open(&files.hmar, options).map_err(|e| model_file(&e))?;
            let files = pose_predictor::Files {
                weights: &files.predictor,
                config: &files.predictor_config,
                mean_std: &files.mean_std,
            };
            let (predictor, _) = PosePredictor::open(files, options).map_err(|e| model_file(&e))?;
            Ok(Identity { encoder, predictor })
        };
        self.post(part, 1, Box::new(open))
    }

    /// Those half believed in are told, too.
    fn choice(&self, kind: detector::Kind) -> Choice {
        let sure = self.sure(kind);
        Choice {
            person: WEAK * sure.person,
            score: sure.score.min(WEAK * sure.person),
            ..sure
        }
    }

    /// Who is a person for sure.
    fn sure(&self, kind: detector::Kind) -> Choice {
        let humans = &self.config.humans;
        let preset = match humans.preset {
            Preset::Demo => kind.choice(),
            Preset::Phalp => kind.phalp_choice(),
        };
        let person = humans.score_threshold.unwrap_or(preset.person);
        Choice {
            person,
            // Below the preset's own threshold, those it would not even look at must take part.
            score: preset.score.min(person),
            overlap: humans.nms_iou.unwrap_or(preset.overlap),
            ..preset
        }
    }
}
