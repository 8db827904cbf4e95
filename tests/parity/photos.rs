//! The whole pipeline per photo, against the TFLite interpreter and MediaPipe's own results.

use std::collections::BTreeMap;
use std::path::Path;

use pose4d::geometry::roi::Roi;
use pose4d::imaging::pixels::Rgb8;
use pose4d::models::blazepose::detector::whole;
use pose4d::models::blazepose::{Detection, Landmarker, Landmarks};
use serde_json::Value;

use crate::models::{Models, VARIANTS, photo};
use crate::reference::{ByPhoto, LitertPhoto, MpPerson, files, name_of, read_json, tasks_people};
use crate::report::{Bound, Differences, Report, Table};

/// Final landmarks, pooled over the photos of a case.
const PIXELS: [Bound; 2] = [Bound::Mean(0.1), Bound::P99(1.0)];
const MILLIMETRES: [Bound; 1] = [Bound::Mean(2.0)];
/// Pose flag from which MediaPipe keeps a pose; its detector's threshold too.
const THRESHOLD: f32 = 0.5;

/// Decoded photos by name.
pub type Photos = BTreeMap<String, Rgb8>;

/// Every photo of the case; one that cannot be decoded is a failure of its own.
pub fn load(case: &Path, report: &mut Report) -> Photos {
    let mut photos = Photos::new();
    for path in files(&case.join("photos"), "", "") {
        match photo(&path) {
            Ok(image) => {
                photos.insert(name_of(&path), image);
            }
            Err(error) => report.fail(error),
        }
    }
    photos
}

/// Differences of poses of one network, over photos.
#[derive(Default)]
struct Pooled {
    pixels: Differences,
    millimetres: Differences,
    people: usize,
    miscounted: Vec<String>,
}

impl Pooled {
    fn count(&mut self, photo: &str, ours: usize, theirs: usize) {
        self.people += theirs;
        if ours != theirs {
            self.miscounted
                .push(format!("{photo}: {ours} instead of {theirs}"));
        }
    }

    fn judge(&self, table: &mut Table, name: &str) {
        let told = match self.miscounted.as_slice() {
            [] => format!("{} people, counts equal", self.people),
            wrong => wrong.join("; "),
        };
        table.check(format!("{name} people"), self.miscounted.is_empty(), told);
        // Photos without anybody leave nothing to measure, and the count has been judged.
        if self.people > 0 {
            table.judge(format!("{name} landmarks"), &self.pixels, "px", &PIXELS);
            table.judge(
                format!("{name} world"),
                &self.millimetres,
                "mm",
                &MILLIMETRES,
            );
        }
    }
}

/// Distances between the landmarks of one pose and of another: pixels and millimetres.
pub fn distances(
    ours: &Landmarks,
    pixels: &[[f64; 2]],
    world: &[[f64; 3]],
) -> (Differences, Differences) {
    let points = ours.points.map(|p| [p.x, p.y]);
    apart((&points, &ours.world), (pixels, world))
}

/// The same for bare points: pixels, metres; a missing one is infinitely far.
pub fn apart(
    (points, joints): (&[[f32; 2]], &[[f32; 3]]),
    (pixels, world): (&[[f64; 2]], &[[f64; 3]]),
) -> (Differences, Differences) {
    let (mut px, mut mm) = (Differences::default(), Differences::default());
    for (i, [x, y]) in points.iter().enumerate() {
        px.push(pixels.get(i).map_or(f64::INFINITY, |q| {
            (f64::from(*x) - q[0]).hypot(f64::from(*y) - q[1])
        }));
    }
    for (i, p) in joints.iter().enumerate() {
        mm.push(world.get(i).map_or(f64::INFINITY, |q| {
            let square = |axis: usize| (f64::from(p[axis]) - q[axis]).powi(2);
            (square(0) + square(1) + square(2)).sqrt() * 1e3
        }));
    }
    (px, mm)
}

