//! The engine's promises, on a make-believe model whose delays, errors and panics are drawn.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Engine, EngineSettings, Status};
use crate::geometry::boxes::BBox;
use crate::imaging::decode::DecodeLimits;
use crate::pipeline::clip::Clip;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::*;
use crate::pipeline::perception::{ClipSettings, FrameView, Perception};
use crate::pipeline::pool::{Pool, Priority};
use crate::pipeline::result::{FrameResult, Person, Source};
use crate::pipeline::source::{FrameInput, FrameSource};

/// What the make-believe model does with a frame: its first byte.
const FINE: u8 = 0;
const LOOK_FAILS: u8 = 1;
const LOOK_PANICS: u8 = 2;
const FOLLOW_FAILS: u8 = 3;
const FOLLOW_PANICS: u8 = 4;
const FUTURE_PANICS: u8 = 5;
/// Not seen by the model: the source itself is bad.
const UNDECODABLE: u8 = 6;
const SLOW: u8 = 7;

#[derive(Default)]
struct Fake {
    seed: u64,
    builds: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
    fail_build: bool,
}

struct Worker {
    touched: u64,
}

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn pause(seed: u64, number: f64, stage: u64, kind: u8) {
    let micros = match kind {
        SLOW => 20_000,
        _ => mix(seed ^ (number as u64) << 8 ^ stage) % 300,
    };
    std::thread::sleep(Duration::from_micros(micros));
}

fn kind_of(frame: &FrameView) -> u8 {
    frame.image.data.first().copied().unwrap_or(FINE)
}

impl Perception for Fake {
    type Worker = Worker;
    type Sightings = u64;
    /// A digest of all frames followed so far: differs for every order and every omission.
    type State = u64;

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
}

fn person(state: u64) -> Person {
    Person {
        track_id: state as u32,
        bbox: BBox::default(),
        score: 1.0,
        source: Source::Detected,
        tracking_confidence: 1.0,
        keypoints: Vec::new(),
        joints3d: None,
        joint_angles3d: None,
        camera: None,
    }
}

fn settings(threads: usize, max_queued_frames: usize) -> EngineSettings {
    EngineSettings {
        model: "fake",
        device: "cpu".into(),
        threads,
        max_queued_frames,
        decode: DecodeLimits {
            max_pixels: 1 << 20,
            max_bytes: 1 << 20,
        },
        loaded_in: Duration::ZERO,
    }
}

fn engine_of(fake: Fake, threads: usize) -> Engine<Fake> {
    Engine::new(fake, settings(threads, 10_000)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

fn frame(number: f64, kind: u8) -> FrameInput {
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

fn frames(numbers: std::ops::Range<u32>, kind: u8) -> Vec<FrameInput> {
    numbers.map(|n| frame(f64::from(n), kind)).collect()
}

fn code(result: &Result<Vec<FrameResult>, EngineError>) -> &'static str {
    result.as_ref().map_or_else(|e| e.code, |_| "fine")
}

fn digests(results: &[FrameResult]) -> Vec<(f64, Option<u32>)> {
    results
        .iter()
        .map(|r| (r.frame_number, r.persons.first().map(|p| p.track_id)))
        .collect()
}

/// What must come out, worked out frame by frame without any engine.
fn expected(inputs: &[(f64, u8)]) -> Vec<(f64, Option<u32>, Option<&'static str>)> {
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by(|a, b| inputs[*a].0.total_cmp(&inputs[*b].0));
    let mut out = vec![(0.0, None, None); inputs.len()];
    let mut state = 1;
    for (index, at) in order.into_iter().enumerate() {
        let (number, kind) = inputs[at];
        out[at] = match kind {
            FINE | SLOW => {
                let sightings = (0..3).fold(0, |d, part| d ^ mix(number as u64 ^ part));
                state = mix(state ^ sightings ^ index as u64);
                (number, Some(state as u32), None)
            }
            UNDECODABLE => (number, None, Some(FRAME_SOURCE)),
            _ => (number, None, Some(INTERNAL)),
        };
    }
    out
}

#[test]
fn any_schedule_gives_every_frame_in_order() {
    quiet_panics();
    block_on(async {
        for seed in 0..250_u64 {
            let engine = engine_of(
                Fake {
                    seed,
                    ..Fake::default()
                },
                1 + (seed % 4) as usize,
            );
            let mut inputs: Vec<(f64, u8)> = (0..mix(seed) % 24)
                .map(|i| {
                    let kind = (mix(seed ^ i << 20) % 12) as u8;
                    (
                        i as f64 * 3.0,
                        if kind <= UNDECODABLE { kind } else { FINE },
                    )
                })
                .collect();
            for i in (1..inputs.len()).rev() {
                inputs.swap(i, (mix(seed ^ 77 ^ i as u64) % (i as u64 + 1)) as usize);
            }
            let want = expected(&inputs);
            // In one call, and cut in two along the frame numbers: the same.
            let call = inputs.iter().map(|(n, kind)| frame(*n, *kind)).collect();
            let whole = engine
                .process(&JobControl::default(), call, ClipSettings::default())
                .await
                .unwrap();
            let got: Vec<_> = whole
                .iter()
                .map(|r| {
                    let track = r.persons.first().map(|p| p.track_id);
                    (r.frame_number, track, r.error.as_ref().map(|e| e.0))
                })
                .collect();
            assert_eq!(got, want, "seed {seed}");

            let clip = engine.open_clip(ClipSettings::default());
            let mut sorted = inputs.clone();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut pieces = Vec::new();
            for piece in sorted.chunks(5) {
                let call = piece.iter().map(|(n, kind)| frame(*n, *kind)).collect();
                pieces.extend(clip.process(&JobControl::default(), call).await.unwrap());
            }
            let mut whole = digests(&whole);
            whole.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert_eq!(digests(&pieces), whole, "seed {seed}, in pieces");
            engine.close().await.unwrap();
        }
    });
}

#[test]
fn four_clips_at_once_equal_one() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let want = expected(&(0..40).map(|n| (f64::from(n), FINE)).collect::<Vec<_>>());
        let want: Vec<_> = want.into_iter().map(|(n, track, _)| (n, track)).collect();
        let calls: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(engine.process(
                    &JobControl::default(),
                    frames(0..40, FINE),
                    ClipSettings::default(),
                ))
            })
            .collect();
        for call in calls {
            assert_eq!(digests(&call.await.unwrap().unwrap()), want);
        }
    });
}

