//! The person detectors, stage by stage, against detectron2's.

use std::path::Path;

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open;
use pose4d::imaging::pixels::Rgb8;
use pose4d::imaging::resize::resize_bilinear;
use pose4d::layers::detection::anchors;
use pose4d::layers::detection::boxes::Box4;
use pose4d::layers::detection::finish::{Masks, finish};
use pose4d::layers::detection::heads::{Choice, Detection, POOLED};
use pose4d::layers::detection::mask::{Mask, paste};
use pose4d::layers::detection::roi_align::Pooler;
use pose4d::layers::detection::rpn::{Level, Proposal};
use pose4d::layers::weights::{Options, Weights};
use pose4d::models::person_detector::{self, PersonDetector};
use pose4d::models::regnety::{self, RegNetY};
use pose4d::models::vitdet::model::{self as vitdet, VitDet};
use pose4d::models::vitdet::trunk::Size;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::models::photo;
use crate::reference::{files, read_json};
use crate::report::{Bound, Differences, Report, Table};

/// Of each tensor's largest value.
const RELATIVE: f64 = 1e-4;
/// The most that the original's own bfloat16 autocast does to a level, parts of its largest value:
/// features of the golden RegNetY (1.4e-2 at full size) and of ViTDet-H, heads of full-size RegNetY on
/// eight photos, random weights (benches/peers/autocast.py).
const BF16_FEATURES: [Bound; 2] = [Bound::Max(1.9e-2), Bound::Mean(2.1e-3)];
const BF16_HEADS: [Bound; 2] = [Bound::Max(4.1e-2), Bound::Mean(5.3e-3)];
const BOX_PX: f64 = 0.05;
const SCORE: f64 = 1e-4;
/// What `person_boxes_demo` are above: 4D-Humans' `demo.py`.
const PERSON_SCORE: f32 = 0.5;
/// Of a mask's pixels, those that may be on the other side of one half: the goldens' probabilities
/// leave it by a thousandth only, so that a box 0.003 px beside the original's moves an edge.
const MASK_PIXELS: f64 = 1e-2;
/// The same from the original's own boxes and probabilities.
const PASTED_PIXELS: f64 = 0.0;

#[derive(Deserialize)]
struct Meta {
    input: String,
    input_format: String,
    score_thresh: f32,
    nms_thresh: f32,
    topk: usize,
}

/// One case of `regnet/`: its photo, its weights, and what the original made of them.
pub fn regnet(case: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("regnet, {}", case.display()));
    let outcome = whole_regnet(case, &mut table);
    // What was judged before an error counts too.
    report.add(table);
    outcome
}

fn whole_regnet(case: &Path, table: &mut Table) -> Result<(), String> {
    let bench = Case::load(case)?;
    let open = |precision| {
        bench.weights(precision, |weights| {
            let net = RegNetY::load(&weights, true)?;
            weights.finish(&regnety::TOLERANCE)?;
            Ok(net)
        })
    };
    let net = open(DType::F32)?;
    let resized = bench.resized(table)?;
    let stages = net
        .stages(&resized, &bench.choice)
        .map_err(|e| e.to_string())?;
    bench.tensor(table, "padded_s4", &stages.input)?;
    bench.pyramid(table, &stages.pyramid, &stages.rpn)?;
    let rough = open(DType::BF16)?.stages(&resized, &bench.choice);
    let rough = rough.map_err(|e| e.to_string())?;
    bench.rough(table, &rough.pyramid, &rough.rpn)?;
    bench.proposals(table, &stages.proposals)?;
    // From the original's own proposals, so that rounding so far does not count twice.
    let boxes = bench.places("proposal_boxes")?;
    bench.pooled(table, stages.pooler(), &boxes)?;
    let logits = net.logits(&stages, &boxes).map_err(|e| e.to_string())?;
    bench.tensor(table, "stage0_cls", &logits)?;
    let masks = net.masks(&stages).ok_or("the mask head was not loaded")?;
    bench.ends(table, &resized, &stages.detections, masks)?;
    bench.people(table, person_detector::Kind::RegNetY)?;
    Ok(())
}

/// One case of `vitdet/`.
pub fn vitdet(case: &Path, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("vitdet, {}", case.display()));
    let outcome = whole_vitdet(case, &mut table);
    // What was judged before an error counts too.
    report.add(table);
    outcome
}

