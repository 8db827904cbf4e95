//! Times the person detectors and their stages: `cargo bench --bench detectors`.
//!
//! Arguments: `--image photo [--vitdet model.pkl] [--regnety model.pkl] [--threads n]
//! [--precision bf16,fp32] [--passes 3] [--peer <checkout of detectron2> [--python python3]
//! [--peer-tasks fp32,bf16]]`. `benches/peers/detectors_python.py write` makes checkpoints of full
//! size with random weights. The peer is the original code in a process of its own on the same
//! photo; rounds alternate, so that whatever else the machine does meets both alike. The matrix
//! rate is measured in the same run, for the trunk's own shapes.
#![allow(
    clippy::print_stdout,
    clippy::unit_arg,
    reason = "the figures are what this program is for; results are dropped where they are made"
)]

mod peer;
#[path = "../peers/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use pose4d::checkpoint::dtype::DType;
use pose4d::imaging::decode::decode_file;
use pose4d::imaging::limits::DecodeLimits;
use pose4d::imaging::pixels::Rgb8;
use pose4d::layers::detection::heads::{Choice, Detection};
use pose4d::layers::linear::Linear;
use pose4d::layers::weights::Param;
use pose4d::models::person_detector::{Kind, PERSON, PersonDetector, Settings};
use tch::{Device, Tensor};

use peer::{Answer, Peer};

/// Of ViT-H: a block's layers, inputs and outputs, and its tokens at 1024 pixels.
const LAYERS: [(i64, i64); 4] = [(1280, 3840), (1280, 1280), (1280, 5120), (5120, 1280)];
const TOKENS: i64 = 4096;
/// Multiply-adds, times two, of ViTDet's stages: trunk, pyramid, proposals, three heads.
const VITDET_GFLOP: [(&str, f64); 4] = [
    ("trunk", 5953.57),
    ("pyramid", 202.67),
    ("rpn", 206.63),
    ("heads", 3.0 * 257.08),
];
/// Of RegNetY's at 750 × 1333: trunk and pyramid are one figure.
const REGNETY_GFLOP: [(&str, f64); 3] = [("backbone", 271.83), ("rpn", 203.4), ("heads", 257.72)];

type Outcome<T> = Result<T, Box<dyn Error>>;
/// Milliseconds by stage, one per round.
type Times = BTreeMap<String, Vec<f64>>;

struct Arguments {
    threads: i32,
    precisions: Vec<DType>,
    passes: usize,
    image: String,
    /// What to measure, and its checkpoint.
    models: Vec<(Kind, &'static str, String)>,
    peer: Option<String>,
    python: String,
    tasks: Vec<String>,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    tch::set_num_threads(arguments.threads);
    let _no_gradients = tch::no_grad_guard();
    let image = decode_file(Path::new(&arguments.image), &DecodeLimits::default())?;
    println!("{image:?}, {} threads", arguments.threads);
    for (kind, name, checkpoint) in &arguments.models {
        for &precision in &arguments.precisions {
            let rate = matrix_rate(precision, arguments.passes)?;
            println!("{precision}: {rate:.0} GFLOP/s for ViT-H's matrix shapes");
        }
        let mut peer = match &arguments.peer {
            Some(checkout) => {
                let (python, threads) = (&arguments.python, arguments.threads);
                Peer::start(python, checkout, threads, name, checkpoint)?
            }
            None => None,
        };
        for &precision in &arguments.precisions {
            let settings = Settings {
                precision,
                device: Device::Cpu,
                threads: arguments.threads.max(1) as usize,
            };
            let start = Instant::now();
            let (detector, _) = PersonDetector::open(*kind, Path::new(checkpoint), settings)?;
            println!(
                "{name} {precision}: loaded in {:.2} s",
                start.elapsed().as_secs_f64()
            );
            rounds(
                &detector,
                name,
                precision,
                &image,
                &arguments,
                peer.as_mut(),
            )?;
        }
    }
    Ok(())
}

/// Rounds of ours and theirs in turn: the medians and their ratios.
fn rounds(
    detector: &PersonDetector,
    name: &str,
    precision: DType,
    image: &Rgb8,
    arguments: &Arguments,
    mut peer: Option<&mut Peer>,
) -> Outcome<()> {
    let choice = detector.kind().choice();
    let mut ours = Times::new();
    let mut theirs: BTreeMap<&str, (Times, Answer)> = BTreeMap::new();
    // One to warm up.
    pass(detector, image, &choice)?;
    for _ in 0..arguments.passes {
        for (stage, ms) in pass(detector, image, &choice)? {
            ours.entry(stage).or_default().push(ms);
        }
        let Some(peer) = peer.as_deref_mut() else {
            continue;
        };
        for task in &arguments.tasks {
            let answer = peer.ask(task, &arguments.image)?;
            let mut times = theirs
                .remove(task.as_str())
                .map_or_else(Times::new, |t| t.0);
            for (stage, &ms) in &answer.ms {
                times.entry(stage.clone()).or_default().push(ms);
            }
            theirs.insert(task, (times, answer));
        }
    }
    let flops: &[(&str, f64)] = match detector.kind() {
        Kind::VitDet => &VITDET_GFLOP,
        Kind::RegNetY => &REGNETY_GFLOP,
    };
    println!("{name} {precision}: {}", line(&ours, flops));
    let found = detector.detect(image, &choice)?;
    println!(
        "{name} {precision}: peak RSS so far {:.2} GB",
        peak()? as f64 / 1e9
    );
    for (task, (times, answer)) in &theirs {
        println!("  original {task}: {}", line(times, flops));
        println!(
            "  original {task}: {:.2} times as long; peak RSS {:.2} GB",
            middle(times, "whole") / middle(&ours, "whole"),
            answer.peak as f64 / 1e9
        );
        println!("  original {task}: {}", agreement(&found, answer, &choice));
    }
    Ok(())
}

/// How far our people are from theirs.
fn agreement(ours: &[Detection], answer: &Answer, choice: &Choice) -> String {
    let theirs = answer.boxes.iter().zip(&answer.scores).zip(&answer.classes);
    let people: Vec<&[f32; 4]> = theirs
        .filter(|((_, score), class)| **class == PERSON && **score > choice.person)
        .map(|((b, _), _)| b)
        .collect();
    let apart = |a: &[f32; 4], b: &[f32; 4]| {
        let sides = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        sides.fold(0.0, f32::max)
    };
    let nearest = |b: &&[f32; 4]| {
        let each = ours.iter().map(|d| apart(&d.bounds, b));
        each.fold(f32::INFINITY, f32::min)
    };
    let furthest = people.iter().map(nearest).fold(0.0, f32::max);
    let (ours, theirs) = (ours.len(), people.len());
    format!("{theirs} people, ours {ours}; the furthest box {furthest:.3} px apart")
}

/// The most memory this process ever held, bytes.
fn peak() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let number = line.and_then(|l| l.split_whitespace().next());
    Ok(1024 * number.ok_or("no VmHWM")?.parse::<u64>()?)
}

