//! What somebody wears, coarsely: mean colours along the body, to tell apart people who cross.

use serde::{Deserialize, Serialize};

use super::config::MIN_CONFIDENCE;
use crate::imaging::pixels::Rgb8;

/// Trunk, upper arms, thighs, shanks: from where to where, by BlazePose's joints, left and right.
const PARTS: [[(usize, usize); 2]; 4] = [
    [(11, 23), (12, 24)],
    [(11, 13), (12, 14)],
    [(23, 25), (24, 26)],
    [(25, 27), (26, 28)],
];
/// Places along a limb; those next to the joints are left out.
const ALONG: usize = 6;
/// Places from the one side of the trunk to the other.
const ACROSS: usize = 4;
/// A difference of colours this large is as large as any.
const LARGEST: f32 = 1.0;
/// Lightness differs between frames and between sun and shade more than hue does.
const LIGHTNESS: f32 = 0.5;

/// One part: lightness, red against green, yellow against blue, the latter two per lightness.
type Colour = [f32; 3];

/// Colours of the parts that were in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Looks([Option<Colour>; PARTS.len()]);

impl Looks {
    /// Of a body with these points (`[x, y, confidence]`, pixels, BlazePose's 33) in the image; `None`
    /// where no part of it is in sight.
    pub fn seen(image: &Rgb8, points: &[[f32; 3]]) -> Option<Self> {
        let point = |at: usize| points.get(at).filter(|p| p[2] >= MIN_CONFIDENCE);
        let mut looks = Self::default();
        for (part, (colour, sides)) in looks.0.iter_mut().zip(PARTS).enumerate() {
            let limb = |(from, to): (usize, usize)| Some((place(point(from)?), place(point(to)?)));
            let sides = sides.map(limb);
            *colour = match (part, sides) {
                (0, [Some(left), Some(right)]) => mean(image, &between(left, right)),
                (0, _) => None,
                _ => {
                    let limbs = sides.into_iter().flatten();
                    mean(image, &limbs.flat_map(along).collect::<Vec<_>>())
                }
            };
        }
        looks.0.iter().any(Option::is_some).then_some(looks)
    }

    /// 0: dressed alike, 1: not at all. `None` where no part can be compared.
    pub fn difference(&self, other: &Self) -> Option<f64> {
        let both = self.0.iter().zip(&other.0);
        let apart: Vec<f32> = both
            .filter_map(|(a, b)| Some(distance((*a)?, (*b)?)))
            .collect();
        let sum: f32 = apart.iter().sum();
        (!apart.is_empty()).then(|| f64::from(sum) / apart.len() as f64)
    }

    /// Takes in another sight, which counts for this share of what is remembered.
    pub fn learn(&mut self, seen: &Self, share: f32) {
        for (known, new) in self.0.iter_mut().zip(seen.0) {
            *known = match (*known, new) {
                (Some(old), Some(new)) => {
                    Some(std::array::from_fn(|k| old[k] + share * (new[k] - old[k])))
                }
                (old, new) => old.or(new),
            };
        }
    }
}

fn place(point: &[f32; 3]) -> [f32; 2] {
    [point[0], point[1]]
}

/// Places on the way, `parts` of it from the one end to the other, without the ends.
fn way(from: [f32; 2], to: [f32; 2], parts: usize) -> impl Iterator<Item = [f32; 2]> {
    (1..=parts).map(move |n| {
        let part = n as f32 / (parts + 1) as f32;
        [0, 1].map(|k| from[k] + part * (to[k] - from[k]))
    })
}

fn along((from, to): ([f32; 2], [f32; 2])) -> Vec<[f32; 2]> {
    way(from, to, ALONG).collect()
}

fn between(left: ([f32; 2], [f32; 2]), right: ([f32; 2], [f32; 2])) -> Vec<[f32; 2]> {
    let (left, right) = (along(left), along(right));
    let rows = left.into_iter().zip(right);
    rows.flat_map(|(a, b)| way(a, b, ACROSS)).collect()
}

