//! BlazePose as the engine runs it.

use std::sync::OnceLock;

use tch::Device;

use super::config::{BlazePoseConfig, EngineConfig};
use super::control::JobControl;
use super::device::device;
use super::error::{EngineError, KEYPOINT_SET, MODEL_FILE};
use super::past::reach;
use super::people::back::Trace;
use super::people::follow::{Clip, Sightings};
use super::people::person::Shape;
use super::people::search::Looker;
use super::people::tiles::{Tile, tiles};
use super::people::worker::Networks;
use super::perception::{Back, Blind, ClipSettings, Earlier, FrameView, Mode, Perception};
use super::pool::{Pool, Priority};
use super::result::Person;
use crate::checkpoint::tflite::TfliteFile;
use crate::geometry::joints::KeypointSet;
use crate::models::blazepose::ModelError;

/// The model family with its files and settings.
pub struct BlazePosePerception {
    config: EngineConfig,
    shape: Shape,
    device: Device,
    /// Of the landmark network, by the first worker that built it.
    executor: OnceLock<&'static str>,
    detector: Vec<u8>,
    landmark: Vec<u8>,
}

impl BlazePosePerception {
    /// `detector` and `landmark` are whole `.tflite` files.
    pub fn new(
        config: &EngineConfig,
        detector: Vec<u8>,
        landmark: Vec<u8>,
    ) -> Result<Self, EngineError> {
        let set = config.keypoints.unwrap_or(KeypointSet::Blazepose33);
        let shape = Shape::new(set, config.focal_length).ok_or_else(|| {
            let message = format!(
                "keypoints: \"{}\" is not measured by BlazePose; use \"blazepose33\" or \"coco17\"",
                set.as_str()
            );
            EngineError::new(KEYPOINT_SET, message)
        })?;
        for (name, file) in [("detector", &detector), ("landmark", &landmark)] {
            TfliteFile::parse(file).map_err(|e| model_file(name, &e.into()))?;
        }
        // BlazePose is small: workers on the processor beat one queue before the card.
        let device = device(&config.device, Device::Cpu)?;
        Ok(Self {
            config: config.clone(),
            shape,
            device,
            executor: OnceLock::new(),
            detector,
            landmark,
        })
    }

    fn looker<'a>(
        &'a self,
        pool: &'a Pool<Networks>,
        ctl: &'a JobControl,
        frame: &'a FrameView,
        priority: Priority,
    ) -> Looker<'a> {
        Looker {
            pool,
            ctl,
            image: &frame.image,
            config: &self.config.blazepose,
            priority,
        }
    }

    /// Everything in a clip's first frame; later, every so often, the whole frame and one scale of
    /// tiles in turn.
    fn due(&self, frame: &FrameView) -> Option<Vec<Tile>> {
        let config = &self.config.blazepose;
        let (width, height) = (frame.image.width, frame.image.height);
        if frame.index == 0 {
            return Some(tiles(
                width,
                height,
                &config.tile_scales,
                config.tile_overlap,
            ));
        }
        let every = u64::from(config.search_every);
        if every == 0 || !frame.index.is_multiple_of(every) {
            return None;
        }
        let turn = (frame.index / every) as usize % config.tile_scales.len().max(1);
        let scale = config.tile_scales.get(turn).copied();
        Some(tiles(width, height, scale.as_slice(), config.tile_overlap))
    }
}

fn model_file(name: &str, error: &ModelError) -> EngineError {
    let message = format!(
        "the {name} network cannot be read: {error}; reinstall the package @mediapipe/pose"
    );
    EngineError::new(MODEL_FILE, message)
}

impl Perception for BlazePosePerception {
    type Worker = Networks;
    type Sightings = Sightings;
    type State = Clip;
    type Trace = Trace;

