//! Times the depth networks beside the original: `cargo bench --bench midas`.
//!
//! Arguments: `--peer <checkout of MiDaS> [--python python3] [--threads n] [--kind DPT_Large,…]
//! [--precision fp32,bf16] [--passes 5] [--image photo.png] [--folder f]`. The original writes
//! networks of the released sizes with random weights (kept in the folder, if one is named), and
//! runs in a process of its own; passes alternate, so that whatever else the machine does meets both
//! alike. A pass is a frame's pixels to a map of the frame's size. In single precision the maps are
//! compared. Without `--peer` ours runs alone on what the folder has.
#![allow(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]

#[path = "peers/process.rs"]
mod process;

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use pose4d::checkpoint::convert;
use pose4d::checkpoint::dtype::DType;
use pose4d::imaging::decode::decode_file;
use pose4d::imaging::encode::encode_png;
use pose4d::imaging::limits::DecodeLimits;
use pose4d::imaging::pixels::Rgb8;
use pose4d::models::midas::{DepthMap, Kind, Midas, Settings, enlarge};
use pose4d::runtime::memory;
use serde_json::{Value, json};
use tch::Device;

use process::Process;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Rows and columns apart of the values that are compared, as the peer takes them.
const SAMPLE: [usize; 2] = [97, 89];

struct Arguments {
    peer: String,
    python: String,
    threads: i32,
    kinds: Vec<Kind>,
    precisions: Vec<DType>,
    passes: usize,
    image: Option<PathBuf>,
    folder: Option<PathBuf>,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    tch::set_num_threads(arguments.threads);
    let _no_gradients = tch::no_grad_guard();
    let made = tempfile::tempdir()?;
    let folder = arguments.folder.clone();
    let folder = folder.unwrap_or_else(|| made.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let photo = match &arguments.image {
        Some(path) => path.clone(),
        None => picture(&folder.join("frame.png"))?,
    };
    let image = decode_file(&photo, &DecodeLimits::default())?;
    println!("a frame of {} x {}", image.width, image.height);
    for &kind in &arguments.kinds {
        let checkpoint = checkpoint(&arguments, &folder, kind)?;
        let mut peer = match arguments.peer.is_empty() {
            true => None,
            false => Peer::start(&arguments, kind, &checkpoint)?,
        };
        for &precision in &arguments.precisions {
            beside(
                &arguments,
                (kind, precision),
                &checkpoint,
                (&photo, &image),
                peer.as_mut(),
            )?;
        }
    }
    Ok(())
}

/// Passes of ours and theirs in turn; medians.
fn beside(
    arguments: &Arguments,
    (kind, precision): (Kind, DType),
    checkpoint: &Path,
    (photo, image): (&Path, &Rgb8),
    mut peer: Option<&mut Peer>,
) -> Outcome<()> {
    let threads = usize::try_from(arguments.threads)?;
    let settings = Settings::new(precision, Device::Cpu, threads);
    let fast = tempfile::Builder::new().suffix(".safetensors").tempfile()?;
    let as_used = convert::Options {
        dtype: Some(precision),
        ..Default::default()
    };
    convert::convert(checkpoint, fast.path(), &as_used, &mut |_, _| true)?;
    let before = memory::read().rss.unwrap_or(0);
    memory::reset_peak();
    let start = Instant::now();
    let (model, _) = Midas::load(fast.path(), kind, settings)?;
    let load = 1e3 * start.elapsed().as_secs_f64();
    let loading = memory::read().peak_rss.unwrap_or(0);
    let loaded = memory::read().rss.unwrap_or(0);
    memory::reset_peak();
    let mut map = pass(&model, image)?.1;
    let mut first = None;
    if let Some(peer) = &mut peer {
        first = Some(peer.ask("fp32", photo)?);
    }
    let tasks: &[&str] = match precision {
        DType::F32 => &["fp32"],
        _ => &["fp32", "bf16"],
    };
    let mut ours: Vec<[f64; 5]> = Vec::new();
    let mut theirs: Vec<Vec<Value>> = vec![Vec::new(); tasks.len()];
    for _ in 0..arguments.passes {
        let round = pass(&model, image)?;
        ours.push(round.0);
        map = round.1;
        let Some(peer) = &mut peer else { continue };
        for (task, answers) in tasks.iter().zip(&mut theirs) {
            answers.push(peer.ask(task, photo)?);
        }
    }
    let peak = memory::read().peak_rss.unwrap_or(0);
    let of = |part: usize| median(ours.iter().map(|ms| ms[part]).collect());
    let mb = |bytes: u64| bytes >> 20;
    println!(
        "{kind} {precision}: ready {load:.0} ms after its fast form was opened; whole {:.1} ms ({:.2} frames a second): \
         input {:.1}, network {:.1}, enlarged {:.1}; {} MB before, {} at most while loading, {} loaded, {} at most",
        of(3),
        1e3 / of(3),
        of(0),
        of(1),
        of(2),
        mb(before),
        mb(loading),
        mb(loaded),
        mb(peak)
    );
    let Some(first) = first else { return Ok(()) };
    for (task, answers) in tasks.iter().zip(&theirs) {
        let of = |part: &str| {
            let ms = answers.iter().filter_map(|a| a["ms"][part].as_f64());
            median(ms.collect())
        };
        println!(
            "  original in {task}: ready after {:.0} ms, {:.0} of them torch.load; whole {:.1} ms: input {:.1}, \
             network {:.1}, enlarged {:.1}; {} MB loaded, {} at most: {:.2} times as fast",
            first["load"]["whole"].as_f64().unwrap_or(f64::NAN),
            first["load"]["file"].as_f64().unwrap_or(f64::NAN),
            of("whole"),
            of("input"),
            of("network"),
            of("enlarge"),
            first["loaded"].as_u64().unwrap_or(0) >> 20,
            answers.last().and_then(|a| a["peak"].as_u64()).unwrap_or(0) >> 20,
            of("whole") / median(ours.iter().map(|ms| ms[3]).collect()),
        );
        if arguments.threads == 1 {
            let own = median(ours.iter().map(|ms| ms[4]).collect());
            println!(
                "  of one core: ours {own:.1} ms, original {:.1} ms: {:.2} times as fast",
                of("core"),
                of("core") / own
            );
        }
    }
    println!(
        "  apart from the original's in fp32: {:.1e} of the largest",
        apart(&map, &first)?
    );
    Ok(())
}

/// Milliseconds that this process has computed; of its first thread alone, so that with
/// `--threads 1` it is what a pass takes of a core, whatever else the machine does.
fn computed() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    first.map_or(f64::NAN, |ns| ns / 1e6)
}

