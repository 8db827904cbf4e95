//! PHALP on a case: the pose predictor, the texture encoder, and the tracker frame by frame.

use std::path::Path;
use std::sync::Arc;

use pose4d::checkpoint::dtype::DType;
use pose4d::layers::weights::Options;
use pose4d::models::phalp::appearance::AppearanceEncoder;
use pose4d::models::phalp::pose_predictor::{Files, POSE, PosePredictor, Sight};
use pose4d::models::phalp::smoothing::Span;
use pose4d::tracking::phalp::config::{Appearance, Config};
use pose4d::tracking::phalp::features::{Detection, Place};
use pose4d::tracking::phalp::texture::Texture;
use pose4d::tracking::phalp::track::{State, Track};
use pose4d::tracking::phalp::tracker::{Networks, TexturePair, Tracker};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::arrays::{Arrays, f32s};
use crate::report::{Bound, Differences, Report, Table};
use crate::textures;

/// Of a tensor's largest value.
const PART: f64 = 1e-4;
const OPTIONS: Options = Options {
    precision: DType::F32,
    device: Device::Cpu,
    renames: &[],
    threads: 2,
};
/// Side of the encoder's maps; the case's are enlarged to it.
const SIDE: usize = 256;

/// Numbers of an appearance; the case holds the first of them, which are repeated.
const APPEARANCE: usize = 4096;

pub fn run(case: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("PHALP, {}", case.display()));
    let outcome = whole(case, &mut table);
    report.add(table);
    outcome
}

fn whole(case: &Path, table: &mut Table) -> Result<(), String> {
    textures::run(case, table)?;
    let mut predictor = predictor(case)?;
    let mut encoder = AppearanceEncoder::open(&case.join("hmar_v2_weights.pth"), OPTIONS)
        .map_err(|e| e.to_string())?
        .0;
    if let Some(golden) = Arrays::open(&case.join("golden_pose_predictor.npz"))? {
        poses(table, &predictor, &golden)?;
    }
    let Some(inputs) = Arrays::open(&case.join("golden_tracker_inputs.npz"))? else {
        table.skip("golden_tracker_inputs.npz", "not there");
        return Ok(());
    };
    let people = detections(&inputs)?;
    if let Some(golden) = Arrays::open(&case.join("golden_appearance.npz"))? {
        appearance(table, &encoder, &people, &golden)?;
    }
    let text = std::fs::read_to_string(case.join("golden_tracker.json"));
    let text = text.map_err(|e| format!("golden_tracker.json: {e}"))?;
    let runs: std::collections::BTreeMap<String, Run> =
        serde_json::from_str(&text).map_err(|e| format!("golden_tracker.json: {e}"))?;
    for (name, golden) in &runs {
        let file = case.join(format!("golden_tracker_{name}.npz"));
        let arrays = Arrays::open(&file)?.ok_or_else(|| format!("no {}", file.display()))?;
        follow(
            table,
            name,
            golden,
            &arrays,
            &people,
            &mut predictor,
            &mut encoder,
        )?;
    }
    Ok(())
}

fn predictor(case: &Path) -> Result<PosePredictor, String> {
    let files = Files {
        weights: &case.join("pose_predictor.pth"),
        config: &case.join("pose_predictor.yaml"),
        mean_std: &case.join("mean_std.npy"),
    };
    let opened = PosePredictor::open(files, OPTIONS).map_err(|e| e.to_string())?;
    Ok(opened.0)
}

/// Every so many rows of `ours` along `dim` as many as the case keeps.
fn strided(ours: &Tensor, dim: i64, kept: i64) -> Tensor {
    let all = ours.size()[dim as usize];
    ours.slice(dim, None, None, (all as f64 / kept as f64).ceil() as i64)
}

