//! The engine itself, set to follow one person as MediaPipe does, against `mediapipe_video.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pose4d::imaging::limits::DecodeLimits;
use pose4d::imaging::pixels::Rgb8;
use pose4d::pipeline::blazepose::BlazePosePerception;
use pose4d::pipeline::config::{BlazePoseConfig, EngineConfig};
use pose4d::pipeline::control::JobControl;
use pose4d::pipeline::engine::{Engine, EngineSettings};
use pose4d::pipeline::perception::ClipSettings;
use pose4d::pipeline::result::{Person, Source};
use pose4d::pipeline::source::{FrameInput, FrameSource};
use tokio::runtime::{Builder, Runtime};

use crate::models::DETECTOR;
use crate::photos::apart;
use crate::reference::{MpPerson, read_json};
use crate::report::{Differences, Report, Table};
use crate::video::{
    FPS, Frames, KERNEL, MILLIMETRES, NMS_IOU, PIXELS, THRESHOLD, VARIANT, clip_of,
};

pub fn run(case: &Path, models: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("Clips through the engine, {}", case.display()));
    let reference: Option<BTreeMap<String, Vec<MpPerson>>> =
        read_json(&case.join("mediapipe_video.json"))?;
    if reference.is_none() {
        table.skip("mediapipe_video.json", "not there");
    }
    let runtime = Builder::new_multi_thread()
        .enable_time()
        .build()
        .map_err(|e| e.to_string())?;
    for (name, expected) in reference.unwrap_or_default() {
        let Some((clip, smoothed)) = clip_of(&name) else {
            table.check(&name, false, "expected <clip>_smoothed or <clip>_raw");
            continue;
        };
        let engine = engine(models, smoothed)?;
        match Frames::open(case, clip) {
            Ok(frames) => follow(&mut table, &name, frames, &expected, &engine, &runtime)?,
            Err(why) => table.skip(&name, why),
        }
        engine.close_blocking();
    }
    report.add(table);
    Ok(())
}

/// One person, the whole frame looked at when nobody is followed, one crop per frame.
fn engine(models: &Path, smoothing: bool) -> Result<Engine<BlazePosePerception>, String> {
    let read = |name: &str| {
        let path = models.join(name);
        std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let config = EngineConfig {
        max_persons: 1,
        blazepose: BlazePoseConfig {
            tile_scales: Vec::new(),
            search_every: 0,
            watch: false,
            refine: false,
            detection_threshold: THRESHOLD,
            nms_iou: NMS_IOU,
            pose_threshold: THRESHOLD,
            heatmap_kernel: KERNEL,
            constant_bones: false,
            smoothing,
            ..BlazePoseConfig::default()
        },
        ..EngineConfig::default()
    };
    let landmark = read(&format!("pose_landmark_{VARIANT}.tflite"))?;
    let perception =
        BlazePosePerception::new(&config, read(DETECTOR)?, landmark).map_err(|e| e.to_string())?;
    let settings = EngineSettings {
        depth: Default::default(),
        model: "blazepose",
        threads: 1,
        max_queued_frames: config.max_queued_frames,
        decode: DecodeLimits::default(),
        loaded_in: Duration::ZERO,
    };
    Engine::new(perception, settings).map_err(|e| e.to_string())
}

fn follow(
    table: &mut Table,
    name: &str,
    frames: Frames,
    expected: &[MpPerson],
    engine: &Engine<BlazePosePerception>,
    runtime: &Runtime,
) -> Result<(), String> {
    let settings = ClipSettings {
        fps: FPS,
        ..ClipSettings::default()
    };
    let clip = engine.open_clip(settings);
    let (mut px, mut mm) = (Differences::default(), Differences::default());
    let (mut seen, mut mismatched, mut numbers) = (0, Vec::new(), Vec::new());
    for (index, frame) in frames.enumerate() {
        let frame = frame?;
        let (width, height) = (frame.width as f64, frame.height as f64);
        seen += 1;
        let answers = runtime
            .block_on(clip.process(&JobControl::default(), vec![input(index, frame)]))
            .map_err(|e| e.to_string())?;
        let [answer] = answers.as_slice() else {
            return Err(format!("{} results for one frame", answers.len()));
        };
        if let Some((_, why)) = &answer.error {
            return Err(format!("frame {index}: {why}"));
        }
        let ours = answer
            .persons
            .iter()
            .find(|p| p.source != Source::Predicted);
        numbers.extend(ours.map(|p| p.track_id));
        let Some(theirs) = expected.get(index) else {
            continue;
        };
        match (ours, theirs.is_nobody()) {
            (Some(ours), false) => {
                let reference = (theirs.pixels(width, height), theirs.world());
                let (p, m) = compare(ours, &reference.0, &reference.1);
                px.extend(&p);
                mm.extend(&m);
            }
            (None, true) => {}
            _ => mismatched.push(index),
        }
    }
    numbers.dedup();
    table.check(
        format!("{name} frames"),
        seen == expected.len(),
        format!("{seen} of {}", expected.len()),
    );
    table.check(
        format!("{name} presence"),
        mismatched.is_empty(),
        format!("{} frames disagree {mismatched:?}", mismatched.len()),
    );
    table.check(
        format!("{name} identity"),
        numbers.len() == 1,
        format!("track ids in turn {numbers:?}"),
    );
    table.judge(format!("{name} landmarks"), &px, "px", &PIXELS);
    table.judge(format!("{name} world"), &mm, "mm", &MILLIMETRES);
    Ok(())
}

fn input(index: usize, frame: Rgb8) -> FrameInput {
    let source = FrameSource::Pixels {
        width: u32::try_from(frame.width).unwrap_or(u32::MAX),
        height: u32::try_from(frame.height).unwrap_or(u32::MAX),
        data: frame.data,
    };
    FrameInput::new(index as f64, source)
}

fn compare(ours: &Person, pixels: &[[f64; 2]], world: &[[f64; 3]]) -> (Differences, Differences) {
    let points: Vec<[f32; 2]> = ours.keypoints.iter().map(|k| [k.x, k.y]).collect();
    let joints = ours.joints3d.as_deref().unwrap_or_default();
    apart((&points, joints), (pixels, world))
}
