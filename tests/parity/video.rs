//! A clip followed frame by frame as MediaPipe follows it, against `mediapipe_video.json`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pose4d::geometry::roi::Roi;
use pose4d::imaging::pixels::Rgb8;
use pose4d::models::blazepose::detector::whole;
use pose4d::models::blazepose::{Detection, Landmarks, regions};
use pose4d::tracking::one_euro::{LandmarkFilter, OneEuro, OneEuroConfig};

use crate::models::{Models, photo};
use crate::photos::distances;
use crate::reference::{MpPerson, files, name_of, read_json};
use crate::report::{Bound, Differences, Report, Table};

pub const PIXELS: [Bound; 1] = [Bound::Mean(0.3)];
pub const MILLIMETRES: [Bound; 1] = [Bound::Mean(3.0)];
/// The references are `mp.solutions.pose`: window 9, NMS 0.3, full model, 30 frames a second.
pub const KERNEL: usize = 9;
pub const NMS_IOU: f32 = 0.3;
pub const THRESHOLD: f32 = 0.5;
pub const VARIANT: &str = "full";
pub const FPS: f64 = 30.0;

pub fn run(case: &Path, models: &mut Models, report: &mut Report) -> Result<(), String> {
    let mut table = Table::new(format!("Clips followed, {}", case.display()));
    let reference: Option<BTreeMap<String, Vec<MpPerson>>> =
        read_json(&case.join("mediapipe_video.json"))?;
    if reference.is_none() {
        table.skip("mediapipe_video.json", "not there");
    }
    for (name, expected) in reference.unwrap_or_default() {
        let Some((clip, smoothed)) = clip_of(&name) else {
            table.check(&name, false, "expected <clip>_smoothed or <clip>_raw");
            continue;
        };
        match Frames::open(case, clip) {
            Ok(frames) => follow_clip(&mut table, &name, frames, smoothed, &expected, models)?,
            Err(why) => table.skip(&name, why),
        }
    }
    report.add(table);
    Ok(())
}

/// The clip that an entry is about, and whether it was smoothed.
pub fn clip_of(name: &str) -> Option<(&str, bool)> {
    let smoothed = name.strip_suffix("_smoothed").map(|clip| (clip, true));
    smoothed.or_else(|| name.strip_suffix("_raw").map(|clip| (clip, false)))
}

fn follow_clip(
    table: &mut Table,
    name: &str,
    frames: Frames,
    smoothed: bool,
    expected: &[MpPerson],
    models: &mut Models,
) -> Result<(), String> {
    let mut follower = Follower::new(smoothed);
    let (mut px, mut mm) = (Differences::default(), Differences::default());
    let (mut seen, mut mismatched) = (0, Vec::new());
    for (index, frame) in frames.enumerate() {
        let frame = frame?;
        seen += 1;
        let Some(theirs) = expected.get(index) else {
            continue;
        };
        let ours = follower.next(models, &frame, index as f64 / FPS)?;
        match (ours, theirs.is_nobody()) {
            (Some(ours), false) => {
                let pixels = theirs.pixels(frame.width as f64, frame.height as f64);
                let (p, m) = distances(&ours, &pixels, &theirs.world());
                px.extend(&p);
                mm.extend(&m);
            }
            (None, true) => {}
            _ => mismatched.push(index),
        }
    }
    table.check(
        format!("{name} frames"),
        seen == expected.len(),
        format!("{seen} of {}", expected.len()),
    );
    table.check(
        format!("{name} presence"),
        mismatched.is_empty(),
        format!("{} frames disagree {mismatched:?}", mismatched.len()),
    );
    table.judge(format!("{name} landmarks"), &px, "px", &PIXELS);
    table.judge(format!("{name} world"), &mm, "mm", &MILLIMETRES);
    Ok(())
}

/// MediaPipe's way with one person: `pose_landmark_cpu.pbtxt`, `pose_landmark_filtering.pbtxt`.
struct Follower {
    region: Option<Roi>,
    /// Auxiliary points: filtered always, for the next region.
    aux: OneEuro,
    smoothing: Option<Smoothing>,
}

struct Smoothing {
    pixels: LandmarkFilter,
    world: LandmarkFilter,
}

