//! Holds the place of BlazePose until it is merged: decodes, sees nobody. Not for release.

use crate::pipeline::config::EngineConfig;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{EngineError, MODEL_FILE};
use crate::pipeline::perception::{ClipSettings, FrameView, Perception};
use crate::pipeline::pool::Pool;
use crate::pipeline::result::Person;

pub struct Nobody;

impl Nobody {
    pub fn new(
        _: &EngineConfig,
        detector: Vec<u8>,
        landmark: Vec<u8>,
    ) -> Result<Self, EngineError> {
        for (name, file) in [("detector", detector), ("landmark", landmark)] {
            if file.get(4..8) != Some(b"TFL3") {
                let message = format!("the {name} network is not a TensorFlow Lite file");
                return Err(EngineError::new(MODEL_FILE, message));
            }
        }
        Ok(Self)
    }
}

impl Perception for Nobody {
    type Worker = ();
    type Sightings = ();
    type State = ();

    fn build_worker(&self, _: usize) -> Result<(), EngineError> {
        Ok(())
    }

    fn new_state(&self, _: &ClipSettings) {}

    async fn look(&self, _: &Pool<()>, _: &JobControl, _: &FrameView) -> Result<(), EngineError> {
        Ok(())
    }

    async fn follow(
        &self,
        _: &mut (),
        _: &Pool<()>,
        _: &JobControl,
        _: &FrameView,
        _: (),
    ) -> Result<Vec<Person>, EngineError> {
        Ok(Vec::new())
    }

    fn version(&self) -> String {
        "placeholder".into()
    }
}
