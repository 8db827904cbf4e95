//! The machine's own rate for a network's matrix products, through libtorch, in the same process.

use std::time::Instant;

use tch::{Device, Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::linear::Linear;
use crate::layers::weights::{Param, WeightsError};

/// Rows, inputs and outputs of a product.
pub type Product = [i64; 3];

/// Libtorch's name of a precision.
pub fn kind(precision: DType) -> Kind {
    match precision {
        DType::BF16 => Kind::BFloat16,
        DType::F16 => Kind::Half,
        _ => Kind::Float,
    }
}

/// GFLOP/s of `products`, one after the other: of each the best of some passes, with weights as
/// libtorch takes them or packed as our layers keep them, whichever is faster.
pub fn matrix(
    products: &[Product],
    precision: DType,
    device: Device,
    passes: usize,
) -> Result<f64, WeightsError> {
    let random = |shape: [i64; 2]| -> Result<Tensor, TchError> {
        Tensor::f_randn(shape, (Kind::Float, Device::Cpu))?
            .f_to_dtype(kind(precision), false, false)?
            .f_to_device(device)
    };
    let (mut seconds, mut work) = (0.0, 0.0);
    for &[rows, inputs, outputs] in products {
        let x = random([rows, inputs])?;
        let weight = random([outputs, inputs])?;
        let plain = best(passes, device, || x.f_linear(&weight, None::<Tensor>))?;
        let packed = Linear::new(Param::owned(weight), None)?;
        let packed = best(passes, device, || packed.forward(&x))?;
        seconds += plain.min(packed);
        work += 2e-9 * (rows * inputs * outputs) as f64;
    }
    Ok(work / seconds)
}

/// Seconds of the fastest pass after one to warm up.
fn best(
    passes: usize,
    device: Device,
    mut work: impl FnMut() -> Result<Tensor, TchError>,
) -> Result<f64, TchError> {
    let _ = work()?;
    let mut best = f64::INFINITY;
    for _ in 0..passes.max(1) {
        finish(device);
        let start = Instant::now();
        let _ = work()?;
        finish(device);
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Waits for what a card has not done yet.
pub fn finish(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured() {
        let rate = matrix(&[[64, 64, 64], [64, 128, 64]], DType::F32, Device::Cpu, 2).unwrap();
        assert!(rate.is_finite() && rate > 0.0);
    }
}