impl Follower {
    fn new(smoothed: bool) -> Self {
        Self {
            region: None,
            aux: OneEuro::new(OneEuroConfig::AUXILIARY),
            smoothing: smoothed.then(|| Smoothing {
                pixels: LandmarkFilter::new(OneEuroConfig::IMAGE),
                world: LandmarkFilter::new(OneEuroConfig::WORLD),
            }),
        }
    }

    fn next(
        &mut self,
        models: &mut Models,
        image: &Rgb8,
        time_s: f64,
    ) -> Result<Option<Landmarks>, String> {
        let Some(region) = self
            .region
            .map_or_else(|| search(models, image), |r| Ok(Some(r)))?
        else {
            return Ok(None);
        };
        let net = models
            .landmarkers
            .get_mut(VARIANT)
            .ok_or("no full network")?;
        let mut pose = net
            .estimate(image, &region, KERNEL)
            .map_err(|e| e.to_string())?;
        if pose.flag < THRESHOLD {
            *self = Self::new(self.smoothing.is_some());
            return Ok(None);
        }
        let [[x0, y0], [x1, y1]] = pose.aux;
        let size = 2.0 * (x1 - x0).hypot(y1 - y0);
        let mut aux = pose.aux;
        self.aux.apply(time_s, 1.0 / size, aux.as_flattened_mut());
        self.region = Some(regions::from_points(aux[0], aux[1]));
        if let Some(smoothing) = &mut self.smoothing {
            smoothing.apply(time_s, size, &mut pose);
        }
        Ok(Some(pose))
    }
}

fn search(models: &mut Models, image: &Rgb8) -> Result<Option<Roi>, String> {
    let found = models
        .detector
        .detect(image, &whole(image), THRESHOLD, NMS_IOU);
    Ok(found
        .map_err(|e| e.to_string())?
        .first()
        .map(Detection::region))
}

impl Smoothing {
    fn apply(&mut self, time_s: f64, size: f32, pose: &mut Landmarks) {
        let mut pixels = pose.points.map(|p| [p.x, p.y, p.z]);
        self.pixels.apply(time_s, Some(size), &mut pixels, &mut []);
        for (point, [x, y, z]) in pose.points.iter_mut().zip(pixels) {
            (point.x, point.y, point.z) = (x, y, z);
        }
        self.world.apply(time_s, None, &mut pose.world, &mut []);
    }
}

/// A clip's frames: pictures in a folder, or a video through ffmpeg.
pub enum Frames {
    Pictures(std::vec::IntoIter<PathBuf>),
    Video {
        child: std::process::Child,
        width: usize,
        height: usize,
    },
}

impl Frames {
    /// `<case>/<clip>/` with one picture per frame, or `<case>/<clip>.<anything>`.
    pub fn open(case: &Path, clip: &str) -> Result<Self, String> {
        let pictures = files(&case.join(clip), "", "");
        if !pictures.is_empty() {
            return Ok(Self::Pictures(pictures.into_iter()));
        }
        let video = files(case, &format!("{clip}."), "");
        let video = video
            .first()
            .ok_or_else(|| format!("neither {clip}/ nor {clip}.* is there"))?;
        let size = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-select_streams",
                "v:0",
                "-show_entries",
                "stream=width,height",
                "-of",
                "csv=p=0",
            ])
            .arg(video)
            .output()
            .map_err(|e| {
                format!(
                    "{} needs ffmpeg and ffprobe on the PATH: {e}",
                    name_of(video)
                )
            })?;
        let size = String::from_utf8_lossy(&size.stdout).into_owned();
        let (width, height) = size
            .trim()
            .trim_end_matches(',')
            .split_once(',')
            .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)))
            .ok_or_else(|| format!("ffprobe does not say the size of {}", name_of(video)))?;
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(video)
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{} needs ffmpeg on the PATH: {e}", name_of(video)))?;
        Ok(Self::Video {
            child,
            width,
            height,
        })
    }
}

impl Iterator for Frames {
    type Item = Result<Rgb8, String>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Pictures(paths) => paths.next().map(|path| photo(&path)),
            Self::Video {
                child,
                width,
                height,
            } => {
                let mut data = vec![0; *width * *height * 3];
                match child.stdout.as_mut()?.read_exact(&mut data) {
                    Ok(()) => Some(Ok(Rgb8 {
                        width: *width,
                        height: *height,
                        data,
                    })),
                    Err(_) => None,
                }
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Self::Video { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
