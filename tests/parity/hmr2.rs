//! HMR2 on the boxes of a case: crops, the network's stages, cameras; in single precision and in
//! bfloat16; people alone and together.

use std::path::Path;

use pose4d::checkpoint::dtype::DType;
use pose4d::geometry::boxes::BBox;
use pose4d::imaging::pixels::Rgb8;
use pose4d::models::hmr2::camera::{full_focal_length, full_image_translation};
use pose4d::models::hmr2::config::Config;
use pose4d::models::hmr2::crop::{Cropper, Square};
use pose4d::models::hmr2::model::{Files, Hmr2, People, Settings};
use pose4d::models::smpl::body;
use tch::{Device, Kind, Tensor};

use crate::arrays::{Arrays, every, f32s};
use crate::models::photo;
use crate::reference::{files, name_of};
use crate::report::{Bound, Differences, Report, Table};
use crate::smpl::{self, BodyFiles};

/// Of a tensor's largest value.
const PART: f64 = 1e-4;
/// 0.1 mm.
const METRES: f64 = 1e-4;
/// Of normalised pixels.
const PIXELS: f64 = 2e-3;
/// What the original's own bfloat16 autocast does to a full-size network's vertices, metres.
const BF16_MEAN: f64 = 7e-3;
const BF16_MAX: f64 = 47e-3;

pub fn run(case: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("HMR2, {}", case.display()));
    let outcome = stages(case, &mut table);
    report.add(table);
    outcome
}

fn stages(case: &Path, table: &mut Table) -> Result<(), String> {
    let given = BodyFiles::of(case);
    let one = |prefix: &str, suffix: &str| {
        let found = files(case, prefix, suffix).into_iter().next();
        found.ok_or_else(|| format!("no {prefix}*{suffix} there"))
    };
    let (config, image) = (one("model_config", ".yaml")?, photo(&one("image", "")?)?);
    let mut checkpoints = files(case, "", ".ckpt");
    checkpoints.extend(files(case, "", ".safetensors"));
    let Some(forward) = Arrays::open(&case.join("golden_forward.npz"))? else {
        table.skip("golden_forward.npz", "not there");
        return Ok(());
    };
    let crops = crops(table, case, &config, &image, &forward)?;
    if checkpoints.is_empty() {
        table.check("checkpoint", false, "no *.ckpt there");
    }
    for checkpoint in &checkpoints {
        let files = Files {
            checkpoint,
            config: &config,
            mean_params: given.mean_params.as_deref(),
            body: body::Files {
                body: given.bodies.first().map(|p| p.as_path()),
                regressor: given.regressor.as_deref(),
            },
        };
        let open = |precision| {
            let settings = Settings {
                precision,
                device: Device::Cpu,
                threads: 2,
            };
            let (model, report) = Hmr2::open(files, settings).map_err(|e| e.to_string())?;
            Ok::<_, String>((model, report))
        };
        let (model, report) = open(DType::F32)?;
        let name = name_of(checkpoint);
        let text = format!(
            "{} used, {} known and unused",
            report.applied.len(),
            report.tolerated.len()
        );
        table.check(format!("{name} loads"), report.is_complete(), text);
        if let Some(arrays) = Arrays::open(&case.join("golden_smpl.npz"))? {
            smpl::compare(table, "smpl of checkpoint", model.body(), &arrays)?;
        }
        let people = model.forward(&crops).map_err(|e| e.to_string())?;
        network(table, &model, &people, &forward)?;
        cameras(table, &model, &people, &forward)?;
        alone(table, "alone as together", &model, &crops, &people)?;
        let (half, _) = open(DType::BF16)?;
        let rough = half.forward(&crops).map_err(|e| e.to_string())?;
        alone(table, "alone as together in bf16", &half, &crops, &rough)?;
        let differences = Differences::between(&f32s(&rough.vertices), &f32s(&people.vertices));
        let bounds = [Bound::Mean(BF16_MEAN), Bound::Max(BF16_MAX)];
        table.judge("vertices in bf16", &differences, "m", &bounds);
    }
    Ok(())
}