/// One photo through the detector, milliseconds by stage.
fn pass(detector: &PersonDetector, image: &Rgb8, choice: &Choice) -> Outcome<Vec<(String, f64)>> {
    let start = Instant::now();
    let resized = detector.resized(image);
    let resize = start.elapsed().as_secs_f64();
    let (found, laps) = detector.detect_timed(&resized, image, choice)?;
    let whole = start.elapsed().as_secs_f64();
    drop(found);
    let mut times = vec![("resize".to_owned(), 1e3 * resize)];
    times.extend(laps.into_iter().map(|(name, s)| (name.to_owned(), 1e3 * s)));
    let of = |stage: &str| times.iter().find(|t| t.0 == stage).map_or(0.0, |t| t.1);
    times.push(("backbone".into(), of("trunk") + of("pyramid")));
    times.push(("whole".into(), 1e3 * whole));
    Ok(times)
}

fn line(times: &Times, flops: &[(&str, f64)]) -> String {
    let mut parts = Vec::new();
    for stage in ["whole", "resize", "trunk", "pyramid", "rpn", "heads"] {
        let ms = middle(times, stage);
        let rate = flops.iter().find(|f| f.0 == stage);
        let rate = rate.map_or(String::new(), |f| {
            format!(" ({:.0} GFLOP/s)", f.1 / ms * 1e3)
        });
        parts.push(format!("{stage} {ms:.0} ms{rate}"));
    }
    parts.join(", ")
}

fn middle(times: &Times, stage: &str) -> f64 {
    let mut values = times.get(stage).cloned().unwrap_or_default();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// GFLOP/s of a block's four layers, one after the other.
fn matrix_rate(precision: DType, passes: usize) -> Outcome<f64> {
    let kind = match precision {
        DType::BF16 => tch::Kind::BFloat16,
        DType::F16 => tch::Kind::Half,
        _ => tch::Kind::Float,
    };
    let random = |shape: [i64; 2]| -> Outcome<Tensor> {
        Ok(Tensor::f_randn(shape, (tch::Kind::Float, Device::Cpu))?
            .f_to_dtype(kind, false, false)?)
    };
    let (mut seconds, mut work) = (0.0, 0.0);
    for (inputs, outputs) in LAYERS {
        let layer = Linear::new(Param::from(random([outputs, inputs])?), None)?;
        let x = random([TOKENS, inputs])?;
        drop(layer.forward(&x)?);
        let mut best = f64::INFINITY;
        for _ in 0..passes.max(1) {
            let start = Instant::now();
            drop(layer.forward(&x)?);
            best = best.min(start.elapsed().as_secs_f64());
        }
        seconds += best;
        work += 2e-9 * (TOKENS * inputs * outputs) as f64;
    }
    Ok(work / seconds)
}

fn arguments() -> Outcome<Arguments> {
    let mut found = Arguments {
        threads: tch::get_num_threads(),
        precisions: vec![DType::BF16, DType::F32],
        passes: 3,
        image: String::new(),
        models: Vec::new(),
        peer: None,
        python: "python3".into(),
        tasks: vec!["fp32".into(), "bf16".into()],
    };
    let mut words = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(flag) = words.next() {
        let value = words.next().ok_or("a value is missing")?;
        match flag.as_str() {
            "--threads" => found.threads = value.parse()?,
            "--image" => found.image = value,
            "--vitdet" => found.models.push((Kind::VitDet, "vitdet", value)),
            "--regnety" => found.models.push((Kind::RegNetY, "regnety", value)),
            "--peer" => found.peer = Some(value),
            "--python" => found.python = value,
            "--peer-tasks" => found.tasks = value.split(',').map(str::to_owned).collect(),
            "--passes" => found.passes = value.parse()?,
            "--precision" => {
                let precision = |name: &str| DType::from_name(name).ok_or("unknown precision");
                found.precisions = value.split(',').map(precision).collect::<Result<_, _>>()?;
            }
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    if found.image.is_empty() || found.models.is_empty() {
        return Err("--image and one of --vitdet, --regnety are needed".into());
    }
    Ok(found)
}
