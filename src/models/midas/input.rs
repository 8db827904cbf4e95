//! From a frame to the network's input: its size, OpenCV's bicubic resize, mean and deviation.
//!
//! Source: `midas/transforms.py` (`Resize`, `NormalizeImage`, `PrepareForNet`) as `hubconf.py`
//! puts them together.

use super::cubic::{Taps, taps};
use super::kind::{Fit, Kind};
use crate::imaging::pixels::Rgb8;

/// Both sides of an input are multiples of it.
const MULTIPLE: usize = 32;
/// Inputs are at most so many times the network's square: what a panorama costs is bounded.
const MOST_SQUARES: usize = 8;

/// Why a frame of some size has no depth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    #[error("the frame is empty: {width} x {height} pixels")]
    Empty { width: usize, height: usize },
    #[error(
        "a frame of {width} x {height} pixels would be {side} pixels long and nothing across for {kind}; \
         crop it to less than {most} times as long as wide"
    )]
    Thin {
        width: usize,
        height: usize,
        side: usize,
        most: usize,
        kind: Kind,
    },
    #[error(
        "a frame of {width} x {height} pixels would be an input of {to_width} x {to_height} for {kind}, \
         which takes at most {most} pixels; crop it to a less extreme shape"
    )]
    Long {
        width: usize,
        height: usize,
        to_width: usize,
        to_height: usize,
        most: usize,
        kind: Kind,
    },
}

/// Width and height of the input for a frame; `side` is that of the network's square.
///
/// `Resize.get_size`, in its order and precision.
pub fn fit(kind: Kind, side: usize, width: usize, height: usize) -> Result<[usize; 2], SizeError> {
    if width == 0 || height == 0 {
        return Err(SizeError::Empty { width, height });
    }
    let (w, h, goal) = (width as f64, height as f64, side as f64);
    let (by_width, by_height) = (goal / w, goal / h);
    let scale = match kind.fit() {
        Fit::UpperBound => by_width.min(by_height),
        Fit::Minimal if (1.0 - by_width).abs() < (1.0 - by_height).abs() => by_width,
        Fit::Minimal => by_height,
    };
    let whole = |x: f64| {
        let steps = x / MULTIPLE as f64;
        // NumPy rounds halves to even.
        let near = steps.round_ties_even() * MULTIPLE as f64;
        match kind.fit() {
            Fit::UpperBound if near > goal => steps.floor() * MULTIPLE as f64,
            _ => near,
        }
    };
    let [to_width, to_height] = [whole(scale * w), whole(scale * h)].map(|x| x as usize);
    let most = MOST_SQUARES * side * side;
    match [to_width, to_height] {
        [0, other] | [other, 0] => Err(SizeError::Thin {
            width,
            height,
            side: other,
            most: 2 * side / MULTIPLE,
            kind,
        }),
        [a, b] if a.saturating_mul(b) > most => Err(SizeError::Long {
            width,
            height,
            to_width,
            to_height,
            most,
            kind,
        }),
        size => Ok(size),
    }
}

/// `to[1]` rows of `to[0]` pixels of three numbers each, red first.
pub fn pixels(kind: Kind, image: &Rgb8, to: [usize; 2]) -> Vec<f32> {
    let [width, height] = to;
    let [mean, deviation] = kind.statistics();
    let scale = deviation.map(|d| (1.0 / (255.0 * d)) as f32);
    let shift: [f32; 3] = std::array::from_fn(|c| (-mean[c] / deviation[c]) as f32);
    let (columns, rows) = (taps(image.width, width), taps(image.height, height));
    let mut values = Vec::with_capacity(3 * width * height);
    // Rows of the source already brought to the width; four neighbours share most of them.
    let mut narrowed: Vec<(usize, Vec<f32>)> = Vec::new();
    for row in &rows {
        narrowed.retain(|(index, _)| row.at.contains(index));
        for index in row.at {
            if !narrowed.iter().any(|(known, _)| *known == index) {
                narrowed.push((index, narrow(image, index, &columns)));
            }
        }
        let source = row.at.map(|index| {
            let found = narrowed.iter().find(|(known, _)| *known == index);
            found.map_or(&[][..], |(_, values)| values.as_slice())
        });
        let [a, b, c, d] = source;
        let weights = row.weights;
        let four = a.iter().zip(b).zip(c.iter().zip(d));
        for (at, ((a, b), (c, d))) in four.enumerate() {
            let sum = a * weights[0] + b * weights[1] + c * weights[2] + d * weights[3];
            values.push(sum * scale[at % 3] + shift[at % 3]);
        }
    }
    values
}