    fn build_worker(&self, _index: usize) -> Result<Networks, EngineError> {
        let segmentation = self.config.blazepose.segmentation;
        let networks = Networks::load(&self.detector, &self.landmark, segmentation, self.device)
            .map_err(|e| model_file("BlazePose", &e))?;
        self.executor.get_or_init(|| networks.landmarker.executor());
        Ok(networks)
    }

    fn new_state(&self, clip: &ClipSettings) -> Clip {
        let config = &self.config.blazepose;
        let (smoothing, reach) = match clip.mode {
            Mode::Offline => (false, self.reach_back()),
            Mode::Online => (config.smoothing, 0),
        };
        Clip::new(config, !clip.tracking, smoothing, reach)
    }

    fn looks_with(&self) -> String {
        let BlazePoseConfig {
            tile_scales,
            tile_overlap,
            detection_threshold,
            nms_iou,
            search_every,
            watch,
            ..
        } = &self.config.blazepose;
        format!(
            "tiles {tile_scales:?} {tile_overlap} threshold {detection_threshold} iou {nms_iou} every \
             {search_every} watch {watch} people {}",
            self.config.max_persons
        )
    }

    fn miss(&self, state: &mut Clip, frame: &Blind) -> Vec<Person> {
        state.miss(&self.config.blazepose, &self.shape, frame)
    }

    fn smooths(&self) -> bool {
        self.config.blazepose.smoothing
    }

    fn reach_back(&self) -> usize {
        reach(self.config.blazepose.max_predicted)
    }

    fn traces(&self, state: &Clip) -> Vec<(u64, Trace)> {
        state.traces(&self.config.blazepose)
    }

    async fn look_back(
        &self,
        trace: &mut Trace,
        pool: &Pool<Networks>,
        ctl: &JobControl,
        frame: Earlier<'_>,
    ) -> Result<Back, EngineError> {
        let look = match frame {
            Earlier::Seen(view) => Some(self.looker(pool, ctl, view, Priority::Follow)),
            Earlier::Unseen(_) => None,
        };
        trace
            .step(look.as_ref(), &self.config.blazepose, &self.shape, frame)
            .await
    }

    fn max_predicted(&self) -> u32 {
        self.config.blazepose.max_predicted
    }

    async fn look(
        &self,
        pool: &Pool<Networks>,
        ctl: &JobControl,
        frame: &FrameView,
    ) -> Result<Sightings, EngineError> {
        let due = if frame.boxes.is_some() {
            None
        } else {
            self.due(frame)
        };
        let look = self.looker(pool, ctl, frame, Priority::Ahead);
        let thumbnail = look.thumbnail().await?;
        let Some(tiles) = due else {
            return Ok(Sightings {
                thumbnail,
                ..Sightings::default()
            });
        };
        let searched = tiles.len() > 1 || self.config.blazepose.tile_scales.is_empty();
        let limit = self.config.max_persons * 4;
        let candidates = look
            .detect(tiles, self.config.blazepose.detection_threshold, limit)
            .await?;
        Ok(Sightings {
            candidates,
            searched,
            thumbnail,
        })
    }

    async fn follow(
        &self,
        state: &mut Clip,
        pool: &Pool<Networks>,
        ctl: &JobControl,
        frame: &FrameView,
        sightings: Sightings,
    ) -> Result<Vec<Person>, EngineError> {
        let look = self.looker(pool, ctl, frame, Priority::Follow);
        state
            .step(
                &look,
                &self.shape,
                frame,
                sightings,
                self.config.max_persons,
            )
            .await
    }

    fn version(&self) -> String {
        format!("blazepose-{}", self.config.blazepose.variant.as_str())
    }

    fn keypoints(&self) -> &'static str {
        let set = self.config.keypoints.unwrap_or(KeypointSet::Blazepose33);
        set.as_str()
    }

    fn device(&self) -> String {
        match self.device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".into(),
        }
    }

    fn executor(&self) -> Option<&'static str> {
        self.executor.get().copied()
    }
}
