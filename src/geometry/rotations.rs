//! Rotations as matrices and as axis times angle, for what lies between two of them.

/// `[3, 3]`, row-major.
pub type Matrix = [f64; 9];

pub const IDENTITY: Matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

pub fn transposed(m: &Matrix) -> Matrix {
    std::array::from_fn(|i| m[3 * (i % 3) + i / 3])
}

pub fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| (0..3).map(|k| a[3 * (i / 3) + k] * b[3 * k + i % 3]).sum())
}

/// The rotation by the vector's length, in radians, about its direction (Rodrigues).
pub fn exp(v: [f64; 3]) -> Matrix {
    let angle = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (sine, versine) = match angle > 1e-8 {
        true => (angle.sin() / angle, (1.0 - angle.cos()) / (angle * angle)),
        false => (1.0, 0.5),
    };
    let [x, y, z] = v;
    let cross = [0.0, -z, y, z, 0.0, -x, -y, x, 0.0];
    let squared = product(&cross, &cross);
    std::array::from_fn(|i| IDENTITY[i] + sine * cross[i] + versine * squared[i])
}

/// The inverse of [`exp`], of length 0 to π. What is not quite a rotation gives the nearest axis and
/// angle; of what is no number, no rotation.
pub fn log(m: &Matrix) -> [f64; 3] {
    let [w, x, y, z] = quaternion(m);
    let sine = (x * x + y * y + z * z).sqrt();
    if !sine.is_finite() || sine < 1e-12 {
        return [0.0; 3];
    }
    // The shorter way round.
    let sign = if w < 0.0 { -1.0 } else { 1.0 };
    let scale = 2.0 * sine.atan2(sign * w) / sine * sign;
    [x * scale, y * scale, z * scale]
}

/// `w x y z`, by the largest of the four, so that none is divided by almost nothing (Shepperd).
fn quaternion(m: &Matrix) -> [f64; 4] {
    let trace = m[0] + m[4] + m[8];
    let squares = [trace, m[0], m[4], m[8]].map(|d| 1.0 + 2.0 * d - trace);
    let largest = (0..4).fold(
        0,
        |best, i| if squares[i] > squares[best] { i } else { best },
    );
    let root = squares[largest].max(0.0).sqrt();
    let quarter = 0.5 / root;
    let (differ, sum) = (
        [m[7] - m[5], m[2] - m[6], m[3] - m[1]],
        [m[1] + m[3], m[2] + m[6], m[5] + m[7]],
    );
    match largest {
        0 => [
            0.5 * root,
            differ[0] * quarter,
            differ[1] * quarter,
            differ[2] * quarter,
        ],
        1 => [
            differ[0] * quarter,
            0.5 * root,
            sum[0] * quarter,
            sum[1] * quarter,
        ],
        2 => [
            differ[1] * quarter,
            sum[0] * quarter,
            0.5 * root,
            sum[2] * quarter,
        ],
        _ => [
            differ[2] * quarter,
            sum[1] * quarter,
            sum[2] * quarter,
            0.5 * root,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn apart(a: &[f64], b: &[f64]) -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn a_quarter_turn_about_each_axis() {
        let turned = |v: [f64; 3], p: [f64; 3]| -> [f64; 3] {
            let m = exp(v);
            std::array::from_fn(|i| (0..3).map(|k| m[3 * i + k] * p[k]).sum())
        };
        let quarter = PI / 2.0;
        assert!(
            apart(
                &turned([0.0, 0.0, quarter], [1.0, 0.0, 0.0]),
                &[0.0, 1.0, 0.0]
            ) < 1e-15
        );
        assert!(
            apart(
                &turned([quarter, 0.0, 0.0], [0.0, 1.0, 0.0]),
                &[0.0, 0.0, 1.0]
            ) < 1e-15
        );
        assert!(
            apart(
                &turned([0.0, quarter, 0.0], [0.0, 0.0, 1.0]),
                &[1.0, 0.0, 0.0]
            ) < 1e-15
        );
    }

    #[test]
    fn log_undoes_exp_up_to_half_a_turn() {
        for angle in [0.0, 1e-10, 1e-5, 0.3, 1.5, 3.0, PI - 1e-6, PI] {
            for axis in [
                [1.0, 0.0, 0.0],
                [0.0, -1.0, 0.0],
                [0.48, 0.6, -0.64],
                [-0.6, 0.0, 0.8],
            ] {
                let v = axis.map(|x: f64| x * angle);
                let back = log(&exp(v));
                assert!(
                    apart(&exp(back), &exp(v)) < 1e-9,
                    "{axis:?} {angle}: {back:?}"
                );
                assert!(
                    angle > PI - 1e-3 || apart(&back, &v) < 1e-9,
                    "{axis:?} {angle}: {back:?}"
                );
            }
        }
        assert_eq!(log(&[f64::NAN; 9]), [0.0; 3]);
    }

    #[test]
    fn a_rotation_times_its_transpose_is_none() {
        let m = exp([0.3, -1.2, 0.7]);
        assert!(apart(&product(&m, &transposed(&m)), &IDENTITY) < 1e-14);
    }
}
