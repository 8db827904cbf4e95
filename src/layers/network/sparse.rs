//! 1×1 convolutions most of whose weights are zero: only the others are multiplied.
//!
//! The detector's file stores its 1×1 weights three quarters empty. Dense kernels multiply the zeros
//! too; this one holds a block of pixels in registers and walks the list of weights. Pixels must be
//! turned so that those of one channel lie side by side, which does not pay in the smallest layers.

use super::aligned::Aligned;
use super::graph::{Conv, Padding};

/// Floats of a register.
const LANE: usize = 16;
/// Registers of pixels in a block.
const MAX_LANES: usize = 13;
/// Registers in a row of inputs that stays in the nearest cache while all outputs are summed.
const NEAR: usize = 640;
/// Below this share of zeros, or this number of weights, the dense kernel is faster.
const MIN_ZEROS: f32 = 0.6;
const MIN_WEIGHTS: usize = 4_500;

/// The weights that are not zero, row by row.
pub struct SparseConv {
    inputs: usize,
    outputs: usize,
    /// Pixels in a block, and the registers that hold them.
    block: usize,
    lanes: usize,
    /// Input channels gone through at a time.
    part: usize,
    /// Where the weights of each output start, part after part; one more for the end.
    starts: Vec<usize>,
    /// Input channel and weight; every channel is below `inputs`.
    weights: Vec<(u32, f32)>,
    bias: Vec<f32>,
    low: f32,
    high: f32,
    /// The block with its channels apart: `[inputs + outputs, block]`.
    scratch: Aligned,
}

impl SparseConv {
    /// `None` where the dense kernel is the better one, here or on this processor.
    pub fn of(conv: &Conv, inputs: usize, pixels: usize) -> Option<Self> {
        let big = conv.weights.len() >= MIN_WEIGHTS;
        (big && kernel::is_fast()).then(|| Self::pack(conv, inputs, pixels))?
    }

    fn pack(conv: &Conv, inputs: usize, pixels: usize) -> Option<Self> {
        let outputs = conv.bias.len();
        let plain = !conv.depthwise
            && conv.kernel == [1, 1]
            && conv.stride == [1, 1]
            && conv.padding == Padding::default();
        let turns = inputs.is_multiple_of(TURN) && outputs.is_multiple_of(TURN) && inputs > 0;
        let zeros = conv.weights.iter().filter(|w| **w == 0.0).count() as f32;
        if !(plain && turns && zeros >= MIN_ZEROS * conv.weights.len() as f32) {
            return None;
        }
        // As few blocks as hold the pixels, all of one size.
        let count = pixels.div_ceil(MAX_LANES * LANE).max(1);
        let block = pixels.div_ceil(count).max(1);
        let lanes = kernel::lanes(block.div_ceil(LANE));
        let part = NEAR / lanes;
        let (mut starts, mut weights) = (vec![0], Vec::new());
        for part_at in (0..inputs).step_by(part) {
            for row in conv.weights.chunks_exact(inputs) {
                let of_part = row.iter().enumerate().skip(part_at).take(part);
                let present = of_part.filter(|(_, w)| **w != 0.0);
                weights.extend(present.map(|(k, w)| (k as u32, *w)));
                starts.push(weights.len());
            }
        }
        let (low, high) = if conv.relu6 {
            (0.0, 6.0)
        } else {
            (f32::NEG_INFINITY, f32::INFINITY)
        };
        Some(Self {
            inputs,
            outputs,
            block,
            lanes,
            part,
            starts,
            weights,
            bias: conv.bias.clone(),
            low,
            high,
            scratch: Aligned::zeroed((inputs + outputs) * lanes * LANE),
        })
    }

