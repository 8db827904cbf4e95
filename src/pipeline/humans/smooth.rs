//! Bodies smoothed as they are followed: rotations, place, shape, and the points ViTPose measures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pipeline::result::{KeypointSource, Person, Source};
use crate::tracking::one_euro::{OneEuro, OneEuroConfig};
use crate::tracking::turns::Turns;

/// The filters of everybody in a clip.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Smoothing(BTreeMap<u32, Filters>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Filters {
    turns: Turns,
    betas: OneEuro,
    place: OneEuro,
    points: OneEuro,
}

impl Filters {
    fn new() -> Self {
        Self {
            turns: Turns::new(OneEuroConfig::ROTATION),
            betas: OneEuro::new(OneEuroConfig::STEADY),
            place: OneEuro::new(OneEuroConfig::WORLD),
            points: OneEuro::new(OneEuroConfig::IMAGE),
        }
    }

    /// The body's parameters, and measured points; what follows from them is the model's to say.
    fn apply(&mut self, time_s: f64, person: &mut Person) {
        if let Some(smpl) = &mut person.smpl {
            let pose = smpl.body_pose.as_chunks::<9>().0;
            let mut rotations: Vec<[f32; 9]> = Vec::with_capacity(1 + pose.len());
            rotations.push(smpl.global_orient);
            rotations.extend(pose);
            self.turns.apply(time_s, &mut rotations);
            if let Some((first, rest)) = rotations.split_first() {
                smpl.global_orient = *first;
                smpl.body_pose = rest.concat();
            }
            self.betas.apply(time_s, 1.0, &mut smpl.betas);
        }
        if let Some(camera) = &mut person.camera {
            self.place.apply(time_s, 1.0, &mut camera.translation);
        }
        if person.keypoint_source == Some(KeypointSource::Measured) {
            let size = person.bbox.width().max(person.bbox.height());
            let mut places: Vec<f32> = Vec::with_capacity(2 * person.keypoints.len());
            for point in &person.keypoints {
                places.extend([point.x, point.y]);
            }
            self.points.apply(time_s, 1.0 / size.max(1.0), &mut places);
            for (point, place) in person.keypoints.iter_mut().zip(places.as_chunks::<2>().0) {
                [point.x, point.y] = *place;
            }
        }
    }
}

impl Smoothing {
    /// Everybody with a body in this frame; of those seen, what was measured is kept beside. Whoever
    /// is not in it any more starts anew.
    pub fn apply(&mut self, time_s: f64, people: &mut [Person]) {
        self.0
            .retain(|id, _| people.iter().any(|person| person.track_id == *id));
        for person in people.iter_mut().filter(|person| person.smpl.is_some()) {
            let raw = (person.source != Source::Predicted).then(|| Box::new(person.measured()));
            let filters = self.0.entry(person.track_id);
            filters.or_insert_with(Filters::new).apply(time_s, person);
            person.raw = raw;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::boxes::BBox;
    use crate::geometry::rotations::exp;
    use crate::pipeline::result::{Camera, Smpl};

    fn somebody(track_id: u32, source: Source, turn: f64, away: f32) -> Person {
        let rotation = exp([turn, 0.0, 0.0]).map(|v| v as f32);
        Person {
            smpl: Some(Smpl {
                global_orient: rotation,
                body_pose: rotation.repeat(23),
                betas: [turn as f32; 10],
            }),
            camera: Some(Camera {
                translation: [0.0, 0.0, away],
                focal_length: 1000.0,
                center: [50.0; 2],
            }),
            ..Person::at(track_id, BBox::new(0.0, 0.0, 50.0, 100.0), source)
        }
    }

    #[test]
    fn what_was_measured_stays_beside_what_is_smoothed() {
        let mut smoothing = Smoothing::default();
        let mut spread: Vec<f32> = Vec::new();
        for n in 0..40 {
            let tremble = if n % 2 == 0 { 0.02 } else { -0.02 };
            let seen = somebody(7, Source::Detected, 0.3 + tremble, 4.0 + tremble as f32);
            let mut people = [seen.clone(), Person::at(8, seen.bbox, Source::Detected)];
            smoothing.apply(f64::from(n) / 30.0, &mut people);
            let [person, bodiless] = people;
            assert_eq!(person.raw.as_deref(), Some(&seen.measured()));
            assert_eq!(bodiless.raw, None);
            assert_eq!(n == 0, person.smpl == seen.smpl);
            spread.extend(person.camera.map(|c| (c.translation[2] - 4.0).abs()));
            if n > 20 {
                let smpl = person.smpl.unwrap();
                assert!((smpl.betas[0] - 0.3).abs() < 0.015);
                assert!((smpl.body_pose[5] + 0.3f32.sin()).abs() < 0.015);
            }
        }
        assert!(spread[20..].iter().all(|away| *away < 0.015), "{spread:?}");
    }

    #[test]
    fn a_prediction_is_smoothed_and_is_no_measurement_and_who_comes_back_starts_anew() {
        let mut smoothing = Smoothing::default();
        smoothing.apply(0.0, &mut [somebody(1, Source::Detected, 0.0, 4.0)]);
        let mut guessed = [somebody(1, Source::Predicted, 0.0, 5.0)];
        smoothing.apply(0.1, &mut guessed);
        let away = guessed[0].camera.unwrap().translation[2];
        assert!(away > 4.0 && away < 5.0 && guessed[0].raw.is_none());
        smoothing.apply(0.2, &mut []);
        let mut back = [somebody(1, Source::Detected, 0.0, 9.0)];
        smoothing.apply(0.3, &mut back);
        assert_eq!(back[0].camera.unwrap().translation[2], 9.0);
    }
}