/// The crops of the case's boxes, compared; `[people, 3, size, size]`.
fn crops(
    table: &mut Table,
    case: &Path,
    config: &Path,
    image: &Rgb8,
    forward: &Arrays,
) -> Result<Tensor, String> {
    let config = Config::open(config).map_err(|e| e.to_string())?;
    let size = config.image_size;
    let cropper = Cropper::new(&config, 0..size as usize);
    let boxes = forward.f32s("boxes")?;
    let mut all = Vec::new();
    let (mut centers, mut sides) = (Vec::new(), Vec::new());
    for b in boxes.as_chunks::<4>().0 {
        let square = Square::around(BBox::new(b[0], b[1], b[2], b[3]), config.box_shape)
            .map_err(|e| e.to_string())?;
        let mut crop = vec![0.0; cropper.len()];
        cropper
            .crop(image, square, &mut crop)
            .map_err(|e| e.to_string())?;
        all.push(Tensor::from_slice(&crop).view([3, size, size]));
        centers.extend(square.center);
        sides.push(square.side);
    }
    let rows = all.len() as i64;
    let centers = Tensor::from_slice(&centers).view([rows, 2]);
    forward.judge(table, "box_center", &centers, 1e-7, 0.05)?;
    forward.judge(table, "box_size", &Tensor::from_slice(&sides), 2e-7, 0.05)?;
    let crops = Tensor::stack(&all, 0);
    let Some(archive) = Arrays::open(&case.join("golden_crops.npz"))? else {
        table.skip("golden_crops.npz", "not there");
        return Ok(crops);
    };
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    for name in names {
        // `img<person>` or a copy of every so many rows and columns, `img<person>_s<step>`.
        let digits = name.trim_start_matches("img");
        let (person, step) = digits.split_once("_s").unwrap_or((digits, "1"));
        let (Ok(person), Ok(step)) = (person.parse::<i64>(), step.parse::<i64>()) else {
            table.check(&name, false, "not a name of a crop");
            continue;
        };
        let crop = crops.get(person).slice(1, None, None, step);
        archive.judge(table, &name, &crop.slice(2, None, None, step), 1.0, PIXELS)?;
    }
    Ok(crops)
}

fn network(
    table: &mut Table,
    model: &Hmr2,
    people: &People,
    forward: &Arrays,
) -> Result<(), String> {
    let parameters = &people.parameters;
    let map = model
        .feature_map(&people.features)
        .map_err(|e| e.to_string())?;
    let rows = people.joints.size()[0];
    let focal = Tensor::full(
        [rows, 2],
        model.config().focal_length,
        (Kind::Float, Device::Cpu),
    );
    for (name, ours, most) in [
        ("backbone", &map, f64::INFINITY),
        ("token_out", &parameters.token, f64::INFINITY),
        ("pose6d", &parameters.pose6d, f64::INFINITY),
        (
            "global_orient",
            &parameters.rotations.narrow(1, 0, 1),
            f64::INFINITY,
        ),
        (
            "body_pose",
            &parameters.rotations.narrow(1, 1, 23),
            f64::INFINITY,
        ),
        ("betas", &parameters.betas, f64::INFINITY),
        ("pred_cam", &parameters.camera, f64::INFINITY),
        ("pred_cam_t", &people.camera_translation, f64::INFINITY),
        ("focal_length", &focal, f64::INFINITY),
        ("pred_keypoints_3d", &people.joints, METRES),
        ("pred_keypoints_2d", &people.points, f64::INFINITY),
        (
            "pred_vertices_every10",
            &every(&people.vertices, 10),
            METRES,
        ),
        ("pred_vertices", &people.vertices, METRES),
    ] {
        if forward.contains(name) {
            forward.judge(table, name, ours, PART, most)?;
        }
    }
    Ok(())
}

/// From the crops' cameras to the image's.
fn cameras(
    table: &mut Table,
    model: &Hmr2,
    people: &People,
    forward: &Arrays,
) -> Result<(), String> {
    let config = model.config();
    let cameras = f32s(&people.parameters.camera);
    let centers = forward.f32s("box_center")?;
    let sides = forward.f32s("box_size")?;
    let sizes = forward.f32s("img_size")?;
    let size = *sizes.first_chunk::<2>().ok_or("img_size is empty")?;
    let [width, height] = size.map(f64::from);
    let focal = full_focal_length(config.focal_length, config.image_size, width, height);
    let mut places = Vec::new();
    for ((camera, center), side) in cameras
        .as_chunks()
        .0
        .iter()
        .zip(centers.as_chunks().0)
        .zip(&sides)
    {
        places.extend(full_image_translation(*camera, *center, *side, size, focal));
    }
    let places = Tensor::from_slice(&places).view([-1, 3]);
    forward.judge(
        table,
        "scaled_focal_length",
        &Tensor::from_slice(&[focal]),
        1e-6,
        0.01,
    )?;
    forward.judge(table, "cam_t_full", &places, PART, f64::INFINITY)
}

/// A person alone is to the bit the person they are among others.
fn alone(
    table: &mut Table,
    name: &str,
    model: &Hmr2,
    crops: &Tensor,
    people: &People,
) -> Result<(), String> {
    let mut differences = Differences::default();
    for row in 0..crops.size()[0] {
        let one = model
            .forward(&crops.narrow(0, row, 1))
            .map_err(|e| e.to_string())?;
        for (alone, together) in [
            (&one.features, &people.features),
            (&one.parameters.camera, &people.parameters.camera),
            (&one.vertices, &people.vertices),
            (&one.joints, &people.joints),
        ] {
            let together = f32s(&together.narrow(0, row, 1));
            differences.extend(&Differences::between(&f32s(alone), &together));
        }
    }
    table.judge(name, &differences, "", &[Bound::Max(0.0)]);
    Ok(())
}