    /// `input`: `[pixels, inputs]`; `output`: `[pixels, outputs]`.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) {
        let pixels = input.len() / self.inputs;
        let mut scratch = std::mem::take(&mut self.scratch);
        for first in (0..pixels).step_by(self.block) {
            let here = self.block.min(pixels - first);
            let source = &input[first * self.inputs..(first + here) * self.inputs];
            let target = &mut output[first * self.outputs..(first + here) * self.outputs];
            self.multiply(source, target, scratch.as_mut_slice());
        }
        self.scratch = scratch;
    }

    fn multiply(&self, input: &[f32], output: &mut [f32], scratch: &mut [f32]) {
        let width = self.lanes * LANE;
        let (apart, sums) = scratch.split_at_mut(self.inputs * width);
        kernel::spread(input, self.inputs, width, apart);
        kernel::multiply(self, apart, sums);
        kernel::gather(sums, self.outputs, width, output);
    }

    /// The weights that lead from one part of the inputs to one output.
    fn row(&self, part: usize, output: usize) -> &[(u32, f32)] {
        let row = part * self.outputs + output;
        &self.weights[self.starts[row]..self.starts[row + 1]]
    }
}

/// Side of the square that is turned at a time.
const TURN: usize = 8;

#[cfg(target_arch = "x86_64")]
#[path = "sparse_x86.rs"]
mod kernel;

#[cfg(not(target_arch = "x86_64"))]
mod kernel {
    //! Elsewhere the dense kernels do all.
    pub fn is_fast() -> bool {
        false
    }
    pub fn spread(_: &[f32], _: usize, _: usize, _: &mut [f32]) {}
    pub fn lanes(needed: usize) -> usize {
        needed
    }
    pub fn multiply(_: &super::SparseConv, _: &[f32], _: &mut [f32]) {}
    pub fn gather(_: &[f32], _: usize, _: usize, _: &mut [f32]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(inputs: usize, outputs: usize, relu6: bool) -> Conv {
        let weight = |i: usize| {
            if i % 4 == 1 {
                ((i * 37) % 19) as f32 * 0.1 - 0.9
            } else {
                0.0
            }
        };
        Conv {
            depthwise: false,
            weights: (0..inputs * outputs)
                .map(|i| weight(i + i / inputs))
                .collect(),
            bias: (0..outputs).map(|i| i as f32 * 0.25 - 1.0).collect(),
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            relu6,
        }
    }

    #[test]
    fn equals_the_plain_sum_whatever_the_number_of_pixels() {
        if !kernel::is_fast() {
            return;
        }
        for (pixels, relu6) in [(1, true), (7, false), (49, true), (100, false), (215, true)] {
            let conv = conv(24, 16, relu6);
            let input: Vec<f32> = (0..pixels * 24)
                .map(|i| ((i * 31) % 23) as f32 * 0.1 - 1.0)
                .collect();
            let mut output = vec![f32::NAN; pixels * 16];
            let mut sparse = SparseConv::pack(&conv, 24, pixels).unwrap();
            sparse.run(&input, &mut output);
            for (p, c) in (0..pixels).flat_map(|p| (0..16).map(move |c| (p, c))) {
                let products = (0..24).map(|k| input[p * 24 + k] * conv.weights[c * 24 + k]);
                let sum = conv.bias[c] + products.sum::<f32>();
                let expected = if relu6 { sum.clamp(0.0, 6.0) } else { sum };
                assert!(
                    (output[p * 16 + c] - expected).abs() < 1e-4,
                    "pixel {p}, channel {c}"
                );
            }
        }
    }

    #[test]
    fn leaves_dense_small_and_wide_windows_to_others() {
        let dense = Conv {
            weights: vec![1.0; 24 * 16],
            ..conv(24, 16, false)
        };
        assert!(SparseConv::pack(&dense, 24, 49).is_none());
        let strided = Conv {
            stride: [2, 2],
            ..conv(24, 16, false)
        };
        assert!(SparseConv::pack(&strided, 24, 49).is_none());
        assert!(SparseConv::pack(&conv(12, 16, false), 12, 49).is_none());
        assert!(SparseConv::of(&conv(24, 16, false), 24, 49).is_none());
    }
}