fn poses(table: &mut Table, model: &PosePredictor, golden: &Arrays) -> Result<(), String> {
    let text = |e: tch::TchError| e.to_string();
    let (pose, shape) = (golden.f32s("en_pose")?, golden.shape("en_pose")?);
    let (times, ahead) = (golden.f64s("en_time")?, golden.f64s("time_to_predict")?);
    let frames = shape[1] as usize;
    let pasts: Vec<Vec<Sight>> = (0..shape[0] as usize)
        .map(|person| {
            let sight = |i: usize| Sight {
                time: times[person * frames + i] as i64,
                pose: &pose[(person * frames + i) * POSE as usize..][..POSE as usize],
            };
            (0..frames).map(sight).collect()
        })
        .collect();
    let ahead: Vec<i64> = ahead.iter().map(|t| *t as i64).collect();
    let next = model.predict_next(&pasts, &ahead).map_err(text)?;
    golden.judge(table, "predict_next_single", &next, PART, f64::MAX)?;
    let (seen, given) = (
        golden.tensor("enc_has_detection")?,
        golden.tensor("enc_pose_shape")?,
    );
    let (batch, kept, _) = given.size3().map_err(text)?;
    let all = model.config().frames;
    let rest = Tensor::zeros([batch, all - kept, POSE], (Kind::Float, Device::Cpu));
    let given = Tensor::cat(&[given, rest], 1);
    let given = model.normalised(&given).map_err(text)?;
    let tokens = model.encode(&given, &seen).map_err(text)?;
    let kept = golden.shape("enc_out")?[1];
    golden.judge(table, "enc_out", &strided(&tokens, 1, kept), PART, f64::MAX)?;
    let read = model.read_out(&tokens.narrow(1, 1, all)).map_err(text)?;
    for (name, ours) in [
        ("readout_pose_camera", &read.pose_camera),
        ("readout_ava", &read.actions),
    ] {
        let ours = strided(ours, 1, golden.shape(name)?[1]).unsqueeze(2);
        golden.judge(table, name, &ours, PART, f64::MAX)?;
    }
    smoothed(table, model, golden)
}

fn smoothed(table: &mut Table, model: &PosePredictor, golden: &Arrays) -> Result<(), String> {
    let text = |e: tch::TchError| e.to_string();
    let poses = golden.tensor("smooth_in_pose")?.squeeze_dim(1);
    let seen = Tensor::from_slice(&golden.f64s("smooth_in_has")?);
    let read = model.smooth(&poses, &seen, Span::PUBLISHED).map_err(text)?;
    let pose = read.pose_camera.get(0).unsqueeze(1);
    let camera = pose.narrow(2, POSE - 3, 3);
    let actions = read.actions.get(0).unsqueeze(1);
    for (name, ours) in [
        ("smooth_out_pose", pose),
        ("smooth_out_cam", camera),
        ("smooth_out_ava", actions),
    ] {
        let ours = strided(&ours, 0, golden.shape(name)?[0]);
        golden.judge(table, name, &ours, PART, f64::MAX)?;
    }
    Ok(())
}

/// The case's people, all frames.
struct People {
    frames: Vec<i64>,
    all: Vec<Detection>,
}

fn detections(inputs: &Arrays) -> Result<People, String> {
    let frames: Vec<i64> = inputs.f64s("frame")?.iter().map(|f| *f as i64).collect();
    let (conf, pose, loca) = (
        inputs.f32s("conf")?,
        inputs.f32s("pose")?,
        inputs.f32s("loca")?,
    );
    let (appe, width) = (inputs.f32s("appe")?, inputs.shape("appe")?[1] as usize);
    let (uvc, uvm) = (inputs.f32s("uvc")?, inputs.f32s("uvm")?);
    let side = inputs.shape("uvm")?[1] as usize;
    let one = |i: usize| {
        let loca: Vec<f64> = loca[i * 99..][..99].iter().map(|v| f64::from(*v)).collect();
        Detection {
            time: frames[i],
            score: f64::from(conf[i]),
            pose: pose[i * POSE as usize..][..POSE as usize].into(),
            place: Place::measured([loca[88], loca[89]], [loca[90], loca[91], loca[92]]),
            embedding: appe[i * width..][..width].repeat(APPEARANCE / width).into(),
            texture: Some(Arc::new(enlarged(
                &uvc[i * 3 * side * side..][..3 * side * side],
                &uvm[i * side * side..][..side * side],
                side,
            ))),
            begins: true,
        }
    };
    Ok(People {
        all: (0..frames.len()).map(one).collect(),
        frames,
    })
}

