//! Where a person stands before the camera: pinhole projection and the translation that fits it.

/// Horizontal field of view assumed across an image's longer side when no focal length is given:
/// a phone or action camera filming sport (26 to 30 mm in 35 mm terms, less the crop of video
/// stabilisation). Depth scales in proportion to the assumption; directions hardly depend on it.
pub const ASSUMED_FIELD_OF_VIEW_DEGREES: f64 = 60.0;

/// A joint nearer to the camera's plane than this, in metres, is no solution.
const NEAREST: f64 = 0.05;

/// Fewer points than this leave no room for an error to show.
const MIN_POINTS: usize = 4;

/// Rounds of reweighting; the weights settle in about five.
const ROUNDS: usize = 10;

/// A person's place before the camera, as fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraFit {
    /// Metres; a joint in camera space is `joint + translation`.
    pub translation: [f32; 3],
    /// Reprojection error in pixels: root mean square over the points used, weighted by
    /// confidence, outliers included.
    pub residual_px: f32,
}

/// The focal length in pixels assumed for an image of that size.
pub fn assumed_focal_length(width: f32, height: f32) -> f32 {
    let half = ASSUMED_FIELD_OF_VIEW_DEGREES.to_radians() * 0.5;
    (f64::from(width.max(height)) * 0.5 / half.tan()) as f32
}

/// Camera-space point to pixels: `u = f x / z + cx`.
pub fn project(point: [f32; 3], focal_length: f32, center: [f32; 2]) -> [f32; 2] {
    [0, 1].map(|k| focal_length * point[k] / point[2] + center[k])
}

/// One joint, seen: world position and pixels less the image's centre.
struct Point {
    world: [f64; 3],
    image: [f64; 2],
    confidence: f64,
}

/// The translation `t` for which `joints + t`, seen through the camera, falls on `keypoints`.
///
/// `joints` are metres in camera axes with the pelvis as origin; `keypoints` are `[x, y,
/// confidence]` in pixels, one per joint. `u (Z + tz) = f (X + tx)` is linear in `t`; each
/// equation is weighted by confidence, by `1 / (Z + tz)` so that the error counts in pixels, and
/// by how well it agrees with the rest (Geman-McClure), so that a misplaced limb does not pull.
/// Points below `min_confidence` or not finite are ignored. `None` where fewer than four remain,
/// where they do not fix a position (all in one spot) or where somebody would stand behind the
/// camera.
pub fn fit_translation(
    joints: &[[f32; 3]],
    keypoints: &[[f32; 3]],
    focal_length: f32,
    center: [f32; 2],
    min_confidence: f32,
) -> Option<CameraFit> {
    let focal = f64::from(focal_length);
    if !(focal > 0.0 && focal.is_finite()) {
        return None;
    }
    let points = usable_points(joints, keypoints, center, min_confidence);
    if points.len() < MIN_POINTS {
        return None;
    }
    let mut weights: Vec<f64> = points.iter().map(|p| p.confidence).collect();
    let mut translation = rough_place(&points, focal)?;
    for _ in 0..ROUNDS {
        let errors = reprojection_errors(&points, translation, focal)?;
        let scale = robust_scale(&errors);
        for ((weight, point), error) in weights.iter_mut().zip(&points).zip(&errors) {
            let agreement = 1.0 / (1.0 + (error / scale).powi(2));
            let depth = point.world[2] + translation[2];
            *weight = point.confidence * (agreement / depth).powi(2);
        }
        translation = solve(&points, &weights, focal)?;
    }
    let errors = reprojection_errors(&points, translation, focal)?;
    let total: f64 = points.iter().map(|p| p.confidence).sum();
    let squares = points
        .iter()
        .zip(&errors)
        .map(|(p, e)| p.confidence * e * e);
    Some(CameraFit {
        translation: translation.map(|t| t as f32),
        residual_px: (squares.sum::<f64>() / total).sqrt() as f32,
    })
}

fn usable_points(
    joints: &[[f32; 3]],
    keypoints: &[[f32; 3]],
    center: [f32; 2],
    min_confidence: f32,
) -> Vec<Point> {
    joints
        .iter()
        .zip(keypoints)
        .filter(|(joint, keypoint)| {
            let finite = joint.iter().chain(*keypoint).all(|v| v.is_finite());
            finite && keypoint[2] > 0.0 && keypoint[2] >= min_confidence
        })
        .map(|(joint, keypoint)| Point {
            world: joint.map(f64::from),
            image: [0, 1].map(|k| f64::from(keypoint[k]) - f64::from(center[k])),
            confidence: f64::from(keypoint[2]),
        })
        .collect()
}

