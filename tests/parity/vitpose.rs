//! ViTPose on the boxes of a case: regions, crops, the network's stages, keypoints by both ways of
//! decoding; people alone and together.

use std::path::{Path, PathBuf};

use pose4d::checkpoint::dtype::DType;
use pose4d::imaging::pixels::Rgb8;
use pose4d::models::vitpose::crop::{Region, Warp};
use pose4d::models::vitpose::decode::{Decoding, HeatMap};
use pose4d::models::vitpose::model::{KEYPOINTS, Procedure, Settings, VitPose, batch};
use tch::{Device, Tensor};

use crate::arrays::{Arrays, f32s};
use crate::models::photo;
use crate::reference::{files, name_of};
use crate::report::{Bound, Differences, Report, Table};

/// Of a tensor's largest value.
const PART: f64 = 1e-4;
/// Of normalised pixels.
const CROPS: f64 = 2e-3;
/// Pixels of the image, and confidence.
const PLACE: f64 = 0.05;
const CONFIDENCE: f64 = 1e-4;
/// Of a map's largest value: what differs between two orders of summing in single precision.
const ROUNDING: f32 = 1e-6;
/// Times the doubt that a keypoint may be off.
const DOUBTS: f64 = 4.0;
/// The most that bfloat16 autocast of the original does to full-size heat maps of random weights,
/// parts of their largest value (benches/peers/autocast.py); tiny networks have fewer layers to
/// round in.
const BF16: [Bound; 2] = [Bound::Max(9.8e-3), Bound::Mean(1.6e-3)];

pub fn run(case: &Path, report: &mut Report) -> Result<(), String> {
    let goldens = files(case, "golden_", ".npz");
    if goldens.is_empty() {
        return Err("no golden_*.npz there".into());
    }
    let image = image(case)?;
    for path in goldens {
        let name = name_of(&path);
        let kind = name
            .trim_start_matches("golden_")
            .trim_end_matches(".npz")
            .to_owned();
        let mut table = Table::new(format!("ViTPose {kind}, {}", case.display()));
        let outcome = golden(case, &kind, &image, &path, &mut table);
        report.add(table);
        outcome?;
    }
    Ok(())
}

/// The case's own, or that of HMR2's case of the same name.
fn image(case: &Path) -> Result<Rgb8, String> {
    let beside = case
        .parent()
        .and_then(Path::parent)
        .map(|goldens| goldens.join("hmr2").join(name_of(case)));
    let folders = [Some(case.to_owned()), beside];
    let mut found = folders
        .iter()
        .flatten()
        .flat_map(|folder| files(folder, "image", ""));
    photo(&found.next().ok_or("no image* there or in hmr2/<case>")?)
}

fn golden(
    case: &Path,
    kind: &str,
    image: &Rgb8,
    path: &Path,
    table: &mut Table,
) -> Result<(), String> {
    let arrays = Arrays::open(path)?.ok_or("cannot be opened")?;
    let boxes = arrays.f64s("xywh")?;
    let regions: Vec<Region> = boxes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| Region::of(*b).map_err(|e| e.to_string()))
        .collect::<Result<_, _>>()?;
    self::regions(table, &arrays, &regions)?;
    let weights = checkpoint(case, kind)?;
    let mut model = open(&weights, &arrays, &regions, image, table)?;
    let crops = batch(&model.crops(image, &regions).map_err(|e| e.to_string())?);
    let crops = crops.map_err(|e| e.to_string())?;
    model.procedure.flip = false;
    let plain = model.heat_maps(&crops).map_err(|e| e.to_string())?;
    model.procedure.flip = true;
    let both = model.heat_maps(&crops).map_err(|e| e.to_string())?;
    stages(table, &arrays, &model, &crops, [&plain, &both])?;
    for (name, maps, decoding) in [
        ("preds_flip_udp", &both, Decoding::Dark),
        ("preds_noflip_udp", &plain, Decoding::Dark),
        ("preds_flip_default_nonudp", &both, Decoding::Quarter),
        ("preds_noflip_default_nonudp", &plain, Decoding::Quarter),
    ] {
        if !arrays.contains(name) {
            continue;
        }
        model.procedure.decoding = decoding;
        let people = model.keypoints(maps, &regions).map_err(|e| e.to_string())?;
        let doubt = |keypoint: usize| doubt(maps, keypoint, &regions, decoding);
        keypoints(table, &arrays, name, people.as_flattened(), &doubt)?;
    }
    model.procedure = Procedure::PUBLISHED;
    rough(table, &weights, &model, &crops, &plain)?;
    alone(table, &model, &crops, &both)
}

