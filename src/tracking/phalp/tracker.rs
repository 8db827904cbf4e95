//! Frame by frame: who of the detected is whom.

use std::sync::Arc;

use super::config::{Appearance, Config, Weights};
use super::cost;
use super::features::Detection;
use super::texture::Texture;
use super::track::{Prediction, State, Track};
use crate::tracking::assignment::assign;

/// Of each track, the pose expected next; `None`: as it was.
pub type Poses = Vec<Option<Arc<[f32]>>>;

/// What the tracker asks of networks; without them poses stay and textures are not compared.
pub trait Networks {
    type Error;

    /// The pose of each track one frame after the last it was unseen in.
    fn poses(&mut self, tracks: &[&Track]) -> Result<Poses, Self::Error>;

    /// How unlike two people look where both maps saw them: the squared distance of their
    /// embeddings' thousandths, times 100.
    fn texture_distances(
        &mut self,
        pairs: &[(&Texture, &Texture)],
    ) -> Result<Vec<f64>, Self::Error>;
}

/// No networks: poses stay as they were last seen, textures are taken for equal.
pub struct NoNetworks;

impl Networks for NoNetworks {
    type Error = std::convert::Infallible;

    fn poses(&mut self, tracks: &[&Track]) -> Result<Poses, Self::Error> {
        Ok(vec![None; tracks.len()])
    }

    fn texture_distances(
        &mut self,
        pairs: &[(&Texture, &Texture)],
    ) -> Result<Vec<f64>, Self::Error> {
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
    /// `[tracks, detections]`, row-major; `Config::most` plus a little where there is no match.
    pub costs: Vec<f64>,
}

#[derive(Clone, Debug)]
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
    /// error nothing has changed.
    pub fn step<N: Networks>(
        &mut self,
        detections: &[Detection],
        cut: bool,
        networks: &mut N,
    ) -> Result<Step, N::Error> {
        let costs = self.costs(detections, cut, networks)?;
        let mut next = self.clone();
        let step = next.assign(costs, detections.len());
        next.tracks.iter_mut().for_each(Track::grow_older);
        for &(track, detection) in &step.matches {
            next.tracks[track].see(&next.config, detections[detection].clone(), cut);
        }
        for &track in &step.unmatched_tracks {
            next.tracks[track].miss(&next.config);
        }
        next.tracks.retain(|track| track.state != State::Ended);
        next.predict(networks)?;
        for &detection in &step.unmatched_detections {
            let track = Track::begin(next.next_id, &next.config, detections[detection].clone());
            next.tracks.push(track);
            next.next_id += 1;
        }
        *self = next;
        Ok(step)
    }

    fn predict<N: Networks>(&mut self, networks: &mut N) -> Result<(), N::Error> {
        let poses = match self.config.predict_pose {
            true => networks.poses(&self.tracks.iter().collect::<Vec<_>>())?,
            false => vec![None; self.tracks.len()],
        };
        for (track, pose) in self.tracks.iter_mut().zip(poses) {
            track.predict(&self.config, pose, false);
        }
        Ok(())
    }

    fn weights(&self, cut: bool) -> &Weights {
        let at_cut = self.config.cut.as_ref().filter(|_| cut);
        at_cut.unwrap_or(&self.config.weights)
    }

    /// Of every track and detection, capped at what can be no match.
    fn costs<N: Networks>(
        &self,
        detections: &[Detection],
        cut: bool,
        networks: &mut N,
    ) -> Result<Vec<f64>, N::Error> {
        let weights = self.weights(cut);
        let impossible = self.config.most + BEYOND;
        // The texture of a film's people is compared by the last embedding at a cut.
        let by_texture =
            self.config.appearance == Appearance::Texture && !(cut && self.config.cut.is_some());
        let mut costs = vec![impossible; self.tracks.len() * detections.len()];
        let (mut asked, mut places) = (Vec::new(), Vec::new());
        for (row, track) in self.tracks.iter().enumerate() {
            for (column, detection) in detections.iter().enumerate() {
                let at = row * detections.len() + column;
                for prediction in track.predictions() {
                    let motion = motion(weights, prediction, detection);
                    // Appearance only adds: the networks need not look at pairs beyond hope.
                    if motion.is_nan() || motion > self.config.most {
                        continue;
                    }
                    match (&prediction.texture, &detection.texture) {
                        (Some(a), Some(b)) if by_texture => {
                            asked.push((a.as_ref(), b.as_ref()));
                            places.push((at, motion));
                        }
                        _ => {
                            let distance = cost::embedding_distance(
                                &prediction.embedding,
                                &detection.embedding,
                            );
                            lower(&mut costs[at], cost::cost(weights, motion, distance));
                        }
                    }
                }
            }
        }
        let distances = match asked.is_empty() {
            true => Vec::new(),
            false => networks.texture_distances(&asked)?,
        };
        for ((at, motion), distance) in places.into_iter().zip(distances) {
            lower(&mut costs[at], cost::cost(weights, motion, distance));
        }
        let capped = |cost: &mut f64| {
            if *cost > self.config.most {
                *cost = impossible;
            }
        };
        costs.iter_mut().for_each(capped);
        Ok(costs)
    }

    fn assign(&self, costs: Vec<f64>, detections: usize) -> Step {
        let unmatched = self.config.most + BEYOND;
        let seats = assign(&costs, self.tracks.len(), detections, unmatched);
        let taken: Vec<usize> = seats.iter().flatten().copied().collect();
        let pair = |(track, seat): (usize, &Option<usize>)| seat.map(|seat| (track, seat));
        let lone = |(track, seat): (usize, &Option<usize>)| seat.is_none().then_some(track);
        Step {
            matches: seats.iter().enumerate().filter_map(pair).collect(),
            unmatched_tracks: seats.iter().enumerate().filter_map(lone).collect(),
            unmatched_detections: (0..detections).filter(|d| !taken.contains(d)).collect(),
            costs,
        }
    }
}

fn motion(weights: &Weights, prediction: &Prediction, detection: &Detection) -> f64 {
    let pose = cost::pose_distance(&prediction.pose, &detection.pose);
    cost::motion_cost(weights, pose, &prediction.place, &detection.place)
}

/// What is not a number is no match.
fn lower(cost: &mut f64, other: f64) {
    if other < *cost {
        *cost = other;
    }
}
