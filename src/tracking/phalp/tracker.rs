//! Frame by frame: who of the detected is whom.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::{Appearance, Config, Weights};
use super::cost;
use super::features::Detection;
use super::texture::Texture;
use super::track::{Prediction, State, Track};
use crate::tracking::assignment::assign;

/// Of each track, the pose expected next; `None`: as it was.
pub type Poses = Vec<Option<Arc<[f32]>>>;

/// Two people's maps.
pub type TexturePair = (Arc<Texture>, Arc<Texture>);

/// What the tracker asks of networks; without them poses stay and textures are not compared.
pub trait Networks: Send {
    type Error: Send;

    /// The pose of each track one frame after the last it was unseen in.
    fn poses(
        &mut self,
        tracks: &[&Track],
    ) -> impl Future<Output = Result<Poses, Self::Error>> + Send;

    /// How unlike two people look where both maps saw them: the squared distance of their
    /// embeddings' thousandths, times 100.
    fn texture_distances(
        &mut self,
        pairs: &[TexturePair],
    ) -> impl Future<Output = Result<Vec<f64>, Self::Error>> + Send;
}

/// No networks: poses stay as they were last seen, textures are taken for equal.
pub struct NoNetworks;

impl Networks for NoNetworks {
    type Error = std::convert::Infallible;

    async fn poses(&mut self, tracks: &[&Track]) -> Result<Poses, Self::Error> {
        Ok(vec![None; tracks.len()])
    }

    async fn texture_distances(&mut self, pairs: &[TexturePair]) -> Result<Vec<f64>, Self::Error> {
        Ok(vec![0.0; pairs.len()])
    }
}

/// What a frame came to. Numbers are places in the lists before the frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `(track, detection)`
    pub matches: Vec<(usize, usize)>,
    pub unmatched_tracks: Vec<usize>,
    pub unmatched_detections: Vec<usize>,
    /// `[tracks, detections]`, row-major; `Config::most` plus a little where there is no match. Without
    /// [`Config::every_cost`], pairs that cannot change the assignment may have less than their cost.
    pub costs: Vec<f64>,
    /// The track's id of each detection, those that begin here among them; `None`: nobody's.
    pub owners: Vec<Option<u32>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tracker {
    config: Config,
    tracks: Vec<Track>,
    next_id: u32,
}

/// Above [`Config::most`], as the original marks pairs that cannot be.
const BEYOND: f64 = 1e-5;

