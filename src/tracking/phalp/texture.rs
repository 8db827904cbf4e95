//! The running texture map of a person.

use serde::{Deserialize, Serialize};

/// A map over the body's surface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Texture {
    pub side: usize,
    /// `[3, side, side]`, ImageNet-normalised RGB divided by five; 0 where nothing was seen.
    pub colour: Vec<f32>,
    /// `[side, side]`: where the body was seen.
    pub seen: Vec<bool>,
}

/// As it is stored: numbers that may contradict one another.
#[derive(Deserialize)]
struct Stored {
    side: usize,
    colour: Vec<f32>,
    seen: Vec<bool>,
}

impl TryFrom<Stored> for Texture {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { side, colour, seen } = stored;
        let texels = side
            .checked_mul(side)
            .filter(|texels| *texels == seen.len());
        match texels.and_then(|texels| texels.checked_mul(3)) == Some(colour.len()) {
            true => Ok(Self { side, colour, seen }),
            false => Err("a texture map of no size"),
        }
    }
}

impl Texture {
    /// This map with a new one mixed in with weight `share` where both see the body; where one of
    /// them does, it holds.
    pub fn blended(&self, new: &Self, share: f64) -> Self {
        let texels = self.seen.len();
        let mut mixed = self.clone();
        if new.seen.len() != texels || new.colour.len() != self.colour.len() {
            return new.clone();
        }
        for (i, (old_seen, new_seen)) in self.seen.iter().zip(&new.seen).enumerate() {
            if !new_seen {
                continue;
            }
            for at in (0..3).map(|channel| channel * texels + i) {
                let (old, new) = (f64::from(self.colour[at]), f64::from(new.colour[at]));
                mixed.colour[at] = match old_seen {
                    true => ((1.0 - share) * old + share * new) as f32,
                    false => new as f32,
                };
            }
            mixed.seen[i] = true;
        }
        mixed
    }

    /// `[4, side, side]` as the encoder takes it, of the texels that `other` sees too.
    pub fn shared_with(&self, other: &Self) -> Vec<f32> {
        let texels = self.seen.len();
        let mut out = vec![0.0; 4 * texels];
        let both = self.seen.iter().zip(&other.seen);
        for (i, _) in both.enumerate().filter(|(_, (a, b))| **a && **b) {
            for channel in 0..3 {
                out[channel * texels + i] = self.colour[channel * texels + i];
            }
            out[3 * texels + i] = 1.0;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(colour: [f32; 2], seen: [bool; 2]) -> Texture {
        let colour = colour.iter().cycle().take(6).copied().collect();
        Texture {
            side: 1,
            colour,
            seen: seen.to_vec(),
        }
    }

    #[test]
    fn what_one_sees_holds_and_what_both_see_is_mixed() {
        let old = map([1.0, 1.0], [true, false]);
        let new = map([3.0, 5.0], [true, true]);
        let mixed = old.blended(&new, 0.25);
        assert_eq!(mixed.colour[..2], [1.5, 5.0]);
        assert_eq!(mixed.seen, [true, true]);
        let none = map([9.0, 9.0], [false, false]);
        assert_eq!(old.blended(&none, 0.25), old);
    }

    #[test]
    fn only_shared_texels_are_compared() {
        let a = map([1.0, 2.0], [true, true]);
        let b = map([5.0, 6.0], [false, true]);
        assert_eq!(a.shared_with(&b), [0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 1.0]);
    }
}
