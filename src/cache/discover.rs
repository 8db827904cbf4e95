//! Where the Python tools and the old service put model files, and which of those places exist.
//!
//! Nothing found here is ever changed or removed. Sources: `hmr2/configs/__init__.py` and
//! `phalp/configs/base.py` (`$HOME/.cache/…`), iopath's `get_cache_dir`, `torch.hub.get_dir`,
//! huggingface_hub's constants, the old depth service's `ModelManager`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::{Entry, Found};
use super::surroundings::Surroundings;

/// Windows users looked at: a mount of Windows answers slowly.
const MAX_WINDOWS_USERS: usize = 8;
/// Folders that one `*` in a path may stand for.
const MAX_BRANCHES: usize = 16;
/// Folders from the working folder up to the project's root.
const MAX_PARENTS: usize = 24;

/// A folder that exists and may hold model files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Whose folder: the name the manifest uses.
    pub name: &'static str,
    /// How it is called to people: the name, or `wsl:` and the name.
    pub origin: String,
    pub path: PathBuf,
}

/// A path at which an entry may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub path: PathBuf,
    pub origin: String,
    pub repacked: bool,
}

/// The folders of other tools that exist, nearest first.
pub fn roots(around: &Surroundings) -> Vec<Root> {
    let mut found = Vec::new();
    let mut add = |name: &'static str, prefix: &str, path: PathBuf| {
        let root = Root {
            name,
            origin: format!("{prefix}{name}"),
            path,
        };
        if !found.contains(&root) && root.path.is_dir() {
            found.push(root);
        }
    };
    for path in model_folders(around) {
        add(".models", "", path);
    }
    if let Some(folder) = &around.folder {
        add("cwd", "", folder.clone());
    }
    for (name, path) in by_variable(around) {
        add(name, "", around.absolute(&path));
    }
    if let Some(home) = &around.home {
        for (name, path) in of_home(home) {
            add(name, "", path);
        }
    }
    for home in windows_homes(around) {
        for (name, path) in of_home(&home) {
            add(name, "wsl:", path);
        }
    }
    found
}

/// Places named by variables.
fn by_variable(around: &Surroundings) -> Vec<(&'static str, PathBuf)> {
    let variable = |name: &str, below: &str| around.variable(name).map(|path| path.join(below));
    let list = [
        ("iopath", variable("FVCORE_CACHE", "")),
        ("torch-hub", variable("TORCH_HOME", "hub/checkpoints")),
        (
            "torch-hub",
            variable("XDG_CACHE_HOME", "torch/hub/checkpoints"),
        ),
        ("hf-hub", variable("HF_HUB_CACHE", "")),
        ("hf-hub", variable("HUGGINGFACE_HUB_CACHE", "")),
        ("hf-hub", variable("HF_HOME", "hub")),
        ("hf-hub", variable("XDG_CACHE_HOME", "huggingface/hub")),
    ];
    let named = |(name, path): (_, Option<PathBuf>)| Some((name, path?));
    list.into_iter().filter_map(named).collect()
}

/// Places below a home folder.
fn of_home(home: &Path) -> [(&'static str, PathBuf); 8] {
    [
        ("4dhumans", home.join(".cache/4DHumans")),
        ("phalp", home.join(".cache/phalp")),
        ("iopath", home.join(".torch/iopath_cache")),
        ("iopath", home.join(".torch/fvcore_cache")),
        ("torch-hub", home.join(".cache/torch/hub/checkpoints")),
        ("hf-hub", home.join(".cache/huggingface/hub")),
        ("depthmap", home.join(".cache/depthmap/models")),
        ("4d-humans", home.join(".cache/4d-humans")),
    ]
}

/// `.models` of the working folder and those above it, up to the project's root.
fn model_folders(around: &Surroundings) -> Vec<PathBuf> {
    let Some(folder) = &around.folder else {
        return Vec::new();
    };
    let above: Vec<&Path> = folder.ancestors().take(MAX_PARENTS).collect();
    let first_with = |name: &str| above.iter().position(|path| path.join(name).exists());
    // A repository's root; without one the package's; without one just the folder.
    let end = first_with(".git").or_else(|| first_with("package.json"));
    let own = above.iter().take(end.unwrap_or(0) + 1);
    own.map(|path| path.join(".models")).collect()
}

/// The home folders of Windows, seen from a Linux inside it.
fn windows_homes(around: &Surroundings) -> Vec<PathBuf> {
    if !around.is_wsl() {
        return Vec::new();
    }
    let mounts = mounts(around);
    let named = around
        .variable("USERPROFILE")
        .and_then(|profile| translate(profile, &mounts));
    let users = mounts.join("c/Users");
    let is_person = |name: &str| {
        !matches!(
            name,
            "Public" | "Default" | "Default User" | "All Users" | "desktop.ini"
        )
    };
    let listed = fs::read_dir(&users)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_person))
        .map(|entry| entry.path());
    let mut homes: Vec<PathBuf> = listed.take(MAX_WINDOWS_USERS).collect();
    homes.sort();
    if let Some(named) = named {
        homes.retain(|home| *home != named);
        homes.insert(0, named);
    }
    let has_caches = |home: &PathBuf| home.join(".cache").is_dir() || home.join(".torch").is_dir();
    homes.retain(has_caches);
    homes
}