/// The mean colour at those places, if most lie in the image.
fn mean(image: &Rgb8, places: &[[f32; 2]]) -> Option<Colour> {
    let inside = |&[x, y]: &[f32; 2]| {
        let known = x >= 0.0 && y >= 0.0 && x < image.width as f32 && y < image.height as f32;
        let at = 3 * (y as usize * image.width + x as usize);
        image.data.get(at..at + 3).filter(|_| known)
    };
    let pixels: Vec<&[u8]> = places.iter().filter_map(inside).collect();
    if pixels.is_empty() || 2 * pixels.len() < places.len() {
        return None;
    }
    let scale = 1.0 / (255.0 * pixels.len() as f32);
    let [r, g, b] = [0, 1, 2].map(|k| {
        let sum: u32 = pixels.iter().map(|p| u32::from(p[k])).sum();
        sum as f32 * scale
    });
    let light = (r + g + b) / 3.0;
    // The dark has no hue to speak of.
    let per = 1.0 / (light + 0.1);
    Some([light, per * (r - g), per * (0.5 * (r + g) - b)])
}

fn distance(a: Colour, b: Colour) -> f32 {
    let [light, red, yellow]: Colour = std::array::from_fn(|k| a[k] - b[k]);
    let apart = ((LIGHTNESS * light).powi(2) + red * red + yellow * yellow).sqrt();
    (apart / LARGEST).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 64;

    /// A figure whose points lie in an image: trunk above, legs below.
    fn points() -> Vec<[f32; 3]> {
        let mut points = vec![[f32::NAN, f32::NAN, 0.0]; 33];
        for (side, x) in [(0, 20.0), (1, 44.0)] {
            for (joint, y) in [(11, 8.0), (13, 18.0), (23, 30.0), (25, 44.0), (27, 60.0)] {
                points[joint + side] = [x, y, 0.9];
            }
        }
        points
    }

    /// The upper half of one colour, the lower of another.
    fn dressed(shirt: [u8; 3], trousers: [u8; 3]) -> Rgb8 {
        let row = |y: usize| if y < 31 { shirt } else { trousers };
        let data = (0..SIDE * SIDE).flat_map(|at| row(at / SIDE)).collect();
        Rgb8 {
            width: SIDE,
            height: SIDE,
            data,
        }
    }

    fn seen(shirt: [u8; 3], trousers: [u8; 3]) -> Looks {
        Looks::seen(&dressed(shirt, trousers), &points()).unwrap()
    }

    #[test]
    fn other_clothes_are_another_person_and_shade_is_not() {
        let red = seen([200, 40, 40], [30, 30, 60]);
        let shaded = seen([140, 28, 28], [21, 21, 42]);
        let blue = seen([40, 60, 200], [30, 30, 60]);
        let white = seen([220, 220, 220], [90, 60, 30]);
        let same = red.difference(&shaded).unwrap();
        assert!(same < 0.2, "{same}");
        for other in [blue, white] {
            let apart = red.difference(&other).unwrap();
            assert!(apart > 2.0 * same && apart > 0.3, "{apart}");
        }
        assert_eq!(red.difference(&red), Some(0.0));
    }

    #[test]
    fn only_what_is_in_sight_is_compared() {
        let image = dressed([200, 40, 40], [30, 30, 60]);
        let mut legs = points();
        for joint in [11, 12, 13, 14] {
            legs[joint][2] = 0.1;
        }
        let legs = Looks::seen(&image, &legs).unwrap();
        assert_eq!(legs.difference(&seen([0, 255, 0], [30, 30, 60])), Some(0.0));
        assert_eq!(Looks::seen(&image, &[]), None);
        let beyond: Vec<[f32; 3]> = points()
            .iter()
            .map(|p| [p[0] + 900.0, p[1], p[2]])
            .collect();
        assert_eq!(Looks::seen(&image, &beyond), None);
        let nowhere = vec![[f32::NAN, f32::INFINITY, 1.0]; 33];
        assert_eq!(Looks::seen(&image, &nowhere), None);
        assert_eq!(legs.difference(&Looks::default()), None);
    }

    #[test]
    fn what_is_learnt_comes_nearer_and_what_was_not_known_is_taken() {
        let (red, blue) = (
            seen([200, 40, 40], [30, 30, 60]),
            seen([40, 60, 200], [30, 30, 60]),
        );
        let mut known = red;
        known.learn(&blue, 0.7);
        assert!(known.difference(&blue) < red.difference(&blue));
        let mut nothing = Looks::default();
        nothing.learn(&red, 0.1);
        assert_eq!(nothing, red);
        nothing.learn(&Looks::default(), 0.9);
        assert_eq!(nothing, red);
    }
}
