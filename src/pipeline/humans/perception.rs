//! 4D-Humans opened: files found, memory planned, networks loaded at their desks.

use std::path::Path;
use std::sync::Arc;

use tch::Device;

use super::bell::Bell;
use super::desk::Desk;
use super::files::Files;
use super::follow::Clip;
use super::look::Networks;
use super::networks::{Bodies, BodyFacts, BodyWork, Finder, Posing};
use super::person::{Shape, Sighting};
use super::post::{Account, AnyPost, Counter, Network, Open, Post};
use crate::cache::store::Store;
use crate::checkpoint::dtype::DType;
use crate::geometry::joints::KeypointSet;
use crate::layers::detection::heads::Choice;
use crate::models::error::ModelError;
use crate::models::hmr2::model::{self as hmr2, Hmr2};
use crate::models::person_detector::{self as detector, PersonDetector};
use crate::models::smpl::body;
use crate::models::smpl::rest::Rest;
use crate::models::vitpose::model::{self as vitpose, VitPose};
use crate::pipeline::config::{DetectorChoice, EngineConfig, Precision, Preset, Weights};
use crate::pipeline::control::JobControl;
use crate::pipeline::device::{device, fastest};
use crate::pipeline::error::{EngineError, KEYPOINT_SET, MODEL_FILE};
use crate::pipeline::perception::{Blind, ClipSettings, FrameView, ModelState, Perception};
use crate::pipeline::plan::machine::Machine;
use crate::pipeline::plan::report::{Component, Plan, Residence};
use crate::pipeline::plan::sizes::{ModelSize, Network as Kind, Sizes};
use crate::pipeline::plan::wish::{Asked, Detector, Wish};
use crate::pipeline::pool::Pool;
use crate::pipeline::result::{BoxSource, Person};
use crate::runtime::threads::{multiplies_bf16, worker_count};

/// Crops in one forward pass where the caller does not say.
const BATCH_CPU: usize = 8;
const BATCH_CARD: usize = 32;
/// Decoded frames that are alive at most, beyond one per worker; of this many bytes each.
const FRAME: u64 = 1920 * 1080 * 3;

/// The model family with its files, settings and owners.
pub struct Humans {
    shape: Shape,
    networks: Networks,
    accounts: Vec<Arc<Account>>,
    plan: Plan,
    max_persons: usize,
    max_predicted: u32,
    version: String,
}

impl Humans {
    /// Finds the files, plans the memory and loads every network. Blocks.
    pub fn open(config: &EngineConfig, store: &Store) -> Result<Self, EngineError> {
        let shape = shape(config)?;
        let files = Files::find(store, config)?;
        let plan = plan(config, &files)?;
        let mut opening = Opening {
            config,
            files: &files,
            threads: worker_count(config.threads),
            facts: Arc::default(),
            desks: Vec::new(),
            accounts: Vec::new(),
        };
        // Those nearest to a result first.
        let points = match (&files.vitpose, plan.component(Kind::VitPose)) {
            (Some((_, path)), Some(part)) => Some(opening.vitpose(path, part, plan.batch)),
            _ => None,
        };
        let bodies = opening.hmr2(plan.component(Kind::Hmr2), plan.batch)?;
        let finder = match plan.detector() {
            Some(part) => Some(opening.finder(part)?),
            None => None,
        };
        let version = version(config, &files, finder.as_ref().map(|(_, source)| *source));
        let (facts, accounts) = (Arc::clone(&opening.facts), opening.accounts);
        let threads = opening.threads;
        let mut desks = Vec::new();
        for Place {
            device,
            bell,
            posts,
        } in opening.desks
        {
            desks.push(Desk::start(device, threads, bell, posts)?);
        }
        let there = facts.joints.get().copied().unwrap_or(0);
        if there < shape.needs() {
            return Err(EngineError::new(
                MODEL_FILE,
                format!(
                    "the body has {there} of the {} joints that keypoints: '{}' needs; \
                     hmr2-joint-regressor (SMPL_to_J19.pkl) is missing",
                    shape.needs(),
                    set(config).as_str(),
                ),
            ));
        }
        Ok(Self {
            shape,
            networks: Networks {
                finder,
                bodies,
                points,
                facts,
                desks,
            },
            accounts,
            plan,
            max_persons: config.max_persons,
            max_predicted: config.humans.max_predicted,
            version,
        })
    }
}

fn set(config: &EngineConfig) -> KeypointSet {
    config.keypoints.unwrap_or(KeypointSet::Hmr44)
}

fn shape(config: &EngineConfig) -> Result<Shape, EngineError> {
    Shape::new(set(config), config.focal_length).ok_or_else(|| {
        EngineError::new(
            KEYPOINT_SET,
            format!(
                "4dhumans does not measure the keypoint set '{}', and keypoints are never \
                 invented; it measures: 'native', 'coco17', 'openpose25', 'smpl24', 'smplx45', \
                 'hmr44'",
                set(config).as_str()
            ),
        )
    })
}