impl Tracker {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            next_id: 1,
        }
    }

    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Takes the detections of the next frame; `cut` where it is the first after a cut. After an
    /// error, or where the future is dropped, nothing has changed.
    pub async fn step<N: Networks>(
        &mut self,
        detections: &[Detection],
        cut: bool,
        networks: &mut N,
    ) -> Result<Step, N::Error> {
        let mut next = self.clone();
        let mut step = self.settle(detections, cut, networks).await?;
        next.tracks.iter_mut().for_each(Track::grow_older);
        for &(track, detection) in &step.matches {
            let track = &mut next.tracks[track];
            track.see(&next.config, detections[detection].clone(), cut);
            step.owners[detection] = Some(track.id);
        }
        for &track in &step.unmatched_tracks {
            next.tracks[track].miss(&next.config);
        }
        next.tracks.retain(|track| track.state != State::Ended);
        next.predict(networks).await?;
        for &detection in &step.unmatched_detections {
            if !detections[detection].begins {
                continue;
            }
            let track = Track::begin(next.next_id, &next.config, detections[detection].clone());
            next.tracks.push(track);
            step.owners[detection] = Some(next.next_id);
            next.next_id += 1;
        }
        *self = next;
        Ok(step)
    }

    /// A frame of which nothing is known: everybody grows older, and is expected on their way, in the
    /// pose that was expected before.
    pub fn pass(&mut self) {
        for track in &mut self.tracks {
            track.grow_older();
            track.miss(&self.config);
            let pose = track
                .predictions()
                .next()
                .map(|next| Arc::clone(&next.pose));
            track.predict(&self.config, pose, false);
        }
        self.tracks.retain(|track| track.state != State::Ended);
    }

    async fn predict<N: Networks>(&mut self, networks: &mut N) -> Result<(), N::Error> {
        let poses = match self.config.predict_pose {
            true => {
                let tracks: Vec<&Track> = self.tracks.iter().collect();
                networks.poses(&tracks).await?
            }
            false => vec![None; self.tracks.len()],
        };
        for (track, pose) in self.tracks.iter_mut().zip(poses) {
            track.predict(&self.config, pose, false);
        }
        Ok(())
    }

    /// The assignment. Appearance only adds to a cost, so that what a pair costs without it is the
    /// least it can cost: networks look at pairs that an assignment by the least costs would join,
    /// until it joins none they have not looked at. No other assignment can then be better.
    async fn settle<N: Networks>(
        &self,
        detections: &[Detection],
        cut: bool,
        networks: &mut N,
    ) -> Result<Step, N::Error> {
        // The texture of a film's people is compared by the last embedding at a cut.
        let by_texture =
            self.config.appearance == Appearance::Texture && !(cut && self.config.cut.is_some());
        let weights = self.weights(cut);
        let mut costs = self.least(weights, detections, by_texture);
        loop {
            let step = self.assign(&costs.values, detections.len());
            let joined = |at: &usize| {
                let pair = (at / detections.len(), at % detections.len());
                self.config.every_cost || step.matches.contains(&pair)
            };
            let open = (0..costs.values.len()).filter(|at| costs.open[*at]);
            let asked: Vec<usize> = open.filter(joined).collect();
            if asked.is_empty() {
                return Ok(step);
            }
            let found = self.looks(weights, detections, &asked, networks).await?;
            for (at, cost) in asked.into_iter().zip(found) {
                costs.values[at] = self.capped(cost);
                costs.open[at] = false;
            }
        }
    }

    fn weights(&self, cut: bool) -> &Weights {
        let at_cut = self.config.cut.as_ref().filter(|_| cut);
        at_cut.unwrap_or(&self.config.weights)
    }

    fn impossible(&self) -> f64 {
        self.config.most + BEYOND
    }

    /// What is beyond the gate, or not a number, is no match.
    fn capped(&self, cost: f64) -> f64 {
        match cost <= self.config.most {
            true => cost,
            false => self.impossible(),
        }
    }

    /// The least that each pair can cost.
    fn least(&self, weights: &Weights, detections: &[Detection], by_texture: bool) -> Costs {
        let pairs = self.tracks.len() * detections.len();
        let mut costs = Costs {
            values: vec![self.impossible(); pairs],
            open: vec![false; pairs],
        };
        let rows = self.tracks.iter().enumerate();
        for (row, track) in rows {
            for (column, detection) in detections.iter().enumerate() {
                let at = row * detections.len() + column;
                for prediction in track.predictions() {
                    let motion = self.capped(motion(weights, prediction, detection));
                    if motion > self.config.most {
                        continue;
                    }
                    let textured = prediction.texture.is_some() && detection.texture.is_some();
                    let cost = match textured && by_texture {
                        true => {
                            costs.open[at] = true;
                            motion
                        }
                        false => cost::cost(weights, motion, unlike(prediction, detection)),
                    };
                    costs.values[at] = costs.values[at].min(self.capped(cost));
                }
            }
        }
        costs
    }

    /// The true costs of `asked`, which networks look at.
    async fn looks<N: Networks>(
        &self,
        weights: &Weights,
        detections: &[Detection],
        asked: &[usize],
        networks: &mut N,
    ) -> Result<Vec<f64>, N::Error> {
        let mut costs = vec![f64::INFINITY; asked.len()];
        let (mut pairs, mut places) = (Vec::new(), Vec::new());
        for (place, at) in asked.iter().enumerate() {
            let detection = &detections[at % detections.len()];
            for prediction in self.tracks[at / detections.len()].predictions() {
                let motion = motion(weights, prediction, detection);
                match (&prediction.texture, &detection.texture) {
                    (Some(a), Some(b)) => {
                        pairs.push((Arc::clone(a), Arc::clone(b)));
                        places.push((place, motion));
                    }
                    _ => {
                        let cost = cost::cost(weights, motion, unlike(prediction, detection));
                        costs[place] = costs[place].min(cost);
                    }
                }
            }
        }
        let distances = networks.texture_distances(&pairs).await?;
        for ((place, motion), distance) in places.into_iter().zip(distances) {
            // `min` passes over what is not a number.
            costs[place] = costs[place].min(cost::cost(weights, motion, distance));
        }
        Ok(costs)
    }

    fn assign(&self, costs: &[f64], detections: usize) -> Step {
        let seats = assign(costs, self.tracks.len(), detections, self.impossible());
        let taken: Vec<usize> = seats.iter().flatten().copied().collect();
        let pair = |(track, seat): (usize, &Option<usize>)| seat.map(|seat| (track, seat));
        let lone = |(track, seat): (usize, &Option<usize>)| seat.is_none().then_some(track);
        Step {
            matches: seats.iter().enumerate().filter_map(pair).collect(),
            unmatched_tracks: seats.iter().enumerate().filter_map(lone).collect(),
            unmatched_detections: (0..detections).filter(|d| !taken.contains(d)).collect(),
            costs: costs.to_vec(),
            owners: vec![None; detections],
        }
    }
}

fn motion(weights: &Weights, prediction: &Prediction, detection: &Detection) -> f64 {
    let pose = cost::pose_distance(&prediction.pose, &detection.pose);
    cost::motion_cost(weights, pose, &prediction.place, &detection.place)
}

/// By the embeddings of whole maps.
fn unlike(prediction: &Prediction, detection: &Detection) -> f64 {
    cost::embedding_distance(&prediction.embedding, &detection.embedding)
}

/// Of tracks and detections, row-major.
struct Costs {
    values: Vec<f64>,
    /// Appearance was not looked at yet: the value is the least that it can be.
    open: Vec<bool>,
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
