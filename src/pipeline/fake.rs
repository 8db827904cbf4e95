//! A make-believe model for tests: its delays, errors and panics are drawn.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::engine::{Engine, EngineSettings};
use crate::geometry::boxes::BBox;
use crate::imaging::limits::DecodeLimits;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{EngineError, FRAME_SOURCE, INTERNAL, MODEL_FILE};
use crate::pipeline::perception::{ClipSettings, FrameView, Perception};
use crate::pipeline::pool::{Pool, Priority};
use crate::pipeline::result::{FrameResult, Person, Source};
use crate::pipeline::source::{FrameInput, FrameSource};

/// What the make-believe model does with a frame: its first byte.
pub const FINE: u8 = 0;
pub const LOOK_FAILS: u8 = 1;
pub const LOOK_PANICS: u8 = 2;
pub const FOLLOW_FAILS: u8 = 3;
pub const FOLLOW_PANICS: u8 = 4;
pub const FUTURE_PANICS: u8 = 5;
/// Not seen by the model: the source itself is bad.
pub const UNDECODABLE: u8 = 6;
pub const SLOW: u8 = 7;

#[derive(Default)]
pub struct Fake {
    pub seed: u64,
    pub builds: Arc<AtomicUsize>,
    pub looks: Arc<AtomicUsize>,
    pub fail_build: bool,
}

pub struct Worker {
    touched: u64,
}

pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn pause(seed: u64, number: f64, stage: u64, kind: u8) {
    let micros = match kind {
        SLOW => 20_000,
        _ => mix(seed ^ (number as u64) << 8 ^ stage) % 300,
    };
    std::thread::sleep(Duration::from_micros(micros));
}

pub fn kind_of(frame: &FrameView) -> u8 {
    frame.image.data.first().copied().unwrap_or(FINE)
}

impl Perception for Fake {
    type Worker = Worker;
    type Sightings = u64;
    /// A digest of all frames followed so far: differs for every order and every omission.
    type State = u64;
    type Trace = ();

    fn build_worker(&self, _index: usize) -> Result<Worker, EngineError> {
        self.builds.fetch_add(1, Ordering::SeqCst);
        if self.fail_build {
            return Err(EngineError::new(MODEL_FILE, "no such weights"));
        }
        Ok(Worker { touched: 0 })
    }

    fn new_state(&self, _clip: &ClipSettings) -> u64 {
        1
    }

    fn looks_with(&self) -> String {
        format!("seed {}", self.seed)
    }

    fn look(
        &self,
        pool: &Pool<Worker>,
        ctl: &JobControl,
        frame: &FrameView,
    ) -> impl Future<Output = Result<u64, EngineError>> + Send {
        let (kind, number, seed) = (kind_of(frame), frame.number, self.seed);
        let looks = Arc::clone(&self.looks);
        assert_ne!(kind, FUTURE_PANICS, "drawn: the future panics");
        let parts: Vec<_> = (0..3)
            .map(|part| {
                let looks = Arc::clone(&looks);
                pool.run(ctl, Priority::Ahead, move |worker| {
                    worker.touched += 1;
                    looks.fetch_add(1, Ordering::SeqCst);
                    pause(seed, number, part, kind);
                    assert_ne!(kind, LOOK_PANICS, "drawn: looking panics");
                    mix(number as u64 ^ part)
                })
            })
            .collect();
        async move {
            let mut digest = 0;
            for part in parts {
                digest ^= part.await?;
            }
            match kind {
                LOOK_FAILS => Err(EngineError::new(INTERNAL, "drawn: looking fails")),
                _ => Ok(digest),
            }
        }
    }

    async fn follow(
        &self,
        state: &mut u64,
        pool: &Pool<Worker>,
        ctl: &JobControl,
        frame: &FrameView,
        sightings: u64,
    ) -> Result<Vec<Person>, EngineError> {
        let (kind, number, seed, index) = (kind_of(frame), frame.number, self.seed, frame.index);
        let before = *state;
        // Spoilt until the frame has succeeded: a failed frame must not leave this behind.
        *state = 0;
        let after = pool
            .run(ctl, Priority::Follow, move |_| {
                pause(seed, number, 9, kind);
                assert_ne!(kind, FOLLOW_PANICS, "drawn: following panics");
                mix(before ^ sightings ^ index)
            })
            .await?;
        if kind == FOLLOW_FAILS {
            return Err(EngineError::new(INTERNAL, "drawn: following fails"));
        }
        *state = after;
        Ok(vec![person(after)])
    }

    fn version(&self) -> String {
        "fake 1".into()
    }

    fn keypoints(&self) -> &'static str {
        "fake"
    }

    fn device(&self) -> String {
        "cpu".into()
    }

    fn executor(&self) -> Option<&'static str> {
        (self.builds.load(Ordering::SeqCst) > 0).then_some("fake")
    }
}

pub fn person(state: u64) -> Person {
    Person {
        score: 1.0,
        tracking_confidence: 1.0,
        ..Person::at(state as u32, BBox::default(), Source::Detected)
    }
}

pub fn settings(threads: usize, max_queued_frames: usize) -> EngineSettings {
    EngineSettings {
        model: "fake",
        threads,
        max_queued_frames,
        decode: DecodeLimits {
            max_pixels: 1 << 20,
            max_bytes: 1 << 20,
        },
        loaded_in: Duration::ZERO,
        depth: Default::default(),
    }
}

pub fn engine_of(fake: Fake, threads: usize) -> Engine<Fake> {
    Engine::new(fake, settings(threads, 10_000)).unwrap()
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn frame(number: f64, kind: u8) -> FrameInput {
    let source = match kind {
        UNDECODABLE => FrameSource::Bad(EngineError::new(FRAME_SOURCE, "drawn: no source")),
        _ => FrameSource::Pixels {
            data: vec![kind, 0, 0],
            width: 1,
            height: 1,
        },
    };
    FrameInput::new(number, source)
}

pub fn frames(numbers: std::ops::Range<u32>, kind: u8) -> Vec<FrameInput> {
    numbers.map(|n| frame(f64::from(n), kind)).collect()
}

pub fn code(result: &Result<Vec<FrameResult>, EngineError>) -> &'static str {
    result.as_ref().map_or_else(|e| e.code, |_| "fine")
}

pub fn digests(results: &[FrameResult]) -> Vec<(f64, Option<u32>)> {
    results
        .iter()
        .map(|r| (r.frame_number, r.persons.first().map(|p| p.track_id)))
        .collect()
}

/// Drawn panics would bury the report of a real failure.
pub fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.to_string().contains("drawn: ") {
                usual(info);
            }
        }));
    });
}
