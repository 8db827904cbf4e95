//! Times a step of PHALP's tracker with its networks: `cargo bench --bench phalp`.
//!
//! Arguments: `--peer <checkout of PHALP> [--python python3] [--threads n] [--frames 30] [--precision
//! bf16,fp32] [--rounds 1]`. The networks have the released sizes and random weights, which the
//! original writes in its own formats; people are those of the tracker's golden case, two to four a
//! frame. The original runs in a process of its own; rounds alternate. In fp32 both must assign
//! alike.
#![allow(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]

#[path = "peers/process.rs"]
mod process;

use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open;
use pose4d::layers::weights::Options;
use pose4d::models::phalp::appearance::AppearanceEncoder;
use pose4d::models::phalp::pose_predictor::{Files, PosePredictor, Sight};
use pose4d::runtime::memory;
use pose4d::tracking::phalp::config::Config;
use pose4d::tracking::phalp::cost::embedding_distance;
use pose4d::tracking::phalp::features::{Detection, POSE, Place};
use pose4d::tracking::phalp::texture::Texture;
use pose4d::tracking::phalp::track::Track;
use pose4d::tracking::phalp::tracker::{Networks, Poses, TexturePair, Tracker};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use process::Process;

type Outcome<T> = Result<T, Box<dyn Error>>;
/// Who is whom, frame by frame: `[track, detection]`.
type Matches = Vec<Vec<[usize; 2]>>;

/// Side of the encoder's maps.
const SIDE: usize = 256;
const CASE: &str = "tests/fixtures/goldens/phalp/a/golden_tracker_inputs.npz";
const MEAN_PARAMS: &str = "tests/fixtures/goldens/smpl/a/smpl_mean_params.npz";

struct Arguments {
    peer: String,
    python: String,
    threads: i32,
    frames: usize,
    rounds: usize,
    precisions: Vec<DType>,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    tch::set_num_threads(arguments.threads);
    let _no_gradients = tch::no_grad_guard();
    let folder = tempfile::tempdir()?;
    let Some(mut peer) = Peer::start(&arguments, folder.path())? else {
        return Ok(());
    };
    let scene = scene(&open(Path::new(CASE))?, arguments.frames)?;
    for precision in &arguments.precisions {
        let mut nets = Nets::open(folder.path(), *precision, arguments.threads)?;
        memory::reset_peak();
        let loaded = memory::read();
        // The first pass lays out weights and takes memory.
        run(&scene[..3.min(scene.len())], &mut nets)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut matches = (Vec::new(), Vec::new());
        nets.looks = 0;
        for _ in 0..arguments.rounds {
            let round = run(&scene, &mut nets)?;
            ours.extend(round.0);
            let other = peer.ask(arguments.frames)?;
            theirs.extend(other.0);
            matches = (round.1, other.1);
        }
        let peak = memory::read().peak_rss.unwrap_or(0);
        let working = peak.saturating_sub(loaded.rss.unwrap_or(0));
        println!("{precision}: peak {} MB over what is loaded", working >> 20);
        let frames = arguments.frames * arguments.rounds;
        println!("{precision}: {} looks in {frames} frames", nets.looks);
        let (a, b) = (median(&ours), median(&theirs));
        println!(
            "  ours {a:.1} ms a frame (median), the original {b:.1} ms: {:.1}x",
            b / a
        );
        let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
        let (a, b) = (mean(&ours), mean(&theirs));
        println!(
            "  ours {a:.1} ms a frame (mean), the original {b:.1} ms: {:.1}x",
            b / a
        );
        let other = matches.0.iter().zip(&matches.1).filter(|(a, b)| a != b);
        println!("  frames assigned otherwise: {}", other.count());
    }
    Ok(())
}