fn enlarged(colour: &[f32], mask: &[f32], side: usize) -> Texture {
    let factor = SIDE / side;
    let at = |x: usize, y: usize| (y / factor) * side + x / factor;
    let texels = || (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
    let channel = |c: usize| texels().map(move |(x, y)| (c, x, y));
    Texture {
        side: SIDE,
        colour: (0..3)
            .flat_map(channel)
            .map(|(c, x, y)| colour[c * side * side + at(x, y)])
            .collect(),
        seen: texels().map(|(x, y)| mask[at(x, y)] == 1.0).collect(),
    }
}

fn distances(encoder: &AppearanceEncoder, pairs: &[TexturePair]) -> Result<Vec<f64>, String> {
    let text = |e: tch::TchError| e.to_string();
    let mut found = Vec::new();
    for (a, b) in pairs {
        let maps: Vec<f32> = [a.shared_with(b), b.shared_with(a)].concat();
        let side = a.side as i64;
        let maps = Tensor::from_slice(&maps).reshape([2, 4, side, side]);
        let encoded = encoder.encode(&maps).map_err(text)? / 1e3;
        let apart = encoded.get(0) - encoded.get(1);
        found.push((&apart * &apart).sum(Kind::Double).double_value(&[]) * 100.0);
    }
    Ok(found)
}

fn appearance(
    table: &mut Table,
    encoder: &AppearanceEncoder,
    people: &People,
    golden: &Arrays,
) -> Result<(), String> {
    for name in golden.names().map(str::to_owned).collect::<Vec<_>>() {
        let digits =
            |text: &str| -> Vec<usize> { text.split('_').filter_map(|n| n.parse().ok()).collect() };
        if let Some(list) = name.strip_prefix("enc_of_uv_") {
            let whole = |i: &usize| people.all[*i].texture.clone().ok_or("no texture");
            let maps: Vec<Arc<Texture>> =
                digits(list).iter().map(whole).collect::<Result<_, _>>()?;
            let maps: Vec<f32> = maps.iter().flat_map(|t| whole_map(t)).collect();
            let side = SIDE as i64;
            let maps = Tensor::from_slice(&maps).reshape([-1, 4, side, side]);
            let encoded = encoder.encode(&maps).map_err(|e| e.to_string())?;
            golden.judge(table, &name, &encoded, PART, f64::MAX)?;
        } else if let Some([a, b]) = name.strip_prefix('d').map(str::as_bytes)
            && let (Some(a), Some(b)) = ((*a as char).to_digit(10), (*b as char).to_digit(10))
        {
            let texture = |i: u32| people.all[i as usize].texture.clone().ok_or("no texture");
            let (a, b) = (texture(a)?, texture(b)?);
            let found = distances(encoder, &[(a, b)])?;
            let ours = Tensor::from(found[0]);
            golden.judge(table, &name, &ours, PART, f64::MAX)?;
        }
    }
    Ok(())
}

/// `[4, side, side]` with -1 where nothing was seen.
fn whole_map(texture: &Texture) -> Vec<f32> {
    let mask = texture.seen.iter().map(|s| if *s { 1.0 } else { -1.0 });
    texture.colour.iter().copied().chain(mask).collect()
}

#[derive(Deserialize)]
struct Run {
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    t: i64,
    dets: Vec<usize>,
    matches: Vec<(usize, usize)>,
    tracks: Vec<Known>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Known {
    id: u32,
    state: u8,
    hits: u32,
    age: u32,
    tsu: u32,
}

impl Known {
    fn of(track: &Track) -> Self {
        Self {
            id: track.id,
            state: match track.state {
                State::Tentative => 1,
                State::Confirmed => 2,
                State::Ended => 3,
            },
            hits: track.hits,
            age: track.age,
            tsu: track.unseen,
        }
    }
}

/// The networks, with the original's fault that every track of a batch is predicted at the time
/// of its first, so that the whole run can be compared.
struct Original<'a> {
    predictor: &'a mut PosePredictor,
    encoder: &'a mut AppearanceEncoder,
}

/// What a track has been seen in.
fn sights(track: &Track) -> Vec<Sight<'_>> {
    let mut past = Vec::new();
    for Detection { time, pose, .. } in &track.past {
        past.push(Sight { time: *time, pose });
    }
    past
}

