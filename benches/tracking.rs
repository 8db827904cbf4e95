//! Times the tracker alone: matching and lifecycle of a frame with 10 to 200 people, and how that grows.
//!
//! Arguments: `[frames]` a crowd (default 300). Prints a table, and the exponent of the growth.

#![allow(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]

use std::error::Error;
use std::time::Instant;

use pose4d::geometry::boxes::BBox;
use pose4d::tracking::config::TrackerConfig;
use pose4d::tracking::observation::Observation;
use pose4d::tracking::tracker::Tracker;

const CROWDS: [usize; 6] = [5, 10, 25, 50, 100, 200];
const FRAME: (f32, f32) = (1920.0, 1080.0);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let frames: u32 = arguments.next().map_or(Ok(300), |a| a.parse())?;
    println!("people   median ms   95 % ms   tracks");
    let mut measured = Vec::new();
    for people in CROWDS {
        let (times, tracks) = run(people, frames);
        let at = |share: f64| times.get((share * (times.len() - 1) as f64) as usize);
        let (Some(median), Some(late)) = (at(0.5), at(0.95)) else {
            return Err("no frames".into());
        };
        println!("{people:6}   {median:9.3}   {late:7.3}   {tracks:6}");
        measured.push((people as f64, *median));
    }
    let (Some(few), Some(many)) = (measured.get(1), measured.last()) else {
        return Err("no crowds".into());
    };
    let exponent = (many.1 / few.1).ln() / (many.0 / few.0).ln();
    // n² log n between the same two sizes, as an exponent.
    let allowed = 2.0 + (many.0.ln() / few.0.ln()).ln() / (many.0 / few.0).ln();
    println!(
        "grows as n^{exponent:.2} from {} to {} people (n² log n: n^{allowed:.2})",
        few.0, many.0
    );
    Ok(())
}

/// Milliseconds of each frame, ascending, after a warm-up; and how many tracks live at the end.
fn run(people: usize, frames: u32) -> (Vec<f64>, usize) {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let mut times = Vec::new();
    for n in 0..frames + 30 {
        let seen: Vec<Observation> = (0..people)
            // Everybody is missed now and then.
            .filter(|who| !(n as usize + 7 * who).is_multiple_of(23))
            .map(|who| observation(who, people, f64::from(n)))
            .collect();
        let start = Instant::now();
        let records = tracker.update(f64::from(n) / 30.0, FRAME, &seen);
        let took = start.elapsed().as_secs_f64() * 1000.0;
        std::hint::black_box(&records);
        if n >= 30 {
            times.push(took);
        }
    }
    times.sort_by(f64::total_cmp);
    (times, tracker.live().count())
}

/// A walker of a crowd that fills the frame, however many they are: half of them walk each way, so that
/// they cross.
fn observation(who: usize, people: usize, n: f64) -> Observation {
    let rows = (people as f64).sqrt().ceil();
    let (row, column) = ((who as f64 / rows).floor(), who as f64 % rows);
    let (width, height) = (f64::from(FRAME.0), f64::from(FRAME.1));
    let tall = (height / rows).min(300.0);
    let way = if who.is_multiple_of(2) { 1.0 } else { -1.0 };
    let step = way * n * tall / 60.0;
    let x = ((column + 0.5) * width / rows + step).rem_euclid(width);
    let y = (row + 0.5) * height / rows;
    let swing = (n * 0.3 + who as f64).sin();
    let joint = |i: usize| {
        let (a, b) = (i as f64 / 33.0 - 0.5, ((i * 7) % 33) as f64 / 33.0 - 0.5);
        (0.25 * b + 0.05 * swing * a, a)
    };
    let point = |i| {
        let (a, b) = joint(i);
        [(x + tall * a) as f32, (y + tall * b) as f32, 0.9]
    };
    let metric = |i| {
        let (a, b) = joint(i);
        [(1.7 * a) as f32, (1.7 * b) as f32, (0.2 * a * b) as f32]
    };
    let (half, tall) = ((0.2 * tall) as f32, tall as f32);
    let (x, y) = (x as f32, y as f32);
    Observation {
        bbox: BBox::new(x - half, y - 0.5 * tall, x + half, y + 0.5 * tall),
        score: 0.9,
        begins: true,
        keypoints: (0..33).map(point).collect(),
        joints: (0..33).map(metric).collect(),
        looks: None,
    }
}