/// Sizes from the files' headers against the memory there is.
fn plan(config: &EngineConfig, files: &Files) -> Result<Plan, EngineError> {
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

/// Such as `4dhumans-hmr2b-vitdet`.
fn version(config: &EngineConfig, files: &Files, boxes: Option<BoxSource>) -> String {
    let hmr2 = match config.humans.weights {
        Weights::A => "hmr2a",
        Weights::B => "hmr2b",
    };
    let boxes = boxes.unwrap_or(BoxSource::FullImage).as_str();
    let vitpose = files.vitpose.as_ref();
    let vitpose = vitpose.map_or_else(String::new, |(id, _)| format!("-{id}"));
    format!("4dhumans-{hmr2}-{boxes}{vitpose}")
}

fn model_file(error: &ModelError) -> EngineError {
    EngineError::new(MODEL_FILE, error.to_string())
}

/// One device's owner in the making.
struct Place {
    device: Device,
    bell: Arc<Bell>,
    posts: Vec<Box<dyn AnyPost>>,
}

struct Opening<'a> {
    config: &'a EngineConfig,
    files: &'a Files,
    threads: usize,
    facts: Arc<BodyFacts>,
    desks: Vec<Place>,
    accounts: Vec<Arc<Account>>,
}

impl Opening<'_> {
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

    fn vitpose(&mut self, path: &Path, part: &Component, batch: usize) -> Arc<Counter<VitPose>> {
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

    fn hmr2(
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

    fn finder(
        &mut self,
        part: &Component,
    ) -> Result<(Arc<Counter<Finder>>, BoxSource), EngineError> {
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
        let open = move || {
            let opened = PersonDetector::open(kind, &path, settings);
            let (detector, _) = opened.map_err(|e| model_file(&e))?;
            Ok(Finder { detector, choice })
        };
        Ok((self.post(part, 1, Box::new(open)), source))
    }

    fn choice(&self, kind: detector::Kind) -> Choice {
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

impl Perception for Humans {
    /// Workers decode and cut crops; tensors belong to the owners.
    type Worker = ();
    type Sightings = Vec<Sighting>;
    type State = Clip;
    type Trace = ();

    const LONE_FRAME_IS_PHOTO: bool = true;

    fn build_worker(&self, _index: usize) -> Result<(), EngineError> {
        Ok(())
    }

    fn new_state(&self, clip: &ClipSettings) -> Clip {
        Clip::new(!clip.tracking, self.max_predicted)
    }

    async fn look(
        &self,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
    ) -> Result<Vec<Sighting>, EngineError> {
        self.networks.look(pool, ctl, frame, self.max_persons).await
    }

    async fn follow(
        &self,
        state: &mut Clip,
        _pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
        mut sightings: Vec<Sighting>,
    ) -> Result<Vec<Person>, EngineError> {
        let start = std::time::Instant::now();
        let config = self.networks.config()?;
        let (width, height) = (frame.image.width, frame.image.height);
        let people = sightings
            .iter_mut()
            .map(|sighting| self.shape.person(sighting, config, width, height))
            .collect();
        let people = state.step(frame, people, &sightings);
        ctl.add_busy(start.elapsed());
        Ok(people)
    }

    fn miss(&self, state: &mut Clip, frame: &Blind) -> Vec<Person> {
        state.miss(frame.time_s)
    }

    fn max_predicted(&self) -> u32 {
        self.max_predicted
    }

    async fn embody(
        &self,
        ctl: &JobControl,
        people: Vec<Person>,
        mesh: bool,
    ) -> Result<Vec<Person>, EngineError> {
        let posing = |person: &Person| {
            person.smpl.as_ref().map(|smpl| {
                let rotations = [&smpl.global_orient[..], &smpl.body_pose].concat();
                BodyWork::Pose(Posing {
                    rotations,
                    betas: smpl.betas,
                    mesh,
                })
            })
        };
        let work: Vec<BodyWork> = people.iter().filter_map(posing).collect();
        let mut bodies = self.networks.bodies.order(ctl, work).await?.into_iter();
        let embodied = |person: Person| match person.smpl.as_ref().and_then(|_| bodies.next()) {
            Some(body) => self.shape.embodied(person, body),
            None => person,
        };
        Ok(people.into_iter().map(embodied).collect())
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn keypoints(&self) -> &'static str {
        self.shape.set().as_str()
    }

    fn device(&self) -> String {
        let part = self.plan.component(Kind::Hmr2);
        part.map_or_else(|| "cpu".into(), |part| part.device.clone())
    }

    fn executor(&self) -> Option<&'static str> {
        Some("tensors")
    }

    fn models(&self) -> Vec<ModelState> {
        self.accounts
            .iter()
            .map(|account| account.state())
            .collect()
    }

    fn plan(&self) -> Option<&Plan> {
        Some(&self.plan)
    }

    fn mesh_faces(&self) -> Option<&[u32]> {
        self.body().map(|rest| rest.faces.as_slice())
    }

    fn body(&self) -> Option<&Rest> {
        self.networks.facts.rest.get()
    }

    fn begin_close(&self) {
        self.networks.desks.iter().for_each(Desk::begin_close);
    }

    fn close(&self) {
        self.networks.desks.iter().for_each(Desk::close);
    }
}