/// `litert_pipeline.json`: detections at every setting, landmarks with every heat-map window.
pub fn litert(
    case: &Path,
    photos: &Photos,
    models: &mut Models,
    report: &mut Report,
) -> Result<(), String> {
    let mut table = Table::new(format!(
        "Pipeline against the TFLite interpreter, {}",
        case.display()
    ));
    let path = case.join("litert_pipeline.json");
    let Some(reference) = read_json::<ByPhoto<LitertPhoto>>(&path)? else {
        table.skip("litert_pipeline.json", "not there");
        report.add(table);
        return Ok(());
    };
    let mut pooled: BTreeMap<String, Pooled> = BTreeMap::new();
    let mut visibility = Differences::default();
    let (mut scores, mut boxes, mut regions) = (
        Differences::default(),
        Differences::default(),
        Differences::default(),
    );
    for (name, entry) in &reference {
        let Some(image) = photos.get(name) else {
            table.check(name, false, "the photo is not in photos/");
            continue;
        };
        let size = [image.width as f64, image.height as f64];
        table.check(
            format!("{name} size"),
            size == entry.wh,
            format!("{size:?} of {:?}", entry.wh),
        );
        for setting in entry.settings()? {
            let found = detect(models, image, setting.threshold, setting.nms_iou)?;
            let key = format!(
                "detections at {}, NMS {}",
                setting.threshold, setting.nms_iou
            );
            pooled
                .entry(key)
                .or_default()
                .count(name, found.len(), setting.detections.len());
            for (ours, theirs) in found.iter().zip(&setting.detections) {
                scores.push((f64::from(ours.score) - theirs.score).abs());
                let b = ours.bbox;
                for (value, (unit, size)) in [b.x1, b.y1, b.x2, b.y2]
                    .iter()
                    .zip(theirs.bbox.iter().zip([size, size].concat()))
                {
                    boxes.push((f64::from(*value) - unit * size).abs());
                }
                let r = ours.region();
                for (value, expected) in [r.cx, r.cy, r.size].iter().zip(theirs.roi) {
                    regions.push((f64::from(*value) - expected).abs());
                }
            }
        }
        let best = detect(models, image, THRESHOLD, 0.3)?
            .first()
            .map(Detection::region);
        for (variant, expected) in &entry.models {
            let net = landmarker(models, variant)?;
            for (kernel, pixels) in expected.kernels()? {
                let seen = see(net, image, best.as_ref(), kernel)?;
                let theirs = usize::from(expected.presence >= f64::from(THRESHOLD));
                let pool = pooled
                    .entry(format!("{variant}, window {kernel}"))
                    .or_default();
                pool.count(name, usize::from(seen.is_some()), theirs);
                if let (Some(seen), 1) = (seen, theirs) {
                    let flat: Vec<[f64; 2]> = pixels.iter().map(|p| [p[0], p[1]]).collect();
                    let (px, mm) = distances(&seen, &flat, &expected.world);
                    pool.pixels.extend(&px);
                    pool.millimetres.extend(&mm);
                    for (p, (v, q)) in seen
                        .points
                        .iter()
                        .zip(expected.vis.iter().zip(&expected.pres))
                    {
                        visibility.push((f64::from(p.visibility) - v).abs());
                        visibility.push((f64::from(p.presence) - q).abs());
                    }
                    aux(&mut pool.pixels, &seen, expected.aux(kernel));
                }
            }
        }
    }
    table.show("detection scores", &scores, "");
    table.show("detection boxes", &boxes, "px");
    table.show("regions", &regions, "px");
    table.show("visibility, presence", &visibility, "");
    for (name, pool) in &pooled {
        if name.starts_with("detections") {
            table.check(
                name,
                pool.miscounted.is_empty(),
                match pool.miscounted.as_slice() {
                    [] => format!("{} in all, counts equal", pool.people),
                    wrong => wrong.join("; "),
                },
            );
        } else {
            pool.judge(&mut table, name);
        }
    }
    report.add(table);
    Ok(())
}

fn aux(pixels: &mut Differences, ours: &Landmarks, theirs: Option<Vec<[f64; 2]>>) {
    for (p, q) in ours.aux.iter().zip(theirs.iter().flatten()) {
        pixels.push((f64::from(p[0]) - q[0]).hypot(f64::from(p[1]) - q[1]));
    }
}

/// `mediapipe_tasks_*.json`: PoseLandmarker for several people (window 7, NMS 0.5).
pub fn tasks(
    case: &Path,
    photos: &Photos,
    models: &mut Models,
    report: &mut Report,
) -> Result<(), String> {
    let references = files(case, "mediapipe_tasks_", ".json");
    if references.is_empty() {
        let mut table = Table::new(format!("PoseLandmarker, {}", case.display()));
        table.skip("mediapipe_tasks_*.json", "not there");
        report.add(table);
    }
    for path in references {
        let mut table = Table::new(format!("PoseLandmarker, {}", path.display()));
        let reference: ByPhoto<BTreeMap<String, Value>> = read_json(&path)?.unwrap_or_default();
        let mut pooled: BTreeMap<String, Pooled> = BTreeMap::new();
        for (name, entry) in &reference {
            let Some(image) = photos.get(name) else {
                table.check(name, false, "the photo is not in photos/");
                continue;
            };
            let found = detect(models, image, THRESHOLD, 0.5)?;
            for (variant, theirs) in tasks_people(entry)? {
                let net = landmarker(models, &variant)?;
                let mut ours = Vec::new();
                for detection in &found {
                    ours.extend(see(net, image, Some(&detection.region()), 7)?);
                }
                let pool = pooled.entry(variant.clone()).or_default();
                pool.count(name, ours.len(), theirs.len());
                pair(pool, &mut table, (name, &variant), image, ours, &theirs);
            }
        }
        for (variant, pool) in &pooled {
            pool.judge(&mut table, variant);
        }
        report.add(table);
    }
    Ok(())
}

