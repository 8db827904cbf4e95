//! Object keypoint similarity: how alike two poses in the image are, 0..=1.

use crate::geometry::boxes::BBox;

/// Poses sharing fewer confident joints than this have no similarity to speak of.
pub const MIN_COMMON_JOINTS: usize = 3;

/// A pose's area is at least this times its longer side squared: somebody seen from the side, or
/// lying, spans a box of almost no area and would be compared to the pixel.
const THINNEST: f32 = 0.35;

/// COCO's OKS of `found` against `truth`: the mean over joints of `exp(-d² / (2 s² k²))` with
/// `s² = area` and `k = 2 sigma`.
///
/// Poses are `[x, y, confidence]` in pixels; `joints` are `(index, sigma)`; `area` is the true
/// person's, in square pixels. Joints of `truth` with a confidence below `min_confidence` do not
/// count; a counted joint that `found` lacks or has as NaN scores 0. `None` where nothing counts
/// or the area is not positive.
pub fn oks(
    truth: &[[f32; 3]],
    found: &[[f32; 3]],
    joints: &[(usize, f32)],
    area: f32,
    min_confidence: f32,
) -> Option<f32> {
    if !(area > 0.0 && area.is_finite()) {
        return None;
    }
    let mut total = 0.0;
    let mut counted = 0usize;
    for &(index, sigma) in joints {
        let Some(&t) = truth.get(index).filter(|t| usable(t, min_confidence)) else {
            continue;
        };
        counted += 1;
        if let Some(f) = found.get(index).filter(|f| usable(f, f32::NEG_INFINITY)) {
            total += joint_similarity(t, *f, sigma, area);
        }
    }
    (counted > 0).then(|| total / counted as f32)
}

/// How alike two found poses are, the same both ways; for telling doubles.
///
/// Only joints that both have with at least `min_confidence` are compared, weighted by the smaller
/// of their confidences, so that half a body matches the whole one it is part of. The scale is the
/// mean of the two poses' areas ([`pose_area`]). `None` with fewer than [`MIN_COMMON_JOINTS`].
pub fn pose_similarity(
    a: &[[f32; 3]],
    b: &[[f32; 3]],
    joints: &[(usize, f32)],
    min_confidence: f32,
) -> Option<f32> {
    let area =
        0.5 * (pose_area(a, joints, min_confidence)? + pose_area(b, joints, min_confidence)?);
    pose_similarity_at(a, b, joints, min_confidence, area)
}

/// [`pose_similarity`] with the area given, in square pixels.
pub fn pose_similarity_at(
    a: &[[f32; 3]],
    b: &[[f32; 3]],
    joints: &[(usize, f32)],
    min_confidence: f32,
    area: f32,
) -> Option<f32> {
    if !(area > 0.0 && area.is_finite()) {
        return None;
    }
    let (mut total, mut weights, mut common) = (0.0, 0.0, 0usize);
    for &(index, sigma) in joints {
        let (Some(&p), Some(&q)) = (a.get(index), b.get(index)) else {
            continue;
        };
        if usable(&p, min_confidence) && usable(&q, min_confidence) {
            // A joint of confidence 0 still counts a little where the caller lets it in.
            let weight = p[2].min(q[2]).max(1e-3);
            total += weight * joint_similarity(p, q, sigma, area);
            weights += weight;
            common += 1;
        }
    }
    (common >= MIN_COMMON_JOINTS).then(|| total / weights)
}

/// The area of the box around a pose's confident joints, in square pixels, with a floor for thin
/// poses; `None` with fewer than two of them, or all in one place.
pub fn pose_area(pose: &[[f32; 3]], joints: &[(usize, f32)], min_confidence: f32) -> Option<f32> {
    let points = joints.iter().filter_map(|&(index, _)| pose.get(index));
    let confident = points.filter(|p| usable(p, min_confidence));
    let bbox = BBox::around(confident.map(|p| [p[0], p[1]]))?;
    let long = bbox.width().max(bbox.height());
    let area = bbox.area().max(THINNEST * long * long);
    (area > 0.0 && area.is_finite()).then_some(area)
}

fn usable(point: &[f32; 3], min_confidence: f32) -> bool {
    point[0].is_finite() && point[1].is_finite() && point[2] >= min_confidence
}

