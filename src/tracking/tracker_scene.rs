//! Simulated scenes for the tracker's tests: walking figures with noise, and who is followed.

use super::*;
use crate::geometry::boxes::BBox;
use crate::tracking::observation::Origin;

pub const FRAME: (f32, f32) = (1280.0, 720.0);
pub const FPS: f64 = 30.0;

pub struct Dice(pub u64);

impl Dice {
    /// Evenly in -1..1.
    pub fn roll(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        (self.roll() + 1.0) / 2.0 < probability
    }
}

/// A figure 1.7 m tall that walks.
#[derive(Clone, Copy)]
pub struct Figure {
    /// Pelvis, pixels.
    pub at: [f64; 2],
    /// Pixels.
    pub height: f64,
    /// Of the steps, radians.
    pub phase: f64,
    /// Facing right 0, the camera -π/2, left π.
    pub yaw: f64,
    /// Of the whole body in the image.
    pub roll: f64,
}

impl Figure {
    pub fn walker(x: f64, height: f64, phase: f64, yaw: f64) -> Self {
        Self {
            at: [x, 400.0],
            height,
            phase,
            yaw,
            roll: 0.0,
        }
    }

    fn joints(&self) -> Vec<[f64; 3]> {
        // Forward, down, to the figure's left, in metres from the pelvis.
        let mut body = [[0.1, -0.7, 0.0]; 33];
        let swing = 0.5 * self.phase.sin();
        for (side, left, leg) in [(0, 1.0, swing), (1, -1.0, -swing)] {
            body[7 + side] = [0.0, -0.68, 0.08 * left];
            body[11 + side] = [0.0, -0.5, 0.2 * left];
            body[13 + side] = [-0.25 * leg.sin(), -0.22, 0.24 * left];
            body[15 + side] = [0.1 - 0.5 * leg.sin(), 0.02, 0.24 * left];
            body[23 + side] = [0.0, 0.0, 0.12 * left];
            body[25 + side] = [0.42 * leg.sin(), 0.42 * leg.cos(), 0.12 * left];
            let shank = leg - 0.3;
            body[27 + side] = [
                body[25 + side][0] + 0.42 * shank.sin(),
                body[25 + side][1] + 0.42 * shank.cos(),
                0.12 * left,
            ];
            body[31 + side] = [
                body[27 + side][0] + 0.15,
                body[27 + side][1] + 0.05,
                0.12 * left,
            ];
        }
        let (sin, cos) = self.yaw.sin_cos();
        let (rs, rc) = self.roll.sin_cos();
        body.map(|[forward, down, left]| {
            let (x, z) = (forward * cos + left * sin, forward * sin - left * cos);
            [x * rc - down * rs, x * rs + down * rc, z]
        })
        .to_vec()
    }

    pub fn seen(&self, dice: &mut Dice, jitter: f64) -> Observation {
        let scale = self.height / 1.7;
        let joints = self.joints();
        let mut keypoints = Vec::new();
        let mut noisy = Vec::new();
        for j in &joints {
            let mut off = || jitter * 1.7 * dice.roll();
            let p = [j[0] + off(), j[1] + off(), j[2] + off()];
            let pixel = |k: usize| (self.at[k] + scale * p[k]) as f32;
            keypoints.push([pixel(0), pixel(1), 0.9]);
            noisy.push(p.map(|v| v as f32));
        }
        let bbox = BBox::around(keypoints.iter().map(|p| [p[0], p[1]])).unwrap();
        Observation {
            bbox,
            score: 0.8,
            begins: true,
            keypoints,
            joints: noisy,
            looks: None,
        }
    }
}

/// A clip: who is there, whom the detector finds, and what the tracker makes of it.
pub struct Clip {
    pub tracker: Tracker,
    pub dice: Dice,
    pub jitter: f64,
    pub time: f64,
    pub interval: f64,
    pub frame: (f32, f32),
    pub ids: Vec<Option<u32>>,
    pub switches: usize,
    /// Confirmed records that belong to nobody.
    pub strangers: usize,
}

impl Clip {
    pub fn new(people: usize, seed: u64) -> Self {
        Self {
            tracker: Tracker::new(TrackerConfig::default()),
            dice: Dice(seed),
            jitter: 0.015,
            time: 0.0,
            interval: 1.0 / FPS,
            frame: FRAME,
            ids: vec![None; people],
            switches: 0,
            strangers: 0,
        }
    }

    /// One frame; `None` is somebody the detector misses. `extra` are false alarms.
    pub fn show(&mut self, people: &[Option<Figure>], extra: &[Observation]) -> Vec<Record> {
        let mut observations = extra.to_vec();
        let mut owners = vec![None; extra.len()];
        for (person, figure) in people.iter().enumerate() {
            if let Some(figure) = figure {
                // Now before, now after the others.
                let at = if self.dice.chance(0.5) {
                    0
                } else {
                    observations.len()
                };
                observations.insert(at, figure.seen(&mut self.dice, self.jitter));
                owners.insert(at, Some(person));
            }
        }
        self.time += self.interval;
        let records = self.tracker.update(self.time, self.frame, &observations);
        for record in &records {
            let Some(index) = record.matched else {
                continue;
            };
            assert_eq!(record.origin, Origin::Seen);
            assert_eq!(record.observation, observations[index]);
            match owners[index] {
                Some(person) => {
                    let id = self.ids[person].get_or_insert(record.track_id);
                    if *id != record.track_id {
                        *id = record.track_id;
                        self.switches += 1;
                    }
                }
                None => self.strangers += usize::from(record.confirmed),
            }
        }
        for (person, figure) in people.iter().enumerate() {
            if figure.is_some() {
                let found = |r: &Record| r.matched.is_some_and(|i| owners[i] == Some(person));
                assert!(
                    records.iter().any(found),
                    "nobody follows {person} at {}",
                    self.time
                );
            }
        }
        records
    }

    #[track_caller]
    pub fn assert_no_switch(&self) {
        assert_eq!(self.switches, 0, "switched identities");
        let mut ids: Vec<_> = self.ids.iter().flatten().collect();
        ids.dedup();
        assert_eq!(ids.len(), self.ids.len(), "one identity, two people");
    }
}
