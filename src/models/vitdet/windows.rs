//! Square windows over a square of tokens, filled up at the right and below.

use tch::{TchError, Tensor};

/// A run of rows (or columns): where it lies among the tokens and among the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    token: i64,
    window: i64,
    /// Windows, and tokens of each.
    windows: i64,
    tokens: i64,
}

/// Windows of `size` × `size` over `side` × `side` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub side: i64,
    pub size: i64,
}

impl Windows {
    /// Windows along a side.
    pub fn along(&self) -> i64 {
        self.side.div_euclid(self.size) + i64::from(self.side % self.size > 0)
    }

    /// The whole windows, and what is left in the last one.
    fn runs(&self) -> Vec<Run> {
        let (whole, rest) = (self.side / self.size, self.side % self.size);
        let run = |token, window, windows, tokens| Run {
            token,
            window,
            windows,
            tokens,
        };
        let runs = [
            run(0, 0, whole, self.size),
            run(whole * self.size, whole, 1, rest),
        ];
        runs.into_iter()
            .filter(|r| r.windows * r.tokens > 0)
            .collect()
    }

    /// The parts of `tokens` `[side, side, …]` and of `windowed` `[along, size, along, size, …]`
    /// (a view in that order) that are the same tokens, as `[windows, tokens, windows, tokens, …]`.
    fn parts(&self, tokens: &Tensor, windowed: &Tensor) -> Result<Vec<(Tensor, Tensor)>, TchError> {
        let rest = tokens.size().split_off(2);
        let mut parts = Vec::new();
        for y in self.runs() {
            for x in self.runs() {
                let shape = [&[y.windows, y.tokens, x.windows, x.tokens], rest.as_slice()].concat();
                let own = tokens
                    .f_narrow(0, y.token, y.windows * y.tokens)?
                    .f_narrow(1, x.token, x.windows * x.tokens)?
                    .f_unflatten(1, [x.windows, x.tokens])?
                    .f_unflatten(0, [y.windows, y.tokens])?;
                debug_assert_eq!(own.size(), shape);
                let place = windowed
                    .f_narrow(0, y.window, y.windows)?
                    .f_narrow(1, 0, y.tokens)?
                    .f_narrow(2, x.window, x.windows)?
                    .f_narrow(3, 0, x.tokens)?;
                parts.push((own, place));
            }
        }
        Ok(parts)
    }

    /// Copies `tokens` `[side, side, …]` into `windowed` `[along, size, along, size, …]`; what is
    /// beyond the tokens stays as it is.
    pub fn split(&self, tokens: &Tensor, windowed: &Tensor) -> Result<(), TchError> {
        for (own, mut place) in self.parts(tokens, windowed)? {
            place.f_copy_(&own)?;
        }
        Ok(())
    }

    /// The other way; what is beyond the tokens is dropped.
    pub fn join(&self, windowed: &Tensor, tokens: &Tensor) -> Result<(), TchError> {
        for (mut own, place) in self.parts(tokens, windowed)? {
            own.f_copy_(&place)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn every_token_is_in_its_window_and_comes_back() {
        for (side, size) in [(20, 14), (28, 14), (5, 7), (6, 1)] {
            let windows = Windows { side, size };
            let n = windows.along();
            let tokens = Tensor::arange(side * side * 3, (Kind::Float, Device::Cpu))
                .reshape([side, side, 3]);
            let windowed = Tensor::full([n, size, n, size, 3], -1.0, (Kind::Float, Device::Cpu));
            windows.split(&tokens, &windowed).unwrap();
            let whole = windowed.reshape([n * size, n * size, 3]);
            assert_eq!(whole.narrow(0, 0, side).narrow(1, 0, side), tokens);
            let filled = whole.eq(-1.0).sum(Kind::Int64).int64_value(&[]);
            assert_eq!(filled, 3 * (n * n * size * size - side * side));
            let back = tokens.zeros_like();
            windows.join(&windowed, &back).unwrap();
            assert_eq!(back, tokens);
        }
    }
}