#[test]
fn untracked_frames_know_nothing_of_each_other() {
    block_on(async {
        let engine = engine_of(Fake::default(), 3);
        let still = ClipSettings {
            tracking: false,
            ..ClipSettings::default()
        };
        let twice = vec![
            frame(4.0, FINE),
            frame(9.0, FINE),
            frame(4.0, FINE),
            frame(4.0, FINE),
        ];
        let results = engine
            .process(&JobControl::default(), twice, still)
            .await
            .unwrap();
        let got = digests(&results);
        let alone = expected(&[(4.0, FINE)])[0].1;
        assert_eq!(got[0].1, alone);
        assert_eq!(got[2], got[0]);
        assert_eq!(got[3], got[0]);
        assert_ne!(got[1].1, alone);
    });
}

#[test]
fn calls_on_one_clip_are_served_in_the_order_made() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let clip = engine.open_clip(ClipSettings::default());
        let ctl = JobControl::default();
        let calls: Vec<_> = (0..6)
            .map(|c| clip.process(&ctl, frames(c * 5..c * 5 + 5, FINE)))
            .collect();
        // Awaited backwards, and still in order: the place is taken by the call itself.
        let mut running: Vec<_> = calls.into_iter().rev().map(tokio::spawn).collect();
        let mut results = Vec::new();
        while let Some(call) = running.pop() {
            results.extend(call.await.unwrap().unwrap());
        }
        assert!(results.iter().all(|r| r.error.is_none()));
        let want = expected(&(0..30).map(|n| (f64::from(n), FINE)).collect::<Vec<_>>());
        assert_eq!(
            digests(&results),
            want.into_iter()
                .map(|(n, track, _)| (n, track))
                .collect::<Vec<_>>()
        );
    });
}

#[test]
fn numbers_must_rise_from_call_to_call() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let clip = engine.open_clip(ClipSettings::default());
        clip.process(&JobControl::default(), frames(0..5, FINE))
            .await
            .unwrap();
        let call = vec![
            frame(4.0, FINE),
            frame(5.0, FINE),
            frame(5.0, FINE),
            frame(f64::NAN, FINE),
        ];
        let results = clip.process(&JobControl::default(), call).await.unwrap();
        let codes: Vec<_> = results
            .iter()
            .map(|r| r.error.as_ref().map(|e| e.0))
            .collect();
        assert_eq!(
            codes,
            [
                Some(FRAME_ORDER),
                None,
                Some(FRAME_DUPLICATE),
                Some(FRAME_NUMBER)
            ]
        );
        let want = expected(&(0..6).map(|n| (f64::from(n), FINE)).collect::<Vec<_>>());
        assert_eq!(results[1].persons[0].track_id, want[5].1.unwrap());
    });
}

