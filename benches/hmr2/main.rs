//! Times HMR2 and its stages with random full-size weights: `cargo bench --bench hmr2`.
//!
//! Arguments: `[--threads n] [--precision bf16,fp32] [--batch 1,8] [--passes 3] [--peer <checkout of
//! 4D-Humans> [--python python3] [--peer-tasks fp32,bf16,compiled]]`. The matrix rate of the
//! trunk's own shapes is measured in the same run, layer for layer as the network calls them, and
//! the trunk's rate is given as a share of it. The peer is the original code in a process of its
//! own; rounds alternate, so that whatever else the machine does meets both alike.
#![allow(
    clippy::print_stdout,
    clippy::unit_arg,
    reason = "the figures are what this program is for; results are dropped where they are made"
)]

mod peer;
#[path = "../peers/process.rs"]
mod process;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open_source;
use pose4d::imaging::pixels::Rgb8;
use pose4d::layers::linear::Linear;
use pose4d::layers::weights::Param;
use pose4d::models::hmr2::config::{Config, SIDE};
use pose4d::models::hmr2::crop::{Cropper, Square};
use pose4d::models::hmr2::model::{Files, Hmr2, Settings};
use pose4d::models::smpl::body;
use pose4d::pipeline::bench::synthetic::{Files as Written, Model, Scale, released_config};
use tch::{Device, Kind, Tensor};

use peer::Peer;

/// Multiply-adds of one crop, times two: trunk, and decoder with SMPL.
const TRUNK_GFLOP: f64 = 248.01;
/// A block's layers: inputs and outputs.
const LAYERS: [(i64, i64); 4] = [(1280, 3840), (1280, 1280), (1280, 5120), (5120, 1280)];
const TOKENS: i64 = 192;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    threads: i32,
    precisions: Vec<DType>,
    batches: Vec<i64>,
    passes: usize,
    /// Checkout and interpreter of the original.
    peer: Option<String>,
    python: String,
    tasks: Vec<String>,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    tch::set_num_threads(arguments.threads);
    let _no_gradients = tch::no_grad_guard();
    let mut peer = match &arguments.peer {
        Some(checkout) => Peer::start(&arguments.python, checkout, arguments.threads)?,
        None => None,
    };
    crops(&arguments, peer.as_mut())?;
    let folder = tempfile::tempdir()?;
    let written = Written::write(
        folder.path(),
        Scale::Full,
        DType::BF16,
        &[Model::Hmr2],
        &mut |_| (),
    )?;
    for &precision in &arguments.precisions {
        let files = Files {
            checkpoint: &written.hmr2,
            config: &written.hmr2_config,
            mean_params: None,
            body: body::Files::default(),
        };
        let settings = Settings {
            precision,
            device: Device::Cpu,
            threads: arguments.threads.max(1) as usize,
        };
        let start = Instant::now();
        let (model, _) = Hmr2::open(files, settings)?;
        println!(
            "{precision}: loaded in {:.2} s",
            start.elapsed().as_secs_f64()
        );
        for &batch in &arguments.batches {
            network(&model, precision, batch, arguments.passes)?;
            if let Some(peer) = &mut peer {
                beside(&model, precision, batch, &arguments, peer)?;
            }
        }
    }
    Ok(())
}

fn network(model: &Hmr2, precision: DType, batch: i64, passes: usize) -> Outcome<()> {
    let seen = 256 - 2 * SIDE;
    let crops = Tensor::f_randn([batch, 3, 256, seen], (Kind::Float, Device::Cpu))?;
    let peak = matrix_rate(precision, batch * TOKENS, passes)?;
    let whole = best(passes, || Ok(drop(model.forward_seen(&crops)?)))?;
    let trunk = best(passes, || Ok(drop(model.features(&crops)?)))?;
    let people = model.forward_seen(&crops)?;
    let rest = best(passes, || {
        Ok(drop(model.people(people.features.f_alias()?)?))
    })?;
    let (betas, rotations) = (&people.parameters.betas, &people.parameters.rotations);
    let posed = best(passes, || Ok(drop(model.body().pose(betas, rotations)?)))?;
    let rate = TRUNK_GFLOP * batch as f64 / trunk;
    println!(
        "{precision} batch {batch}: whole {:.1} ms, per crop {:.1}; trunk {:.1} ms = {rate:.0} GFLOP/s, \
         {:.0}% of {peak:.0} for its matrix shapes; head and body {:.1} ms, of which posing {:.1}",
        whole * 1e3,
        whole * 1e3 / batch as f64,
        trunk * 1e3,
        100.0 * rate / peak,
        rest * 1e3,
        posed * 1e3,
    );
    Ok(())
}

