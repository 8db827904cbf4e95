//! The engine's promises, on a make-believe model.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Engine, Status};
use crate::pipeline::clip::Clip;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::*;
use crate::pipeline::fake::*;
use crate::pipeline::perception::ClipSettings;

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
        let all = 2 + crate::pipeline::shared::LOOK_AHEAD;
        assert!(fewest < all, "the look-ahead was used");
        assert_eq!(room.available_permits(), all, "all given back");
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