#[test]
fn aborted_before_during_and_after() {
    block_on(async {
        let fake = Fake::default();
        let looks = Arc::clone(&fake.looks);
        let engine = engine_of(fake, 1);

        let before = JobControl::default();
        before.cancel();
        let call = engine
            .process(&before, frames(0..9, FINE), ClipSettings::default())
            .await;
        assert_eq!(code(&call), ABORTED);
        assert_eq!(
            looks.load(Ordering::SeqCst),
            0,
            "an aborted call costs no forward pass"
        );

        let during = JobControl::default();
        let clip = engine.open_clip(ClipSettings::default());
        let first = clip
            .process(&JobControl::default(), frames(0..3, FINE))
            .await
            .unwrap();
        assert_eq!(first.len(), 3);
        let call = tokio::spawn(clip.process(&during, frames(3..100, SLOW)));
        tokio::time::sleep(Duration::from_millis(60)).await;
        let start = Instant::now();
        during.cancel();
        assert_eq!(code(&call.await.unwrap()), ABORTED);
        assert!(
            start.elapsed() < Duration::from_millis(100),
            "stops within a stage"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        let seen = looks.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(looks.load(Ordering::SeqCst), seen, "nothing of it runs on");
        assert_eq!(engine.health().queued_frames, 0);

        // Rolled back: the same numbers again, as if the aborted call had never been.
        let again = clip
            .process(&JobControl::default(), frames(3..6, FINE))
            .await
            .unwrap();
        let want = expected(&(0..6).map(|n| (f64::from(n), FINE)).collect::<Vec<_>>());
        assert_eq!(again[2].persons[0].track_id, want[5].1.unwrap());

        let after = JobControl::default();
        let done = clip.process(&after, frames(6..7, FINE)).await;
        after.cancel();
        assert_eq!(code(&done), "fine");
        let next = clip
            .process(&JobControl::default(), frames(7..8, FINE))
            .await;
        assert_eq!(code(&next), "fine");
    });
}

#[test]
fn a_call_aborted_in_the_queue_lets_the_next_one_pass() {
    block_on(async {
        let engine = engine_of(Fake::default(), 1);
        let clip = engine.open_clip(ClipSettings::default());
        let (ctl, middle) = (JobControl::default(), JobControl::default());
        let first = tokio::spawn(clip.process(&ctl, frames(0..4, SLOW)));
        let second = tokio::spawn(clip.process(&middle, frames(4..8, SLOW)));
        let third = tokio::spawn(clip.process(&ctl, frames(4..6, FINE)));
        middle.cancel();
        assert_eq!(code(&second.await.unwrap()), ABORTED);
        assert_eq!(code(&first.await.unwrap()), "fine");
        let third = third.await.unwrap().unwrap();
        let want = expected(&(0..6).map(|n| (f64::from(n), FINE)).collect::<Vec<_>>());
        assert_eq!(third[1].persons[0].track_id, want[5].1.unwrap());
    });
}

#[test]
fn out_of_time() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let clip = engine.open_clip(ClipSettings::default());
        let ctl = JobControl::new(Some(Duration::from_millis(50)));
        let start = Instant::now();
        let call = clip.process(&ctl, frames(0..200, SLOW)).await;
        assert_eq!(code(&call), TIMEOUT);
        assert!(call.unwrap_err().message.contains("timeoutMs = 50"));
        assert!(start.elapsed() < Duration::from_millis(250));
        let zero = JobControl::new(Some(Duration::ZERO));
        assert_eq!(
            code(&clip.process(&zero, frames(0..1, FINE)).await),
            TIMEOUT
        );
        let again = clip
            .process(&JobControl::default(), frames(0..2, FINE))
            .await;
        assert_eq!(code(&again), "fine");
    });
}

#[test]
fn a_full_queue_says_so() {
    block_on(async {
        let engine = Engine::new(Fake::default(), settings(1, 10)).unwrap();
        let ctl = JobControl::default();
        let clip = ClipSettings::default();
        let first = engine.process(&ctl, frames(0..8, FINE), clip);
        let refused = engine
            .process(&ctl, frames(0..3, FINE), clip)
            .await
            .unwrap_err();
        assert_eq!(refused.code, QUEUE_FULL);
        for number in ["3 frames", "8 are waiting", "is 10"] {
            assert!(
                refused.message.contains(number),
                "{} lacks {number:?}",
                refused.message
            );
        }
        assert_eq!(
            code(&engine.process(&ctl, frames(0..2, FINE), clip).await),
            "fine"
        );
        assert_eq!(code(&first.await), "fine");
        assert_eq!(
            code(&engine.process(&ctl, frames(0..10, FINE), clip).await),
            "fine"
        );
        assert_eq!(code(&engine.process(&ctl, Vec::new(), clip).await), "fine");
    });
}