/// `mediapipe_solutions_*.json`: the best detection only (window 9, NMS 0.3).
pub fn solutions(
    case: &Path,
    photos: &Photos,
    models: &mut Models,
    report: &mut Report,
) -> Result<(), String> {
    let references = files(case, "mediapipe_solutions_", ".json");
    if references.is_empty() {
        let mut table = Table::new(format!("mp.solutions.pose, {}", case.display()));
        table.skip("mediapipe_solutions_*.json", "not there");
        report.add(table);
    }
    for path in references {
        let mut table = Table::new(format!("mp.solutions.pose, {}", path.display()));
        let reference: ByPhoto<BTreeMap<String, MpPerson>> = read_json(&path)?.unwrap_or_default();
        let mut pooled: BTreeMap<&str, Pooled> = BTreeMap::new();
        for (name, entry) in &reference {
            let Some(image) = photos.get(name) else {
                table.check(name, false, "the photo is not in photos/");
                continue;
            };
            let best = detect(models, image, THRESHOLD, 0.3)?
                .first()
                .map(Detection::region);
            for (complexity, theirs) in entry {
                let variant = complexity.parse().ok().and_then(|i: usize| VARIANTS.get(i));
                let variant =
                    variant.ok_or_else(|| format!("unknown model complexity {complexity:?}"))?;
                let ours = see(landmarker(models, variant)?, image, best.as_ref(), 9)?;
                let pool = pooled.entry(variant).or_default();
                let there = usize::from(!theirs.is_nobody());
                pool.count(name, usize::from(ours.is_some()), there);
                if there == 1 {
                    pair(
                        pool,
                        &mut table,
                        (name, variant),
                        image,
                        ours.into_iter().collect(),
                        std::slice::from_ref(theirs),
                    );
                }
            }
        }
        for (variant, pool) in &pooled {
            pool.judge(&mut table, variant);
        }
        report.add(table);
    }
    Ok(())
}

/// Pairs each of their people with our nearest and pools the differences.
fn pair(
    pool: &mut Pooled,
    table: &mut Table,
    (name, variant): (&str, &str),
    image: &Rgb8,
    mut ours: Vec<Landmarks>,
    theirs: &[MpPerson],
) {
    for person in theirs {
        let pixels = person.pixels(image.width as f64, image.height as f64);
        let world = person.world();
        let nearest = ours
            .iter()
            .enumerate()
            .map(|(i, pose)| (i, distances(pose, &pixels, &world)))
            .min_by(|(_, (a, _)), (_, (b, _))| a.mean().total_cmp(&b.mean()));
        if let Some((i, (px, mm))) = nearest {
            table.show(format!("{name} {variant}"), &px, "px");
            pool.pixels.extend(&px);
            pool.millimetres.extend(&mm);
            ours.swap_remove(i);
        }
    }
}

fn detect(
    models: &mut Models,
    image: &Rgb8,
    threshold: f32,
    nms_iou: f32,
) -> Result<Vec<Detection>, String> {
    models
        .detector
        .detect(image, &whole(image), threshold, nms_iou)
        .map_err(|e| e.to_string())
}

fn landmarker<'a>(models: &'a mut Models, variant: &str) -> Result<&'a mut Landmarker, String> {
    models
        .landmarkers
        .get_mut(variant)
        .ok_or_else(|| format!("unknown network {variant:?}"))
}

/// The pose in a region, if the network's flag says that there is one.
fn see(
    net: &mut Landmarker,
    image: &Rgb8,
    roi: Option<&Roi>,
    kernel: usize,
) -> Result<Option<Landmarks>, String> {
    let Some(roi) = roi else { return Ok(None) };
    let seen = net
        .estimate(image, roi, kernel)
        .map_err(|e| e.to_string())?;
    Ok((seen.flag >= THRESHOLD).then_some(seen))
}
