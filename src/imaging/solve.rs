//! Small systems of linear equations, in OpenCV's order of operations.

/// Solves `a x = b` by elimination with row pivots, as OpenCV's `DECOMP_LU` does, rounding for
/// rounding. `None` where there is no single answer.
pub fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> Option<[f64; N]> {
    for i in 0..N {
        let mut pivot = i;
        for j in i + 1..N {
            if a[j][i].abs() > a[pivot][i].abs() {
                pivot = j;
            }
        }
        let size = a[pivot][i].abs();
        if size.is_nan() || size < f64::EPSILON * 100.0 {
            return None;
        }
        a.swap(i, pivot);
        b.swap(i, pivot);
        let (top, value) = (a[i], b[i]);
        let factor = -1.0 / top[i];
        for j in i + 1..N {
            let alpha = a[j][i] * factor;
            for k in i + 1..N {
                a[j][k] += alpha * top[k];
            }
            b[j] += alpha * value;
        }
    }
    for i in (0..N).rev() {
        let mut sum = b[i];
        for k in i + 1..N {
            sum -= a[i][k] * b[k];
        }
        b[i] = sum / a[i][i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_and_refuses() {
        let a = [[0.0, 2.0, 1.0], [1.0, -1.0, 0.0], [3.0, 0.0, 4.0]];
        let found = solve(a, [7.0, -1.0, 15.0]).unwrap();
        for (found, expected) in found.into_iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(solve([[1.0, 2.0], [2.0, 4.0]], [1.0, 2.0]), None);
        assert_eq!(solve([[f64::NAN]], [1.0]), None);
    }
}