fn whole_vitdet(case: &Path, table: &mut Table) -> Result<(), String> {
    let bench = Case::load(case)?;
    let open = |precision| {
        bench.weights(precision, |weights| {
            let size = Size::found(&weights.sub("backbone.net"));
            let net = VitDet::load(&weights, size.expect("sizes of a trunk"), true)?;
            weights.finish(&vitdet::TOLERANCE)?;
            Ok(net)
        })
    };
    let net = open(DType::F32)?;
    let resized = bench.resized(table)?;
    table.check(
        "size of the input",
        resized == net.resized(&bench.image),
        format!("{resized:?}"),
    );
    let stages = net
        .stages(&resized, &bench.choice)
        .map_err(|e| e.to_string())?;
    bench.tensor(table, "padded_s4", &stages.input)?;
    bench.pyramid(table, &stages.pyramid, &stages.rpn)?;
    let rough = open(DType::BF16)?.stages(&resized, &bench.choice);
    let rough = rough.map_err(|e| e.to_string())?;
    bench.rough(table, &rough.pyramid, &rough.rpn)?;
    bench.proposals(table, &stages.proposals)?;
    let order = bench.order(&stages.proposals)?;
    bench.pooled(table, stages.pooler(), &bench.places("proposal_boxes")?)?;
    for (i, stage) in stages.cascade.iter().enumerate() {
        // From the original's own boxes, so that rounding so far does not count twice…
        let (from, to) = (format!("stage{i}_in_boxes"), format!("stage{i}_out_boxes"));
        let from = if i == 0 { "proposal_boxes" } else { &from };
        let alone = net
            .stage(i, &stages, bench.places(from)?)
            .map_err(|e| e.to_string())?;
        bench.tensor(table, &format!("stage{i}_cls"), &alone.logits)?;
        bench.boxes(table, &to, "alone", &alone.to)?;
        // …and as it came about.
        let at = |boxes: &[Box4]| -> Vec<Box4> { order.iter().map(|&i| boxes[i]).collect() };
        bench.boxes(table, from, "from the photo", &at(&stage.from))?;
        bench.boxes(table, &to, "from the photo", &at(&stage.to))?;
    }
    let masks = net.masks(&stages).ok_or("the mask head was not loaded")?;
    bench.ends(table, &resized, &stages.detections, masks)?;
    bench.people(table, person_detector::Kind::VitDet)?;
    Ok(())
}

/// Rows of `x` in another order.
fn sorted(x: &Tensor, order: &[usize]) -> Tensor {
    let order: Vec<i64> = order.iter().map(|&i| i as i64).collect();
    x.index_select(0, &Tensor::from_slice(&order))
}

