//! Depth networks on the image of a case: the input, the trunk's maps, depth and its size back; in
//! single precision and in bfloat16; frames alone and together.

use std::path::{Path, PathBuf};

use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open;
use pose4d::imaging::pixels::Rgb8;
use pose4d::layers::weights::{Options, Weights};
use pose4d::models::midas::{DepthMap, Kind, Midas, Readout, Settings};
use serde_json::Value;
use tch::{Device, Tensor};

use crate::arrays::{Arrays, f32s};
use crate::models::photo;
use crate::reference::{files, name_of, read_json};
use crate::report::{Bound, Differences, Report, Table};

/// Of a tensor's largest value.
const PART: f64 = 1e-4;
/// Of normalised pixels.
const PIXELS: f64 = 2e-3;

/// What the original's own bfloat16 autocast does to a case is chance like ours: so much more is
/// still the same.
const CHANCE: f64 = 1.5;

/// The largest and the mean difference that bfloat16 autocast of the original makes in the depth of
/// a full-size network with random weights, parts of its largest value
/// (`benches/peers/midas_python.py cases --size full`); for cases that do not say what it does to
/// them. Tiny networks have fewer layers to round in.
fn autocast(kind: Kind) -> [f64; 2] {
    match kind {
        Kind::DptLarge => [1.6e-2, 4.6e-3],
        Kind::DptHybrid => [1.6e-1, 4.4e-2],
        Kind::MidasV21 => [1.5e-2, 3.3e-3],
        Kind::MidasSmall => [1.8e-1, 3.8e-2],
    }
}

pub fn run(case: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("Depth, {}", case.display()));
    let outcome = stages(case, &mut table);
    report.add(table);
    outcome
}

fn stages(case: &Path, table: &mut Table) -> Result<(), String> {
    let goldens = files(case, "golden", ".npz");
    if goldens.is_empty() {
        return Err("no golden*.npz there".into());
    }
    let meta: Value = read_json(&case.join("meta.json"))?.unwrap_or_default();
    let checkpoints = checkpoints(case);
    if checkpoints.is_empty() {
        return Err("no checkpoint (*.pt, *.pth, *.h5, *.pkl, *.safetensors) there".into());
    }
    let mut reference: Option<DepthMap> = None;
    for path in &checkpoints {
        let kind = kind(&meta, path)?;
        let own = |golden: &&PathBuf| checkpoints.len() == 1 || belongs(golden, path);
        let own: Vec<&PathBuf> = goldens.iter().filter(own).collect();
        if own.is_empty() {
            table.check(name_of(path), false, "no golden*.npz of it there");
        }
        for golden in own {
            let arrays = Arrays::open(golden)?.ok_or("cannot be opened")?;
            let image = image(case, golden, &meta)?;
            let meta = &with_side(&meta, path, kind, &arrays, image.as_ref())?;
            let (model, told) = load(path, kind, meta, DType::F32)?;
            table.check(format!("{} loads", name_of(path)), true, told);
            compare(table, &model, &arrays, image.as_ref())?;
            let Some(image) = image else { continue };
            let rough = load(path, kind, meta, DType::BF16)?.0;
            together(table, "alone as together", &model, &image)?;
            together(table, "alone as together in bf16", &rough, &image)?;
            in_bf16(table, meta, &model, &rough, &image)?;
            let map = one(&model, &image)?;
            if let Some(first) = reference.as_ref().filter(|_| goldens.len() == 1) {
                // Another format of the same weights.
                let differences = Differences::between(&map.values, &first.values);
                table.judge("as the first file", &differences, "", &[Bound::Max(0.0)]);
            }
            reference.get_or_insert(map);
        }
    }
    Ok(())
}

/// `golden_<part>.npz` is of the checkpoints whose names hold the part.
fn belongs(golden: &Path, checkpoint: &Path) -> bool {
    let golden = name_of(golden).replace(".npz", "");
    let part = golden.trim_start_matches("golden").trim_start_matches('_');
    name_of(checkpoint).contains(part)
}