/// Milliseconds of the input, the network, the enlargement and all of it, and what was computed; and the map.
fn pass(model: &Midas, image: &Rgb8) -> Outcome<([f64; 5], DepthMap)> {
    let (start, before) = (Instant::now(), computed());
    let mut laps = [0.0; 5];
    let input = model.input(image)?;
    laps[0] = start.elapsed().as_secs_f64();
    let depth = model.forward(&input)?;
    laps[1] = start.elapsed().as_secs_f64() - laps[0];
    let map = enlarge(&depth, image)?;
    laps[3] = start.elapsed().as_secs_f64();
    laps[2] = laps[3] - laps[0] - laps[1];
    let mut ms = laps.map(|s| 1e3 * s);
    ms[4] = computed() - before;
    Ok((ms, map))
}

fn apart(map: &DepthMap, answer: &Value) -> Outcome<f64> {
    let theirs: Vec<f64> = serde_json::from_value(answer["sample"].clone())?;
    let rows = map.values.chunks_exact(map.width).step_by(SAMPLE[0]);
    let ours: Vec<f64> = rows
        .flat_map(|row| row.iter().step_by(SAMPLE[1]).map(|v| f64::from(*v)))
        .collect();
    if ours.len() != theirs.len() {
        return Err("maps of different sizes".into());
    }
    let largest = theirs.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let most = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    Ok(most.fold(0.0, f64::max) / largest)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A frame of full HD with edges, slopes and noise.
fn picture(path: &Path) -> Outcome<PathBuf> {
    let (width, height) = (1920, 1080);
    let mut data = Vec::with_capacity(3 * width * height);
    for at in 0..width * height {
        let (x, y) = (at % width, at / width);
        let noise = (at.wrapping_mul(2_654_435_761) >> 24 & 15) as u8;
        let inside = x.abs_diff(900).pow(2) + y.abs_diff(400).pow(2) < 90_000;
        let bright = if inside { 90 } else { 20 };
        data.extend([
            (x / 12) as u8 + noise,
            (y / 8) as u8 + noise,
            bright + noise,
        ]);
    }
    let image = Rgb8 {
        width,
        height,
        data,
    };
    std::fs::write(path, encode_png(&image)?)?;
    Ok(path.to_owned())
}

/// The original's own, of the released size with random weights.
fn checkpoint(arguments: &Arguments, folder: &Path, kind: Kind) -> Outcome<PathBuf> {
    let place = folder.join(format!("{}_full", kind.name().to_lowercase()));
    let found = |place: &Path| -> Option<PathBuf> {
        let entries = std::fs::read_dir(place).ok()?.flatten();
        entries
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|e| e == "pt"))
    };
    if let Some(path) = found(&place) {
        return Ok(path);
    }
    if arguments.peer.is_empty() {
        return Err(format!(
            "no network in {}, and no --peer to write one",
            place.display()
        )
        .into());
    }
    println!("{kind}: the original writes a network …");
    let status = Command::new(&arguments.python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/midas_python.py"))
        .args(["cases", &arguments.peer])
        .arg(folder)
        .args(["--size", "full", "--kind", kind.name()])
        .env_remove("LD_LIBRARY_PATH")
        .stdout(Stdio::null())
        .status()?;
    match found(&place).filter(|_| status.success()) {
        Some(path) => Ok(path),
        None => Err(format!("midas_python.py cases wrote no network: {status}").into()),
    }
}

