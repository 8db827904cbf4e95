use pose4d::imaging::pixels::Rgb8;
use pose4d::layers::network::runner::Executor;
use pose4d::models::blazepose::{Detector, Landmarker, Landmarks};
use pose4d::pipeline::people::tiles::tiles;
use serde_json::json;
fn lm(l: &Landmarks) -> serde_json::Value {
    json!({"flag": l.flag, "roi": [l.roi.cx,l.roi.cy,l.roi.size,l.roi.rotation],
     "pts": l.points.iter().map(|p| vec![p.x,p.y,p.z,p.visibility,p.presence,p.heat]).collect::<Vec<_>>(), "aux": l.aux,
     "world": l.world.to_vec()})
}
fn main() {
    let m = "/opt/ref/npm/node_modules/@mediapipe/pose/";
    tch::set_num_threads(1);
    let det = std::fs::read(format!("{m}pose_solution_packed_assets.data")).unwrap();
    let mut d = Detector::load(&det, tch::Device::Cpu, Executor::Best).unwrap();
    let v = std::env::var("V").unwrap_or("full".into());
    let scales: Vec<f32> = std::env::var("SCALES")
        .unwrap_or("0.8,0.6,0.45,0.33,0.25".into())
        .split(',')
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().unwrap())
        .collect();
    let thr: f32 = std::env::var("THR")
        .unwrap_or("0.1".into())
        .parse()
        .unwrap();
    let passes: usize = std::env::var("PASSES")
        .unwrap_or("3".into())
        .parse()
        .unwrap();
    let mut l = Landmarker::load(
        &std::fs::read(format!("{m}pose_landmark_{v}.tflite")).unwrap(),
        false,
        tch::Device::Cpu,
        Executor::Best,
    )
    .unwrap();
    for p in std::env::args().skip(1) {
        let im = image::open(&p).unwrap().to_rgb8();
        let im = Rgb8 {
            width: im.width() as usize,
            height: im.height() as usize,
            data: im.into_raw(),
        };
        let mut c = vec![];
        for t in tiles(im.width, im.height, &scales, 0.5) {
            for x in d.detect(&im, &t.roi, thr, 0.3).unwrap() {
                let mut ps = vec![l.estimate(&im, &x.region(), 7).unwrap()];
                for _ in 1..passes {
                    let r = ps.last().unwrap().next_region();
                    ps.push(l.estimate(&im, &r, 7).unwrap());
                }
                c.push(json!({"score": x.score, "votes": x.votes, "scale": t.scale, "tile": [t.roi.cx,t.roi.cy,t.roi.size], "box": [x.bbox.x1,x.bbox.y1,x.bbox.x2,x.bbox.y2], "passes": ps.iter().map(lm).collect::<Vec<_>>()}));
            }
        }
        println!(
            "{}",
            json!({"name": p.rsplit('/').next().unwrap(), "wh": [im.width, im.height], "cands": c})
        );
    }
}