/// Where the description does not tell the square that inputs are fitted to, the case's input does.
fn with_side(
    meta: &Value,
    path: &Path,
    kind: Kind,
    arrays: &Arrays,
    image: Option<&Rgb8>,
) -> Result<Value, String> {
    let mut meta = meta.clone();
    let (Some(image), true) = (image, arrays.contains("input")) else {
        return Ok(meta);
    };
    let shape = arrays.shape("input")?;
    let [_, _, height, width] = shape[..] else {
        return Err(format!("an input of shape {shape:?}"));
    };
    let (long, short) = (height.max(width), height.min(width));
    for side in [None, Some(long), Some(short)] {
        if meta["net"].is_u64() {
            break;
        }
        let mut other = meta.clone();
        if let Some(side) = side {
            other["net"] = Value::from(side);
        }
        let (model, _) = load(path, kind, &other, DType::F32)?;
        let size = model.input_size(image.width, image.height);
        if size == Ok([width as usize, height as usize]) {
            meta["net"] = Value::from(model.side());
        }
    }
    Ok(meta)
}

fn checkpoints(case: &Path) -> Vec<PathBuf> {
    let suffixes = [".pt", ".pth", ".h5", ".hdf5", ".pkl", ".safetensors"];
    suffixes.iter().flat_map(|s| files(case, "", s)).collect()
}

/// As the case's description names it, or as the tensors are.
fn kind(meta: &Value, path: &Path) -> Result<Kind, String> {
    let named = ["kind", "model", "model_type", "name"]
        .iter()
        .filter_map(|key| meta[*key].as_str())
        .find_map(Kind::from_name);
    if let Some(kind) = named {
        return Ok(kind);
    }
    let options = Options {
        precision: DType::F32,
        device: Device::Cpu,
        renames: &[],
        threads: 1,
    };
    let checkpoint = open(path).map_err(|e| e.to_string())?;
    let weights = Weights::new(checkpoint, options).map_err(|e| e.to_string())?;
    Kind::of(&weights).ok_or_else(|| format!("{}: of no network known", name_of(path)))
}

fn load(path: &Path, kind: Kind, meta: &Value, dtype: DType) -> Result<(Midas, String), String> {
    let mut settings = Settings::new(dtype, Device::Cpu, 2);
    settings.side = meta["net"].as_u64().map(|side| side as usize);
    settings.heads = meta["heads"].as_i64();
    if let Some(hooks) = meta["hooks"].as_array() {
        let hooks: Option<Vec<usize>> = hooks.iter().map(|h| Some(h.as_u64()? as usize)).collect();
        settings.hooks = hooks.and_then(|hooks| hooks.try_into().ok());
        if settings.hooks.is_none() {
            return Err(format!("hooks {}: four numbers expected", meta["hooks"]));
        }
    }
    settings.readout = match meta["readout"].as_str() {
        Some("ignore") => Some(Readout::Ignore),
        Some("add") => Some(Readout::Add),
        Some("project") => Some(Readout::Project),
        Some(other) => return Err(format!("readout {other:?} is not known")),
        None => None,
    };
    let (model, report) = Midas::load(path, kind, settings).map_err(|e| e.to_string())?;
    let told = format!(
        "{kind}, {} used, {} known and unused, square of {}",
        report.applied.len(),
        report.tolerated.len(),
        model.side()
    );
    Ok((model, told))
}

/// The case's own image, or that of HMR2's case of the same name; `golden_<x>.npz` may have
/// `image_<x>.*`. A case may come without: then what it holds of the input is used.
fn image(case: &Path, golden: &Path, meta: &Value) -> Result<Option<Rgb8>, String> {
    if let Some(name) = meta["image"].as_str() {
        return photo(&case.join(name)).map(Some);
    }
    let stem = name_of(golden)
        .replace(".npz", "")
        .replace("golden", "image");
    let beside = case
        .parent()
        .and_then(Path::parent)
        .map(|goldens| goldens.join("hmr2").join(name_of(case)));
    let mut found = files(case, &format!("{stem}."), "");
    found.extend(files(case, "image", ""));
    found.extend(beside.iter().flat_map(|folder| files(folder, "image", "")));
    found.first().map(|path| photo(path)).transpose()
}

