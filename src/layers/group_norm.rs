//! Normalisation over groups of a map's channels, with what follows it in the same pass.
//!
//! libtorch's own, for maps with a place's channels side by side, sums squares in single precision
//! over the whole map: a full-size DPT-Hybrid came out 1.4e-4 of its largest value from the
//! original, with this 4e-5. Here sums are double, around a value of the channel, and the same
//! whatever the number of threads.

use half::bf16;
use tch::{Device, Kind, TchError, Tensor};

use crate::layers::number::{Number, Shared, fused};
use crate::layers::parallel::split;

/// Places whose sums are single precision before they are added up in double.
const RUN: usize = 32;
/// Numbers below which another thread costs more than it gives.
const GRAIN: usize = 1 << 15;

/// How channels are normalised.
pub struct GroupNorm<'a> {
    pub groups: i64,
    /// `[channels]`, f32.
    pub weight: &'a Tensor,
    pub bias: &'a Tensor,
    pub eps: f64,
    pub relu: bool,
}

impl GroupNorm<'_> {
    /// `x` `[n, channels, h, w]`, which may be overwritten, normalised; then `add`, of its shape,
    /// is added; then the rectifier.
    pub fn forward(&self, x: Tensor, add: Option<&Tensor>) -> Result<Tensor, TchError> {
        let known = matches!(x.f_kind()?, Kind::Float | Kind::BFloat16);
        if !known || x.device() != Device::Cpu {
            return self.by_libtorch(&x, add);
        }
        let places = |t: &Tensor| t.f_permute([0, 2, 3, 1])?.f_contiguous();
        let (rows, add) = (places(&x)?, add.map(places).transpose()?);
        let (batch, height, width, channels) = rows.size4()?;
        let kind = rows.f_kind()?;
        let like = |other: &Tensor| {
            other.size() == rows.size() && other.f_kind().is_ok_and(|own| own == kind)
        };
        let fits = add.as_ref().is_none_or(like) && channels % self.groups.max(1) == 0;
        if !fits || self.weight.size() != [channels] || self.bias.size() != [channels] {
            return Err(TchError::Shape(format!(
                "normalisation of {:?} in {} groups",
                x.size(),
                self.groups
            )));
        }
        let plan = Plan {
            places: (height * width) as usize,
            channels: channels as usize,
            groups: self.groups as usize,
            eps: self.eps,
            relu: self.relu,
            weight: Vec::<f32>::try_from(&self.weight.f_to_kind(Kind::Float)?)?,
            bias: Vec::<f32>::try_from(&self.bias.f_to_kind(Kind::Float)?)?,
        };
        for row in 0..batch {
            let x = rows.f_get(row)?;
            let add = add.as_ref().map(|add| add.f_get(row)).transpose()?;
            match kind {
                Kind::Float => plan.run::<f32>(&x, add.as_ref())?,
                _ => plan.run::<bf16>(&x, add.as_ref())?,
            }
        }
        rows.f_permute([0, 3, 1, 2])
    }

    fn by_libtorch(&self, x: &Tensor, add: Option<&Tensor>) -> Result<Tensor, TchError> {
        let (weight, bias) = (Some(self.weight), Some(self.bias));
        // On a card all must be of one type.
        let wide = x.f_to_dtype(Kind::Float, false, false)?;
        let mut y = wide
            .f_group_norm(self.groups, weight, bias, self.eps, false)?
            .f_to_dtype(x.f_kind()?, false, false)?;
        if let Some(add) = add {
            y = y.f_add_(add)?;
        }
        if self.relu { y.f_relu_() } else { Ok(y) }
    }
}