struct Peer(Process);

impl Peer {
    /// `None`, and a line that says why, where the original does not run.
    fn start(arguments: &Arguments, kind: Kind, checkpoint: &Path) -> Outcome<Option<Self>> {
        let threads = arguments.threads.to_string();
        let words = ["serve", &arguments.peer, kind.name()].map(OsStr::new);
        let words = words
            .into_iter()
            .chain([checkpoint.as_os_str(), OsStr::new(&threads)]);
        let process = Process::start(&arguments.python, "midas_python.py", words)?;
        Ok(process.map(Self))
    }

    /// One pass: what it took and gave.
    fn ask(&mut self, task: &str, photo: &Path) -> Outcome<Value> {
        self.0.ask(&json!({ "task": task, "image": photo }))
    }
}

fn arguments() -> Outcome<Arguments> {
    let mut found = Arguments {
        peer: String::new(),
        python: "python3".into(),
        threads: i32::try_from(std::thread::available_parallelism()?.get())?,
        kinds: Kind::ALL.to_vec(),
        precisions: vec![DType::F32, DType::BF16],
        passes: 5,
        image: None,
        folder: None,
    };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        match word.as_str() {
            "--peer" => found.peer = value,
            "--python" => found.python = value,
            "--threads" => found.threads = value.parse()?,
            "--passes" => found.passes = value.parse()?,
            "--image" => found.image = Some(value.into()),
            "--folder" => found.folder = Some(value.into()),
            "--kind" => {
                let named = |name: &str| Kind::from_name(name).ok_or(format!("{name}: no network"));
                found.kinds = value.split(',').map(named).collect::<Result<_, _>>()?;
            }
            "--precision" => {
                let named = |name: &str| match name {
                    "bf16" => Ok(DType::BF16),
                    "fp32" => Ok(DType::F32),
                    other => Err(format!("{other}: fp32 or bf16")),
                };
                found.precisions = value.split(',').map(named).collect::<Result<_, _>>()?;
            }
            other => return Err(format!("{other} is not known").into()),
        }
    }
    match found.peer.is_empty() && found.folder.is_none() {
        true => Err("--peer <checkout of MiDaS>: the original writes the networks".into()),
        false => Ok(found),
    }
}