impl Networks for Original<'_> {
    type Error = String;

    async fn poses(&mut self, tracks: &[&Track]) -> Result<Vec<Option<Arc<[f32]>>>, String> {
        let mut found = vec![None; tracks.len()];
        for seen in [true, false] {
            let rows: Vec<usize> = (0..tracks.len())
                .filter(|i| (tracks[*i].unseen == 0) == seen)
                .collect();
            let Some(first) = rows.first() else { continue };
            let end = |track: &Track| {
                let span = track.past.back().map_or(0, |d| d.time)
                    - track.past.front().map_or(0, |d| d.time);
                span.min(self.predictor.config().frames - 1)
            };
            let at = end(tracks[*first]) + i64::from(tracks[*first].unseen);
            let pasts: Vec<Vec<Sight>> = rows.iter().map(|i| sights(tracks[*i])).collect();
            let unseen: Vec<i64> = rows.iter().map(|i| at - end(tracks[*i])).collect();
            let next = self.predictor.predict_next(&pasts, &unseen);
            let next = f32s(&next.map_err(|e| e.to_string())?);
            for (row, pose) in rows.iter().zip(next.chunks(POSE as usize)) {
                found[*row] = Some(pose.into());
            }
        }
        Ok(found)
    }

    async fn texture_distances(&mut self, pairs: &[TexturePair]) -> Result<Vec<f64>, String> {
        distances(self.encoder, pairs)
    }
}

