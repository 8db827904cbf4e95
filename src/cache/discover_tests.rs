//! Finding model files where other tools put them.

use std::path::{Path, PathBuf};

use super::*;
use crate::cache::manifest::Manifest;

struct World {
    folder: tempfile::TempDir,
    around: Surroundings,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let around = Surroundings {
            home: Some(folder.path().join("home")),
            cache: Some(folder.path().join("home/.cache")),
            folder: Some(folder.path().join("work/app")),
            system: folder.path().join("system"),
            ..Surroundings::default()
        };
        fs::create_dir_all(folder.path().join("work/app")).unwrap();
        Self { folder, around }
    }

    fn put(&self, path: &str) -> PathBuf {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        path
    }

    /// The spots of `id` that exist, with their origins.
    fn found(&self, id: &str) -> Vec<(String, PathBuf)> {
        let table = Manifest::built_in().unwrap();
        spots(table.entry(id).unwrap(), &roots(&self.around))
            .into_iter()
            .filter(|spot| spot.path.exists())
            .map(|spot| (spot.origin, spot.path))
            .collect()
    }

    fn assert_found(&self, id: &str, origin: &str, path: &Path) {
        assert_eq!(
            self.found(id),
            [(origin.to_string(), path.to_path_buf())],
            "{id}"
        );
    }
}

const RUN: &str = "home/.cache/4DHumans/logs/train/multiruns/hmr2/0";
const VITDET: &str =
    "detectron2/ViTDet/COCO/cascade_mask_rcnn_vitdet_h/f328730692/model_final_f05665.pkl";

#[test]
fn the_python_tools_folders() {
    let world = World::new();
    for (id, origin, path) in [
        ("hmr2", "4dhumans", format!("{RUN}/checkpoints/epoch=35-step=1000000.ckpt")),
        ("hmr2-config", "4dhumans", format!("{RUN}/model_config.yaml")),
        ("hmr2-data", "4dhumans", "home/.cache/4DHumans/hmr2_data.tar.gz".into()),
        ("phalp-hmar", "phalp", "home/.cache/phalp/weights/hmar_v2_weights.pth".into()),
        ("phalp-ava-classes", "phalp", "home/.cache/phalp/ava/ava_class_mapping.pkl".into()),
        ("vitdet-h", "iopath", format!("home/.torch/iopath_cache/{VITDET}")),
        ("dpt-large", "torch-hub", "home/.cache/torch/hub/checkpoints/dpt_large_384.pt".into()),
        ("midas-v21", "torch-hub", "home/.cache/torch/hub/checkpoints/model-f6b98070.pt".into()),
        ("midas-v21-small", "depthmap", "home/.cache/depthmap/models/midas_MiDaS_small.h5".into()),
        ("vitpose-b-hf", "hf-hub", "home/.cache/huggingface/hub/models--usyd-community--vitpose-base/snapshots/0a1b/model.safetensors".into()),
        ("smpl-neutral", "4dhumans", "home/.cache/4DHumans/data/smpl/SMPL_NEUTRAL.pkl".into()),
    ] {
        let path = world.put(&path);
        world.assert_found(id, origin, &path);
    }
}

#[test]
fn variables_move_them() {
    let mut world = World::new();
    for (variable, folder) in [
        ("FVCORE_CACHE", "fv"),
        ("TORCH_HOME", "torch"),
        ("HF_HUB_CACHE", "hf"),
    ] {
        let value = world.folder.path().join(folder);
        world.around.variables.insert(variable.into(), value.into());
    }
    let path = world.put(&format!("fv/{VITDET}"));
    world.assert_found("vitdet-h", "iopath", &path);
    let path = world.put("torch/hub/checkpoints/dpt_hybrid-midas-501f0c75.pt");
    world.assert_found("dpt-hybrid", "torch-hub", &path);
    let path =
        world.put("hf/models--usyd-community--vitpose-base-simple/snapshots/ff/model.safetensors");
    world.assert_found("vitpose-b-simple-hf", "hf-hub", &path);
    assert_eq!(world.found("vitpose-b-hf"), []);
}

#[test]
fn a_models_folder_counts_up_to_the_projects_root() {
    let world = World::new();
    let above = world.put("work/.models/model_final_ef3a80.pkl");
    let git = world.put("work/app/.git/HEAD");
    assert_eq!(world.found("regnety"), []);
    fs::remove_dir_all(git.parent().unwrap()).unwrap();
    world.put("work/.git/HEAD");
    world.put("work/app/package.json");
    world.assert_found("regnety", ".models", &above);
    let own = world.put("work/app/.models/vitdet/model_final_f05665.pkl");
    world.assert_found("vitdet-h", ".models", &own);
    world.put("work/app/.models/model.safetensors");
    assert_eq!(world.found("vitpose-b-hf"), []);
}

#[test]
fn windows_homes_are_looked_at_only_inside_windows() {
    let mut world = World::new();
    let path = world.put("system/mnt/c/Users/Ann Lee/.cache/phalp/weights/hmar_v2_weights.pth");
    world.put("system/mnt/c/Users/Public/.cache/phalp/weights/hmar_v2_weights.pth");
    assert_eq!(world.found("phalp-hmar"), []);
    world.put("system/proc/sys/kernel/osrelease");
    fs::write(
        world.folder.path().join("system/proc/sys/kernel/osrelease"),
        "5.15.90.1-microsoft-standard-WSL2\n",
    )
    .unwrap();
    world.assert_found("phalp-hmar", "wsl:phalp", &path);

    world.put("system/etc/wsl.conf");
    fs::write(
        world.folder.path().join("system/etc/wsl.conf"),
        "[boot]\nroot = /x\n[automount]\nroot = /windows/\n",
    )
    .unwrap();
    assert_eq!(world.found("phalp-hmar"), []);
    let path = world.put("system/windows/d/People/Bo/.cache/phalp/weights/hmar_v2_weights.pth");
    world
        .around
        .variables
        .insert("USERPROFILE".into(), "D:\\People\\Bo".into());
    world.assert_found("phalp-hmar", "wsl:phalp", &path);
}

#[test]
#[cfg(unix)]
fn folders_are_found_through_links() {
    let world = World::new();
    world.put("big-disk/4DHumans/hmr2_data.tar.gz");
    fs::create_dir_all(world.folder.path().join("home/.cache")).unwrap();
    let link = world.folder.path().join("home/.cache/4DHumans");
    std::os::unix::fs::symlink(world.folder.path().join("big-disk/4DHumans"), &link).unwrap();
    world.assert_found("hmr2-data", "4dhumans", &link.join("hmr2_data.tar.gz"));
}

#[test]
fn no_home_finds_nothing_and_fails_nowhere() {
    assert_eq!(roots(&Surroundings::default()), []);
}
