//! Which files of a libtorch folder are opened, and in which order, on each platform.

use std::path::{Path, PathBuf};

/// Opened first to see whether a GPU driver is there at all.
pub const CUDA_DRIVER: &str = if cfg!(windows) {
    "nvcuda.dll"
} else {
    "libcuda.so.1"
};

/// Libraries of the CPU tier in opening order; `true`: libtorch cannot start without it.
///
/// The OpenMP runtime comes first: it needs static thread-local storage, of which little is left
/// once big libraries are in.
#[cfg(target_os = "linux")]
const CPU: [(&str, bool); 5] = [
    ("libgomp.so.1", false),
    ("libc10.so", true),
    ("libcudart.so.13", false),
    ("libcupti.so.13", false),
    ("libtorch_cpu.so", true),
];
#[cfg(target_os = "macos")]
const CPU: [(&str, bool); 3] = [
    ("libomp.dylib", false),
    ("libc10.dylib", true),
    ("libtorch_cpu.dylib", true),
];
#[cfg(windows)]
const CPU: [(&str, bool); 4] = [
    ("libiomp5md.dll", false),
    ("uv.dll", false),
    ("c10.dll", true),
    ("torch_cpu.dll", true),
];

#[cfg(not(windows))]
const CUDA: [&str; 3] = [
    "libc10_cuda.so",
    "libtorch_cuda.so",
    "libtorch_cuda_linalg.so",
];
#[cfg(windows)]
const CUDA: [&str; 2] = ["c10_cuda.dll", "torch_cuda.dll"];

/// The libraries every use needs, those that are there; an error names the first that must be and
/// is not.
pub fn cpu_libraries(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for (name, required) in CPU {
        let path = dir.join(name);
        if path.exists() {
            found.push(path);
        } else if required {
            return Err(format!("{} is missing", path.display()));
        }
    }
    Ok(found)
}

/// libtorch's CUDA half, empty where this is a CPU libtorch.
pub fn cuda_libraries(dir: &Path) -> Vec<PathBuf> {
    let main = if cfg!(windows) {
        "torch_cuda.dll"
    } else {
        "libtorch_cuda.so"
    };
    if !dir.join(main).exists() {
        return Vec::new();
    }
    CUDA.iter()
        .map(|name| dir.join(name))
        .filter(|path| path.exists())
        .collect()
}

/// Folders in which a dependency of `lib_dir`'s libraries may lie when their own search path
/// does not lead there: the folder itself and the `nvidia/*/lib` of the Python environment.
pub fn search_folders(lib_dir: &Path) -> Vec<PathBuf> {
    let mut folders = vec![lib_dir.to_path_buf()];
    let Some(site_packages) = lib_dir.parent().and_then(Path::parent) else {
        return folders;
    };
    let Ok(vendors) = std::fs::read_dir(site_packages.join("nvidia")) else {
        return folders;
    };
    let mut vendor_folders: Vec<PathBuf> = vendors
        .flatten()
        .map(|entry| entry.path().join(if cfg!(windows) { "bin" } else { "lib" }))
        .filter(|path| path.is_dir())
        .collect();
    vendor_folders.sort();
    folders.append(&mut vendor_folders);
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[&str]) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pose4d-plan-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for file in files {
            std::fs::write(dir.join(file), b"").unwrap();
        }
        dir
    }

    #[test]
    fn required_libraries_are_missed_by_name() {
        let dir = folder("empty", &[]);
        let error = cpu_libraries(&dir).unwrap_err();
        assert!(
            error.contains("c10") && error.contains("missing"),
            "{error}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn optional_libraries_are_skipped_and_torch_comes_last() {
        let required: Vec<&str> = CPU
            .iter()
            .filter(|(_, required)| *required)
            .map(|(name, _)| *name)
            .collect();
        let dir = folder("required", &required);
        let found = cpu_libraries(&dir).unwrap();
        assert_eq!(found.len(), required.len());
        assert!(
            found
                .last()
                .unwrap()
                .to_string_lossy()
                .contains("torch_cpu")
        );
        assert!(cuda_libraries(&dir).is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn nvidia_folders_beside_torch_are_searched() {
        let root = folder("site", &[]);
        let vendor = root
            .join("nvidia/cu13")
            .join(if cfg!(windows) { "bin" } else { "lib" });
        std::fs::create_dir_all(&vendor).unwrap();
        let lib = root.join("torch/lib");
        assert_eq!(search_folders(&lib), vec![lib.clone(), vendor]);
        std::fs::remove_dir_all(root).unwrap();
    }
}
