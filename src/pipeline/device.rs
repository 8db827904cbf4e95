//! Which device a configuration means.

use tch::Device;

use super::error::{DEVICE, EngineError};
use crate::runtime::libtorch;

/// The device called `name`: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is what suits the model.
pub fn device(name: &str, auto: Device) -> Result<Device, EngineError> {
    let refuse = |why: &str| {
        let message =
            format!("device: \"{name}\" {why}; use \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"");
        Err(EngineError::new(DEVICE, message))
    };
    let index = match name {
        "auto" => return Ok(auto),
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => match name.strip_prefix("cuda:").map(str::parse::<usize>) {
            Some(Ok(index)) => index,
            _ => return refuse("is not known"),
        },
    };
    let count = libtorch::cuda().devices;
    if index >= count {
        return refuse(&format!(
            "is not there: this process sees {count} CUDA devices"
        ));
    }
    Ok(Device::Cuda(index))
}

/// For large networks: the first card, if there is one.
pub fn fastest() -> Device {
    if libtorch::cuda().devices > 0 {
        Device::Cuda(0)
    } else {
        Device::Cpu
    }
}
