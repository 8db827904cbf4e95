//! Who is who from frame to frame: matching, births, guesses, ends and merges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tracking::assignment::assign;
use crate::tracking::config::TrackerConfig;
use crate::tracking::cost::{is_double, likeness, pair_cost, recall_cost};
use crate::tracking::observation::{Observation, Record};
use crate::tracking::tracklet::Tracklet;

/// Assumed between frames whose times do not tell: seconds.
const NOMINAL_INTERVAL: f64 = 1.0 / 30.0;

/// People remembered at most who are guessed no more.
const MOST_LOST: usize = 200;

/// Follows people through the frames of one clip.
///
/// Deterministic: the same frames give the same records, and a clone goes on exactly as its
/// original would.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    config: TrackerConfig,
    /// By ascending id.
    tracks: Vec<Tracklet>,
    next_id: u32,
    frames: u64,
    /// Seconds since the first frame; always ascending.
    clock: f64,
    /// As the caller gave it.
    last_time: Option<f64>,
    /// Width and height of the last frame, pixels.
    frame: (f32, f32),
    /// Who is guessed no more, and may yet be found again.
    lost: Vec<Tracklet>,
    /// For how many frames in a row two tracks have looked like one person.
    alike: BTreeMap<(u32, u32), u32>,
}

impl Tracker {
    pub fn new(config: TrackerConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            next_id: 1,
            frames: 0,
            clock: 0.0,
            last_time: None,
            frame: (0.0, 0.0),
            lost: Vec::new(),
            alike: BTreeMap::new(),
        }
    }

    /// Takes in the people found in the next frame and tells where everybody is, by ascending id.
    ///
    /// `time_s` is the frame's time; where it is not a number or does not advance, a thirtieth of
    /// a second is assumed. `frame` is width and height in pixels. Observations without a finite,
    /// non-empty box are ignored, and so is one that doubles another track's.
    pub fn update(
        &mut self,
        time_s: f64,
        frame: (f32, f32),
        observations: &[Observation],
    ) -> Vec<Record> {
        self.frame = frame;
        self.clock = self.clock_at(time_s);
        if time_s.is_finite() {
            self.last_time = Some(time_s);
        }
        self.frames = self.frames.saturating_add(1);

        let free = self.match_tracks(observations);
        self.tracks
            .retain(|t| t.matched().is_some() || t.confirmed());
        self.start_tracks(observations, &free);
        self.merge_doubles();
        let believed = self.count_sights();
        self.recall(&believed);
        self.end_tracks(frame);
        self.tracks
            .iter()
            .map(|t| t.record(&self.config, self.clock, frame))
            .collect()
    }

    /// The next frame could not be looked at; it is taken to be as large as the last.
    pub fn update_unseen(&mut self, time_s: f64) -> Vec<Record> {
        self.update(time_s, self.frame, &[])
    }

    /// Width and height of the last frame, pixels; nothing before the first.
    pub fn frame(&self) -> (f32, f32) {
        self.frame
    }

    /// Forgets everybody but one.
    pub fn keep_only(&mut self, id: u32) {
        self.tracks.retain(|track| track.id() == id);
        self.lost.clear();
    }

    /// Another shot begins: nobody is where they were, or guessed to be anywhere. Who is found in much
    /// the same place and pose all the same, since it was a flash and no cut, has their number again.
    pub fn forget(&mut self) {
        let tracks = std::mem::take(&mut self.tracks);
        self.lost
            .extend(tracks.into_iter().filter(|t| t.confirmed()));
        self.alike.clear();
    }

    /// Everybody being followed, by ascending id.
    pub fn live(&self) -> impl Iterator<Item = &Tracklet> {
        self.tracks.iter()
    }

    /// Where each live track is expected at that time, by ascending id: where to look again.
    pub fn predict(&self, time_s: f64) -> Vec<(u32, Observation)> {
        let clock = self.clock_at(time_s);
        let expected = |t: &Tracklet| (t.id(), t.expected(&self.config, clock));
        self.tracks.iter().map(expected).collect()
    }

    fn clock_at(&self, time_s: f64) -> f64 {
        let Some(last) = self.last_time else {
            return self.clock
                + if self.frames > 0 {
                    NOMINAL_INTERVAL
                } else {
                    0.0
                };
        };
        let passed = time_s - last;
        let advances = passed > 0.0 && passed.is_finite();
        self.clock + if advances { passed } else { NOMINAL_INTERVAL }
    }

    /// Gives each track its observation; answers the usable observations nobody took.
    fn match_tracks(&mut self, observations: &[Observation]) -> Vec<usize> {
        let (config, now) = (&self.config, self.clock);
        let usable: Vec<usize> = (0..observations.len())
            .filter(|&i| observations[i].is_usable())
            .collect();
        let mut costs = Vec::with_capacity(self.tracks.len() * usable.len());
        for track in &self.tracks {
            let expected = track.expected(config, now);
            costs.extend(usable.iter().map(|&i| {
                pair_cost(config, track, &expected, &observations[i], now).unwrap_or(f64::INFINITY)
            }));
        }
        let pairs = assign(&costs, self.tracks.len(), usable.len(), config.max_cost);
        for (track, pair) in self.tracks.iter_mut().zip(&pairs) {
            match pair {
                Some(column) => {
                    let index = usable[*column];
                    let alone = is_alone(config, observations, index);
                    track.see(config, now, index, observations[index].clone(), alone);
                }
                None => track.miss(),
            }
        }
        let taken = |column: usize| pairs.contains(&Some(column));
        (0..usable.len())
            .filter(|&column| !taken(column))
            .map(|column| usable[column])
            .collect()
    }

    /// Starts a track for each free observation, the surest first, unless it doubles one in use.
    fn start_tracks(&mut self, observations: &[Observation], free: &[usize]) {
        let mut order = free.to_vec();
        order.sort_by(|&a, &b| observations[b].score.total_cmp(&observations[a].score));
        for index in order {
            let observation = &observations[index];
            if !observation.begins {
                continue;
            }
            let mut seen = self.tracks.iter().filter(|t| t.matched().is_some());
            if seen.any(|t| likeness(t.last(), observation) >= self.config.double_similarity) {
                continue;
            }
            let track = Tracklet::start(
                &self.config,
                self.next_id,
                (self.frames, self.clock),
                index,
                observation.clone(),
                !self.is_shadow(observation),
            );
            self.tracks.push(track);
            self.next_id = self.next_id.wrapping_add(1).max(1);
        }
    }

    /// Whether it lies where somebody missed is expected.
    fn is_shadow(&self, observation: &Observation) -> bool {
        let part = self.config.shadow_part * observation.bbox.area();
        self.tracks
            .iter()
            .filter(|t| t.matched().is_none())
            .map(|t| t.expected(&self.config, self.clock).bbox)
            .any(|there| observation.bbox.intersection(&there) >= part)
    }

    /// Tracks that look like one person for several frames become one; the older id stays.
    fn merge_doubles(&mut self) {
        let mut alike = BTreeMap::new();
        let mut merges = Vec::new();
        for (i, older) in self.tracks.iter().enumerate() {
            for younger in &self.tracks[i + 1..] {
                if !self.may_be_one(older, younger) {
                    continue;
                }
                let pair = (older.id(), younger.id());
                let frames = self
                    .alike
                    .get(&pair)
                    .copied()
                    .unwrap_or(0)
                    .saturating_add(1);
                if frames >= self.config.merge_frames {
                    merges.push(pair);
                } else {
                    alike.insert(pair, frames);
                }
            }
        }
        self.alike = alike;
        for (older, younger) in merges {
            self.merge(older, younger);
        }
    }

    fn may_be_one(&self, older: &Tracklet, younger: &Tracklet) -> bool {
        if younger.matched().is_none() {
            return false;
        }
        // Somebody hidden behind another is not that other. Only who was started while the older
        // one was missed can be the older one, found again.
        let since = self.frames.saturating_sub(u64::from(older.misses()));
        if older.matched().is_none() && younger.born() <= since {
            return false;
        }
        let there = older.expected(&self.config, self.clock);
        likeness(&there, younger.last()) >= self.config.merge_similarity
    }

    fn merge(&mut self, older: u32, younger: u32) {
        let place = |id| self.tracks.iter().position(|t: &Tracklet| t.id() == id);
        let (Some(keep), Some(drop)) = (place(older), place(younger)) else {
            return; // One of them went in another merge of this frame.
        };
        let dropped = self.tracks.remove(drop);
        // Ids ascend, so the older one lies before and has not moved.
        let kept = &mut self.tracks[keep];
        if kept.matched().is_none() || dropped.last().score > kept.last().score {
            kept.take_over(dropped);
        }
    }

    /// A young track that looks like an older one seen in the same frame, or has its trunk in the
    /// same place, is most likely a second, half wrong pose of one person: such sights do not
    /// count. Answers whom that makes believed from now on.
    fn count_sights(&mut self) -> Vec<u32> {
        let seen = |t: &&Tracklet| t.matched().is_some();
        let alone: Vec<bool> = (0..self.tracks.len())
            .map(|i| {
                let (older, rest) = self.tracks.split_at(i);
                let mut others = older.iter().filter(seen);
                !others.any(|t| is_double(&self.config, t, &rest[0]))
            })
            .collect();
        let mut believed = Vec::new();
        for (track, alone) in self.tracks.iter_mut().zip(alone) {
            if track.matched().is_some() {
                let before = track.confirmed();
                track.count_sight(&self.config, alone);
                if track.confirmed() && !before {
                    believed.push(track.id());
                }
            }
        }
        believed
    }

    /// Somebody believed for the first time may be somebody who was lost not long ago: nobody was
    /// told of them yet, and so they go on under the number that is known.
    fn recall(&mut self, believed: &[u32]) {
        for id in believed {
            let Some(place) = self.tracks.iter().position(|t| t.id() == *id) else {
                continue;
            };
            let found = &self.tracks[place];
            let cost = |lost: &Tracklet| recall_cost(&self.config, lost, found, self.clock);
            let costs = self.lost.iter().enumerate();
            let costs = costs.filter_map(|(at, lost)| Some((at, cost(lost)?)));
            let Some((at, _)) = costs.min_by(|a, b| a.1.total_cmp(&b.1)) else {
                continue;
            };
            let lost = self.lost.remove(at);
            let mut track = self.tracks.remove(place);
            track.continue_as(&lost);
            let place = self.tracks.partition_point(|t| t.id() < track.id());
            self.tracks.insert(place, track);
        }
    }

    fn end_tracks(&mut self, frame: (f32, f32)) {
        let (config, now) = (&self.config, self.clock);
        for track in &mut self.lost {
            track.miss();
        }
        let remembered = config.max_predicted.saturating_add(config.lost_frames);
        self.lost.retain(|track| track.misses() <= remembered);
        for track in std::mem::take(&mut self.tracks) {
            if track.is_alive(config, now, frame) {
                self.tracks.push(track);
            } else if config.lost_frames > 0 && track.is_memorable(config, now, frame) {
                self.lost.push(track);
            }
        }
        // However many come and go.
        let most = self.lost.len().saturating_sub(MOST_LOST);
        self.lost.drain(..most);
    }
}

/// Whether nobody else seen in the frame may hide a part of them.
fn is_alone(config: &TrackerConfig, observations: &[Observation], index: usize) -> bool {
    let own = &observations[index].bbox;
    let mut others = observations.iter().enumerate();
    others.all(|(at, other)| at == index || own.iou(&other.bbox) < config.looks_overlap)
}

#[cfg(test)]
#[path = "tracker_scene.rs"]
mod scene;

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "tracker_long_tests.rs"]
mod long_tests;

#[cfg(test)]
#[path = "tracker_doubt_tests.rs"]
mod doubt_tests;