#[test]
fn a_panic_costs_its_frame_and_a_new_worker() {
    quiet_panics();
    block_on(async {
        let fake = Fake::default();
        let builds = Arc::clone(&fake.builds);
        let engine = engine_of(fake, 1);
        let call = vec![
            frame(0.0, FINE),
            frame(1.0, FOLLOW_PANICS),
            frame(2.0, FINE),
        ];
        let results = engine
            .process(&JobControl::default(), call, ClipSettings::default())
            .await
            .unwrap();
        let (code, message) = results[1].error.clone().unwrap();
        assert_eq!(code, INTERNAL);
        assert!(message.contains("drawn: following panics"), "{message}");
        assert!(results[0].error.is_none() && results[2].error.is_none());
        assert_eq!(builds.load(Ordering::SeqCst), 2);
        let health = engine.health();
        assert_eq!((health.frames_done, health.frames_failed), (2, 1));
    });
}

#[test]
fn a_short_call_is_not_kept_waiting_by_a_long_one() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let ctl = JobControl::default();
        let clip = ClipSettings::default();
        let long = tokio::spawn(engine.process(&ctl, frames(0..60, SLOW), clip));
        tokio::time::sleep(Duration::from_millis(50)).await;
        // A call of its own, so it takes turns with the long one.
        let short = JobControl::default();
        let start = Instant::now();
        engine
            .process(&short, frames(0..2, SLOW), clip)
            .await
            .unwrap();
        // 60 frames of 80 ms each on two threads: 2.4 s for the long one.
        assert!(
            start.elapsed() < Duration::from_millis(1_000),
            "{:?}",
            start.elapsed()
        );
        assert!(!long.is_finished());
        ctl.cancel();
        assert_eq!(code(&long.await.unwrap()), ABORTED);
    });
}

#[test]
fn pixels_of_few_frames_are_alive_at_once() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let clip: Clip<Fake> = engine.open_clip(ClipSettings::default());
        let room = engine.room_in_tests();
        let call = tokio::spawn(clip.process(&JobControl::default(), frames(0..50, FINE)));
        let mut fewest = usize::MAX;
        while !call.is_finished() {
            fewest = fewest.min(room.available_permits());
            tokio::task::yield_now().await;
        }
        assert_eq!(code(&call.await.unwrap()), "fine");
        assert!(fewest < 4, "the look-ahead was used");
        assert_eq!(room.available_permits(), 4, "threads + 2, all given back");
    });
}

#[test]
fn closing_ends_what_waits_and_lets_running_work_finish() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let ctl = JobControl::default();
        let clip = ClipSettings::default();
        let running = tokio::spawn(engine.process(&ctl, frames(0..100, SLOW), clip));
        tokio::time::sleep(Duration::from_millis(50)).await;
        engine.close().await.unwrap();
        assert_eq!(code(&running.await.unwrap()), CLOSED);
        assert_eq!(
            code(&engine.process(&ctl, frames(0..1, FINE), clip).await),
            CLOSED
        );
        assert_eq!(code(&engine.process(&ctl, Vec::new(), clip).await), CLOSED);
        assert_eq!(engine.warmup(&ctl).await.unwrap_err().code, CLOSED);
        assert_eq!(engine.health().status, Status::Closed);
        assert_eq!(engine.health().queued_frames, 0);
        engine.close().await.unwrap();
    });
}

#[test]
fn ready_only_once_a_frame_has_gone_through() {
    block_on(async {
        let fake = Fake::default();
        let builds = Arc::clone(&fake.builds);
        let engine = engine_of(fake, 3);
        let ctl = JobControl::default();
        assert_eq!(engine.health().status, Status::Idle);
        let bad = vec![frame(0.0, UNDECODABLE)];
        engine
            .process(&ctl, bad, ClipSettings::default())
            .await
            .unwrap();
        assert_eq!(engine.health().status, Status::Idle);
        let call = engine.process(&ctl, frames(0..1, FINE), ClipSettings::default());
        assert_eq!(engine.health().status, Status::Warming);
        drop(call);
        engine.warmup(&ctl).await.unwrap();
        assert_eq!(engine.health().status, Status::Ready);
        assert_eq!(builds.load(Ordering::SeqCst), 3);
        let report = engine.warmup(&ctl).await.unwrap();
        assert_eq!(builds.load(Ordering::SeqCst), 3, "built once");
        assert_eq!(report.model, "fake");
        assert_eq!(
            engine.health().frames_done,
            0,
            "the synthetic frame is nobody's"
        );
    });
}

