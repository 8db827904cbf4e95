//! Looks from one engine to another: equal to the bit, and refused where they are of something else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::geometry::boxes::BBox;
use crate::pipeline::control::JobControl;
use crate::pipeline::error::IMAGE_EMPTY;
use crate::pipeline::fake::{
    FINE, Fake, LOOK_FAILS, LOOK_PANICS, UNDECODABLE, block_on, digests, engine_of, frame, frames,
    quiet_panics,
};
use crate::pipeline::perception::ClipSettings;
use crate::pipeline::source::{FrameInput, FrameSource};

const CLIP: ClipSettings = ClipSettings {
    tracking: true,
    fps: 30.0,
    mesh: true,
    mode: crate::pipeline::perception::Mode::Online,
    depth: None,
};

fn looks_at(fake: Fake, inputs: Vec<FrameInput>, start: u64) -> Vec<Looked> {
    let engine = engine_of(fake, 2);
    block_on(engine.look_at(&JobControl::default(), inputs, CLIP, start)).unwrap()
}

fn look_at(input: FrameInput, start: u64) -> Vec<u8> {
    looks_at(Fake::default(), vec![input], start)
        .remove(0)
        .1
        .unwrap()
}

/// The error of a frame that is followed with `look`, if any.
fn followed(input: FrameInput, look: Vec<u8>) -> Option<(&'static str, String)> {
    let engine = engine_of(Fake::default(), 1);
    let input = FrameInput {
        look: Some(look),
        ..input
    };
    let run = engine
        .open_clip(CLIP)
        .process(&JobControl::default(), vec![input]);
    block_on(run).unwrap().remove(0).error
}

#[test]
fn frames_followed_with_looks_of_another_engine_come_to_the_same() {
    quiet_panics();
    let kinds = [FINE, FINE, LOOK_FAILS, FINE, UNDECODABLE, LOOK_PANICS, FINE];
    let inputs = || -> Vec<FrameInput> {
        let all = (0..30).map(|n| frame(f64::from(n), kinds[n as usize % kinds.len()]));
        all.collect()
    };
    let control = JobControl::default();
    let alone = engine_of(Fake::default(), 2);
    let expected = block_on(alone.open_clip(CLIP).process(&control, inputs())).unwrap();
    let mut given = inputs();
    // In shards, out of order.
    for from in [20, 0, 10] {
        let shard = inputs().drain(from..from + 10).collect();
        for (place, (number, look)) in looks_at(Fake::default(), shard, from as u64)
            .into_iter()
            .enumerate()
        {
            assert_eq!(number, (from + place) as f64);
            given[from + place].look = look.ok();
        }
    }
    let with_look = given.iter().filter(|input| input.look.is_some()).count();
    assert_eq!(with_look, 18);
    let fake = Fake::default();
    let looks = Arc::clone(&fake.looks);
    let engine = engine_of(fake, 1);
    let results = block_on(engine.open_clip(CLIP).process(&control, given)).unwrap();
    assert_eq!(digests(&results), digests(&expected));
    let errors = |results: &[crate::pipeline::result::FrameResult]| -> Vec<_> {
        results.iter().map(|r| r.error.clone()).collect()
    };
    assert_eq!(errors(&results), errors(&expected));
    // Only those without a look are looked at: four whose looking fails, four that panic.
    assert!(looks.load(Ordering::SeqCst) <= 8 * 3);
}

#[test]
fn a_frame_that_cannot_be_looked_at_says_why() {
    let mut inputs = frames(0..3, FINE);
    inputs[1].source = FrameSource::Bytes(Vec::new());
    inputs.push(frame(1.5, FINE));
    let looks = looks_at(Fake::default(), inputs, 0);
    let codes: Vec<_> = looks
        .iter()
        .map(|(number, look)| (*number, look.as_ref().map_or_else(|e| e.code, |_| "fine")))
        .collect();
    assert_eq!(
        codes[..3],
        [(0.0, "fine"), (1.0, IMAGE_EMPTY), (2.0, "fine")]
    );
    assert_eq!(codes[3].1, crate::pipeline::error::FRAME_NUMBER);
}

#[test]
fn a_look_at_another_frame_or_of_another_engine_is_that_frames_error() {
    let refused = |input: FrameInput, look: Vec<u8>, word: &str| {
        let (code, message) = followed(input, look).unwrap();
        assert_eq!(code, LOOK, "{message}");
        assert!(message.contains(word), "{message}");
    };
    let look = look_at(frame(0.0, FINE), 0);
    assert_eq!(followed(frame(0.0, FINE), look.clone()), None);
    refused(frame(3.0, FINE), look.clone(), "frame 0, not of frame 3");
    refused(frame(0.0, LOOK_FAILS), look.clone(), "another picture");
    let boxed = FrameInput {
        boxes: Some(vec![BBox::new(0.0, 0.0, 1.0, 1.0)]),
        ..frame(0.0, FINE)
    };
    refused(boxed, look.clone(), "other boxes");
    let empty = FrameInput {
        boxes: Some(Vec::new()),
        ..frame(0.0, FINE)
    };
    refused(empty, look, "other boxes");
    refused(frame(0.0, FINE), look_at(frame(0.0, FINE), 5), "startIndex");
    let wide = FrameSource::Pixels {
        data: vec![FINE; 6],
        width: 2,
        height: 1,
    };
    let wide = look_at(FrameInput::new(0.0, wide), 0);
    refused(frame(0.0, FINE), wide, "2x1 pixels");
    let other = Fake {
        seed: 7,
        ..Fake::default()
    };
    let other = looks_at(other, frames(0..1, FINE), 0).remove(0).1.unwrap();
    refused(frame(0.0, FINE), other, "other settings");
}

#[test]
fn every_cut_and_every_changed_byte_of_a_look_is_noticed() {
    let look = look_at(frame(0.0, FINE), 0);
    for end in 0..look.len() {
        let (code, _) = followed(frame(0.0, FINE), look[..end].to_vec()).unwrap();
        assert_eq!(code, LOOK, "{end}");
    }
    for at in 0..look.len() {
        let mut wrong = look.clone();
        wrong[at] ^= 0x11;
        assert_eq!(followed(frame(0.0, FINE), wrong).unwrap().0, LOOK, "{at}");
    }
}