/// Rounds of ours and theirs in turn: the medians' ratio.
fn beside(
    model: &Hmr2,
    precision: DType,
    batch: i64,
    arguments: &Arguments,
    peer: &mut Peer,
) -> Outcome<()> {
    let crops = Tensor::f_randn([batch, 3, 256, 256 - 2 * SIDE], (Kind::Float, Device::Cpu))?;
    for task in &arguments.tasks {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..arguments.passes {
            ours.push(1e3 * best(1, || Ok(drop(model.forward_seen(&crops)?)))?);
            theirs.push(peer.ask(task, batch)?);
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        println!(
            "{precision} batch {batch}: whole {ours:.0} ms, original in {task} {theirs:.0} ms: {:.2} times as fast",
            theirs / ours
        );
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// GFLOP/s of a block's four layers, one after the other, `rows` tokens at a time.
fn matrix_rate(precision: DType, rows: i64, passes: usize) -> Outcome<f64> {
    let kind = match precision {
        DType::BF16 => Kind::BFloat16,
        DType::F16 => Kind::Half,
        _ => Kind::Float,
    };
    let random = |shape: [i64; 2]| -> Outcome<Tensor> {
        Ok(Tensor::f_randn(shape, (Kind::Float, Device::Cpu))?.f_to_dtype(kind, false, false)?)
    };
    let (mut seconds, mut work) = (0.0, 0.0);
    for (inputs, outputs) in LAYERS {
        let layer = Linear::new(Param::from(random([outputs, inputs])?), None)?;
        let x = random([rows, inputs])?;
        seconds += best(2 * passes, || Ok(drop(layer.forward(&x)?)))?;
        work += 2e-9 * (rows * inputs * outputs) as f64;
    }
    Ok(work / seconds)
}

/// A large person in a photo of 24 megapixels, and the usual sizes.
fn crops(arguments: &Arguments, mut peer: Option<&mut Peer>) -> Outcome<()> {
    let config = config()?;
    let seen = SIDE as usize..256 - SIDE as usize;
    for (what, width, height, side) in [
        ("a 300-pixel person at 1080p", 1920, 1080, 300.0),
        ("a 950-pixel person at 1080p", 1920, 1080, 950.0),
        ("a large person in 4016x6016", 4016, 6016, 5400.0),
    ] {
        let pixel = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
        let image = Rgb8 {
            width,
            height,
            data: (0..width * height * 3).map(pixel).collect(),
        };
        let center = [width as f32 / 2.0, height as f32 / 2.0];
        let square = Square { center, side };
        for columns in [0..256, seen.clone()] {
            let cropper = Cropper::new(&config, columns.clone());
            let mut out = vec![0.0; cropper.len()];
            let time = best(2 * arguments.passes, || {
                Ok(cropper.crop(&image, square, &mut out)?)
            })?;
            println!(
                "crop of {what}, {} columns: {:.2} ms",
                columns.len(),
                time * 1e3
            );
        }
        if let Some(peer) = &mut peer {
            crop_beside(what, &image, square, arguments, peer)?;
        }
    }
    Ok(())
}

/// Whole crops of ours and theirs in turn: the medians' ratio, and how far the pixels are apart.
fn crop_beside(
    what: &str,
    image: &Rgb8,
    square: Square,
    arguments: &Arguments,
    peer: &mut Peer,
) -> Outcome<()> {
    let cropper = Cropper::new(&config()?, 0..256);
    let mut out = vec![0.0; cropper.len()];
    let (mut ours, mut theirs, mut furthest) = (Vec::new(), Vec::new(), 0.0f64);
    for _ in 0..arguments.passes {
        ours.push(1e3 * best(1, || Ok(cropper.crop(image, square, &mut out)?))?);
        let (ms, pixels) = peer.crop([image.width, image.height], square.side)?;
        theirs.push(ms);
        for (ours, theirs) in out.iter().step_by(1009).zip(pixels) {
            furthest = furthest.max((f64::from(*ours) - theirs).abs());
        }
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!(
        "crop of {what}: {ours:.2} ms, original {theirs:.1} ms: {:.0} times as fast, \
         pixels (normalised) at most {furthest:.1e} apart",
        theirs / ours
    );
    Ok(())
}

/// The best of some passes after one to warm up, seconds.
fn best(passes: usize, mut work: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    work()?;
    let mut best = f64::INFINITY;
    for _ in 0..passes.max(1) {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// The released configuration alone.
fn config() -> Outcome<Config> {
    let source = Arc::new(released_config().into_bytes());
    let file = open_source(source, Path::new("model_config.yaml"))?;
    Ok(Config::read(&file.contents().values)?)
}

fn arguments() -> Outcome<Arguments> {
    let mut found = Arguments {
        threads: tch::get_num_threads(),
        precisions: vec![DType::BF16, DType::F32],
        batches: vec![1, 8],
        passes: 3,
        peer: None,
        python: "python3".into(),
        tasks: vec!["fp32".into(), "bf16".into()],
    };
    let mut words = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(flag) = words.next() {
        let value = words.next().ok_or("a value is missing")?;
        match flag.as_str() {
            "--threads" => found.threads = value.parse()?,
            "--peer" => found.peer = Some(value),
            "--python" => found.python = value,
            "--peer-tasks" => found.tasks = value.split(',').map(str::to_owned).collect(),
            "--passes" => found.passes = value.parse()?,
            "--batch" => {
                found.batches = value.split(',').map(str::parse).collect::<Result<_, _>>()?
            }
            "--precision" => {
                let precision = |name: &str| DType::from_name(name).ok_or("unknown precision");
                found.precisions = value.split(',').map(precision).collect::<Result<_, _>>()?;
            }
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    Ok(found)
}