fn arguments() -> Outcome<Arguments> {
    let mut found = Arguments {
        peer: String::new(),
        python: "python3".into(),
        threads: i32::try_from(std::thread::available_parallelism()?.get())?,
        frames: 30,
        rounds: 1,
        precisions: vec![DType::BF16, DType::F32],
    };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        match word.as_str() {
            "--peer" => found.peer = value,
            "--python" => found.python = value,
            "--threads" => found.threads = value.parse()?,
            "--frames" => found.frames = value.parse()?,
            "--rounds" => found.rounds = value.parse()?,
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
    match found.peer.is_empty() {
        true => Err("--peer <checkout of PHALP>: the original writes the networks".into()),
        false => Ok(found),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The case's people by frame.
fn scene(case: &Checkpoint, frames: usize) -> Outcome<Vec<Vec<Detection>>> {
    let numbers = case.read("frame")?;
    let numbers: Vec<i64> = numbers
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| i64::from_le_bytes(*b))
        .collect();
    let all = |name: &str| case.f32s(name);
    let (conf, pose, loca) = (all("conf")?, all("pose")?, all("loca")?);
    let (colours, masks) = (all("uvc")?, all("uvm")?);
    let small = masks.len() / numbers.len();
    let mut scene = vec![Vec::new(); frames];
    for (row, number) in numbers.iter().enumerate() {
        let Some(frame) = usize::try_from(*number).ok().and_then(|n| scene.get_mut(n)) else {
            continue;
        };
        let place: Vec<f64> = loca[row * 99..][88..93]
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        frame.push(Detection {
            time: *number,
            score: f64::from(conf[row]),
            pose: pose[row * POSE..][..POSE].into(),
            place: Place::measured([place[0], place[1]], [place[2], place[3], place[4]]),
            embedding: Vec::new().into(),
            texture: Some(Arc::new(enlarged(
                &colours[row * 3 * small..][..3 * small],
                &masks[row * small..][..small],
            ))),
            begins: true,
        });
    }
    Ok(scene)
}

fn enlarged(colours: &[f32], mask: &[f32]) -> Texture {
    let side = mask.len().isqrt();
    let factor = SIDE / side;
    let small = |at: usize| (at / SIDE / factor) * side + at % SIDE / factor;
    let seen: Vec<bool> = (0..SIDE * SIDE).map(|at| mask[small(at)] == 1.0).collect();
    let texel = |channel: usize, at: usize| match seen[at] {
        true => colours[channel * side * side + small(at)],
        false => 0.0,
    };
    Texture {
        side: SIDE,
        colour: (0..3 * SIDE * SIDE)
            .map(|at| texel(at / (SIDE * SIDE), at % (SIDE * SIDE)))
            .collect(),
        seen,
    }
}

fn run(scene: &[Vec<Detection>], nets: &mut Nets) -> Outcome<(Vec<f64>, Matches)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut tracker = Tracker::new(Config::default());
    let (mut spent, mut matches) = (Vec::new(), Vec::new());
    for people in scene {
        let start = Instant::now();
        let step = runtime.block_on(tracker.step(people, false, nets))?;
        spent.push(1e3 * start.elapsed().as_secs_f64());
        matches.push(step.matches.iter().map(|(a, b)| [*a, *b]).collect());
    }
    Ok((spent, matches))
}

struct Nets {
    encoder: AppearanceEncoder,
    predictor: PosePredictor,
    /// Maps encoded.
    looks: usize,
}

impl Nets {
    fn open(folder: &Path, precision: DType, threads: i32) -> Outcome<Self> {
        let options = Options {
            precision,
            device: Device::Cpu,
            renames: &[],
            threads: usize::try_from(threads)?,
        };
        let files = Files {
            weights: &folder.join("pose_predictor.pth"),
            config: &folder.join("pose_predictor.yaml"),
            mean_std: &folder.join("mean_std.npy"),
        };
        Ok(Self {
            encoder: AppearanceEncoder::open(&folder.join("hmar_v2_weights.pth"), options)?.0,
            predictor: PosePredictor::open(files, options)?.0,
            looks: 0,
        })
    }

    fn embedding(&mut self, map: &Texture, beside: &Texture) -> Result<Vec<f32>, tch::TchError> {
        self.looks += 1;
        let side = map.side as i64;
        let input = Tensor::f_from_slice(&map.shared_with(beside))?;
        let found = self.encoder.encode(&input.f_reshape([1, 4, side, side])?)?;
        Vec::try_from(found.f_to_kind(Kind::Float)?.f_reshape([-1])?)
    }
}

impl Networks for Nets {
    type Error = tch::TchError;

    async fn poses(&mut self, tracks: &[&Track]) -> Result<Poses, tch::TchError> {
        let one = |track: &&Track| {
            let past = track.past.iter().map(|d| Sight {
                time: d.time,
                pose: &d.pose,
            });
            let next = self
                .predictor
                .predict_next(&[past.collect()], &[i64::from(track.unseen)])?;
            let next = Vec::<f32>::try_from(next.f_to_kind(Kind::Float)?.f_reshape([-1])?)?;
            Ok(Some(next.into()))
        };
        tracks.iter().map(one).collect()
    }

    async fn texture_distances(
        &mut self,
        pairs: &[TexturePair],
    ) -> Result<Vec<f64>, tch::TchError> {
        let mut found = Vec::new();
        for (a, b) in pairs {
            let (x, y) = (self.embedding(a, b)?, self.embedding(b, a)?);
            found.push(100.0 * embedding_distance(&x, &y));
        }
        Ok(found)
    }
}

struct Peer(Process);

impl Peer {
    /// `None`, and a line that says why, where the original does not run.
    fn start(arguments: &Arguments, folder: &Path) -> Outcome<Option<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (case, params) = (root.join(CASE), root.join(MEAN_PARAMS));
        let threads = arguments.threads.to_string();
        let words = [&arguments.peer, &threads].map(OsStr::new);
        let words = words
            .into_iter()
            .chain([folder, &case, &params].map(Path::as_os_str));
        let process = Process::start(&arguments.python, "phalp_python.py", words)?;
        Ok(process.map(Self))
    }

    /// Milliseconds of each frame, and who was whom.
    fn ask(&mut self, frames: usize) -> Outcome<(Vec<f64>, Matches)> {
        let mut answer: Value = self.0.ask(&json!({ "frames": frames }))?;
        let ms = serde_json::from_value(answer["ms"].take())?;
        Ok((ms, serde_json::from_value(answer["matches"].take())?))
    }
}
