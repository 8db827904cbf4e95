//! What libtorch complains about, as the engine's own errors.

use tch::TchError;

use crate::pipeline::error::{DEVICE, EngineError, INTERNAL, MEMORY};
use crate::pipeline::halving::Failed;

/// What is said of a card that no longer answers, or whose last kernel went wrong.
const DEVICE_GONE: [&str; 6] = [
    "CUDA error",
    "cuDNN error",
    "CUDNN_STATUS",
    "CUBLAS_STATUS",
    "CUDA driver",
    "NVML",
];

/// What went wrong with `network` on `device`.
pub fn of(network: &str, device: &str, failed: &Failed<TchError>) -> EngineError {
    // The first line says it; the rest is libtorch's own stack.
    let first = |error: &TchError| {
        error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    match failed {
        Failed::TooLarge(error) => EngineError::new(
            MEMORY,
            format!(
                "{network} ran out of memory on {device} with one input at a time: {}; free \
                 memory there, or use a smaller precision, device: 'cpu', or a smaller network",
                first(error)
            ),
        ),
        Failed::Other(error) if DEVICE_GONE.iter().any(|sign| first(error).contains(sign)) => {
            EngineError::new(
                DEVICE,
                format!(
                    "{network}: the device {device} failed: {}; close this engine and create a \
                     new one, in a new process where that fails too",
                    first(error)
                ),
            )
        }
        Failed::Other(error) => EngineError::new(
            INTERNAL,
            format!("{network} on {device}: libtorch: {}", first(error)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_complaint_has_its_code() {
        let other = |said: &str| Failed::Other(TchError::Torch(said.into()));
        let full = Failed::TooLarge(TchError::Torch("CUDA out of memory. Tried".into()));
        for (failed, code) in [
            (full, MEMORY),
            (
                other("CUDA error: unspecified launch failure\nstack"),
                DEVICE,
            ),
            (other("mat1 and mat2 shapes cannot be multiplied"), INTERNAL),
        ] {
            let error = of("hmr2", "cuda:0", &failed);
            assert_eq!(error.code, code);
            assert!(error.message.contains("hmr2") && !error.message.contains("stack"));
        }
    }
}
