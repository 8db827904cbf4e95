//! What lies between two sights of somebody: two-sided, on rotations and bones, not on points of
//! the surface.
//!
//! The curve through a gap leaves and arrives with the velocity that was seen there, as far as it
//! can be believed: over a long gap a velocity says little, and the straight way is safer.

use crate::geometry::rotations::{Matrix, exp, log, product, transposed};

/// Seconds over which a velocity at the edge of a gap is believed.
const MEMORY: f64 = 0.2;

/// A person at one moment, in the terms in which motion is smooth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posture {
    /// Seconds.
    pub time: f64,
    /// Places, sizes and angles: whatever may be interpolated number by number.
    pub numbers: Vec<f32>,
    /// Rotation matrices, row-major.
    pub rotations: Vec<[f32; 9]>,
}

/// Two sights around a gap, and the sights before and after them where there are any.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'a> {
    pub before: Option<&'a Posture>,
    pub from: &'a Posture,
    pub to: &'a Posture,
    pub after: Option<&'a Posture>,
}

/// Weights of a cubic curve at a moment: of its end, and of the velocities (times the gap's length)
/// at its start and end.
struct Weights {
    end: f64,
    leaving: f64,
    arriving: f64,
}

impl Gap<'_> {
    /// The posture at `time`, which lies in the gap. Where the two sides differ in shape, or are
    /// no numbers, the nearer one stands.
    pub fn at(&self, time: f64) -> Posture {
        let length = self.to.time - self.from.time;
        let part = ((time - self.from.time) / length).clamp(0.0, 1.0);
        if !part.is_finite() {
            return Posture {
                time,
                ..self.from.clone()
            };
        }
        let nearer = if part < 0.5 { self.from } else { self.to };
        let weights = Weights::at(part);
        let numbers = match self.from.numbers.len() == self.to.numbers.len() {
            true => self.numbers(&weights, length),
            false => nearer.numbers.clone(),
        };
        let rotations = match self.from.rotations.len() == self.to.rotations.len() {
            true => self.rotations(&weights, length),
            false => nearer.rotations.clone(),
        };
        Posture {
            time,
            numbers,
            rotations,
        }
    }

    fn numbers(&self, weights: &Weights, length: f64) -> Vec<f32> {
        let value = |posture: Option<&Posture>, i: usize| {
            let known = posture.and_then(|p| p.numbers.get(i).copied());
            known.filter(|v| v.is_finite()).map(f64::from)
        };
        let one = |i: usize| {
            let (from, to) = (value(Some(self.from), i), value(Some(self.to), i));
            let (Some(from), Some(to)) = (from, to) else {
                return from.or(to).map_or(f32::NAN, |v| v as f32);
            };
            let straight = to - from;
            let edge = |other: Option<&Posture>, own: &Posture, here: f64| {
                let (other, there) = (other?, value(other, i)?);
                Some((here - there) / (own.time - other.time))
            };
            let leaving = believed(edge(self.before, self.from, from), straight, length);
            let arriving = believed(edge(self.after, self.to, to), straight, length);
            let moved =
                weights.end * straight + weights.leaving * leaving + weights.arriving * arriving;
            (from + moved) as f32
        };
        (0..self.from.numbers.len()).map(one).collect()
    }

    fn rotations(&self, weights: &Weights, length: f64) -> Vec<[f32; 9]> {
        let one = |i: usize| {
            let of = |posture: &Posture| posture.rotations.get(i).map(|m| m.map(f64::from));
            let (Some(from), Some(to)) = (of(self.from), of(self.to)) else {
                return self.from.rotations[i];
            };
            // All in the axes of the start, where the turn of the whole gap is one vector.
            let turn = |a: &Matrix, b: &Matrix| log(&product(&transposed(a), b));
            let straight = turn(&from, &to);
            let speed = |other: Option<&Posture>, own: &Posture, here: &Matrix| {
                let (other, there) = (other?, of(other?)?);
                let seconds = own.time - other.time;
                Some(turn(&there, here).map(|v| v / seconds))
            };
            let (leaving, arriving) = (
                speed(self.before, self.from, &from),
                speed(self.after, self.to, &to),
            );
            let moved = std::array::from_fn(|axis| {
                let along =
                    |v: Option<[f64; 3]>| believed(v.map(|v| v[axis]), straight[axis], length);
                weights.end * straight[axis]
                    + weights.leaving * along(leaving)
                    + weights.arriving * along(arriving)
            });
            product(&from, &exp(moved)).map(|v| v as f32)
        };
        (0..self.from.rotations.len()).map(one).collect()
    }
}

