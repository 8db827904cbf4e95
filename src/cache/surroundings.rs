//! What the process's surroundings say about places: home, environment, working folder, WSL.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables that decide where files lie.
const VARIABLES: [&str; 11] = [
    "POSE4D_CACHE_DIR",
    "POSE4D_MANIFEST",
    "FVCORE_CACHE",
    "TORCH_HOME",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "USERPROFILE",
    "WSL_DISTRO_NAME",
    "WSL_INTEROP",
];

/// Taken once, so that one answer is made from one view; tests make their own.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub home: Option<PathBuf>,
    /// The operating system's folder for what can be fetched again.
    pub cache: Option<PathBuf>,
    pub folder: Option<PathBuf>,
    pub variables: BTreeMap<String, OsString>,
    /// Where `/proc`, `/etc` and `/mnt` are; `/` but in tests.
    pub system: PathBuf,
}

impl Surroundings {
    pub fn of_process() -> Self {
        let variable = |name: &&str| Some(((*name).to_string(), std::env::var_os(name)?));
        Self {
            home: dirs::home_dir(),
            cache: dirs::cache_dir(),
            folder: std::env::current_dir().ok(),
            variables: VARIABLES.iter().filter_map(variable).collect(),
            system: PathBuf::from("/"),
        }
    }

    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&Path> {
        self.variables
            .get(name)
            .filter(|value| !value.is_empty())
            .map(|value| Path::new(value.as_os_str()))
    }

    /// A path as given, below the working folder where it is relative.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        match &self.folder {
            Some(folder) if path.is_relative() => folder.join(path),
            _ => path.to_path_buf(),
        }
    }

    /// Whether this Linux runs inside Windows.
    pub fn is_wsl(&self) -> bool {
        self.variables.contains_key("WSL_DISTRO_NAME")
            || self.variables.contains_key("WSL_INTEROP")
            || std::fs::read_to_string(self.system.join("proc/sys/kernel/osrelease"))
                .is_ok_and(|release| release.to_ascii_lowercase().contains("microsoft"))
    }
}