/// Where WSL mounts the drives: `/mnt`, or what `wsl.conf` says.
fn mounts(around: &Surroundings) -> PathBuf {
    let text = fs::read_to_string(around.system.join("etc/wsl.conf")).unwrap_or_default();
    let mut in_section = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_section = line.eq_ignore_ascii_case("[automount]");
        }
        let value = line.split_once('=').filter(|(key, _)| key.trim() == "root");
        if let Some((_, value)) = value.filter(|_| in_section) {
            let value = value.trim().trim_matches('"').trim_start_matches('/');
            return around.system.join(value);
        }
    }
    around.system.join("mnt")
}

/// `C:\Users\Ann` → `/mnt/c/Users/Ann`; a Linux path stays as it is.
fn translate(profile: &Path, mounts: &Path) -> Option<PathBuf> {
    let text = profile.to_str()?;
    if text.starts_with('/') {
        return Some(profile.to_path_buf());
    }
    let (drive, rest) = text.split_once(':')?;
    let drive = drive.to_ascii_lowercase();
    let is_drive = drive.len() == 1 && drive.chars().all(|c| c.is_ascii_lowercase());
    let below = rest.replace('\\', "/");
    is_drive.then(|| mounts.join(drive).join(below.trim_start_matches('/')))
}

/// Every path at which `entry` may lie in those folders, best first.
pub fn spots(entry: &Entry, roots: &[Root]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for root in roots {
        let spot = |path: PathBuf, repacked| Spot {
            path,
            origin: root.origin.clone(),
            repacked,
        };
        match root.name {
            ".models" => {
                let own = std::iter::once(entry.place.as_str()).chain(plain_names(entry));
                spots.extend(own.map(|name| spot(root.path.join(name), false)));
                for found in entry
                    .found_at
                    .iter()
                    .filter(|found| !found.path.contains('*'))
                {
                    spots.push(spot(root.path.join(&found.path), found.repacked));
                }
            }
            "4d-humans" => {
                let own = std::iter::once(entry.place.as_str()).chain(plain_names(entry));
                spots.extend(own.map(|name| spot(root.path.join(name), false)));
            }
            name => {
                for found in entry.found_at.iter().filter(|found| found.root == name) {
                    let paths = branches(&root.path, found);
                    spots.extend(paths.into_iter().map(|path| spot(path, found.repacked)));
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    spots.retain(|spot| seen.insert(spot.path.clone()));
    spots
}

/// Names that mean this file wherever they are met; every model of Hugging Face has the same one.
pub fn plain_names(entry: &Entry) -> impl Iterator<Item = &str> {
    entry
        .file_names()
        .filter(|name| *name != "model.safetensors")
}

/// The paths a pattern stands for.
fn branches(root: &Path, found: &Found) -> Vec<PathBuf> {
    let mut paths = vec![root.to_path_buf()];
    for part in found.path.split('/') {
        if part != "*" {
            paths.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let children = |path: &PathBuf| {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let mut children: Vec<_> = entries.map(|entry| entry.path()).collect();
            children.sort();
            children
        };
        paths = paths.iter().flat_map(children).take(MAX_BRANCHES).collect();
    }
    paths
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