/// A first guess that a quarter of the points cannot spoil, whatever they say: the depth from the
/// median ratio of lengths in the world to lengths in the image, then the median offset.
fn rough_place(points: &[Point], focal: f64) -> Option<[f64; 3]> {
    let nearest = points.iter().map(|p| -p.world[2]).fold(0.0, f64::max) + 2.0 * NEAREST;
    let mut depths = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, a) in points.iter().enumerate() {
        for b in &points[..i] {
            let apart = (a.image[0] - b.image[0]).hypot(a.image[1] - b.image[1]);
            let metres = (a.world[0] - b.world[0]).hypot(a.world[1] - b.world[1]);
            if apart > 0.0 {
                depths.push(focal * metres / apart);
            }
        }
    }
    let depth = median(depths)?.max(nearest);
    let offset = |k: usize| {
        let across = |p: &Point| p.image[k] * (p.world[2] + depth) / focal - p.world[k];
        median(points.iter().map(across).collect())
    };
    Some([offset(0)?, offset(1)?, depth])
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Weighted least squares of `f tx - u tz = u Z - f X` and the same for y. The unknowns tx and ty
/// are eliminated, which leaves one equation for tz.
fn solve(points: &[Point], weights: &[f64], focal: f64) -> Option<[f64; 3]> {
    let total: f64 = weights.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return None;
    }
    let mean = |value: &dyn Fn(&Point) -> f64| {
        let sum: f64 = points.iter().zip(weights).map(|(p, w)| w * value(p)).sum();
        sum / total
    };
    let right = |p: &Point, k: usize| p.image[k] * p.world[2] - focal * p.world[k];
    let image_mean = [0, 1].map(|k| mean(&|p| p.image[k]));
    let right_mean = [0, 1].map(|k| mean(&|p| right(p, k)));
    let spread = mean(&|p| {
        let square = |k: usize| (p.image[k] - image_mean[k]).powi(2);
        square(0) + square(1)
    });
    let covariance = mean(&|p| {
        let product = |k: usize| (p.image[k] - image_mean[k]) * (right(p, k) - right_mean[k]);
        product(0) + product(1)
    });
    // Less than a hundredth of a pixel across: one spot.
    if spread < 1e-4 {
        return None;
    }
    let tz = -covariance / spread;
    let t = [
        (right_mean[0] + image_mean[0] * tz) / focal,
        (right_mean[1] + image_mean[1] * tz) / focal,
        tz,
    ];
    t.iter().all(|v| v.is_finite()).then_some(t)
}

/// Pixels between each point and its projection; `None` where one lies behind the camera.
fn reprojection_errors(points: &[Point], t: [f64; 3], focal: f64) -> Option<Vec<f64>> {
    points
        .iter()
        .map(|p| {
            let depth = p.world[2] + t[2];
            let miss = |k: usize| focal * (p.world[k] + t[k]) / depth - p.image[k];
            (depth > NEAREST).then(|| miss(0).hypot(miss(1)))
        })
        .collect()
}

