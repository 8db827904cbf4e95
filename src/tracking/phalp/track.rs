//! One person over time.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::{Appearance, Config};
use super::features::{Detection, Place};
use super::location;
use super::texture::Texture;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not seen often enough to be believed; the first miss ends it.
    Tentative,
    Confirmed,
    Ended,
}

/// What a detection of the next frame is compared with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prediction {
    pub pose: Arc<[f32]>,
    pub place: Place,
    pub embedding: Arc<[f32]>,
    pub texture: Option<Arc<Texture>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Track {
    pub id: u32,
    pub state: State,
    /// Frames it was seen in.
    pub hits: u32,
    /// Frames since it began, that one included.
    pub age: u32,
    /// Frames since it was seen last; 0: seen in this one.
    pub unseen: u32,
    /// The last detections, oldest first; always `Config::history` of them, the first one standing
    /// in for what was before.
    pub past: VecDeque<Detection>,
    /// The last predictions, newest last.
    predictions: VecDeque<Prediction>,
    /// The running texture map.
    texture: Option<Arc<Texture>>,
}

impl Track {
    pub fn begin(id: u32, config: &Config, mut detection: Detection) -> Self {
        let texture = detection.texture.take();
        let mut track = Self {
            id,
            state: State::Tentative,
            hits: 1,
            age: 1,
            unseen: 0,
            texture,
            past: VecDeque::from(vec![detection; config.history.max(1)]),
            predictions: VecDeque::new(),
        };
        track.predict(config, None, true);
        track
    }

    /// The newest first.
    pub fn predictions(&self) -> impl Iterator<Item = &Prediction> {
        self.predictions.iter().rev()
    }

    /// Another frame.
    pub fn grow_older(&mut self) {
        self.age += 1;
        self.unseen += 1;
    }

    /// Seen in this frame, the first after a cut or not.
    pub fn see(&mut self, config: &Config, mut detection: Detection, cut: bool) {
        self.blend(config, &detection);
        if cut {
            // Where somebody was before a cut says nothing about where they go.
            for before in &mut self.past {
                before.place = detection.place;
            }
        }
        // Of its own it has a share in the running map now, which is large.
        detection.texture = None;
        self.past.push_back(detection);
        self.past.pop_front();
        self.hits += 1;
        self.unseen = 0;
        if self.state == State::Tentative && self.hits >= config.hits {
            self.state = State::Confirmed;
        }
    }

    fn blend(&mut self, config: &Config, detection: &Detection) {
        let share = config.blend * detection.score.powi(2);
        self.texture = match (&self.texture, &detection.texture, config.appearance) {
            (Some(old), Some(new), Appearance::Texture) => Some(Arc::new(old.blended(new, share))),
            (old, new, _) => new.clone().or_else(|| old.clone()),
        };
    }

    /// Not seen in this frame.
    pub fn miss(&mut self, config: &Config) {
        if self.state == State::Tentative || self.unseen > config.max_age {
            self.state = State::Ended;
        }
    }

    /// Notes what the next frame is expected to show; `pose` is the pose network's word.
    pub fn predict(&mut self, config: &Config, pose: Option<Arc<[f32]>>, as_seen: bool) {
        let Some(last) = self.past.back() else {
            return;
        };
        let place = match config.predict_place && !as_seen {
            true => {
                let past: Vec<(i64, Place)> = self.past.iter().map(|d| (d.time, d.place)).collect();
                location::predict(&past, self.unseen).unwrap_or(last.place)
            }
            false => last.place,
        };
        let prediction = Prediction {
            pose: pose.unwrap_or_else(|| last.pose.clone()),
            place,
            embedding: last.embedding.clone(),
            texture: self.texture.clone(),
        };
        self.predictions.push_back(prediction);
        while self.predictions.len() > config.lookback.max(1) {
            self.predictions.pop_front();
        }
    }
}
