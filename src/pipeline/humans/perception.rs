//! 4D-Humans behind the engine's interface.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::back::{Memories, Place, Step, Trace};
use super::desk::Desk;
use super::files::Files;
use super::follow::Clip;
use super::identity::Asker;
use super::look::{IdentityDesk, Meters, Networks, Sightings};
use super::networks::{BodyWork, Posing};
use super::opening::{self, Opening, model_file};
use super::person::Shape;
use super::post::Account;
use super::smooth::Smoothing;
use crate::cache::store::Store;
use crate::geometry::joints::KeypointSet;
use crate::models::phalp::atlas::Atlas;
use crate::models::smpl::VERTICES;
use crate::models::smpl::rest::Rest;
use crate::pipeline::config::{EngineConfig, TrackerPreset};
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{EngineError, INTERNAL, KEYPOINT_SET, MODEL_FILE};
use crate::pipeline::past::reach;
use crate::pipeline::perception::{
    Back, Blind, ClipSettings, Earlier, FrameView, Mode, ModelState, Perception,
};
use crate::pipeline::plan::report::Plan;
use crate::pipeline::plan::sizes::Network as Kind;
use crate::pipeline::pool::Pool;
use crate::pipeline::result::{Person, Source};
use crate::tracking::phalp::config::{Config as PhalpConfig, EQ_010_CUT};

/// The model family with its files, settings and owners.
pub struct Humans {
    shape: Shape,
    networks: Networks,
    accounts: Vec<Arc<Account>>,
    plan: Plan,
    max_persons: usize,
    max_predicted: u32,
    smoothing: bool,
    preset: TrackerPreset,
    version: String,
    /// All else that changes what is seen.
    settings: String,
}

impl Humans {
    /// Finds the files, plans the memory and loads every network. Blocks.
    pub fn open(config: &EngineConfig, store: &Store) -> Result<Self, EngineError> {
        let shape = shape(config)?;
        let files = Files::find(store, config)?;
        let plan = opening::plan(config, &files)?;
        let mut opening = Opening::new(config, &files);
        // Those nearest to a result first.
        let identity = match (&files.phalp, plan.component(Kind::Phalp)) {
            (Some(phalp), Some(part)) => Some((phalp, opening.identity(phalp, part))),
            _ => None,
        };
        let points = match (&files.vitpose, plan.component(Kind::VitPose)) {
            (Some((_, path)), Some(part)) => Some(opening.vitpose(path, part, plan.batch)),
            _ => None,
        };
        let bodies = opening.hmr2(plan.component(Kind::Hmr2), plan.batch)?;
        let finder = match plan.detector() {
            Some(part) => Some(opening.finder(part)?),
            None => None,
        };
        let source = finder.as_ref().map(|finder| finder.source);
        let version = opening::version(config, &files, source);
        let settings = opening::settings(config, &plan);
        let (facts, accounts) = (Arc::clone(&opening.facts), opening.accounts.clone());
        let desks = opening.start()?;
        let identity = match identity {
            Some((files, counter)) => {
                let missing = || EngineError::new(INTERNAL, "HMR2 has no body; please report this");
                let faces = &facts.rest.get().ok_or_else(missing)?.faces;
                let vertices = usize::try_from(VERTICES).unwrap_or(0);
                let atlas = Atlas::open(&files.bmap, &files.fmap, faces, vertices);
                Some(IdentityDesk {
                    counter,
                    atlas: Arc::new(atlas.map_err(|e| model_file(&e))?),
                })
            }
            None => None,
        };
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
                sure: finder.as_ref().map_or(0.0, |finder| finder.sure),
                finder: finder.map(|finder| (finder.counter, finder.source)),
                bodies,
                points,
                identity,
                facts,
                desks,
            },
            accounts,
            plan,
            max_persons: config.max_persons,
            max_predicted: config.humans.max_predicted,
            smoothing: config.humans.smoothing,
            preset: config.humans.tracker_preset,
            version,
            settings,
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

/// As published, but for cuts, which are minded with either.
fn phalp_config(preset: TrackerPreset) -> PhalpConfig {
    match preset {
        TrackerPreset::Ava => PhalpConfig::films(),
        TrackerPreset::PoseTrack => PhalpConfig {
            cut: Some(EQ_010_CUT),
            ..PhalpConfig::default()
        },
    }
}

/// All of a second look counts as one stage.
fn meters(ctl: &JobControl) -> Meters {
    Meters {
        crop: ctl.clone(),
        hmr2: ctl.clone(),
        vitpose: ctl.clone(),
    }
}

/// What a clip remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    people: Clip,
    /// Where people are smoothed as they are followed.
    smoothing: Option<Smoothing>,
    /// Where people are looked for backward in time.
    back: Option<Memories>,
}

impl Perception for Humans {
    /// Workers decode and cut crops; tensors belong to the owners.
    type Worker = ();
    type Sightings = Sightings;
    type State = Memory;
    type Trace = Trace;

