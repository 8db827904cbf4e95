//! The segmentation branch: cut unless asked for, and nothing else changes by it.

use std::path::Path;

use pose4d::checkpoint::tflite::TfliteFile;
use pose4d::layers::network::lower::lower;
use pose4d::layers::network::runner::Executor;
use pose4d::models::blazepose::Landmarker;
use pose4d::models::blazepose::detector::whole;

use crate::models::{Models, VARIANTS};
use crate::photos::Photos;
use crate::report::{Bound, Differences, Report, Table};

const KERNEL: usize = 7;
/// Of the mask's probabilities, between two ways to compute them: logits are large, so that a
/// few at the very edge differ by more.
const AGREEMENT: [Bound; 2] = [Bound::Mean(1e-4), Bound::P99(1e-3)];
/// Outputs of the file by position: all, and those left without the mask.
const WITH: [usize; 5] = [0, 1, 3, 4, 2];
const WITHOUT: [usize; 4] = [0, 1, 3, 4];

pub fn run(
    case: &Path,
    photos: &Photos,
    folder: &Path,
    models: &mut Models,
    report: &mut Report,
) -> Result<(), String> {
    let mut table = Table::new(format!("Segmentation branch, {}", case.display()));
    for variant in VARIANTS {
        let path = folder.join(format!("pose_landmark_{variant}.tflite"));
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = TfliteFile::parse(&bytes).map_err(|e| e.to_string())?;
        let nodes = |outputs: &[usize]| lower(&file, outputs).map(|graph| graph.nodes.len());
        let (with, without) = (nodes(&WITH), nodes(&WITHOUT));
        let (with, without) = with
            .and_then(|with| Ok((with, without?)))
            .map_err(|e| e.to_string())?;
        table.check(
            format!("{variant} operators"),
            without < with,
            format!("{without} without the branch, {with} with it"),
        );
        let load = |executor| {
            Landmarker::load(&bytes, true, tch::Device::Cpu, executor).map_err(|e| e.to_string())
        };
        let mut masked = load(Executor::Best)?;
        let mut tensors = load(Executor::Tensors)?;
        let mut difference = Differences::default();
        let plain = models.landmarkers.get_mut(variant).ok_or("not loaded")?;
        for (name, image) in photos {
            let roi = whole(image);
            let bare = plain.estimate(image, &roi, KERNEL);
            let bare = bare.map_err(|e| e.to_string())?;
            let full = masked.estimate(image, &roi, KERNEL);
            let mut full = full.map_err(|e| e.to_string())?;
            let mask = full.mask.take();
            table.check(
                format!("{variant} {name}"),
                mask.is_some() && bare.mask.is_none() && full == bare,
                "all else equal, bit for bit",
            );
            let other = tensors.estimate(image, &roi, KERNEL);
            let other = other.map_err(|e| e.to_string())?.mask;
            for (a, b) in mask
                .iter()
                .zip(&other)
                .flat_map(|(a, b)| a.iter().zip(b.iter()))
            {
                difference.push(f64::from((a - b).abs()));
            }
        }
        let name = format!("{variant} mask, {} and tensors", masked.executor());
        table.judge(name, &difference, "", &AGREEMENT);
    }
    report.add(table);
    Ok(())
}