/// What a usual error is, from the median, which half the points cannot spoil.
fn robust_scale(errors: &[f64]) -> f64 {
    let usual = median(errors.to_vec()).unwrap_or(0.0);
    // A floor far below a pixel, so that exact data do not divide by zero.
    (2.0 * usual).max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOCAL: f32 = 1100.0;
    const CENTER: [f32; 2] = [960.0, 540.0];
    const TRUE_T: [f32; 3] = [0.8, -0.3, 5.5];

    /// Numbers in -1..1 that look random and never change.
    fn noise(seed: u32) -> f32 {
        let mixed = (seed.wrapping_mul(2_654_435_761) ^ 0x9e37_79b9).wrapping_mul(0x85eb_ca6b);
        (mixed >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn body() -> Vec<[f32; 3]> {
        (0..33)
            .map(|i| {
                [
                    0.3 * noise(3 * i),
                    0.9 * noise(3 * i + 1),
                    0.3 * noise(3 * i + 2),
                ]
            })
            .collect()
    }

    fn seen(joints: &[[f32; 3]], t: [f32; 3], jitter: f32) -> Vec<[f32; 3]> {
        let place = |j: &[f32; 3]| [j[0] + t[0], j[1] + t[1], j[2] + t[2]];
        joints
            .iter()
            .enumerate()
            .map(|(i, j)| {
                let [u, v] = project(place(j), FOCAL, CENTER);
                let off = |k: u32| jitter * noise(1000 + 2 * i as u32 + k);
                [u + off(0), v + off(1), 0.9]
            })
            .collect()
    }

    fn error(fit: CameraFit) -> f32 {
        let deltas = fit.translation.iter().zip(TRUE_T);
        deltas.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn exact_points_give_the_exact_place() {
        let joints = body();
        for t in [TRUE_T, [-2.0, 1.0, 3.0], [0.0, 0.0, 30.0]] {
            let fit = fit_translation(&joints, &seen(&joints, t, 0.0), FOCAL, CENTER, 0.3).unwrap();
            for (got, want) in fit.translation.iter().zip(t) {
                assert!((got - want).abs() < 1e-4 * t[2], "{fit:?} {t:?}");
            }
            assert!(fit.residual_px < 1e-3, "{fit:?}");
        }
        let fit = fit_translation(&joints, &seen(&joints, TRUE_T, 0.0), FOCAL, CENTER, 0.3);
        assert!(error(fit.unwrap()) < 1e-4);
    }

    #[test]
    fn noise_of_two_pixels_stays_within_two_per_cent() {
        let joints = body();
        let keypoints = seen(&joints, TRUE_T, 2.0);
        let fit = fit_translation(&joints, &keypoints, FOCAL, CENTER, 0.3).unwrap();
        assert!(error(fit) < 0.02 * TRUE_T[2], "{fit:?}");
        assert!((0.5..3.0).contains(&fit.residual_px), "{fit:?}");
    }

    #[test]
    fn a_misplaced_limb_does_not_pull() {
        let joints = body();
        let mut keypoints = seen(&joints, TRUE_T, 0.5);
        for p in &mut keypoints[..8] {
            *p = [p[0] + 250.0, p[1] - 180.0, 0.9];
        }
        let fit = fit_translation(&joints, &keypoints, FOCAL, CENTER, 0.3).unwrap();
        assert!(error(fit) < 0.02 * TRUE_T[2], "{fit:?}");
        assert!(fit.residual_px > 100.0, "outliers must show: {fit:?}");
    }

    #[test]
    fn unsure_and_broken_points_are_ignored() {
        let joints = body();
        let mut keypoints = seen(&joints, TRUE_T, 0.0);
        keypoints[0] = [f32::NAN, 0.0, 0.9];
        keypoints[1] = [5000.0, 5000.0, 0.1];
        keypoints[2][2] = f32::NAN;
        let fit = fit_translation(&joints, &keypoints, FOCAL, CENTER, 0.3).unwrap();
        assert!(error(fit) < 1e-4, "{fit:?}");
    }

    #[test]
    fn what_fixes_no_place_is_refused() {
        let joints = body();
        let keypoints = seen(&joints, TRUE_T, 0.0);
        let fit = |j: &[[f32; 3]], k: &[[f32; 3]], f| fit_translation(j, k, f, CENTER, 0.3);
        assert_eq!(fit(&joints[..3], &keypoints, FOCAL), None);
        assert_eq!(fit(&joints, &[[10.0, 10.0, 0.9]; 33], FOCAL), None);
        assert_eq!(fit(&joints, &keypoints, 0.0), None);
        assert_eq!(fit(&joints, &keypoints, f32::NAN), None);
        assert_eq!(fit(&[], &[], FOCAL), None);
        // Upside down and mirrored: only a camera behind them would see that.
        let turned: Vec<_> = joints.iter().map(|j| [-j[0], -j[1], j[2]]).collect();
        assert_eq!(fit(&turned, &keypoints, FOCAL), None);
    }

    #[test]
    fn the_assumed_focal_length_spans_sixty_degrees() {
        let f = assumed_focal_length(1080.0, 1920.0);
        assert_eq!(f, assumed_focal_length(1920.0, 1080.0));
        let half = (960.0 / f).atan().to_degrees();
        assert!((half - 30.0).abs() < 1e-3, "{half}");
    }
}