fn follow(
    table: &mut Table,
    name: &str,
    golden: &Run,
    arrays: &Arrays,
    people: &People,
    predictor: &mut PosePredictor,
    encoder: &mut AppearanceEncoder,
) -> Result<(), String> {
    // One that works out every cost, as the original does, and one as the engine runs it.
    let every = Config {
        every_cost: true,
        ..config(name)
    };
    let (mut tracker, mut lazy) = (Tracker::new(every), Tracker::new(config(name)));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let cut = name
        .split("shot")
        .nth(1)
        .and_then(|n| n.parse::<i64>().ok());
    let mut networks = Original { predictor, encoder };
    let (mut wrong, mut wrong_lazily, mut costs) = (Vec::new(), Vec::new(), Differences::default());
    let (mut places, mut shown) = (Vec::<Vec<f64>>::new(), Vec::new());
    for frame in &golden.frames {
        let seen: Vec<Detection> = frame.dets.iter().map(|d| people.all[*d].clone()).collect();
        if frame.dets.iter().any(|d| people.frames[*d] != frame.t) {
            return Err(format!("{name}: frame {} has others' detections", frame.t));
        }
        let cut = cut == Some(frame.t);
        let step = runtime.block_on(tracker.step(&seen, cut, &mut networks))?;
        let same = runtime.block_on(lazy.step(&seen, cut, &mut networks))?;
        let tracks: Vec<Known> = tracker.tracks().iter().map(Known::of).collect();
        if step.matches != frame.matches || tracks != frame.tracks {
            wrong.push(frame.t);
        }
        if same.matches != frame.matches || same.owners != step.owners {
            wrong_lazily.push(frame.t);
        }
        let key = format!("cost_{:03}", frame.t);
        if arrays.contains(&key) {
            let theirs = arrays.f32s(&key)?;
            let ours: Vec<f32> = step.costs.iter().map(|c| *c as f32).collect();
            let relative = |a: &f32, b: &f32| f64::from((a - b).abs() / b.abs().max(1.0));
            if ours.len() == theirs.len() {
                ours.iter()
                    .zip(&theirs)
                    .for_each(|(a, b)| costs.push(relative(a, b)));
            } else {
                costs.push(f64::INFINITY);
            }
        }
        for track in tracker.tracks() {
            let Some(p) = track.predictions().next() else {
                continue;
            };
            let mut place = vec![frame.t as f64, f64::from(track.id)];
            place.extend(p.place.root);
            place.push(p.place.depth);
            place.extend(p.place.doubt);
            places.push(place);
            shown.push(p.pose.clone());
        }
    }
    let text = format!(
        "{} frames, other than theirs: {wrong:?}",
        golden.frames.len()
    );
    table.check(format!("{name}: assignments"), wrong.is_empty(), text);
    let text = format!("other than theirs: {wrong_lazily:?}");
    let right = wrong_lazily.is_empty();
    table.check(format!("{name}: with the costs that matter"), right, text);
    // The original takes squared distances as a² + b² - 2ab in single precision. Of places half a
    // frame from the origin that leaves 1e-7, whose root, divided by 0.1 and 0.3792, is 9e-3 of a cost
    // where somebody hardly moves.
    let bounds = [Bound::Max(1e-2), Bound::Mean(5e-4)];
    table.judge(format!("{name}: costs"), &costs, "rel", &bounds);
    predictions(table, name, arrays, &places, &shown)
}

fn config(name: &str) -> Config {
    let mut config = match name.contains("010") {
        true => Config::films(),
        false => Config::default(),
    };
    if name.contains("APL") {
        config.appearance = Appearance::Embedding;
    }
    if let Some(age) = name.split("age").nth(1).and_then(|n| n.parse().ok()) {
        config.max_age = age;
    }
    config
}

fn predictions(
    table: &mut Table,
    name: &str,
    arrays: &Arrays,
    places: &[Vec<f64>],
    poses: &[Arc<[f32]>],
) -> Result<(), String> {
    let (rows, width) = (
        arrays.shape("locas")?[0] as usize,
        arrays.shape("locas")?[1] as usize,
    );
    let theirs = arrays.f32s("locas")?;
    let mut apart = Differences::default();
    if rows != places.len() {
        apart.push(f64::INFINITY);
    }
    for (ours, theirs) in places.iter().zip(theirs.chunks(width)) {
        // Time, track, root x and y; then x and y in metres, which follow; depth, doubts.
        let theirs = [0, 1, 2, 3, 6, 7, 8, 9].map(|i| f64::from(theirs[i]));
        ours.iter()
            .zip(theirs)
            .for_each(|(a, b)| apart.push((a - b).abs() / b.abs().max(1.0)));
    }
    table.judge(
        format!("{name}: places"),
        &apart,
        "rel",
        &[Bound::Max(PART)],
    );
    if arrays.contains("poses") {
        let width = arrays.shape("poses")?[1] as usize;
        let theirs = arrays.f32s("poses")?;
        let mut apart = Differences::default();
        for (ours, theirs) in poses.iter().zip(theirs.chunks(width)) {
            // The first numbers and the last ones.
            let ends = ours[..12].iter().chain(&ours[ours.len() - (width - 14)..]);
            ends.zip(&theirs[2..])
                .for_each(|(a, b)| apart.push(f64::from((a - b).abs())));
        }
        table.judge(format!("{name}: poses"), &apart, "", &[Bound::Max(PART)]);
    }
    Ok(())
}