/// Heat maps in bfloat16, beside those in single precision, which the goldens have judged.
fn rough(
    table: &mut Table,
    weights: &Path,
    model: &VitPose,
    crops: &Tensor,
    exact: &Tensor,
) -> Result<(), String> {
    let settings = Settings {
        precision: DType::BF16,
        device: Device::Cpu,
        threads: 2,
    };
    let opened = VitPose::open_with(weights, settings, Some(model.size().heads));
    let (mut model, _) = opened.map_err(|e| e.to_string())?;
    model.procedure.flip = false;
    let rough = model.heat_maps(crops).map_err(|e| e.to_string())?;
    let largest = exact.abs().max();
    let parts = |maps: &Tensor| f32s(&(maps / &largest));
    let differences = Differences::between(&parts(&rough), &parts(exact));
    table.judge("heat maps in bf16", &differences, "rel", &BF16);
    Ok(())
}

fn regions(table: &mut Table, arrays: &Arrays, regions: &[Region]) -> Result<(), String> {
    let rows = regions.len() as i64;
    let column = |value: fn(&Region) -> [f32; 2]| {
        let all: Vec<f32> = regions.iter().flat_map(value).collect();
        Tensor::from_slice(&all).view([rows, 2])
    };
    arrays.judge(table, "center", &column(|r| r.center), 1e-7, PLACE)?;
    arrays.judge(table, "scale", &column(|r| r.scale), 2e-7, PLACE)?;
    let maps: Option<Vec<f32>> = regions
        .iter()
        .map(|r| r.to_crop(Warp::Unbiased).map(|m| m.map(|v| v as f32)))
        .collect::<Option<Vec<_>>>()
        .map(|maps| maps.as_flattened().to_vec());
    let maps = maps.ok_or("a region without area")?;
    let maps = Tensor::from_slice(&maps).view([rows, 2, 3]);
    arrays.judge(table, "warp", &maps, 2e-7, PLACE)
}

/// `*_<kind>.*`, or the only one there.
fn checkpoint(case: &Path, kind: &str) -> Result<PathBuf, String> {
    let mut found = Vec::new();
    for suffix in [".pth", ".pt", ".bin", ".safetensors"] {
        found.extend(files(case, "", suffix));
    }
    let named = |path: &&PathBuf| {
        path.file_stem()
            .is_some_and(|stem| stem.to_string_lossy().ends_with(kind))
    };
    match (found.iter().find(named), found.as_slice()) {
        (Some(path), _) => Ok(path.clone()),
        (None, [only]) => Ok(only.clone()),
        _ => Err(format!("no checkpoint *{kind}.pth there")),
    }
}

/// A checkpoint does not tell its number of heads. For a width that was never released, the
/// original's features do: only the right number gives them, and everything after is judged.
fn open(
    weights: &Path,
    arrays: &Arrays,
    regions: &[Region],
    image: &Rgb8,
    table: &mut Table,
) -> Result<VitPose, String> {
    let settings = Settings {
        precision: DType::F32,
        device: Device::Cpu,
        threads: 2,
    };
    let text = |e: pose4d::models::error::ModelError| e.to_string();
    let (first, report) = VitPose::open(weights, settings).map_err(text)?;
    let used = format!(
        "{} used, {} known and unused, {:?}",
        report.applied.len(),
        report.tolerated.len(),
        first.size()
    );
    table.check(format!("{} loads", name_of(weights)), true, used);
    if !arrays.contains("backbone") {
        return Ok(first);
    }
    let rows = (*arrays.shape("backbone")?.first().unwrap_or(&0) as usize).min(regions.len());
    let crops = first
        .crops(image, &regions[..rows])
        .map_err(|e| e.to_string())?;
    let crops = batch(&crops).map_err(|e| e.to_string())?;
    let theirs = arrays.f32s("backbone")?;
    let far = |model: &VitPose| -> Result<f64, String> {
        let ours = model.feature_map(&crops).map_err(|e| e.to_string())?;
        let difference = &ours - Tensor::from_slice(&theirs).view_as(&ours);
        Ok(difference.abs().max().double_value(&[]))
    };
    let width = first.size().width;
    let mut best = (far(&first)?, first);
    for heads in (1..=width).filter(|h| width % h == 0) {
        if best.0 < 1e-3 {
            break;
        }
        let (model, _) = VitPose::open_with(weights, settings, Some(heads)).map_err(text)?;
        let distance = far(&model)?;
        if distance < best.0 {
            best = (distance, model);
        }
    }
    Ok(best.1)
}

