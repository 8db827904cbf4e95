//! What a map's values are in metres, from people whose distance is known.
//!
//! A network of the MiDaS family says `value ≈ a / distance + b` with `a` and `b` of its own for
//! every picture (Ranftl et al., TPAMI 2020, section 5: losses are blind to both). Fitted here is
//! the way back: `1 / distance = scale · value + shift`.

use serde::{Deserialize, Serialize};

/// What is known of one person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The map's, at the person's body.
    pub value: f32,
    /// One over the distance along the camera's axis, 1/m.
    pub inverse: f32,
}

/// What could be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    ScaleAndShift,
    /// The shift is taken for 0: there was one person, or all at the same depth, or they
    /// contradicted the map's order.
    Scale,
}

/// `1 / distance = scale · value + shift`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    pub method: Method,
    /// 1/m per unit of the map; above 0.
    pub scale: f32,
    /// 1/m
    pub shift: f32,
    /// People it is fitted to.
    pub people: usize,
    /// Root mean square over them of what is left, 1/m. Two people leave nothing for scale and
    /// shift, one nothing for the scale.
    pub residual: f32,
    /// The same in metres, over those whom the fit places before the camera.
    pub residual_metres: f32,
}

/// Values that differ by less than this part of the greatest do not tell the shift.
const SPREAD: f64 = 0.02;
/// From so many people on, one whose distance is wrong is told from the others.
const ENOUGH: usize = 4;
/// Residuals beyond so many deviations count less (Huber).
const HUBER: f64 = 1.345;
const ROUNDS: usize = 20;

impl Fit {
    /// `None` where nobody's distance is known, or the map says 0 of everybody.
    pub fn of(people: &[Evidence]) -> Option<Self> {
        let known = |e: &&Evidence| e.value.is_finite() && e.inverse.is_finite() && e.inverse > 0.0;
        let people: Vec<(f64, f64)> = people
            .iter()
            .filter(known)
            .map(|e| (f64::from(e.value), f64::from(e.inverse)))
            .collect();
        let both = line(&people).filter(|(scale, _)| *scale > 0.0);
        let (method, scale, shift) = match both {
            Some((scale, shift)) => (Method::ScaleAndShift, scale, shift),
            None => (Method::Scale, proportion(&people)?, 0.0),
        };
        let left = |&(value, inverse): &(f64, f64)| scale * value + shift - inverse;
        let metres = |&(value, inverse): &(f64, f64)| {
            let fitted = scale * value + shift;
            (fitted > 0.0).then(|| fitted.recip() - inverse.recip())
        };
        Some(Self {
            method,
            scale: scale as f32,
            shift: shift as f32,
            people: people.len(),
            residual: mean_square(people.iter().map(left)) as f32,
            residual_metres: mean_square(people.iter().filter_map(metres)) as f32,
        })
    }

    /// The distance along the camera's axis that a value stands for, metres; `None` for what is
    /// farther than any distance.
    pub fn metres(&self, value: f32) -> Option<f32> {
        let inverse = self.scale * value + self.shift;
        (inverse.is_finite() && inverse > 0.0).then(|| inverse.recip())
    }
}

fn mean_square(left: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for value in left {
        sum += value * value;
        count += 1;
    }
    (sum / f64::from(count.max(1))).sqrt()
}

/// Scale and shift; `None` where the values lie too near together to tell both.
fn line(people: &[(f64, f64)]) -> Option<(f64, f64)> {
    let values = || people.iter().map(|(value, _)| *value);
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(f64::NEG_INFINITY, f64::max),
    );
    if people.len() < 2 || high - low <= SPREAD * low.abs().max(high.abs()) {
        return None;
    }
    let mut weights = vec![1.0; people.len()];
    let mut found = weighted_line(people, &weights)?;
    if people.len() >= ENOUGH {
        for _ in 0..ROUNDS {
            let (scale, shift) = found;
            let left: Vec<f64> = people
                .iter()
                .map(|(value, inverse)| (scale * value + shift - inverse).abs())
                .collect();
            let bound = HUBER * 1.4826 * median(&left);
            if bound <= f64::EPSILON {
                break;
            }
            weights = left.iter().map(|l| (bound / l).min(1.0)).collect();
            found = weighted_line(people, &weights)?;
        }
    }
    Some(found)
}