fn compare(
    table: &mut Table,
    model: &Midas,
    arrays: &Arrays,
    image: Option<&Rgb8>,
) -> Result<(), String> {
    let text = |e: tch::TchError| e.to_string();
    if let Some(image) = image {
        let input = model.input(image).map_err(|e| e.to_string())?;
        if arrays.contains("input") {
            arrays.judge(table, "input", &input, PART, PIXELS)?;
        }
    } else {
        table.skip("input", "no image* there or in hmr2/<case>");
    }
    // The original's own input, so that every stage is judged by itself.
    let input = match (arrays.contains("input"), image) {
        (true, _) => arrays.tensor("input")?,
        (false, Some(image)) => model.input(image).map_err(|e| e.to_string())?,
        (false, None) => return Err("neither an image nor an input".into()),
    };
    let stages = model.stages(&input).map_err(text)?;
    for (index, layer) in stages.layers.iter().enumerate() {
        for name in [
            format!("layer{}", index + 1),
            format!("layer_{}", index + 1),
        ] {
            if arrays.contains(&name) {
                arrays.judge(table, &name, layer, PART, f64::INFINITY)?;
            }
        }
    }
    arrays.judge(table, "depth", &stages.depth, PART, f64::INFINITY)?;
    let Some(image) = image else { return Ok(()) };
    let map = one(model, image)?;
    let full = Tensor::from_slice(&map.values).view([map.height as i64, map.width as i64]);
    for name in arrays.names().filter(|name| name.starts_with("depth_full")) {
        // `depth_full`, or a copy of every so many rows and columns, `depth_full_s<step>`.
        let step = name
            .trim_start_matches("depth_full")
            .trim_start_matches("_s");
        let Ok(step) = (if step.is_empty() { "1" } else { step }).parse::<i64>() else {
            table.check(name, false, "not a name of a map");
            continue;
        };
        let ours = full.slice(0, None, None, step).slice(1, None, None, step);
        arrays.judge(table, name, &ours, PART, f64::INFINITY)?;
    }
    Ok(())
}

fn one(model: &Midas, image: &Rgb8) -> Result<DepthMap, String> {
    let maps = model.depth(&[image]).map_err(|e| e.to_string())?;
    maps.into_iter().next().ok_or_else(|| "no map".into())
}

/// A frame alone is to the bit the frame it is among others.
fn together(table: &mut Table, name: &str, model: &Midas, image: &Rgb8) -> Result<(), String> {
    let mut mirrored = image.clone();
    for row in mirrored.data.chunks_exact_mut(3 * image.width) {
        row.reverse();
    }
    let frames = [image, &mirrored, image];
    let maps = model.depth(&frames).map_err(|e| e.to_string())?;
    let mut differences = Differences::default();
    for (frame, map) in frames.iter().zip(&maps) {
        let alone = one(model, frame)?;
        differences.extend(&Differences::between(&alone.values, &map.values));
    }
    table.judge(name, &differences, "", &[Bound::Max(0.0)]);
    Ok(())
}

/// Beside single precision, which the goldens have judged; by what the original's own autocast
/// does, where the case says it, else by the most it does to full-size networks.
fn in_bf16(
    table: &mut Table,
    meta: &Value,
    exact: &Midas,
    rough: &Midas,
    image: &Rgb8,
) -> Result<(), String> {
    let depth = |model: &Midas| -> Result<Tensor, String> {
        let input = model.input(image).map_err(|e| e.to_string())?;
        model.forward(&input).map_err(|e| e.to_string())
    };
    let (single, rough) = (depth(exact)?, depth(rough)?);
    let largest = single.abs().max();
    let parts = |map: &Tensor| f32s(&(map / &largest));
    let differences = Differences::between(&parts(&rough), &parts(&single));
    let bound = |key: &str| meta["autocast"][key].as_f64();
    let theirs = match (bound("max"), bound("mean")) {
        (Some(max), Some(mean)) => [max, mean],
        _ => autocast(exact.kind()),
    };
    let [max, mean] = theirs.map(|bound| CHANCE * bound);
    let bounds = [Bound::Max(max), Bound::Mean(mean)];
    table.judge("depth in bf16", &differences, "rel", &bounds);
    Ok(())
}