fn joint_similarity(a: [f32; 3], b: [f32; 3], sigma: f32, area: f32) -> f32 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    let k = 2.0 * sigma;
    (-(dx * dx + dy * dy) / (2.0 * area * k * k)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::joints::BLAZEPOSE33_BODY;

    /// A frontal figure 60 px wide and 170 px tall, all joints sure.
    fn figure() -> Vec<[f32; 3]> {
        (0..33)
            .map(|i| {
                let side = if i % 2 == 1 { 30.0 } else { -30.0 };
                [100.0 + side, 50.0 + 10.0 * (i / 2) as f32, 0.9]
            })
            .collect()
    }

    fn moved(pose: &[[f32; 3]], dx: f32) -> Vec<[f32; 3]> {
        pose.iter().map(|p| [p[0] + dx, p[1], p[2]]).collect()
    }

    #[test]
    fn matches_the_formula_for_one_joint() {
        let truth = [[0.0, 0.0, 1.0]];
        let found = [[3.0, 4.0, 0.2]];
        // d² = 25, s² = 400, k = 0.2: exp(-25 / (2 * 400 * 0.04)) = exp(-0.78125)
        let got = oks(&truth, &found, &[(0, 0.1)], 400.0, 0.5).unwrap();
        assert!((got - 0.457_833_36).abs() < 1e-6, "{got}");
    }

    #[test]
    fn missing_and_nan_joints_score_nothing_and_unlabelled_ones_do_not_count() {
        let truth = [[0.0, 0.0, 1.0], [9.0, 9.0, 1.0], [5.0, 5.0, 0.0]];
        let joints = [(0, 0.1), (1, 0.1), (2, 0.1), (7, 0.1)];
        let found = [[0.0, 0.0, 1.0], [f32::NAN, 9.0, 1.0], [900.0, 5.0, 1.0]];
        assert_eq!(oks(&truth, &found, &joints, 100.0, 0.5), Some(0.5));
        assert_eq!(oks(&truth, &found[..1], &joints, 100.0, 0.5), Some(0.5));
        assert_eq!(oks(&truth, &found, &joints, 0.0, 0.5), None);
        assert_eq!(oks(&truth, &found, &joints, f32::NAN, 0.5), None);
        assert_eq!(oks(&[], &found, &joints, 100.0, 0.5), None);
    }

    #[test]
    fn similarity_is_symmetric_and_falls_with_distance() {
        let a = figure();
        let similarity = |b: &[[f32; 3]]| pose_similarity(&a, b, &BLAZEPOSE33_BODY, 0.3).unwrap();
        assert!((similarity(&a) - 1.0).abs() < 1e-6);
        let mut last = 1.0;
        for dx in [5.0, 20.0, 60.0, 200.0] {
            let b = moved(&a, dx);
            let back = pose_similarity(&b, &a, &BLAZEPOSE33_BODY, 0.3).unwrap();
            assert!((similarity(&b) - back).abs() < 1e-6);
            assert!(similarity(&b) < last);
            last = similarity(&b);
        }
        assert!(last < 0.01);
    }

    #[test]
    fn half_a_body_matches_the_whole() {
        let whole = figure();
        let mut half = moved(&whole, 2.0);
        for p in &mut half[23..] {
            *p = [p[0] + 300.0, p[1] - 90.0, 0.1];
        }
        assert!(pose_similarity(&whole, &half, &BLAZEPOSE33_BODY, 0.3).unwrap() > 0.9);
    }

    #[test]
    fn too_few_common_joints_say_nothing() {
        let a = figure();
        let mut b = figure();
        for p in &mut b[13..] {
            p[2] = 0.0;
        }
        assert_eq!(pose_similarity(&a, &b, &BLAZEPOSE33_BODY, 0.3), None);
        assert_eq!(pose_similarity(&a, &[], &BLAZEPOSE33_BODY, 0.3), None);
    }

    #[test]
    fn a_thin_pose_keeps_an_area() {
        let line: Vec<_> = (0..33).map(|i| [10.0, 10.0 * i as f32, 1.0]).collect();
        let area = pose_area(&line, &BLAZEPOSE33_BODY, 0.5).unwrap();
        assert!((area - 0.35 * 170.0 * 170.0).abs() < 1e-2, "{area}");
        assert_eq!(
            pose_area(&[[1.0, 1.0, 1.0]; 33], &BLAZEPOSE33_BODY, 0.5),
            None
        );
    }
}
