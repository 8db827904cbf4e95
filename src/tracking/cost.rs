//! How little an observation looks like the person a track expects.

use crate::geometry::joints::BLAZEPOSE33_BODY;
use crate::geometry::oks::pose_similarity;
use crate::tracking::config::{MIN_CONFIDENCE, TrackerConfig};
use crate::tracking::observation::Observation;
use crate::tracking::tracklet::Tracklet;

/// Limbs whose directions make up the 3D pose, by BlazePose's joints.
const LIMBS: [(usize, usize); 12] = [
    (11, 12),
    (23, 24),
    (11, 23),
    (12, 24),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
    (23, 25),
    (25, 27),
    (24, 26),
    (26, 28),
];

/// Distance, in body sizes, at which the place's part of the cost is one half.
const HALF_DISTANCE: f64 = 0.5;

/// The cost of saying that `observation` is the person of `track`, who is `expected` there and
/// like that: 0 is perfect. `None` where it is out of the question.
pub(super) fn pair_cost(
    config: &TrackerConfig,
    track: &Tracklet,
    expected: &Observation,
    observation: &Observation,
    time_s: f64,
) -> Option<f64> {
    let unseen = track.motion.seconds_unseen(time_s);
    let size = track.motion.size();
    let ratio = (observation.size() / size).ln().abs() / config.gate_size_ratio.ln();
    let (from, to) = (expected.root(), observation.root());
    let distance = (to[0] - from[0]).hypot(to[1] - from[1]) / size;
    // Who moves fast or unsteadily may have gone anywhere they could reach.
    let growth = config.gate_growth + track.motion.pace() / size;
    let start = if track.motion.is_known() {
        0.0
    } else {
        config.gate_newborn
    };
    let gate = (config.gate_distance + start + growth * unseen).min(config.gate_limit);
    // Written so that NaN is out of the question too.
    if !(distance <= gate && ratio <= 1.0) {
        return None;
    }

    // What cannot be compared leaves its weight to the rest.
    let place = distance / (distance + HALF_DISTANCE);
    let parts = [
        (config.weight_place, Some(place)),
        (config.weight_size, Some(ratio)),
        (
            config.weight_pose,
            pose_difference(config, expected, observation),
        ),
        (
            config.weight_shape,
            shape_difference(config, &expected.joints, &observation.joints),
        ),
        (config.weight_looks, looks_difference(track, observation)),
    ];
    let known = parts
        .iter()
        .filter_map(|&(weight, part)| Some((weight, part?)));
    let (weights, sum) = known.fold((0.0, 0.0), |(w, s), (weight, part)| {
        (w + weight, s + weight * part)
    });
    let mut cost = sum / weights;
    // The same for all observations: it decides only who goes without where there are too few.
    cost += config.junior_cost * (1.0 - track.seniority());
    if !track.confirmed() {
        cost += config.tentative_cost;
    }
    cost.is_finite().then_some(cost)
}

/// The cost of saying that a track just believed is somebody who was lost; `None` where it is out of
/// the question.
pub(super) fn recall_cost(
    config: &TrackerConfig,
    lost: &Tracklet,
    found: &Tracklet,
    time_s: f64,
) -> Option<f64> {
    let expected = lost.expected(config, time_s);
    let (from, to) = (expected.root(), found.last().root());
    let distance = (to[0] - from[0]).hypot(to[1] - from[1]) / lost.motion.size();
    let cost = pair_cost(config, lost, &expected, found.last(), time_s)?;
    (distance <= config.lost_distance && cost <= config.lost_cost).then_some(cost)
}

/// How alike two people of one frame are, for telling doubles; 0 where nothing compares.
pub(super) fn likeness(a: &Observation, b: &Observation) -> f32 {
    match pose_similarity(
        &a.keypoints,
        &b.keypoints,
        &BLAZEPOSE33_BODY,
        MIN_CONFIDENCE,
    ) {
        Some(similarity) => similarity,
        // Boxes alone: only where there are no poses to tell two people apart.
        None if a.keypoints.is_empty() || b.keypoints.is_empty() => a.bbox.iou(&b.bbox),
        None => 0.0,
    }
}

/// Whether two people of one frame are so much in one place that they are most likely one.
pub fn coincide(config: &TrackerConfig, a: &Observation, b: &Observation) -> bool {
    let (from, to) = (a.root(), b.root());
    let apart = (to[0] - from[0]).hypot(to[1] - from[1]) / a.size().max(f64::MIN_POSITIVE);
    apart <= config.shadow_distance || likeness(a, b) >= config.shadow_similarity
}

/// Whether a young track seen in this frame may be a second pose of an older one.
pub(super) fn is_double(config: &TrackerConfig, older: &Tracklet, young: &Tracklet) -> bool {
    let (a, b) = (older.motion.position(), young.motion.position());
    let apart = (a[0] - b[0]).hypot(a[1] - b[1]) / older.motion.size();
    apart <= config.shadow_distance
        || likeness(older.last(), young.last()) >= config.shadow_similarity
}

fn looks_difference(track: &Tracklet, observation: &Observation) -> Option<f64> {
    track.looks()?.difference(observation.looks.as_ref()?)
}

fn pose_difference(config: &TrackerConfig, a: &Observation, b: &Observation) -> Option<f64> {
    let similarity = |b: &[[f32; 3]]| {
        pose_similarity(&a.keypoints, b, &BLAZEPOSE33_BODY, MIN_CONFIDENCE).map(f64::from)
    };
    let straight = 1.0 - similarity(&b.keypoints)?;
    let exchanged = similarity(&exchange_sides(&b.keypoints)).map(|s| 1.0 - s + config.flip_cost);
    Some(exchanged.map_or(straight, |e| straight.min(e)).min(1.0))
}

fn shape_difference(config: &TrackerConfig, a: &[[f32; 3]], b: &[[f32; 3]]) -> Option<f64> {
    let straight = limb_difference(a, b)?;
    let exchanged = limb_difference(a, &exchange_sides(b)).map(|d| d + config.flip_cost);
    Some(exchanged.map_or(straight, |e| straight.min(e)).min(1.0))
}

/// Mean of `(1 - cos) / 2` over the limbs both have: 0 the same directions, 1 opposite ones.
fn limb_difference(a: &[[f32; 3]], b: &[[f32; 3]]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for (from, to) in LIMBS {
        let (Some(u), Some(v)) = (direction(a, from, to), direction(b, from, to)) else {
            continue;
        };
        let cosine: f64 = u.iter().zip(v).map(|(x, y)| x * y).sum();
        sum += 0.5 * (1.0 - cosine);
        count += 1;
    }
    (count >= LIMBS.len() / 2).then(|| sum / count as f64)
}

fn direction(joints: &[[f32; 3]], from: usize, to: usize) -> Option<[f64; 3]> {
    let (a, b) = (joints.get(from)?, joints.get(to)?);
    let limb: [f64; 3] = std::array::from_fn(|k| f64::from(b[k]) - f64::from(a[k]));
    let length = limb.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-4 && length.is_finite()).then(|| limb.map(|v| v / length))
}

/// The same points with the names of left and right exchanged, as the network now and then does.
fn exchange_sides(points: &[[f32; 3]]) -> Vec<[f32; 3]> {
    let mut out = points.to_vec();
    for pair in BLAZEPOSE33_BODY.chunks_exact(2) {
        if let &[(left, _), (right, _)] = pair
            && left.max(right) < out.len()
        {
            out.swap(left, right);
        }
    }
    out
}
