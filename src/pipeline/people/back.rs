//! Backward in time: somebody who was just found, looked for in the frames before.
//!
//! The search is a clip of its own with one person in it, whose frames come in reverse: the same
//! tracker expects the place, the same lower thresholds decide, and the same rules end it.

use super::carried::Carried;
use super::follow::{Clip, observation};
use super::person::Shape;
use super::pose::Pose;
use super::search::Looker;
use crate::pipeline::config::BlazePoseConfig;
use crate::pipeline::error::EngineError;
use crate::pipeline::past::{Past, PastFrame, Wanted};
use crate::pipeline::perception::{Back, Blind, Earlier};
use crate::pipeline::result::{Person, Source};
use crate::tracking::bones::BoneLengths;
use crate::tracking::config::TrackerConfig;
use crate::tracking::cost::coincide;

/// The person's number in the clip that runs backward.
const ONLY: u32 = 1;

/// A search under way.
#[derive(Clone, Debug)]
pub struct Trace {
    track_id: u32,
    until: Option<u64>,
    clip: Clip,
    /// Who else was where, latest first.
    others: Vec<PastFrame>,
}

impl Trace {
    fn new(config: &BlazePoseConfig, wanted: Wanted, bones: BoneLengths) -> Self {
        let mut clip = Clip::new(config, false, false, 0);
        for sight in wanted.sights {
            let Some(told) = sight.of(wanted.track_id) else {
                continue;
            };
            let mut seen = told.observation.clone();
            // Believed already.
            seen.score = seen.score.max(TrackerConfig::default().instant_score);
            clip.tracker.update(-sight.time_s, sight.size, &[seen]);
        }
        clip.carried.insert(ONLY, Carried::with_bones(bones));
        Self {
            track_id: wanted.track_id,
            until: wanted.until,
            clip,
            others: wanted.before,
        }
    }

    /// The frame before the last one looked at.
    pub async fn step(
        &mut self,
        look: Option<&Looker<'_>>,
        config: &BlazePoseConfig,
        shape: &Shape,
        frame: Earlier<'_>,
    ) -> Result<Back, EngineError> {
        let index = match frame {
            Earlier::Seen(view) => view.index,
            Earlier::Unseen(place) => place.index,
        };
        if self.until.is_some_and(|until| index <= until) {
            return Ok(Back::End);
        }
        let (Earlier::Seen(view), Some(look)) = (frame, look) else {
            return Ok(self.miss(frame));
        };
        let time_s = -view.time_s;
        let Some(pose) = self.find(look, time_s).await? else {
            return Ok(self.miss(frame));
        };
        let seen = observation(&pose, false, look.image);
        if self.is_somebody_else(index, &seen) {
            return Ok(Back::End);
        }
        let size = (view.image.width, view.image.height);
        let frame_size = (size.0 as f32, size.1 as f32);
        let records = self.clip.tracker.update(time_s, frame_size, &[seen]);
        self.clip.tracker.keep_only(ONLY);
        let Some(record) = records.into_iter().find(|r| r.track_id == ONLY) else {
            return Ok(Back::End);
        };
        if record.matched.is_none() {
            return Ok(Back::Missed);
        }
        let person = self
            .clip
            .describe(record, Some(&pose), config, shape, (time_s, size));
        let told = |person| Person {
            track_id: self.track_id,
            source: Source::Recovered,
            confirmed: true,
            ..person
        };
        Ok(person.map_or(Back::Missed, |person| Back::Found(Box::new(told(person)))))
    }

    /// Where they were a frame later, or else where they are expected.
    async fn find(&self, look: &Looker<'_>, time_s: f64) -> Result<Option<Pose>, EngineError> {
        let expected = self.clip.tracker.predict(time_s);
        let there = expected.iter().find(|(id, _)| *id == ONLY).cloned();
        let expected = there.clone().into_iter().collect();
        let mut poses = self.clip.carry_on(look, &expected).await?;
        if poses.is_empty()
            && let Some((id, there)) = &there
        {
            poses = self.clip.look_again(look, *id, there).await?;
        }
        let best = poses.into_iter().filter(Pose::is_finite);
        Ok(best.max_by(|a, b| a.quality().total_cmp(&b.quality())))
    }

    fn is_somebody_else(
        &self,
        index: u64,
        seen: &crate::tracking::observation::Observation,
    ) -> bool {
        let config = TrackerConfig::default();
        let frame = self.others.iter().find(|frame| frame.index == index);
        let others = frame.into_iter().flat_map(|frame| &frame.told);
        others
            .filter(|told| told.track_id != self.track_id)
            .any(|told| coincide(&config, &told.observation, seen))
    }

    fn miss(&mut self, frame: Earlier<'_>) -> Back {
        let time_s = match frame {
            Earlier::Seen(view) => view.time_s,
            Earlier::Unseen(place) => place.time_s,
        };
        let records = self.clip.tracker.update_unseen(-time_s);
        let place = Blind {
            time_s: -time_s,
            index: 0,
        };
        self.clip.remember(&place, &records);
        self.clip.lose(ONLY);
        match records.is_empty() {
            true => Back::End,
            false => Back::Missed,
        }
    }
}

impl Clip {
    /// Whom the last frame gives reason to look for in earlier ones: each with the index of the frame
    /// before which to look.
    pub fn traces(&self, config: &BlazePoseConfig) -> Vec<(u64, Trace)> {
        let wanted = self.past.iter().flat_map(Past::wanted);
        let bones = |id: u32| self.carried.get(&id).map(|c| c.bones.clone());
        wanted
            .map(|w| {
                let bones = bones(w.track_id).unwrap_or_default();
                (w.first(), Trace::new(config, w, bones))
            })
            .collect()
    }
}