/// Row `index` of the image at the target's width.
fn narrow(image: &Rgb8, index: usize, columns: &[Taps]) -> Vec<f32> {
    let length = 3 * image.width;
    let row = &image.data[index * length..][..length];
    let mut values = Vec::with_capacity(3 * columns.len());
    for Taps { at, weights } in columns {
        let mut sum = [0.0_f32; 3];
        for (&at, &weight) in at.iter().zip(weights) {
            for (sum, &value) in sum.iter_mut().zip(&row[3 * at..][..3]) {
                *sum += f32::from(value) * weight;
            }
        }
        values.extend(sum);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_upstreams() {
        // `Resize(384, 384, keep_aspect_ratio=True, ensure_multiple_of=32, …).get_size(…)`
        let large = Kind::DptLarge;
        for (frame, expected) in [
            ([1, 1], [384, 384]),
            ([1920, 1080], [672, 384]),
            ([1080, 1920], [384, 672]),
            ([7680, 4320], [672, 384]),
            ([860, 720], [448, 384]),
            ([100, 300], [128, 384]),
            ([1000, 50], [384, 32]),
            ([333, 517], [384, 608]),
        ] {
            assert_eq!(fit(large, 384, frame[0], frame[1]), Ok(expected));
        }
        for (frame, v21, small) in [
            ([1, 1], [384, 384], [256, 256]),
            ([1920, 1080], [384, 224], [256, 128]),
            ([860, 720], [384, 320], [256, 224]),
            ([640, 480], [384, 288], [256, 192]),
            ([333, 517], [256, 384], [160, 256]),
            ([400, 48], [384, 32], [256, 32]),
        ] {
            assert_eq!(fit(Kind::MidasV21, 384, frame[0], frame[1]), Ok(v21));
            assert_eq!(fit(Kind::MidasSmall, 256, frame[0], frame[1]), Ok(small));
        }
    }

    #[test]
    fn shapes_without_an_input_are_refused_by_name() {
        let text =
            |kind, side, width, height| fit(kind, side, width, height).unwrap_err().to_string();
        let thin = text(Kind::DptLarge, 384, 5000, 100);
        assert!(
            thin.contains("5000 x 100") && thin.contains("24 times"),
            "{thin}"
        );
        assert!(text(Kind::MidasSmall, 256, 1000, 50).contains("1000 x 50"));
        let long = text(Kind::DptHybrid, 384, 100_000, 384);
        assert!(
            long.contains("100000 x 384") && long.contains("DPT_Hybrid"),
            "{long}"
        );
        assert!(text(Kind::MidasV21, 384, 0, 7).contains("empty"));
    }

    #[test]
    fn one_colour_stays_it() {
        let image = Rgb8 {
            width: 5,
            height: 3,
            data: [51, 102, 204].repeat(15),
        };
        for value in pixels(Kind::DptLarge, &image, [64, 32]).chunks_exact(3) {
            for (value, expected) in value.iter().zip([-0.6, -0.2, 0.6]) {
                assert!((value - expected).abs() < 1e-5, "{value}");
            }
        }
    }

    #[test]
    fn a_size_that_fits_is_not_touched() {
        let data: Vec<u8> = (0..32 * 32 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let image = Rgb8 {
            width: 32,
            height: 32,
            data,
        };
        let values = pixels(Kind::DptLarge, &image, [32, 32]);
        for (value, byte) in values.iter().zip(&image.data) {
            assert!((value - (f32::from(*byte) / 127.5 - 1.0)).abs() < 1e-6);
        }
    }
}
