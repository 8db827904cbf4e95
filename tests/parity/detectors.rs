//! The person detectors, stage by stage, against detectron2's.

use std::path::Path;

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open;
use pose4d::imaging::pixels::Rgb8;
use pose4d::imaging::resize::resize_bilinear;
use pose4d::layers::detection::anchors;
use pose4d::layers::detection::heads::{Choice, Detection};
use pose4d::layers::detection::input::to_original;
use pose4d::layers::detection::rpn::{Level, Proposal};
use pose4d::layers::weights::{Options, Weights};
use pose4d::models::regnety::{self, RegNetY};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::models::photo;
use crate::reference::{files, read_json};
use crate::report::{Bound, Differences, Report, Table};

/// Of each tensor's largest value.
const RELATIVE: f64 = 1e-4;
const BOX_PX: f64 = 0.05;
const SCORE: f64 = 1e-4;

#[derive(Deserialize)]
struct Meta {
    input: String,
    score_thresh: f32,
    nms_thresh: f32,
    topk: usize,
}

/// One case of `regnet/`: its photo, its weights, and what the original made of them.
pub fn regnet(case: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("regnet, {}", case.display()));
    let bench = Case::load(case)?;
    let net = bench.weights(|weights| {
        let net = RegNetY::load(&weights)?;
        weights.finish(&regnety::TOLERANCE)?;
        Ok(net)
    })?;
    let resized = bench.resized(&mut table)?;
    let stages = net
        .stages(&resized, &bench.choice, 2)
        .map_err(|e| e.to_string())?;
    bench.pyramid(&mut table, &stages.pyramid, &stages.rpn)?;
    bench.proposals(&mut table, &stages.proposals)?;
    bench.tensor(&mut table, "stage0_cls", &stages.probabilities)?;
    bench.detections(&mut table, "det_boxes_net", &stages.detections)?;
    let finals = to_original(&stages.detections, &resized, &bench.image);
    bench.detections(&mut table, "final_boxes", &finals)?;
    report.add(table);
    Ok(())
}

/// A case's folder, read.
pub struct Case {
    pub image: Rgb8,
    pub golden: Checkpoint,
    pub choice: Choice,
    checkpoint: std::path::PathBuf,
}

impl Case {
    pub fn load(case: &Path) -> Result<Self, String> {
        let meta: Meta = read_json(&case.join("meta.json"))?.ok_or("no meta.json")?;
        let checkpoint = files(case, "", ".pkl")
            .into_iter()
            .next()
            .ok_or("no .pkl")?;
        Ok(Self {
            image: photo(&case.join(meta.input))?,
            golden: open(case.join("golden.npz")).map_err(|e| e.to_string())?,
            choice: Choice {
                score: meta.score_thresh,
                overlap: meta.nms_thresh,
                top: meta.topk,
            },
            checkpoint,
        })
    }

    pub fn weights<T>(
        &self,
        build: impl FnOnce(Weights) -> Result<T, pose4d::layers::weights::WeightsError>,
    ) -> Result<T, String> {
        let options = Options {
            precision: DType::F32,
            device: Device::Cpu,
            renames: &[],
            threads: 1,
        };
        Weights::open(&self.checkpoint, options)
            .and_then(build)
            .map_err(|e| e.to_string())
    }

    /// The network's input, which must have the original's pixels.
    pub fn resized(&self, table: &mut Table) -> Result<Rgb8, String> {
        let shape = self.shape("resized_u8")?;
        let resized = resize_bilinear(&self.image, shape[1], shape[0]);
        let expected = self.golden.read("resized_u8").map_err(|e| e.to_string())?;
        table.check(
            "resized pixels",
            resized.data == expected,
            "equal to Pillow's",
        );
        Ok(resized)
    }

    fn shape(&self, key: &str) -> Result<Vec<usize>, String> {
        let tensor = self.golden.get(key).map_err(|e| e.to_string())?;
        Ok(tensor.shape.iter().map(|&d| d as usize).collect())
    }

    /// Judges `ours` by the golden `key`: all of it, its first rows, or every n-th place (`_sN`).
    pub fn tensor(&self, table: &mut Table, key: &str, ours: &Tensor) -> Result<(), String> {
        let expected = self.golden.f32s(key).map_err(|e| e.to_string())?;
        let shape = self.shape(key)?;
        let mut ours = ours.to_kind(Kind::Float);
        if let Some(step) = key.rsplit_once("_s").and_then(|(_, n)| n.parse().ok()) {
            let last = ours.dim() as i64 - 1;
            ours = ours
                .slice(last, 0, None, step)
                .slice(last - 1, 0, None, step);
        }
        if ours.size()[0] as usize > shape[0] {
            ours = ours.narrow(0, 0, shape[0] as i64);
        }
        let ours: Vec<f32> = Vec::try_from(ours.contiguous().flatten(0, -1))
            .map_err(|e: tch::TchError| e.to_string())?;
        let largest = expected
            .iter()
            .fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let scaled = |values: &[f32]| values.iter().map(|v| v / largest).collect::<Vec<_>>();
        let differences = Differences::between(&scaled(&ours), &scaled(&expected));
        table.judge(key, &differences, "rel", &[Bound::Max(RELATIVE)]);
        Ok(())
    }

