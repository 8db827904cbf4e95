//! Raw tensors of the networks on the reference crops, against `tensors/<photo>.npz`.

use std::path::Path;

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::open::open;
use pose4d::imaging::pixels::Rgb8;
use pose4d::imaging::warp::{Border, square, warp_corners_f32, warp_roi_f32};
use pose4d::models::blazepose::detector::whole;

use crate::models::{Models, photo};
use crate::reference::{ByPhoto, LitertPhoto, files, name_of, read_json};
use crate::report::{Bound, Differences, Report, Table};

/// Crop pixels (`ld`, boxes), probabilities (scores, flag) and metres.
const PIXELS: Bound = Bound::Max(0.05);
const PROBABILITY: Bound = Bound::Max(1e-4);
const METRES: Bound = Bound::Max(5e-4);
/// Heat-map probabilities: the files keep logits as half floats, to 2^-11 of themselves, which
/// is at most 2e-4 of a probability; the same again for ours.
const HEAT: Bound = Bound::Max(4e-4);
const DETECTOR_INPUT: usize = 224;
const LANDMARK_INPUT: usize = 256;

pub fn run(
    case: &Path,
    models: &mut Models,
    executor: &str,
    report: &mut Report,
) -> Result<(), String> {
    let archives = files(&case.join("tensors"), "", ".npz");
    let mut table = Table::new(format!("Raw tensors, {} [{executor}]", case.display()));
    if archives.is_empty() {
        table.skip("tensors/", "no .npz there");
    }
    let regions: Option<ByPhoto<LitertPhoto>> = read_json(&case.join("litert_pipeline.json"))?;
    for archive in archives {
        let name = name_of(&archive).trim_end_matches(".npz").to_owned();
        let image = match photo(&case.join("photos").join(&name)) {
            Ok(image) => image,
            Err(error) => {
                table.check(&name, false, error);
                continue;
            }
        };
        let npz = open(&archive).map_err(|e| e.to_string())?;
        detector(&mut table, &name, &image, &npz, models)?;
        let roi = match regions.as_ref().and_then(|r| r.get(&name)) {
            Some(entry) => entry.landmark_roi()?,
            None => None,
        };
        landmarks(&mut table, &name, &image, roi, &npz, models)?;
    }
    report.add(table);
    Ok(())
}

fn detector(
    table: &mut Table,
    name: &str,
    image: &Rgb8,
    npz: &Checkpoint,
    models: &mut Models,
) -> Result<(), String> {
    if !npz.tensors().contains_key("det_boxes") {
        table.skip(format!("{name} detector"), "no det_boxes in the archive");
        return Ok(());
    }
    let mut crop = vec![0.0; DETECTOR_INPUT * DETECTOR_INPUT * 3];
    warp_roi_f32(
        image,
        &whole(image),
        DETECTOR_INPUT,
        Border::Zero,
        2.0 / 255.0,
        -1.0,
        &mut crop,
    );
    let (boxes, logits) = models.detector.raw(&crop).map_err(|e| e.to_string())?;
    let expected = values(npz, "det_boxes")?;
    table.judge(
        format!("{name} det_boxes"),
        &Differences::between(boxes, &expected),
        "px",
        &[PIXELS],
    );
    let (ours, theirs) = (
        probabilities(logits),
        probabilities(&values(npz, "det_scores")?),
    );
    table.judge(
        format!("{name} det_scores"),
        &Differences::between(&ours, &theirs),
        "",
        &[PROBABILITY],
    );
    Ok(())
}

fn landmarks(
    table: &mut Table,
    name: &str,
    image: &Rgb8,
    roi: Option<[f64; 4]>,
    npz: &Checkpoint,
    models: &mut Models,
) -> Result<(), String> {
    for (variant, net) in &mut models.landmarkers {
        if !npz.tensors().contains_key(&format!("{variant}_ld")) {
            continue;
        }
        let Some([cx, cy, size, rotation]) = roi else {
            table.skip(
                format!("{name} {variant}"),
                "no region in litert_pipeline.json to cut the crop by",
            );
            continue;
        };
        // The references were cut with the angle in full precision; a `Roi` holds it rounded,
        // which on a region of 4,000 pixels shows.
        let corners = square(
            [cx as f32, cy as f32],
            size as f32,
            rotation.to_degrees() as f32,
        );
        let mut crop = vec![0.0; LANDMARK_INPUT * LANDMARK_INPUT * 3];
        warp_corners_f32(
            image,
            &corners,
            LANDMARK_INPUT,
            Border::Replicate,
            1.0 / 255.0,
            0.0,
            &mut crop,
        );
        let raw = net.raw(&crop).map_err(|e| e.to_string())?;
        let part = |what: &str, ours: &[f32]| -> Result<Differences, String> {
            Ok(Differences::between(
                ours,
                &values(npz, &format!("{variant}_{what}"))?,
            ))
        };
        // Visibility and presence are logits; beside the pixels they are judged as such.
        table.judge(
            format!("{name} {variant}_ld"),
            &part("ld", &raw.ld)?,
            "px",
            &[PIXELS],
        );
        table.judge(
            format!("{name} {variant}_flag"),
            &part("flag", &[raw.flag])?,
            "",
            &[PROBABILITY],
        );
        table.judge(
            format!("{name} {variant}_world"),
            &part("world", &raw.world)?,
            "m",
            &[METRES],
        );
        let expected: Vec<f32> = probabilities(&values(npz, &format!("{variant}_hm"))?);
        let heat = Differences::between(&probabilities(&raw.heatmap), &expected);
        table.judge(format!("{name} {variant}_hm"), &heat, "", &[HEAT]);
    }
    Ok(())
}

fn values(npz: &Checkpoint, name: &str) -> Result<Vec<f32>, String> {
    npz.f32s(name).map_err(|e| e.to_string())
}

fn probabilities(logits: &[f32]) -> Vec<f32> {
    logits
        .iter()
        .map(|l| 1.0 / (1.0 + (-l.clamp(-100.0, 100.0)).exp()))
        .collect()
}
