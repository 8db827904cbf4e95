//! Streams on a make-believe model.

use std::time::Duration;

use crate::pipeline::control::JobControl;
use crate::pipeline::error::*;
use crate::pipeline::fake::*;
use crate::pipeline::perception::ClipSettings;

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
