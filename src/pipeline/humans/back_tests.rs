//! Whom a search backward in time finds, and where it ends.

use std::sync::Arc;

use super::*;
use crate::imaging::pixels::Rgb8;

fn frame(index: u64) -> FrameView {
    let image = Rgb8 {
        width: 1280,
        height: 720,
        data: Vec::new(),
    };
    FrameView {
        image: Arc::new(image),
        number: index as f64,
        index,
        time_s: index as f64 / 30.0,
        boxes: None,
        mesh: true,
        tracked: true,
        cut: false,
    }
}

fn at(x: f32) -> BBox {
    BBox::new(x, 100.0, x + 100.0, 400.0)
}

fn somebody(track_id: u32, x: f32) -> Person {
    Person::at(track_id, at(x), Source::Detected)
}

fn weak(x: f32, score: f32) -> FoundBox {
    FoundBox {
        bbox: at(x),
        score,
        mask: None,
    }
}

/// Somebody who walks eight pixels a frame, sure from frame 6 on; `boxes` are the weak ones before.
fn walk(boxes: impl Fn(u64) -> Vec<FoundBox>, others: impl Fn(u64) -> Vec<Person>) -> Memories {
    let mut memories = Memories::new(36, 30);
    for index in 0..9 {
        let mut told = others(index);
        let mut found = boxes(index);
        if index >= 6 {
            told.push(somebody(4, 8.0 * index as f32));
            found.clear();
        }
        memories.see(&frame(index), &told, &found, BoxSource::RegNetY);
    }
    memories
}

/// Frames in which the search from the last frame finds a box, with its left side.
fn found(memories: &Memories) -> Vec<(u64, f32)> {
    let mut found = Vec::new();
    for (first, mut trace) in memories.traces() {
        assert_eq!((trace.track_id, first), (4, 6));
        for index in (0..first).rev() {
            let place = Blind {
                time_s: index as f64 / 30.0,
                index,
            };
            match trace.step(&place) {
                Step::Look(Place {
                    found: weak,
                    source,
                    mesh,
                }) => {
                    assert_eq!((source, mesh), (BoxSource::RegNetY, true));
                    found.push((index, weak.bbox.x1));
                }
                Step::Nobody => {}
                Step::End => break,
            }
        }
    }
    found
}

#[test]
fn weak_boxes_along_the_way_are_theirs() {
    let own = |index: u64| vec![weak(900.0, 0.4), weak(8.0 * index as f32 + 3.0, 0.3)];
    let expected: Vec<(u64, f32)> = (0..6).rev().map(|n| (n, 8.0 * n as f32 + 3.0)).collect();
    assert_eq!(found(&walk(own, |_| Vec::new())), expected);
    // Two frames without a box do not end it.
    let gap = |index: u64| match index {
        3 | 4 => Vec::new(),
        n => vec![weak(8.0 * n as f32, 0.3)],
    };
    let frames: Vec<u64> = found(&walk(gap, |_| Vec::new()))
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    assert_eq!(frames, [5, 2, 1, 0]);
}

#[test]
fn what_is_somebody_elses_or_elsewhere_is_left() {
    let own = |index: u64| vec![weak(8.0 * index as f32, 0.3)];
    let other = |index: u64| vec![somebody(2, 8.0 * index as f32 + 10.0)];
    assert_eq!(found(&walk(own, other)), []);
    assert_eq!(found(&walk(|_| vec![weak(600.0, 0.4)], |_| Vec::new())), []);
}

#[test]
fn without_weak_boxes_nobody_is_looked_for() {
    assert!(walk(|_| Vec::new(), |_| Vec::new()).traces().is_empty());
    // Nor who was there from the first frame on.
    let mut memories = Memories::new(36, 30);
    for index in 0..6 {
        let boxes = [weak(500.0, 0.4)];
        memories.see(
            &frame(index),
            &[somebody(4, 8.0)],
            &boxes,
            BoxSource::RegNetY,
        );
        assert!(memories.traces().is_empty(), "{index}");
    }
}

#[test]
fn a_search_ends_where_they_were_seen_before_and_where_they_would_be_guessed_no_more() {
    let mut memories = Memories::new(36, 30);
    for index in 0..10 {
        let seen = !(2..=6).contains(&index);
        let told = if seen {
            vec![somebody(4, 8.0)]
        } else {
            Vec::new()
        };
        memories.see(&frame(index), &told, &[weak(8.0, 0.3)], BoxSource::VitDet);
    }
    let (first, mut trace) = memories.traces().pop().unwrap();
    assert_eq!(first, 7);
    let mut step = |index: u64| {
        trace.step(&Blind {
            time_s: index as f64 / 30.0,
            index,
        })
    };
    assert!(matches!(step(6), Step::Look(_)));
    assert!(matches!(step(1), Step::End));

    let mut memories = Memories::new(80, 2);
    for index in 0..13 {
        let told = if index > 9 {
            vec![somebody(4, 8.0)]
        } else {
            Vec::new()
        };
        let boxes = if index == 0 {
            vec![weak(8.0, 0.3)]
        } else {
            Vec::new()
        };
        memories.see(&frame(index), &told, &boxes, BoxSource::VitDet);
    }
    let (_, mut trace) = memories.traces().pop().unwrap();
    let steps: Vec<Step> = [9u64, 8, 7]
        .map(|index| {
            trace.step(&Blind {
                time_s: index as f64 / 30.0,
                index,
            })
        })
        .into();
    assert!(matches!(
        steps.as_slice(),
        [Step::Nobody, Step::Nobody, Step::End]
    ));
}
