//! What a call works with: the engine, what ends it, the clip's settings.

use std::sync::Arc;

use super::control::JobControl;
use super::error::EngineError;
use super::memory::{Memory, is_revised};
use super::perception::{ClipSettings, Perception};
use super::shared::Core;

pub(super) struct Call<P: Perception> {
    pub(super) core: Arc<Core<P>>,
    pub(super) ctl: JobControl,
    pub(super) settings: ClipSettings,
}

impl<P: Perception> Clone for Call<P> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            ctl: self.ctl.clone(),
            settings: self.settings,
        }
    }
}

impl<P: Perception> Call<P> {
    pub(super) fn new(core: Arc<Core<P>>, ctl: JobControl, settings: ClipSettings) -> Self {
        Self {
            core,
            ctl,
            settings,
        }
    }

    pub(super) fn check_open(&self) -> Result<(), EngineError> {
        self.ctl.check()?;
        self.core.check_open()
    }

    /// Of a clip that begins.
    pub(super) fn new_memory(&self) -> Memory<P::State> {
        Memory::new(self.core.perception().new_state(&self.settings))
    }

    /// Frames kept to be looked at again; 0 for none.
    pub(super) fn reach_back(&self) -> usize {
        match is_revised(&self.settings) {
            true => self.core.perception().reach_back(),
            false => 0,
        }
    }
}
