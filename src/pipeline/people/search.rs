//! The looks at a frame, spread over the workers: tiles for the detector, regions for the landmarks.

use std::future::Future;
use std::sync::Arc;

use super::candidates::{Candidate, group};
use super::pose::{Found, Pose, similarity};
use super::tiles::Tile;
use super::watch::Thumbnail;
use super::worker::Networks;
use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;
use crate::models::blazepose::{Detection, Landmarks, ModelError};
use crate::pipeline::config::BlazePoseConfig;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{EngineError, INTERNAL};
use crate::pipeline::pool::{Pool, Priority};

type Result<T> = std::result::Result<T, EngineError>;

/// One frame, and the means to look at it.
pub struct Looker<'a> {
    pub pool: &'a Pool<Networks>,
    pub ctl: &'a JobControl,
    pub image: &'a Arc<Rgb8>,
    pub config: &'a BlazePoseConfig,
    pub priority: Priority,
}

impl Looker<'_> {
    /// Runs `work` once per item, side by side, from now on; outcomes in the order of the items.
    fn each<I, T, F>(
        &self,
        items: Vec<I>,
        work: F,
    ) -> impl Future<Output = Result<Vec<T>>> + Send + use<I, T, F>
    where
        I: Send + 'static,
        T: Send + 'static,
        F: Fn(&mut Networks, &Rgb8, I) -> std::result::Result<T, ModelError>
            + Clone
            + Send
            + 'static,
    {
        let started: Vec<_> = items
            .into_iter()
            .map(|item| {
                let (image, work) = (Arc::clone(self.image), work.clone());
                self.pool.run(self.ctl, self.priority, move |networks| {
                    work(networks, &image, item)
                })
            })
            .collect();
        async move {
            let mut outcomes = Vec::with_capacity(started.len());
            for outcome in started {
                let failed = |e: ModelError| EngineError::new(INTERNAL, e.to_string());
                outcomes.push(outcome.await?.map_err(failed)?);
            }
            Ok(outcomes)
        }
    }

    /// The frame made small, for comparison with its neighbours, if watching.
    pub async fn thumbnail(&self) -> Result<Option<Thumbnail>> {
        let images = if self.config.watch {
            vec![()]
        } else {
            Vec::new()
        };
        let made = self.each(images, |_, image, ()| Ok(Thumbnail::of(image)));
        Ok(made.await?.pop())
    }

    /// The places in these tiles where there may be people, the surest `limit` of them. The looking
    /// starts now, the future only waits for it.
    pub fn detect(
        &self,
        tiles: Vec<Tile>,
        threshold: f32,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Candidate>>> + Send + use<> {
        let iou = self.config.nms_iou;
        let found = self.each(tiles, move |networks, image, tile| {
            networks.detector.detect(image, &tile.roi, threshold, iou)
        });
        async move {
            let found: Vec<Vec<Detection>> = found.await?;
            Ok(group(found.into_iter().flatten().collect(), limit))
        }
    }

    /// The landmarks in these regions.
    pub async fn landmarks(&self, regions: Vec<Roi>) -> Result<Vec<Landmarks>> {
        let kernel = self.config.heatmap_kernel;
        self.each(regions, move |networks, image, region| {
            networks.landmarker.estimate(image, &region, kernel)
        })
        .await
    }

    /// The poses at these places: two crops each if refining, kept where the pose flag says so.
    pub async fn poses(&self, places: Vec<(Candidate, Found)>) -> Result<Vec<Pose>> {
        let first = self
            .landmarks(places.iter().map(|(c, _)| c.region).collect())
            .await?;
        let threshold = self.config.pose_threshold;
        let mut poses: Vec<Pose> = places
            .into_iter()
            .zip(first)
            .filter(|(_, landmarks)| landmarks.flag >= threshold)
            .map(|((place, found), landmarks)| Pose {
                score: place.score,
                consistency: 1.0,
                votes: place.votes,
                found,
                landmarks,
            })
            .collect();
        if !self.config.refine {
            return Ok(poses);
        }
        let again = self
            .landmarks(poses.iter().map(|p| p.landmarks.next_region()).collect())
            .await?;
        for (pose, landmarks) in poses.iter_mut().zip(again) {
            pose.consistency = similarity(&pose.landmarks, &landmarks);
            pose.landmarks = landmarks;
        }
        poses.retain(|p| p.landmarks.flag >= threshold);
        Ok(poses)
    }
}