fn stages(
    table: &mut Table,
    arrays: &Arrays,
    model: &VitPose,
    crops: &Tensor,
    [plain, both]: [&Tensor; 2],
) -> Result<(), String> {
    let names: Vec<String> = arrays.names().map(str::to_owned).collect();
    for name in &names {
        // `crop1`, `heatmap0`, `heatmap_flipavg_s2`: of a person, the first where none is named;
        // every so many rows and columns.
        let (stem, step) = name.rsplit_once("_s").unwrap_or((name, "1"));
        let letters = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        let person = stem[letters.len()..].parse::<i64>().unwrap_or(0);
        let Ok(step) = step.parse::<i64>() else {
            continue;
        };
        let thin = |t: &Tensor| {
            t.get(person)
                .slice(1, None, None, step)
                .slice(2, None, None, step)
        };
        match letters {
            "crop" => arrays.judge(table, name, &thin(crops), 1.0, CROPS)?,
            "heatmap" => arrays.judge(table, name, &thin(plain), PART, f64::INFINITY)?,
            "heatmap_flipavg" => arrays.judge(table, name, &thin(both), PART, f64::INFINITY)?,
            "backbone" => {
                let rows = *arrays.shape(name)?.first().unwrap_or(&0);
                let seen = crops.narrow(0, 0, rows.min(crops.size()[0]));
                let features = model.feature_map(&seen).map_err(|e| e.to_string())?;
                arrays.judge(table, name, &features, PART, f64::INFINITY)?;
            }
            "xywh" | "center" | "scale" | "warp" => {}
            other if other.starts_with("preds_") => {}
            _ => table.skip(name, "not known"),
        }
    }
    Ok(())
}

/// Where no value of a map is above zero, upstream reads the place from another map's memory:
/// only the confidence is judged. Where a map is nearly flat around its peak, its last bits decide
/// by pixels where the top of the Gaussian lies, upstream's own two runs apart as well: such a
/// keypoint may be off by what `doubt` says.
fn keypoints(
    table: &mut Table,
    arrays: &Arrays,
    name: &str,
    ours: &[[f32; 3]],
    doubt: &dyn Fn(usize) -> f64,
) -> Result<(), String> {
    let theirs = arrays.f32s(name)?;
    let theirs = theirs.as_chunks::<3>().0;
    if theirs.len() != ours.len() {
        let text = format!("{} ours, {} theirs", ours.len(), theirs.len());
        table.check(name, false, text);
        return Ok(());
    }
    let (mut places, mut confidences) = (Differences::default(), Differences::default());
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        confidences.extend(&Differences::between(&ours[2..], &theirs[2..]));
        if theirs[2] <= 0.0 {
            continue;
        }
        let far = (0..2).map(|k| f64::from((ours[k] - theirs[k]).abs()));
        let far = far.fold(0.0, f64::max);
        if far <= PLACE {
            places.extend(&Differences::between(&ours[..2], &theirs[..2]));
            continue;
        }
        let allowed = DOUBTS * doubt(at);
        let text = format!("{far:.3} px off, {allowed:.3} px in doubt");
        let (person, keypoint) = (at / KEYPOINTS, at % KEYPOINTS);
        let row = format!("{name} person {person} keypoint {keypoint}");
        table.check(row, far <= allowed, text);
    }
    let largest = theirs.iter().fold(1.0f32, |m, t| m.max(t[2].abs()));
    table.judge(name, &places, "px", &[Bound::Max(PLACE)]);
    let bound = Bound::Max(CONFIDENCE * f64::from(largest));
    table.judge(format!("{name} confidence"), &confidences, "", &[bound]);
    Ok(())
}

/// The furthest a keypoint moves, pixels, when the values of its map change by the rounding of
/// single precision, up and down in different patterns.
fn doubt(maps: &Tensor, at: usize, regions: &[Region], decoding: Decoding) -> f64 {
    let (person, keypoint) = (at / KEYPOINTS, at % KEYPOINTS);
    let map = maps.get(person as i64).get(keypoint as i64);
    let (width, values) = (map.size()[1] as usize, f32s(&map));
    let largest = values.iter().fold(0.0f32, |m, v| v.abs().max(m));
    let find = |values: &[f32]| HeatMap { values, width }.keypoint(&regions[person], decoding);
    let still = find(&values);
    let mut furthest = 0.0f32;
    for pattern in 1..=16u32 {
        let mut state = pattern.wrapping_mul(0x9e37_79b9);
        let nudged = values.iter().map(|v| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let sign = if state & 1 == 0 { 1.0 } else { -1.0 };
            v + sign * ROUNDING * largest
        });
        let found = find(&nudged.collect::<Vec<_>>());
        for axis in 0..2 {
            furthest = furthest.max((found[axis] - still[axis]).abs());
        }
    }
    f64::from(furthest)
}

/// A person alone is to the bit the person they are among others.
fn alone(table: &mut Table, model: &VitPose, crops: &Tensor, all: &Tensor) -> Result<(), String> {
    let mut differences = Differences::default();
    for row in 0..crops.size()[0] {
        let one = model
            .heat_maps(&crops.narrow(0, row, 1))
            .map_err(|e| e.to_string())?;
        let together = f32s(&all.narrow(0, row, 1));
        differences.extend(&Differences::between(&f32s(&one), &together));
    }
    table.judge("alone as together", &differences, "", &[Bound::Max(0.0)]);
    Ok(())
}
