//! Times the networks alone for `npm run bench`, on demand: requests on stdin, answers on stdout.
//!
//! Arguments: `<model folder> <photo> [threads]`. Each request is a line `{"task": "full", "repeat": 20}`;
//! each answer a line `{"ms": [..]}`, one figure per pass, crop in to tensors out.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use pose4d::geometry::roi::Roi;
use pose4d::imaging::decode::decode_file;
use pose4d::imaging::limits::DecodeLimits;
use pose4d::imaging::pixels::Rgb8;
use pose4d::imaging::warp::{Border, warp_roi_f32};
use pose4d::layers::network::runner::Executor;
use pose4d::models::blazepose::detector::whole;
use pose4d::models::blazepose::{Detector, Landmarker};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Request {
    task: String,
    repeat: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [folder, photo, threads @ ..] = arguments.as_slice() else {
        eprintln!("usage: networks <model folder> <photo> [threads]; `npm run bench` starts this");
        return Ok(());
    };
    tch::set_num_threads(threads.first().map_or(Ok(1), |t| t.parse())?);
    let image = decode_file(Path::new(photo), &DecodeLimits::default())?;
    let mut bench = Bench::load(Path::new(folder), &image)?;
    say(&json!({ "ready": format!("pose4d, {}", bench.detector.executor()) }))?;
    for line in stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let mut ms = Vec::with_capacity(request.repeat);
        for _ in 0..request.repeat {
            let start = Instant::now();
            bench.pass(&request.task)?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        say(&json!({ "ms": ms }))?;
    }
    Ok(())
}

fn say(value: &serde_json::Value) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

struct Bench {
    detector: Detector,
    landmarkers: Vec<(&'static str, Landmarker)>,
    letterbox: Vec<f32>,
    crop: Vec<f32>,
}

impl Bench {
    fn load(folder: &Path, image: &Rgb8) -> Result<Self, Box<dyn Error>> {
        let device = tch::Device::Cpu;
        let packed = std::fs::read(folder.join("pose_solution_packed_assets.data"))?;
        let mut landmarkers = Vec::new();
        for name in ["lite", "full", "heavy"] {
            let bytes = std::fs::read(folder.join(format!("pose_landmark_{name}.tflite")))?;
            landmarkers.push((
                name,
                Landmarker::load(&bytes, false, device, Executor::Best)?,
            ));
        }
        Ok(Self {
            detector: Detector::load(&packed, device, Executor::Best)?,
            landmarkers,
            letterbox: cut(image, 224, 2.0, -1.0),
            crop: cut(image, 256, 1.0, 0.0),
        })
    }

    fn pass(&mut self, task: &str) -> Result<(), Box<dyn Error>> {
        if task == "detector" {
            self.detector.raw(&self.letterbox)?;
            return Ok(());
        }
        let found = self.landmarkers.iter_mut().find(|(name, _)| *name == task);
        let (_, net) = found.ok_or_else(|| format!("unknown task {task:?}"))?;
        net.raw(&self.crop)?;
        Ok(())
    }
}

/// The whole photo as a square crop, bytes scaled from 0..=1.
fn cut(image: &Rgb8, side: usize, scale: f32, offset: f32) -> Vec<f32> {
    let mut crop = vec![0.0; side * side * 3];
    let roi: Roi = whole(image);
    warp_roi_f32(
        image,
        &roi,
        side,
        Border::Zero,
        scale / 255.0,
        offset,
        &mut crop,
    );
    crop
}
