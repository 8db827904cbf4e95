//! The cheap steps XNNPACK is not asked for: resize, depth to space, pad, concatenate, clamp.

use super::graph::{Padding, Shape};

/// Bilinear, half-pixel centres, edges repeated; NHWC.
pub fn resize(input: &[f32], from: Shape, output: &mut [f32], to: Shape) {
    let channels = from.channels;
    let columns: Vec<_> = (0..to.width)
        .map(|x| source(x, from.width, to.width))
        .collect();
    for (y, row) in output
        .chunks_exact_mut(to.width * channels)
        .enumerate()
        .take(to.height)
    {
        let (top, bottom, down) = source(y, from.height, to.height);
        let top = &input[top * from.width * channels..][..from.width * channels];
        let bottom = &input[bottom * from.width * channels..][..from.width * channels];
        for (pixel, &(left, right, across)) in row.chunks_exact_mut(channels).zip(&columns) {
            let (left, right) = (left * channels, right * channels);
            let corners = top[left..left + channels]
                .iter()
                .zip(&top[right..right + channels])
                .zip(
                    bottom[left..left + channels]
                        .iter()
                        .zip(&bottom[right..right + channels]),
                );
            for (out, ((tl, tr), (bl, br))) in pixel.iter_mut().zip(corners) {
                let upper = tl + (tr - tl) * across;
                let lower = bl + (br - bl) * across;
                *out = upper + (lower - upper) * down;
            }
        }
    }
}

/// The two source cells of a target cell and the second one's share.
fn source(at: usize, from: usize, to: usize) -> (usize, usize, f32) {
    let position = ((at as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
    let low = (position as usize).min(from - 1);
    let high = (low + 1).min(from - 1);
    (low, high, position - low as f32)
}

pub fn depth_to_space(input: &[f32], from: Shape, block: usize, output: &mut [f32]) {
    let deep = from.channels / (block * block);
    let row = from.width * block * deep;
    for (cell, values) in input
        .chunks_exact(from.channels)
        .enumerate()
        .take(from.height * from.width)
    {
        let (y, x) = (cell / from.width, cell % from.width);
        for (part, values) in values.chunks_exact(block * deep).enumerate() {
            output[(y * block + part) * row + x * block * deep..][..block * deep]
                .copy_from_slice(values);
        }
    }
}

/// Zeros around the image and after the channels.
pub fn pad(input: &[f32], from: Shape, spatial: Padding, output: &mut [f32], to: Shape) {
    output.fill(0.0);
    for y in 0..from.height {
        for x in 0..from.width {
            let source = &input[(y * from.width + x) * from.channels..][..from.channels];
            let at = ((y + spatial.top) * to.width + x + spatial.left) * to.channels;
            output[at..at + from.channels].copy_from_slice(source);
        }
    }
}

pub fn clamp6(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = v.clamp(0.0, 6.0));
}

pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(height: usize, width: usize, channels: usize) -> Shape {
        Shape {
            height,
            width,
            channels,
        }
    }

    #[test]
    fn resize_doubles_a_ramp_with_half_pixel_centres() {
        let mut out = [0.0; 4];
        resize(&[0.0, 4.0], shape(1, 2, 1), &mut out, shape(1, 4, 1));
        assert_eq!(out, [0.0, 1.0, 3.0, 4.0]);
    }

    #[test]
    fn depth_to_space_lays_channels_out_column_by_row() {
        let mut out = [0.0; 8];
        depth_to_space(
            &[0., 1., 2., 3., 4., 5., 6., 7.],
            shape(1, 1, 8),
            2,
            &mut out,
        );
        assert_eq!(out, [0., 1., 2., 3., 4., 5., 6., 7.]);
        let wide: Vec<f32> = (0..8).map(|v| v as f32).collect();
        depth_to_space(&wide, shape(1, 2, 4), 2, &mut out);
        assert_eq!(out, [0., 1., 4., 5., 2., 3., 6., 7.]);
    }

    #[test]
    fn pad_surrounds_with_zeros() {
        let mut out = [9.0; 12];
        let spatial = Padding {
            left: 1,
            bottom: 1,
            ..Padding::default()
        };
        pad(
            &[1.0, 2.0],
            shape(1, 2, 1),
            spatial,
            &mut out,
            shape(2, 3, 2),
        );
        assert_eq!(out, [0., 0., 1., 0., 2., 0., 0., 0., 0., 0., 0., 0.]);
    }
}
