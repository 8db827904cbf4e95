//! The machine as the addon sees it: versions, libtorch, cores, memory (for `doctor`).

use napi_derive::napi;

use crate::runtime::{libtorch, memory, threads};

/// What the addon computes on and how much room it has.
#[napi(object)]
pub struct RuntimeInfo {
    /// Version of pose4d.
    pub version: String,
    /// Version of the libtorch that is loaded; absent where it cannot be told.
    pub libtorch_version: Option<String>,
    /// File it was loaded from (Linux).
    pub libtorch_path: Option<String>,
    /// Usable CUDA devices; 0: computes on the CPU.
    pub cuda_devices: u32,
    pub cudnn: bool,
    /// Vector instructions in use: `AVX512`, `AVX2`, `NEON` or `DEFAULT`.
    pub cpu_capability: String,
    /// Cores this process may use (affinity and cgroup quota counted).
    pub cores: u32,
    /// Bytes; absent where the system does not say.
    pub memory: MemoryInfo,
}

/// Memory, in bytes.
#[napi(object)]
pub struct MemoryInfo {
    pub rss: Option<f64>,
    pub total: Option<f64>,
    pub available: Option<f64>,
    pub cgroup_limit: Option<f64>,
    pub cgroup_used: Option<f64>,
}

/// Reads versions, devices and memory. Loads no model.
#[napi(catch_unwind)]
pub fn runtime_info() -> RuntimeInfo {
    let torch = libtorch::info();
    RuntimeInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch_version: torch.version,
        libtorch_path: torch.path.map(|path| path.display().to_string()),
        cuda_devices: u32::try_from(torch.cuda.devices).unwrap_or(u32::MAX),
        cudnn: torch.cuda.cudnn,
        cpu_capability: torch.cpu_capability.to_owned(),
        cores: u32::try_from(threads::usable_cores()).unwrap_or(u32::MAX),
        memory: MemoryInfo::read(),
    }
}

impl MemoryInfo {
    pub fn read() -> Self {
        let memory = memory::read();
        let bytes = |value: Option<u64>| value.map(|number| number as f64);
        Self {
            rss: bytes(memory.rss),
            total: bytes(memory.total),
            available: bytes(memory.available),
            cgroup_limit: bytes(memory.cgroup_limit),
            cgroup_used: bytes(memory.cgroup_used),
        }
    }
}
