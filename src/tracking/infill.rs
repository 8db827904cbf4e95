//! What lies between two sights of somebody: two-sided, on rotations and bones, not on points of
//! the surface.
//!
//! Every number follows the likeliest curve through the sights around the gap (kriging: a straight
//! trend, and about it a motion of Matérn's kind with the tremble of poses as noise). Edges and
//! velocities so come from several frames, and over a long gap, which they say little about, what is
//! left is the straight way. The constants are those with the least error on hidden frames of the
//! clips in docs/results.md; the error is flat around them.

use crate::geometry::rotations::{Matrix, exp, log, product, transposed};

/// Seconds over which a motion is like itself.
const LENGTH: f64 = 0.25;
/// The tremble's share of the motion, as variances.
const TREMBLE: f64 = 0.05;
/// Radians beyond which turns about different axes are no vectors to be added any more.
const LARGEST_TURN: f64 = 2.0;

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

/// Two sights around a gap, and others near them.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'a> {
    pub from: &'a Posture,
    pub to: &'a Posture,
    /// Of before `from` and after `to`, in any order.
    pub others: &'a [Posture],
}

/// The share of each sight in what is between: of `from`, of `to`, of the others.
struct Shares {
    from: f64,
    to: f64,
    others: Vec<f64>,
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
        let straight = Shares {
            from: 1.0 - part,
            to: part,
            others: vec![0.0; self.others.len()],
        };
        let shares = self.shares(time);
        let numbers = match self.from.numbers.len() == self.to.numbers.len() {
            true => self.numbers(shares.as_ref(), &straight),
            false => nearer.numbers.clone(),
        };
        let rotations = match self.from.rotations.len() == self.to.rotations.len() {
            true => self.rotations(shares.as_ref(), &straight),
            false => nearer.rotations.clone(),
        };
        Posture {
            time,
            numbers,
            rotations,
        }
    }

    /// `None` where the times of the sights do not tell them apart.
    fn shares(&self, time: f64) -> Option<Shares> {
        let times: Vec<f64> = [self.from, self.to]
            .into_iter()
            .chain(self.others)
            .map(|posture| posture.time - time)
            .collect();
        let mut shares = kriging(&times)?.into_iter();
        Some(Shares {
            from: shares.next()?,
            to: shares.next()?,
            others: shares.collect(),
        })
    }

    fn numbers(&self, shares: Option<&Shares>, straight: &Shares) -> Vec<f32> {
        let value = |posture: &Posture, i: usize| {
            let known = posture.numbers.get(i).copied();
            known.filter(|v| v.is_finite()).map(f64::from)
        };
        let one = |i: usize| {
            let (from, to) = (value(self.from, i), value(self.to, i));
            let (Some(from), Some(to)) = (from, to) else {
                return from.or(to).map_or(f32::NAN, |v| v as f32);
            };
            let all = shares.and_then(|shares| {
                let others = self.others.iter().zip(&shares.others);
                let sum = others
                    .map(|(posture, share)| Some(share * value(posture, i)?))
                    .sum::<Option<f64>>()?;
                Some(shares.from * from + shares.to * to + sum)
            });
            all.unwrap_or(straight.from * from + straight.to * to) as f32
        };
        (0..self.from.numbers.len()).map(one).collect()
    }

    fn rotations(&self, shares: Option<&Shares>, straight: &Shares) -> Vec<[f32; 9]> {
        let one = |i: usize| {
            let of = |posture: &Posture| posture.rotations.get(i).map(|m| m.map(f64::from));
            let (Some(from), Some(to)) = (of(self.from), of(self.to)) else {
                return self.from.rotations.get(i).copied().unwrap_or_default();
            };
            // All in the axes of the start, where turns are vectors.
            let turn = |there: &Matrix| log(&product(&transposed(&from), there));
            let whole = turn(&to);
            let sum = |shares: &Shares, others: &[[f64; 3]]| {
                std::array::from_fn(|axis| {
                    let others = others.iter().zip(&shares.others);
                    shares.to * whole[axis] + others.map(|(v, s)| v[axis] * s).sum::<f64>()
                })
            };
            let others: Option<Vec<[f64; 3]>> = self
                .others
                .iter()
                .map(|posture| {
                    let turned = turn(&of(posture)?);
                    let size = turned.iter().map(|v| v * v).sum::<f64>().sqrt();
                    (size <= LARGEST_TURN).then_some(turned)
                })
                .collect();
            let moved = match shares.zip(others) {
                Some((shares, others)) => sum(shares, &others),
                None => sum(straight, &[]),
            };
            product(&from, &exp(moved)).map(|v| v as f32)
        };
        (0..self.from.rotations.len()).map(one).collect()
    }
}