    pub fn pyramid(
        &self,
        table: &mut Table,
        levels: &[Tensor],
        rpn: &[Level],
    ) -> Result<(), String> {
        let anchors = |level| anchors::cell(level).concat();
        let ours: Vec<f32> = (0..levels.len()).flat_map(anchors).collect();
        let expected = self
            .golden
            .f32s("cell_anchors")
            .map_err(|e| e.to_string())?;
        table.judge(
            "cell anchors",
            &Differences::between(&ours, &expected),
            "px",
            &[Bound::Max(1e-4)],
        );
        for (index, (map, level)) in levels.iter().zip(rpn).enumerate() {
            for (name, ours) in [
                (format!("feat_p{}", index + 2), map),
                (format!("rpn_logits_{index}"), &level.logits),
                (format!("rpn_deltas_{index}"), &level.deltas),
            ] {
                let kept = [name.clone(), format!("{name}_s4")];
                let key = kept.iter().find(|k| self.golden.tensors().contains_key(*k));
                match key {
                    Some(key) => self.tensor(table, key, ours)?,
                    None => table.skip(name, "not in the golden file"),
                }
            }
        }
        Ok(())
    }

    /// Proposals by place in the list; neighbours of nearly equal logits may change places.
    pub fn proposals(&self, table: &mut Table, ours: &[Proposal]) -> Result<(), String> {
        let boxes = self
            .golden
            .f32s("proposal_boxes")
            .map_err(|e| e.to_string())?;
        let (boxes, _) = boxes.as_chunks::<4>();
        let ours: Vec<[f32; 4]> = ours.iter().map(|p| p.bounds).collect();
        table.check(
            "proposals",
            ours.len() == boxes.len(),
            format!("{} of {}", ours.len(), boxes.len()),
        );
        table.judge(
            "proposal boxes",
            &nearest(&ours, boxes),
            "px",
            &[Bound::Max(BOX_PX)],
        );
        Ok(())
    }

    /// `prefix` names boxes; scores and classes lie beside them.
    pub fn detections(
        &self,
        table: &mut Table,
        key: &str,
        ours: &[Detection],
    ) -> Result<(), String> {
        let beside = |what: &str| match key {
            "det_boxes_net" => format!("det_{what}"),
            _ => key.replace("boxes", what),
        };
        let error = |e: pose4d::checkpoint::error::CheckpointError| e.to_string();
        let boxes = self.golden.f32s(key).map_err(error)?;
        let scores = self.golden.f32s(&beside("scores")).map_err(error)?;
        let classes = self.golden.read(&beside("classes")).map_err(error)?;
        let (classes, _) = classes.as_chunks::<8>();
        let (boxes, _) = boxes.as_chunks::<4>();
        let counted = format!("{} of {}", ours.len(), boxes.len());
        table.check(format!("{key}: number"), ours.len() == boxes.len(), counted);
        let (mut apart, mut score) = (Differences::default(), Differences::default());
        for ((b, s), class) in boxes.iter().zip(&scores).zip(classes) {
            let class = i64::from_le_bytes(*class) as usize;
            let best = ours
                .iter()
                .filter(|d| d.class == class)
                .min_by(|x, y| distance(x.bounds, *b).total_cmp(&distance(y.bounds, *b)));
            apart.push(best.map_or(f64::INFINITY, |d| distance(d.bounds, *b)));
            score.push(best.map_or(f64::INFINITY, |d| f64::from((d.score - s).abs())));
        }
        table.judge(key, &apart, "px", &[Bound::Max(BOX_PX)]);
        table.judge(beside("scores"), &score, "", &[Bound::Max(SCORE)]);
        Ok(())
    }
}

/// Each expected box's distance to the box nearest to it.
fn nearest(ours: &[[f32; 4]], expected: &[[f32; 4]]) -> Differences {
    let mut differences = Differences::default();
    for b in expected {
        let best = ours.iter().map(|o| distance(*o, *b)).min_by(f64::total_cmp);
        differences.push(best.unwrap_or(f64::INFINITY));
    }
    differences
}

fn distance(a: [f32; 4], b: [f32; 4]) -> f64 {
    let sides = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
    sides.fold(0.0, f64::max)
}