/// A velocity at an edge times the gap's length, as far as it is believed; the rest is that of the
/// straight way.
fn believed(velocity: Option<f64>, straight: f64, length: f64) -> f64 {
    let Some(velocity) = velocity.filter(|v| v.is_finite()) else {
        return straight;
    };
    let trust = (-length / MEMORY).exp();
    trust * velocity * length + (1.0 - trust) * straight
}

impl Weights {
    /// Of Hermite's cubic, `part` of the way.
    fn at(part: f64) -> Self {
        let (p2, p3) = (part * part, part * part * part);
        Self {
            end: 3.0 * p2 - 2.0 * p3,
            leaving: p3 - 2.0 * p2 + part,
            arriving: p3 - p2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: f64, x: f32, turn: f64) -> Posture {
        let rotation = exp([0.0, turn, 0.0]).map(|v| v as f32);
        Posture {
            time,
            numbers: vec![x],
            rotations: vec![rotation],
        }
    }

    fn turned(posture: &Posture) -> f64 {
        log(&posture.rotations[0].map(f64::from))[1]
    }

    #[test]
    fn a_steady_motion_goes_on_through_a_gap() {
        let all: Vec<Posture> = (0..4)
            .map(|i| {
                at(
                    [0.0, 0.1, 0.5, 0.6][i],
                    [0.0, 1.0, 5.0, 6.0][i],
                    [0.0, 0.1, 0.5, 0.6][i],
                )
            })
            .collect();
        let gap = Gap {
            before: Some(&all[0]),
            from: &all[1],
            to: &all[2],
            after: Some(&all[3]),
        };
        for time in [0.1, 0.15, 0.3, 0.42, 0.5] {
            let found = gap.at(time);
            assert!(
                (f64::from(found.numbers[0]) - 10.0 * time).abs() < 1e-5,
                "{time} {found:?}"
            );
            assert!((turned(&found) - time).abs() < 1e-6, "{time} {found:?}");
        }
    }

    #[test]
    fn a_turn_takes_the_shorter_way_and_stays_a_rotation() {
        let (from, to) = (at(0.0, 0.0, 3.0), at(1.0, 0.0, -3.0));
        let gap = Gap {
            before: None,
            from: &from,
            to: &to,
            after: None,
        };
        let middle = gap.at(0.5).rotations[0].map(f64::from);
        assert!((log(&middle)[1].abs() - std::f64::consts::PI).abs() < 1e-3);
        let whole = product(&middle, &transposed(&middle));
        let off = whole
            .iter()
            .zip(crate::geometry::rotations::IDENTITY)
            .map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-6);
    }

    #[test]
    fn a_curve_keeps_its_swing_over_a_short_gap_and_not_over_a_long_one() {
        // x = t², seen at the edges only.
        let seen = |times: [f64; 4]| times.map(|t| at(t, (t * t) as f32, 0.0));
        let error = |times: [f64; 4]| {
            let [before, from, to, after] = seen(times);
            let gap = Gap {
                before: Some(&before),
                from: &from,
                to: &to,
                after: Some(&after),
            };
            let middle = 0.5 * (from.time + to.time);
            (f64::from(gap.at(middle).numbers[0]) - middle * middle).abs()
        };
        let straight = 0.05_f64.powi(2);
        assert!(error([-0.01, 0.0, 0.1, 0.11]) < 0.6 * straight);
        let long = seen([-0.1, 0.0, 3.0, 3.1]);
        let wild = at(-0.1, -100.0, 0.0);
        let gap = Gap {
            before: Some(&wild),
            from: &long[1],
            to: &long[2],
            after: None,
        };
        assert!(gap.at(1.0).numbers[0].abs() < 9.0, "{:?}", gap.at(1.0));
    }

    #[test]
    fn what_is_no_number_on_one_side_is_taken_from_the_other() {
        let (from, to) = (at(0.0, f32::NAN, 0.0), at(1.0, 4.0, 0.0));
        let gap = Gap {
            before: None,
            from: &from,
            to: &to,
            after: None,
        };
        assert_eq!(gap.at(0.3).numbers, [4.0]);
        let short = Posture {
            time: 1.0,
            ..Posture::default()
        };
        let gap = Gap {
            before: None,
            from: &to,
            to: &short,
            after: None,
        };
        assert_eq!(gap.at(1.0).numbers, [4.0]);
    }
}