/// The posture of a sight as it likeliest was, by itself and `others` around it, in any order: what
/// trembles is evened out. Where they say nothing about a number or a turn, it stands as it is.
pub fn likeliest(own: &Posture, others: &[Posture]) -> Posture {
    let times = others.iter().map(|posture| posture.time - own.time);
    let times: Vec<f64> = std::iter::once(0.0).chain(times).collect();
    let alike = |other: &Posture| {
        other.numbers.len() == own.numbers.len() && other.rotations.len() == own.rotations.len()
    };
    let shares = kriging(&times).filter(|_| others.iter().all(alike));
    let Some((share, shares)) = shares.as_ref().and_then(|all| all.split_first()) else {
        return own.clone();
    };
    let number = |(i, &value): (usize, &f32)| {
        let others = others.iter().zip(shares);
        let sum: f64 = others
            .filter_map(|(other, share)| Some(share * f64::from(*other.numbers.get(i)?)))
            .sum();
        let smooth = share * f64::from(value) + sum;
        if smooth.is_finite() {
            smooth as f32
        } else {
            value
        }
    };
    let rotation = |(i, value): (usize, &[f32; 9])| {
        let from = value.map(f64::from);
        let mut moved = [0.0; 3];
        for (other, share) in others.iter().zip(shares) {
            let there = other.rotations.get(i).unwrap_or(value).map(f64::from);
            // In the axes of this sight, where small turns are vectors.
            let turn = log(&product(&transposed(&from), &there));
            if turn.iter().map(|v| v * v).sum::<f64>().sqrt() > LARGEST_TURN {
                return *value;
            }
            moved = std::array::from_fn(|axis| moved[axis] + share * turn[axis]);
        }
        product(&from, &exp(moved)).map(|v| v as f32)
    };
    Posture {
        time: own.time,
        numbers: own.numbers.iter().enumerate().map(number).collect(),
        rotations: own.rotations.iter().enumerate().map(rotation).collect(),
    }
}

/// Weights of values at `times` (seconds from the moment asked for) in the likeliest value at that
/// moment; they keep every straight line. `None` where the times do not determine one.
fn kriging(times: &[f64]) -> Option<Vec<f64>> {
    let like = |apart: f64| {
        let r = 3f64.sqrt() * apart.abs() / LENGTH;
        (1.0 + r) * (-r).exp()
    };
    let n = times.len();
    // The sights' likeness to one another, bordered by the trend; the last column is the right side.
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n + 2);
    for (i, a) in times.iter().enumerate() {
        let mut row: Vec<f64> = times.iter().map(|b| like(a - b)).collect();
        if let Some(own) = row.get_mut(i) {
            *own += TREMBLE;
        }
        row.extend([1.0, *a, like(*a)]);
        rows.push(row);
    }
    let border = |values: Vec<f64>, right: f64| {
        let mut row = values;
        row.extend([0.0, 0.0, right]);
        row
    };
    rows.push(border(vec![1.0; n], 1.0));
    rows.push(border(times.to_vec(), 0.0));
    let mut solved = solve(rows)?;
    solved.truncate(n);
    Some(solved)
}

/// Solves a square system, each row with its right side at the end, by elimination.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for column in 0..n {
        let size = |row: &Vec<f64>| row.get(column).map_or(0.0, |v| v.abs());
        let pivot = (column..n).max_by(|&a, &b| size(&rows[a]).total_cmp(&size(&rows[b])))?;
        rows.swap(column, pivot);
        let (done, rest) = rows.split_at_mut(column + 1);
        let lead = done.last()?;
        if !(lead[column].abs() > 1e-12 && lead[column].is_finite()) {
            return None;
        }
        for row in rest {
            let factor = row[column] / lead[column];
            for (value, above) in row.iter_mut().zip(lead).skip(column) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for at in (0..n).rev() {
        let row = rows.get(at)?;
        let known: f64 = (at + 1..n).map(|k| row[k] * solution[k]).sum();
        solution[at] = (row.get(n)? - known) / row[at];
    }
    solution.iter().all(|v| v.is_finite()).then_some(solution)
}

#[cfg(test)]
#[path = "infill_tests.rs"]
mod tests;