/// A case's folder, read.
pub struct Case {
    pub image: Rgb8,
    pub golden: Checkpoint,
    pub choice: Choice,
    checkpoint: std::path::PathBuf,
    bgr: bool,
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
                person: PERSON_SCORE,
                top: meta.topk,
            },
            bgr: meta.input_format == "BGR",
            checkpoint,
        })
    }

    pub fn weights<T>(
        &self,
        precision: DType,
        build: impl FnOnce(Weights) -> Result<T, pose4d::layers::weights::WeightsError>,
    ) -> Result<T, String> {
        let options = Options {
            precision,
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
        let mut expected = self.golden.read("resized_u8").map_err(|e| e.to_string())?;
        if self.bgr {
            // Kept as the original network was fed; ours turns the channels after resizing.
            expected
                .as_chunks_mut::<3>()
                .0
                .iter_mut()
                .for_each(|p| p.swap(0, 2));
        }
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
        let differences = self.differences(key, ours)?;
        table.judge(key, &differences, "rel", &[Bound::Max(RELATIVE)]);
        Ok(())
    }

    /// Parts of the golden's largest value.
    fn differences(&self, key: &str, ours: &Tensor) -> Result<Differences, String> {
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
        Ok(Differences::between(&scaled(&ours), &scaled(&expected)))
    }

    /// The key under which the golden keeps a map, whole or in part.
    fn kept(&self, name: &str) -> Option<String> {
        let names = [name.to_owned(), format!("{name}_s4")];
        names
            .into_iter()
            .find(|key| self.golden.tensors().contains_key(key))
    }

    /// Pyramid and proposal heads in bfloat16, all levels together.
    fn rough(&self, table: &mut Table, maps: &[Tensor], rpn: &[Level]) -> Result<(), String> {
        let (mut features, mut heads) = (Differences::default(), Differences::default());
        for (index, (map, level)) in maps.iter().zip(rpn).enumerate() {
            for (name, ours) in [
                (format!("feat_p{}", index + 2), map),
                (format!("rpn_logits_{index}"), &level.logits),
                (format!("rpn_deltas_{index}"), &level.deltas),
            ] {
                let all = match name.starts_with("feat") {
                    true => &mut features,
                    false => &mut heads,
                };
                if let Some(key) = self.kept(&name) {
                    all.extend(&self.differences(&key, ours)?);
                }
            }
        }
        table.judge("pyramid in bf16", &features, "rel", &BF16_FEATURES);
        table.judge("proposal heads in bf16", &heads, "rel", &BF16_HEADS);
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
                match self.kept(&name) {
                    Some(key) => self.tensor(table, &key, ours)?,
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
        let places: Vec<[f32; 4]> = ours.iter().map(|p| p.bounds).collect();
        table.check(
            "proposals",
            ours.len() == boxes.len(),
            format!("{} of {}", ours.len(), boxes.len()),
        );
        table.judge(
            "proposal boxes",
            &nearest(&places, boxes),
            "px",
            &[Bound::Max(BOX_PX)],
        );
        let ours: Vec<f32> = ours.iter().map(|p| p.logit).collect();
        let expected = self.floats("proposal_logits")?;
        let largest = expected
            .iter()
            .fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let scaled = |values: &[f32]| values.iter().map(|v| v / largest).collect::<Vec<_>>();
        let differences = Differences::between(&scaled(&ours), &scaled(&expected));
        table.judge(
            "proposal_logits",
            &differences,
            "rel",
            &[Bound::Max(RELATIVE)],
        );
        Ok(())
    }

    /// Of each of the golden's proposals, which of ours it is; neighbours may change places.
    pub fn order(&self, ours: &[Proposal]) -> Result<Vec<usize>, String> {
        let boxes = self.floats("proposal_boxes")?;
        let (boxes, _) = boxes.as_chunks::<4>();
        if ours.len() != boxes.len() {
            return Err(format!("{} proposals of {}", ours.len(), boxes.len()));
        }
        let mut taken = vec![false; ours.len()];
        let order = boxes.iter().map(|b| {
            let free = (0..ours.len()).filter(|&i| !taken[i]);
            let apart = |i: &usize| distance(ours[*i].bounds, *b);
            let best = free
                .min_by(|x, y| apart(x).total_cmp(&apart(y)))
                .unwrap_or(0);
            taken[best] = true;
            best
        });
        Ok(order.collect())
    }

    fn floats(&self, key: &str) -> Result<Vec<f32>, String> {
        self.golden.f32s(key).map_err(|e| e.to_string())
    }

    fn places(&self, key: &str) -> Result<Vec<Box4>, String> {
        Ok(self.floats(key)?.as_chunks::<4>().0.to_vec())
    }

    /// Boxes row by row.
    pub fn boxes(
        &self,
        table: &mut Table,
        key: &str,
        how: &str,
        ours: &[Box4],
    ) -> Result<(), String> {
        let differences = Differences::between(ours.as_flattened(), &self.floats(key)?);
        let name = format!("{key} {how}");
        table.judge(name, &differences, "px", &[Bound::Max(BOX_PX)]);
        Ok(())
    }

    pub fn pooled(&self, table: &mut Table, pooler: &Pooler, boxes: &[Box4]) -> Result<(), String> {
        let key = "stage0_pooled_first8";
        let count = self.shape(key)?.first().copied().unwrap_or(0);
        let first = &boxes[..count.min(boxes.len())];
        let pooled = pooler.pool(first, POOLED).map_err(|e| e.to_string())?;
        self.tensor(table, key, &pooled)
    }

    /// Final boxes, scores, classes and masks.
    pub fn ends(
        &self,
        table: &mut Table,
        resized: &Rgb8,
        found: &[Detection],
        masks: Masks,
    ) -> Result<(), String> {
        let error = |e: tch::TchError| e.to_string();
        self.detections(table, "det_boxes_net", found)?;
        let probabilities = masks.probabilities(found).map_err(error)?;
        let key = "det_mask_probs_first16";
        let order = self.matches("det_boxes_net", found)?;
        let count = self.shape(key)?.first().copied().unwrap_or(0);
        let first = &order[..count.min(order.len())];
        self.tensor(table, key, &sorted(&probabilities, first).unsqueeze(1))?;
        let seen = finish(found, resized, &self.image, Some(masks)).map_err(error)?;
        let finals: Vec<Detection> = seen.iter().map(|s| s.detection).collect();
        self.detections(table, "final_boxes", &finals)?;
        let order = self.matches("final_boxes", &finals)?;
        let masks: Option<Vec<&Mask>> = order.iter().map(|&i| seen[i].mask.as_ref()).collect();
        let masks = masks.ok_or("a mask is missing")?;
        self.masks(table, "final_masks_first16", &masks, MASK_PIXELS)?;
        self.pasted(table)
    }

    /// Which of `ours` each box of `key` is.
    fn matches(&self, key: &str, ours: &[Detection]) -> Result<Vec<usize>, String> {
        let boxes = self.floats(key)?;
        let near = |b: &[f32; 4]| {
            let apart = |i: &usize| distance(ours[*i].bounds, *b);
            (0..ours.len()).min_by(|x, y| apart(x).total_cmp(&apart(y)))
        };
        let (boxes, _) = boxes.as_chunks::<4>();
        let found: Option<Vec<usize>> = boxes.iter().map(near).collect();
        found.ok_or_else(|| "nothing was found".into())
    }

    /// The original's probabilities in the original's boxes, pasted by us: equal to the pixel.
    fn pasted(&self, table: &mut Table) -> Result<(), String> {
        let shape = self.shape("det_mask_probs_first16")?;
        let probabilities = Tensor::from_slice(&self.floats("det_mask_probs_first16")?).reshape([
            shape[0] as i64,
            shape[2] as i64,
            shape[3] as i64,
        ]);
        let at = |&bounds: &Box4| Detection {
            bounds,
            score: 1.0,
            class: 0,
        };
        let found: Vec<Detection> = self.places("final_boxes")?.iter().map(at).collect();
        let (width, height) = (self.image.width, self.image.height);
        let masks = paste(&probabilities, &found, width, height).map_err(|e| e.to_string())?;
        let masks: Vec<&Mask> = masks.iter().collect();
        self.masks(table, "pasting alone", &masks, PASTED_PIXELS)
    }

    /// Pixel by pixel over the whole image; the golden holds eight of a row in a byte.
    fn masks(
        &self,
        table: &mut Table,
        name: &str,
        masks: &[&Mask],
        bound: f64,
    ) -> Result<(), String> {
        let key = "final_masks_first16";
        let shape = self.shape(key)?;
        let packed = self.golden.read(key).map_err(|e| e.to_string())?;
        let mut differences = Differences::default();
        for (mask, packed) in masks.iter().zip(packed.chunks_exact(shape[1] * shape[2])) {
            let (mut other, mut on) = (0_usize, 0_usize);
            for (y, row) in packed.chunks_exact(shape[2]).enumerate() {
                for x in 0..self.image.width {
                    let theirs = row[x / 8] >> (7 - x % 8) & 1 == 1;
                    on += usize::from(theirs);
                    other += usize::from(theirs != mask.contains(x, y));
                }
            }
            differences.push(other as f64 / on.max(1) as f64);
        }
        table.judge(name, &differences, "of pixels", &[Bound::Max(bound)]);
        Ok(())
    }

    /// The people the demo keeps, through the interface of all detectors.
    pub fn people(&self, table: &mut Table, kind: person_detector::Kind) -> Result<(), String> {
        let settings = person_detector::Settings {
            precision: DType::F32,
            device: Device::Cpu,
            threads: 1,
        };
        let opened = PersonDetector::open(kind, &self.checkpoint, settings);
        let (detector, _) = opened.map_err(|e| e.to_string())?;
        let shape = self.shape("resized_u8")?;
        let resized = resize_bilinear(&self.image, shape[1], shape[0]);
        let ours = detector
            .detect_resized(&resized, &self.image, &self.choice)
            .map_err(|e| e.to_string())?;
        let boxes = self.floats("person_boxes_demo")?;
        let (boxes, _) = boxes.as_chunks::<4>();
        let scores = self.floats("person_scores_demo")?;
        let counted = format!("{} of {}", ours.len(), boxes.len());
        table.check("people", ours.len() == boxes.len(), counted);
        let (mut apart, mut score) = (Differences::default(), Differences::default());
        for ((b, s), d) in boxes.iter().zip(&scores).zip(&ours) {
            apart.push(distance(d.bounds, *b));
            score.push(f64::from((d.score - s).abs()));
        }
        table.judge("people's boxes", &apart, "px", &[Bound::Max(BOX_PX)]);
        table.judge("people's scores", &score, "", &[Bound::Max(SCORE)]);
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
