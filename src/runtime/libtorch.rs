//! Which libtorch is loaded, from where, and what it can do on this machine.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The libtorch this crate is built for.
pub const EXPECTED_VERSION: &str = "2.11.0";
/// Patch releases keep the binary interface.
const SERIES: &str = "2.11.";

/// What a GPU could be asked, once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CudaState {
    pub devices: usize,
    pub cudnn: bool,
}

/// A short account of libtorch, for `health` and `doctor`.
#[derive(Clone, Debug)]
pub struct LibtorchInfo {
    /// Stated by the folder it was loaded from; `None` where that cannot be told.
    pub version: Option<String>,
    /// The loaded library file.
    pub path: Option<PathBuf>,
    pub cuda: CudaState,
    /// Widest vector instructions of the CPU that libtorch has kernels for.
    pub cpu_capability: &'static str,
    pub mkldnn: bool,
    pub openmp: bool,
}

/// Reads all there is to know; cheap after the first call, except for the GPU question.
pub fn info() -> LibtorchInfo {
    let path = loaded_library();
    LibtorchInfo {
        version: path.as_deref().and_then(stated_version),
        path,
        cuda: cuda(),
        cpu_capability: cpu_capability(),
        mkldnn: catch_unwind(tch::utils::has_mkldnn).unwrap_or(false),
        openmp: catch_unwind(tch::utils::has_openmp).unwrap_or(false),
    }
}

/// Whether CUDA can be used, and on how many devices. libtorch reports a broken driver by
/// throwing, which tch turns into a panic; here that means "no device".
pub fn cuda() -> CudaState {
    let devices = catch_unwind(tch::Cuda::device_count).unwrap_or(0);
    let devices = usize::try_from(devices).unwrap_or(0);
    let cudnn = devices > 0 && catch_unwind(tch::Cuda::cudnn_is_available).unwrap_or(false);
    CudaState { devices, cudnn }
}

/// The vector instructions libtorch's own kernels will use.
pub fn cpu_capability() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        let avx512 = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq");
        if avx512 {
            "AVX512"
        } else if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            "AVX2"
        } else {
            "DEFAULT"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "DEFAULT"
    }
}

/// Whether `version` (`2.11.0`, `2.11.0+cu130`) can carry this crate; the error says what is wrong.
pub fn check_version(version: &str) -> Result<(), String> {
    let number = version.trim().split('+').next().unwrap_or_default();
    let patch = number.strip_prefix(SERIES);
    if patch.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    {
        Ok(())
    } else {
        Err(format!(
            "libtorch {version} is loaded, and pose4d needs {EXPECTED_VERSION}"
        ))
    }
}

/// The version that the folder above a library's `lib` states.
pub fn stated_version(library: &Path) -> Option<String> {
    let root = library.parent()?.parent()?;
    if let Ok(text) = fs::read_to_string(root.join("version.py")) {
        let line = text.lines().find(|line| line.starts_with("__version__"))?;
        return line.split(['\'', '"']).nth(1).map(str::to_owned);
    }
    fs::read_to_string(root.join("build-version"))
        .ok()
        .map(|text| text.trim().to_owned())
}

/// The file that libtorch's CPU half was loaded from, as the kernel sees it (Linux).
pub fn loaded_library() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    library_in_maps(&maps)
}

fn library_in_maps(maps: &str) -> Option<PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').and_then(|start| line.get(start..)))
        .map(Path::new)
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name == "libtorch_cpu.so")
        })
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_series_it_was_built_for_is_accepted() {
        for good in ["2.11.0", "2.11.0+cu130", "2.11.1+cpu\n"] {
            assert_eq!(check_version(good), Ok(()), "{good}");
        }
        for bad in [
            "2.10.0", "2.12.0", "12.11.0", "2.11", "2.11.", "2.11.0a0", "",
        ] {
            let error = check_version(bad).unwrap_err();
            assert!(error.contains(EXPECTED_VERSION), "{error}");
        }
    }

    #[test]
    fn the_library_is_found_in_the_kernels_list() {
        let maps = "7f00-7f01 r--p 00000000 08:01 12 /opt/with space/lib/libtorch_cpu.so\n\
                    7f02-7f03 r-xp 00000000 08:01 13 /usr/lib/libc.so.6\n\
                    7f04-7f05 rw-p 00000000 00:00 0 [heap]\n";
        let expected = Some(PathBuf::from("/opt/with space/lib/libtorch_cpu.so"));
        assert_eq!(library_in_maps(maps), expected);
        assert_eq!(
            library_in_maps("7f02-7f03 r-xp 0 08:01 13 /usr/lib/libc.so.6"),
            None
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_loaded_libtorch_is_the_expected_one() {
        let info = info();
        let version = info.version.expect("a version beside the loaded library");
        assert_eq!(check_version(&version), Ok(()));
        assert!(info.path.is_some());
        assert!(info.mkldnn, "convolutions rely on oneDNN");
    }

    #[test]
    fn versions_are_read_from_either_file() {
        let root = std::env::temp_dir().join(format!("pose4d-torch-{}", std::process::id()));
        fs::create_dir_all(root.join("lib")).unwrap();
        let library = root.join("lib/libtorch_cpu.so");
        assert_eq!(stated_version(&library), None);
        fs::write(root.join("build-version"), "2.11.0+cpu\n").unwrap();
        assert_eq!(stated_version(&library).as_deref(), Some("2.11.0+cpu"));
        fs::write(
            root.join("version.py"),
            "x = 1\n__version__ = '2.11.0+cu130'\n",
        )
        .unwrap();
        assert_eq!(stated_version(&library).as_deref(), Some("2.11.0+cu130"));
        fs::remove_dir_all(root).unwrap();
    }
}