struct Plan {
    places: usize,
    channels: usize,
    groups: usize,
    eps: f64,
    relu: bool,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Plan {
    /// `x` and `add` are contiguous, `[h, w, channels]` of type `T`.
    fn run<T: Number>(&self, x: &Tensor, add: Option<&Tensor>) -> Result<(), TchError> {
        let (places, channels) = (self.places, self.channels);
        if places * channels == 0 {
            return Ok(());
        }
        let x = Shared(x.data_ptr().cast::<T>());
        let add = add.map(|add| Shared(add.data_ptr().cast::<T>()));
        // Squares of what is far from zero lose what they differ by.
        // SAFETY: the tensor holds `places` rows, at least one.
        let first = unsafe { std::slice::from_raw_parts(x.at(0).cast_const(), channels) };
        let pivots: Vec<f32> = first.iter().map(|value| value.wide()).collect();
        let runs = places.div_ceil(RUN);
        let mut sums = vec![0.0_f32; runs * 2 * channels];
        let sums_at = Shared(sums.as_mut_ptr());
        split(runs, (GRAIN / (RUN * channels)).max(1), |range| {
            for run in range {
                let (first, end) = (run * RUN, ((run + 1) * RUN).min(places));
                // SAFETY: the tensor holds `places` rows, the vector `runs`; no two ranges overlap.
                let (rows, sums) = unsafe {
                    (
                        std::slice::from_raw_parts(
                            x.at(first * channels).cast_const(),
                            (end - first) * channels,
                        ),
                        std::slice::from_raw_parts_mut(
                            sums_at.at(run * 2 * channels),
                            2 * channels,
                        ),
                    )
                };
                dispatch_sum(rows, &pivots, sums);
            }
        })?;
        let (scale, shift) = self.affine(&sums, &pivots);
        split(places, (GRAIN / channels).max(1), |range| {
            let (first, length) = (range.start * channels, range.len() * channels);
            // SAFETY: both tensors hold `places` rows; no two ranges overlap.
            let rows = unsafe { std::slice::from_raw_parts_mut(x.at(first), length) };
            // SAFETY: as above.
            let add = add
                .as_ref()
                .map(|a| unsafe { std::slice::from_raw_parts(a.at(first).cast_const(), length) });
            dispatch_scale(rows, add, &scale, &shift, self.relu);
        })
    }

    /// What every channel is multiplied by, and what is added.
    fn affine(&self, sums: &[f32], pivots: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (channels, width) = (self.channels, self.channels / self.groups);
        let mut totals = vec![0.0_f64; 2 * channels];
        for run in sums.chunks_exact(2 * channels) {
            for (total, sum) in totals.iter_mut().zip(run) {
                *total += f64::from(*sum);
            }
        }
        let count = self.places as f64;
        // Of each channel the mean, and the sum of squares around it.
        let moments: Vec<[f64; 2]> = (0..channels)
            .map(|c| {
                let (sum, square) = (totals[c], totals[channels + c]);
                [
                    f64::from(pivots[c]) + sum / count,
                    square - sum * sum / count,
                ]
            })
            .collect();
        let (mut scale, mut shift) = (vec![0.0; channels], vec![0.0; channels]);
        for group in 0..self.groups {
            let own = group * width..(group + 1) * width;
            let all = &moments[own.clone()];
            let mean = all.iter().map(|[mean, _]| mean).sum::<f64>() / width as f64;
            let squares = all
                .iter()
                .map(|[own, square]| square + count * (own - mean).powi(2));
            let variance = (squares.sum::<f64>() / (count * width as f64)).max(0.0);
            let inverse = 1.0 / (variance + self.eps).sqrt();
            for channel in own {
                let by = f64::from(self.weight[channel]) * inverse;
                scale[channel] = by as f32;
                shift[channel] = (f64::from(self.bias[channel]) - mean * by) as f32;
            }
        }
        (scale, shift)
    }
}

fn dispatch_sum<T: Number>(rows: &[T], pivots: &[f32], sums: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what the function asks for.
        return unsafe { sum_avx2(rows, pivots, sums) };
    }
    sum::<T, false>(rows, pivots, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn sum_avx2<T: Number>(rows: &[T], pivots: &[f32], sums: &mut [f32]) {
    sum::<T, true>(rows, pivots, sums);
}

/// Adds every channel's distances from its pivot to the first half of `sums`, their squares to the
/// second.
#[inline(always)]
fn sum<T: Number, const FUSED: bool>(rows: &[T], pivots: &[f32], sums: &mut [f32]) {
    let channels = pivots.len();
    let (first, second) = sums.split_at_mut(channels);
    for row in rows.chunks_exact(channels) {
        let places = first.iter_mut().zip(second.iter_mut());
        for ((value, pivot), (sum, square)) in row.iter().zip(pivots).zip(places) {
            let apart = value.wide() - pivot;
            *sum += apart;
            *square = fused::<FUSED>(apart, apart, *square);
        }
    }
}

fn dispatch_scale<T: Number>(
    rows: &mut [T],
    add: Option<&[T]>,
    scale: &[f32],
    shift: &[f32],
    relu: bool,
) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what the function asks for.
        return unsafe { scale_avx2(rows, add, scale, shift, relu) };
    }
    scale_rows::<T, false>(rows, add, scale, shift, relu);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn scale_avx2<T: Number>(
    rows: &mut [T],
    add: Option<&[T]>,
    scale: &[f32],
    shift: &[f32],
    relu: bool,
) {
    scale_rows::<T, true>(rows, add, scale, shift, relu);
}

#[inline(always)]
fn scale_rows<T: Number, const FUSED: bool>(
    rows: &mut [T],
    add: Option<&[T]>,
    scale: &[f32],
    shift: &[f32],
    relu: bool,
) {
    let channels = scale.len();
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    // NaN is larger than nothing and stays.
    let end = |value: f32| if value < floor { floor } else { value };
    match add {
        Some(add) => {
            let rows = rows.chunks_exact_mut(channels);
            for (row, add) in rows.zip(add.chunks_exact(channels)) {
                let pairs = row.iter_mut().zip(add).zip(scale.iter().zip(shift));
                for ((value, add), (scale, shift)) in pairs {
                    let normed = fused::<FUSED>(value.wide(), *scale, *shift);
                    *value = T::narrow(end(normed + add.wide()));
                }
            }
        }
        None => {
            for row in rows.chunks_exact_mut(channels) {
                for (value, (scale, shift)) in row.iter_mut().zip(scale.iter().zip(shift)) {
                    *value = T::narrow(end(fused::<FUSED>(value.wide(), *scale, *shift)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    #[test]
    fn it_is_the_definition() {
        for (kind, near) in [(Kind::Float, 2e-6), (Kind::BFloat16, 0.05)] {
            // Far from zero, and more places than a run.
            let x = (Tensor::randn([2, 12, 9, 11], CPU) * 0.5 + 3.0).to_kind(kind);
            let x = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            let add = Tensor::randn([2, 12, 9, 11], CPU).to_kind(kind);
            let (weight, bias) = (Tensor::randn([12], CPU), Tensor::randn([12], CPU));
            let wide = |t: &Tensor| t.to_kind(Kind::Double);
            let groups = wide(&x).reshape([2, 4, -1]);
            let mean = groups.mean_dim([2_i64].as_slice(), true, None);
            let variance = (&groups - &mean)
                .square()
                .mean_dim([2_i64].as_slice(), true, None);
            let normed = ((groups - mean) / (variance + 1e-5).sqrt()).reshape([2, 12, 9, 11]);
            let row = |t: &Tensor| wide(t).reshape([1, 12, 1, 1]);
            let expected = normed * row(&weight) + row(&bias);
            for relu in [false, true] {
                let norm = GroupNorm {
                    groups: 4,
                    weight: &weight,
                    bias: &bias,
                    eps: 1e-5,
                    relu,
                };
                for add in [None, Some(&add)] {
                    let found = norm.forward(x.copy(), add).unwrap();
                    let mut expected = expected.copy();
                    if let Some(add) = add {
                        expected += wide(add);
                    }
                    if relu {
                        expected = expected.relu();
                    }
                    let apart = (wide(&found) - expected).abs().max().double_value(&[]);
                    assert!(apart < near, "{kind:?} {relu}: {apart}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (weight, bias) = (Tensor::randn([12], CPU), Tensor::randn([12], CPU));
        let norm = GroupNorm {
            groups: 5,
            weight: &weight,
            bias: &bias,
            eps: 1e-5,
            relu: false,
        };
        let map = |channels| Tensor::randn([1, channels, 2, 2], CPU);
        assert!(norm.forward(map(12), None).is_err());
        assert!(norm.forward(map(10), None).is_err());
        let norm = GroupNorm { groups: 4, ..norm };
        assert!(norm.forward(map(12), Some(&map(6))).is_err());
    }
}