fn weighted_line(people: &[(f64, f64)], weights: &[f64]) -> Option<(f64, f64)> {
    let pairs = || people.iter().zip(weights);
    let total: f64 = weights.iter().sum();
    let mean_value = pairs().map(|((v, _), w)| w * v).sum::<f64>() / total;
    let mean_inverse = pairs().map(|((_, i), w)| w * i).sum::<f64>() / total;
    let together: f64 = pairs()
        .map(|((v, i), w)| w * (v - mean_value) * (i - mean_inverse))
        .sum();
    let spread: f64 = pairs()
        .map(|((v, _), w)| w * (v - mean_value).powi(2))
        .sum();
    let scale = together / spread;
    let shift = mean_inverse - scale * mean_value;
    (scale.is_finite() && shift.is_finite()).then_some((scale, shift))
}

/// The scale alone.
fn proportion(people: &[(f64, f64)]) -> Option<f64> {
    let together: f64 = people.iter().map(|(v, i)| v * i).sum();
    let squares: f64 = people.iter().map(|(v, _)| v * v).sum();
    let scale = together / squares;
    (scale.is_finite() && scale > 0.0).then_some(scale)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People at these distances before a network that says `a / distance + b`.
    fn scene(a: f32, b: f32, metres: &[f32]) -> Vec<Evidence> {
        let person = |z: &f32| Evidence {
            value: a / z + b,
            inverse: z.recip(),
        };
        metres.iter().map(person).collect()
    }

    #[test]
    fn scale_and_shift_of_two_or_more_people_are_the_networks_own() {
        for (a, b) in [(1500.0, 120.0), (20.0, -3.0), (3.0, 40.0)] {
            for metres in [&[2.0, 5.0][..], &[1.5, 3.0, 4.0, 9.0, 20.0]] {
                let fit = Fit::of(&scene(a, b, metres)).unwrap();
                assert_eq!(
                    (fit.method, fit.people),
                    (Method::ScaleAndShift, metres.len())
                );
                assert!((fit.scale * a - 1.0).abs() < 1e-3, "{fit:?}");
                assert!(
                    (fit.shift + b / a).abs() < 1e-3 * (b / a).abs().max(1.0),
                    "{fit:?}"
                );
                assert!(fit.residual < 1e-4 && fit.residual_metres < 1e-2, "{fit:?}");
                let wall = fit.metres(a / 7.0 + b).unwrap();
                assert!((wall - 7.0).abs() < 0.05, "{wall}");
                assert_eq!(fit.metres(b - 0.1 * a), None, "behind the horizon");
            }
        }
    }

    #[test]
    fn one_person_tells_the_scale_alone() {
        let fit = Fit::of(&scene(900.0, 0.0, &[3.0])).unwrap();
        assert_eq!((fit.method, fit.shift, fit.people), (Method::Scale, 0.0, 1));
        assert!((fit.metres(900.0 / 6.0).unwrap() - 6.0).abs() < 1e-3);
        assert_eq!(fit.residual, 0.0);
        // A row of people is as one.
        let fit = Fit::of(&scene(900.0, 50.0, &[3.0, 3.0, 3.01])).unwrap();
        assert_eq!((fit.method, fit.people), (Method::Scale, 3));
        assert!(fit.residual < 1e-3);
    }

    #[test]
    fn people_who_contradict_the_map_leave_a_residual() {
        let mut people = scene(900.0, 50.0, &[2.0, 6.0]);
        let (near, far) = (people[0].inverse, people[1].inverse);
        (people[0].inverse, people[1].inverse) = (far, near);
        let fit = Fit::of(&people).unwrap();
        assert_eq!(fit.method, Method::Scale);
        assert!(fit.residual > 0.1 && fit.residual_metres > 1.0, "{fit:?}");
    }

    #[test]
    fn among_many_one_of_a_wrong_size_counts_little() {
        let mut people = scene(900.0, 50.0, &[2.0, 2.5, 3.0, 4.0, 5.0, 8.0]);
        // A child taken for a grown-up at twice the distance.
        people[2].inverse /= 2.0;
        let fit = Fit::of(&people).unwrap();
        let metres = fit.metres(900.0 / 5.0 + 50.0).unwrap();
        assert!((metres - 5.0).abs() < 0.5, "{metres}");
        assert!(fit.residual > 0.05, "{fit:?}");
    }

    #[test]
    fn nobody_known_is_no_fit() {
        assert_eq!(Fit::of(&[]), None);
        let unknown = Evidence {
            value: 5.0,
            inverse: f32::NAN,
        };
        assert_eq!(Fit::of(&[unknown]), None);
        let dark = Evidence {
            value: 0.0,
            inverse: 0.5,
        };
        assert_eq!(Fit::of(&[dark]), None);
    }
}