    const LONE_FRAME_IS_PHOTO: bool = true;

    fn build_worker(&self, _index: usize) -> Result<(), EngineError> {
        Ok(())
    }

    fn new_state(&self, clip: &ClipSettings) -> Memory {
        let most = self.max_predicted;
        let people = match (clip.tracking, &self.networks.identity) {
            (false, _) => Clip::photo(),
            (true, None) => Clip::by_joints(most),
            (true, Some(_)) => Clip::by_phalp(phalp_config(self.preset), most),
        };
        let looks_back = clip.tracking && clip.mode == Mode::Offline && self.reach_back() > 0;
        let smooths = self.smoothing && clip.tracking && clip.mode == Mode::Online;
        Memory {
            people,
            smoothing: smooths.then(Smoothing::default),
            back: looks_back.then(|| Memories::new(self.reach_back(), most)),
        }
    }

    fn looks_with(&self) -> String {
        self.settings.clone()
    }

    async fn look(
        &self,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
    ) -> Result<Sightings, EngineError> {
        self.networks.look(pool, ctl, frame, self.max_persons).await
    }

    async fn follow(
        &self,
        state: &mut Memory,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
        sightings: Sightings,
    ) -> Result<Vec<Person>, EngineError> {
        let Sightings {
            people: mut sightings,
            weak,
            source,
        } = sightings;
        let sure = sightings.len();
        let again = state
            .people
            .worth_a_second_look(frame, &sightings, weak.clone());
        if !again.is_empty() {
            let meters = meters(ctl);
            let seen = self.networks.see(pool, &meters, frame, again, source);
            sightings.extend(seen.await?);
        }
        let start = std::time::Instant::now();
        let config = self.networks.config()?;
        let (width, height) = (frame.image.width, frame.image.height);
        let mut people = Vec::with_capacity(sightings.len());
        for (at, sighting) in sightings.iter_mut().enumerate() {
            let mut person = self.shape.person(sighting, config, width, height);
            if at >= sure {
                person.source = Source::Recovered;
            }
            people.push(person);
        }
        ctl.add_busy(start.elapsed());
        let identity = self.networks.identity.as_ref();
        let mut asker = identity.map(|desk| Asker {
            counter: &desk.counter,
            ctl,
        });
        let people = state.people.step(frame, people, &sightings, asker.as_mut());
        let mut people = people.await?;
        if let Some(smoothing) = &mut state.smoothing {
            smoothing.apply(frame.time_s, &mut people);
        }
        // Who was predicted or smoothed has parameters, and no body yet.
        let (bare, mut told): (Vec<Person>, Vec<Person>) = people
            .into_iter()
            .partition(|p| p.smpl.is_some() && (p.source == Source::Predicted || p.raw.is_some()));
        if !bare.is_empty() {
            told.extend(self.embody(ctl, bare, frame.mesh).await?);
            told.sort_by_key(|person| person.track_id);
        }
        if let Some(back) = &mut state.back {
            back.see(frame, &told, &weak, source);
        }
        Ok(told)
    }

    fn miss(&self, state: &mut Memory, frame: &Blind) -> Vec<Person> {
        let told = state.people.miss(frame.time_s);
        if let Some(back) = &mut state.back {
            back.miss(frame, &told);
        }
        told
    }

    fn reach_back(&self) -> usize {
        match self.networks.finder {
            Some(_) => reach(self.max_predicted),
            None => 0,
        }
    }

    fn traces(&self, state: &Memory) -> Vec<(u64, Trace)> {
        state.back.as_ref().map_or_else(Vec::new, Memories::traces)
    }

    async fn look_back(
        &self,
        trace: &mut Trace,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: Earlier<'_>,
    ) -> Result<Back, EngineError> {
        let place = match frame {
            Earlier::Seen(view) => Blind {
                time_s: view.time_s,
                index: view.index,
            },
            Earlier::Unseen(place) => place,
        };
        let (chosen, view) = match (trace.step(&place), frame) {
            (Step::End, _) => return Ok(Back::End),
            (Step::Look(chosen), Earlier::Seen(view)) => (chosen, view),
            _ => return Ok(Back::Missed),
        };
        let Place {
            found,
            source,
            mesh,
        } = chosen;
        // Nothing is told by its looks here.
        let view = FrameView {
            tracked: false,
            ..view.clone()
        };
        let meters = meters(ctl);
        let seen = self.networks.see(pool, &meters, &view, vec![found], source);
        let Some(mut sighting) = seen.await?.pop() else {
            return Ok(Back::Missed);
        };
        let (width, height) = (view.image.width, view.image.height);
        let config = self.networks.config()?;
        let person = self.shape.person(&mut sighting, config, width, height);
        Ok(Back::Found(Box::new(Person {
            track_id: trace.track_id,
            source: Source::Recovered,
            // Posed at the clip's end, as all of an offline clip's.
            vertices: mesh.then(Vec::new),
            ..person
        })))
    }

    fn smooths(&self) -> bool {
        self.smoothing
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
