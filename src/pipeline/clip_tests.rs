//! Clips saved and taken up again, and gone over as a whole, on a make-believe model.

use crate::pipeline::control::JobControl;
use crate::pipeline::error::*;
use crate::pipeline::fake::*;
use crate::pipeline::perception::{ClipSettings, Mode};

const KINDS: [u8; 9] = [
    FINE,
    FINE,
    UNDECODABLE,
    FINE,
    FOLLOW_FAILS,
    FINE,
    FINE,
    LOOK_PANICS,
    FINE,
];

fn inputs(range: std::ops::Range<usize>) -> Vec<crate::pipeline::source::FrameInput> {
    range.map(|n| frame(n as f64, KINDS[n])).collect()
}

fn offline() -> ClipSettings {
    ClipSettings {
        mode: Mode::Offline,
        fps: 12.0,
        ..ClipSettings::default()
    }
}

#[test]
fn a_clip_taken_up_again_anywhere_is_the_clip() {
    quiet_panics();
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let ctl = JobControl::default();
        for settings in [ClipSettings::default(), offline()] {
            let whole = engine.open_clip(settings);
            let want = whole.process(&ctl, inputs(0..KINDS.len())).await.unwrap();
            for cut in 0..=KINDS.len() {
                let clip = engine.open_clip(settings);
                let mut got = clip.process(&ctl, inputs(0..cut)).await.unwrap();
                let bytes = clip.snapshot(&ctl).await.unwrap();
                let other = engine_of(Fake::default(), 1);
                let resumed = other.resume_clip(&bytes).unwrap();
                assert_eq!(*resumed.settings(), settings);
                let rest = inputs(cut..KINDS.len());
                got.extend(resumed.process(&ctl, rest).await.unwrap());
                assert_eq!(digests(&got), digests(&want), "cut at {cut}");
                if settings.mode == Mode::Offline {
                    let finished = resumed.finish(&ctl).await.unwrap();
                    let errors = |r: &[crate::pipeline::result::FrameResult]| -> Vec<_> {
                        r.iter()
                            .map(|r| (r.frame_number, r.error.clone()))
                            .collect()
                    };
                    assert_eq!(errors(&finished), errors(&want));
                }
            }
        }
    });
}

#[test]
fn a_snapshot_waits_its_turn_and_leaves_the_clip_alone() {
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let ctl = JobControl::default();
        let clip = engine.open_clip(ClipSettings::default());
        let first = clip.process(&ctl, frames(0..3, SLOW));
        let snapshot = clip.snapshot(&ctl);
        let second = clip.process(&ctl, frames(3..5, FINE));
        // Each was begun when it was made; they run to their ends in any order.
        let first = tokio::spawn(first);
        let second = tokio::spawn(second);
        let bytes = snapshot.await;
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(first.is_ok());
        let resumed = engine.resume_clip(&bytes.unwrap()).unwrap();
        let again = resumed.process(&ctl, frames(3..5, FINE)).await.unwrap();
        assert_eq!(digests(&again), digests(&second.unwrap()));
    });
}

#[test]
fn bytes_that_lie_are_refused_and_a_closed_engine_takes_none() {
    block_on(async {
        let engine = engine_of(Fake::default(), 1);
        let ctl = JobControl::default();
        let settings = ClipSettings {
            fps: f64::NAN,
            ..ClipSettings::default()
        };
        let bytes = engine.open_clip(settings).snapshot(&ctl).await.unwrap();
        let refused = engine.resume_clip(&bytes).map(drop).unwrap_err();
        assert_eq!(refused.code, SNAPSHOT);
        let clip = engine.open_clip(ClipSettings::default());
        let bytes = clip.snapshot(&ctl).await.unwrap();
        engine.close().await.unwrap();
        let closed = engine.resume_clip(&bytes).map(drop).unwrap_err();
        assert_eq!(closed.code, CLOSED);
        assert_eq!(clip.snapshot(&ctl).await.unwrap_err().code, CLOSED);
    });
}

#[test]
fn an_offline_stream_is_the_offline_call_once_all_is_taken() {
    quiet_panics();
    block_on(async {
        let engine = engine_of(Fake::default(), 2);
        let ctl = JobControl::default();
        let all = inputs(0..KINDS.len());
        let want = engine.process(&ctl, all.clone(), offline()).await.unwrap();
        let stream = engine.open_stream(&ctl, offline());
        for input in all {
            stream.push(input).unwrap();
            assert!(stream.taken().await.unwrap());
        }
        stream.end();
        assert!(!stream.taken().await.unwrap());
        assert_eq!(engine.health().queued_frames, 0);
        let mut got = Vec::new();
        while let Some(result) = stream.next().await.unwrap() {
            stream.answered(&result);
            got.push(result);
        }
        assert_eq!(digests(&got), digests(&want));
        assert_eq!(
            engine.health().frames_done + engine.health().frames_failed,
            18
        );
    });
}
