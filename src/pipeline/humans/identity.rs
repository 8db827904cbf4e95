//! PHALP's networks at a desk, and what its tracker asks of them: how alike two people look, and how
//! somebody will move next.

use std::sync::Arc;

use tch::{TchError, Tensor};

use super::post::{Counter, Network};
use crate::models::phalp::appearance::AppearanceEncoder;
use crate::models::phalp::pose_predictor::{PosePredictor, Sight};
use crate::pipeline::control::JobControl;
use crate::pipeline::error::EngineError;
use crate::tracking::phalp::cost::embedding_distance;
use crate::tracking::phalp::texture::Texture;
use crate::tracking::phalp::track::Track;
use crate::tracking::phalp::tracker::{Networks, Poses, TexturePair};

/// Texture encoder and pose predictor.
pub struct Identity {
    pub encoder: AppearanceEncoder,
    pub predictor: PosePredictor,
}

pub enum Question {
    /// What a map looks like where the other person's map was seen, too.
    Look {
        map: Arc<Texture>,
        beside: Arc<Texture>,
    },
    /// The pose one frame after `unseen` frames that followed the last of `past`: frames and poses.
    Next {
        past: Vec<(i64, Arc<[f32]>)>,
        unseen: u32,
    },
}

/// Of a look the embedding, of a next moment the pose.
pub type Answer = Arc<[f32]>;

impl Network for Identity {
    type Item = Question;
    type Outcome = Answer;

    /// One by one: a map or a past keeps all cores busy, and its answer does not depend on others.
    fn run(&self, questions: &[Question]) -> Result<Vec<Answer>, TchError> {
        questions
            .iter()
            .map(|question| self.answer(question))
            .collect()
    }
}

impl Identity {
    fn answer(&self, question: &Question) -> Result<Answer, TchError> {
        let numbers = match question {
            Question::Look { map, beside } => {
                let side = i64::try_from(map.side).unwrap_or(0);
                let input = Tensor::f_from_slice(&map.shared_with(beside))?;
                self.encoder.encode(&input.f_reshape([1, 4, side, side])?)?
            }
            Question::Next { past, unseen } => {
                let sight = |(time, pose): &(i64, Arc<[f32]>)| (*time, Arc::clone(pose));
                let past: Vec<(i64, Arc<[f32]>)> = past.iter().map(sight).collect();
                let sights = past.iter().map(|(time, pose)| Sight { time: *time, pose });
                let unseen = [i64::from(*unseen)];
                self.predictor.predict_next(&[sights.collect()], &unseen)?
            }
        };
        let flat = numbers
            .f_to_device(tch::Device::Cpu)?
            .f_to_kind(tch::Kind::Float)?
            .f_reshape([-1])?;
        Ok(Vec::<f32>::try_from(flat)?.into())
    }
}

/// The tracker's way to the desk.
pub struct Asker<'a> {
    pub counter: &'a Counter<Identity>,
    pub ctl: &'a JobControl,
}

impl Networks for Asker<'_> {
    type Error = EngineError;

    async fn poses(&mut self, tracks: &[&Track]) -> Result<Poses, EngineError> {
        let question = |track: &&Track| {
            let past = track.past.iter();
            Question::Next {
                past: past.map(|d| (d.time, Arc::clone(&d.pose))).collect(),
                unseen: track.unseen,
            }
        };
        let questions = tracks.iter().map(question).collect();
        let answers = self.counter.order(self.ctl, questions).await?;
        Ok(answers.into_iter().map(Some).collect())
    }

    async fn texture_distances(&mut self, pairs: &[TexturePair]) -> Result<Vec<f64>, EngineError> {
        let look = |map: &Arc<Texture>, beside: &Arc<Texture>| Question::Look {
            map: Arc::clone(map),
            beside: Arc::clone(beside),
        };
        let questions = pairs.iter().flat_map(|(a, b)| [look(a, b), look(b, a)]);
        let answers = self.counter.order(self.ctl, questions.collect()).await?;
        let pairs = answers.as_chunks::<2>().0.iter();
        Ok(pairs
            .map(|[a, b]| 100.0 * embedding_distance(a, b))
            .collect())
    }
}