#[test]
fn a_worker_that_cannot_be_built_fails_the_call() {
    block_on(async {
        let engine = engine_of(
            Fake {
                fail_build: true,
                ..Fake::default()
            },
            2,
        );
        let ctl = JobControl::default();
        assert_eq!(engine.warmup(&ctl).await.unwrap_err().code, MODEL_FILE);
        let call = engine
            .process(&ctl, frames(0..5, FINE), ClipSettings::default())
            .await;
        assert_eq!(code(&call), MODEL_FILE);
        assert_ne!(engine.health().status, Status::Ready);
        assert_eq!(engine.health().queued_frames, 0);
    });
}

#[test]
fn job_ids_differ() {
    let ids: HashSet<u64> = (0..100).map(|_| JobControl::default().id()).collect();
    assert_eq!(ids.len(), 100);
}

/// Drawn panics would bury the report of a real failure.
fn quiet_panics() {
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

#[test]
fn a_stream_equals_a_call() {
    block_on(async {
        for tracking in [true, false] {
            let engine = engine_of(Fake::default(), 2);
            let ctl = JobControl::default();
            let settings = ClipSettings {
                tracking,
                ..ClipSettings::default()
            };
            let kinds = [FINE, FINE, UNDECODABLE, FINE, FOLLOW_FAILS, FINE, FINE];
            let inputs = || {
                kinds
                    .iter()
                    .enumerate()
                    .map(|(n, kind)| frame(n as f64, *kind))
                    .collect::<Vec<_>>()
            };
            let want = engine.process(&ctl, inputs(), settings).await.unwrap();
            let stream = engine.open_stream(&ctl, settings);
            let mut got = Vec::new();
            for (n, input) in inputs().into_iter().enumerate() {
                stream.push(input).unwrap();
                // Now and then the source is slow: results come without waiting for more frames.
                if n % 3 == 2 {
                    while got.len() <= n {
                        let result = stream.next().await.unwrap().unwrap();
                        stream.answered(&result);
                        got.push(result);
                    }
                }
            }
            stream.end();
            while let Some(result) = stream.next().await.unwrap() {
                stream.answered(&result);
                got.push(result);
            }
            assert_eq!(digests(&got), digests(&want));
            assert_eq!(engine.health().queued_frames, 0);
        }
    });
}

#[test]
fn a_closed_stream_leaves_no_frames_behind() {
    block_on(async {
        let engine = engine_of(Fake::default(), 1);
        let stream = engine.open_stream(&JobControl::default(), ClipSettings::default());
        for number in 0..5 {
            stream.push(frame(f64::from(number), SLOW)).unwrap();
        }
        assert_eq!(engine.health().queued_frames, 5);
        stream.close();
        assert_eq!(engine.health().queued_frames, 0);
        assert_eq!(stream.next().await.unwrap_err().code, ABORTED);
    });
}

#[test]
fn a_stream_refuses_falling_numbers_and_ends_with_its_engine() {
    block_on(async {
        let engine = engine_of(Fake::default(), 1);
        let stream = engine.open_stream(&JobControl::default(), ClipSettings::default());
        for number in [4.0, 4.0, 3.0, f64::NAN, 5.0] {
            stream.push(frame(number, FINE)).unwrap();
        }
        let mut codes = Vec::new();
        for _ in 0..5 {
            codes.push(stream.next().await.unwrap().unwrap().error.map(|e| e.0));
        }
        let want = [
            None,
            Some(FRAME_DUPLICATE),
            Some(FRAME_ORDER),
            Some(FRAME_NUMBER),
            None,
        ];
        assert_eq!(codes, want);

        stream.push(frame(6.0, SLOW)).unwrap();
        let next = tokio::spawn(stream.next());
        tokio::time::sleep(Duration::from_millis(10)).await;
        engine.close().await.unwrap();
        assert_eq!(next.await.unwrap().unwrap_err().code, CLOSED);
        assert_eq!(stream.push(frame(7.0, FINE)).unwrap_err().code, CLOSED);
        drop(stream);
        assert_eq!(engine.health().queued_frames, 0);
    });
}
