//! Files that do not belong together are told so; those that do give what they promise.

use std::path::PathBuf;

use tch::Kind;

use super::*;
use crate::geometry::joints::KeypointSet;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/goldens")
        .join(name)
}

fn open(checkpoint: &Path, config: &Path, body: Option<&Path>) -> Result<Hmr2, String> {
    let files = Files {
        checkpoint,
        config,
        mean_params: None,
        body: body::Files {
            body,
            regressor: Some(&fixture("smpl/a/SMPL_to_J19.pkl.gz")),
        },
    };
    let settings = Settings {
        precision: DType::F32,
        device: Device::Cpu,
        threads: 1,
    };
    let opened = Hmr2::open(files, settings);
    opened.map(|(model, _)| model).map_err(|e| e.to_string())
}

#[test]
fn a_crop_gives_a_body_with_named_joints() {
    let (checkpoint, config) = (
        fixture("hmr2/a/hmr2_tiny.ckpt"),
        fixture("hmr2/a/model_config.yaml"),
    );
    let model = open(
        &checkpoint,
        &config,
        Some(&fixture("smpl/a/SMPL_NEUTRAL.pkl.gz")),
    )
    .unwrap();
    let crops = Tensor::randn([2, 3, 256, 256], (Kind::Float, Device::Cpu));
    let people = model.forward(&crops).unwrap();
    let count = |set: KeypointSet| set.names().len() as i64;
    assert_eq!(people.vertices.size(), [2, 6890, 3]);
    assert_eq!(people.joints.size(), [2, count(KeypointSet::Hmr44), 3]);
    assert_eq!(people.joints45.size(), [2, count(KeypointSet::Smplx45), 3]);
    assert_eq!(model.body().faces().len(), 3 * 13_776);
    // Joints seen through the camera are the points.
    let places = &people.joints + people.camera_translation.unsqueeze(1);
    let seen = places.narrow(2, 0, 2) / places.narrow(2, 2, 1) * (5000.0 / 256.0);
    assert!((seen - &people.points).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn files_that_do_not_belong_together_are_told_so() {
    let (checkpoint, config) = (
        fixture("hmr2/a/hmr2_tiny.ckpt"),
        fixture("hmr2/a/model_config.yaml"),
    );
    let body = fixture("smpl/a/SMPL_NEUTRAL.pkl.gz");
    let text = std::fs::read_to_string(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let changed = |from: &str, to: &str| {
        let path = folder.path().join("model_config.yaml");
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        open(&checkpoint, &path, Some(&body)).err().unwrap()
    };
    let error = changed("embed_dim: 32", "embed_dim: 64");
    assert!(
        error.contains("32 features") && error.contains("64"),
        "{error}"
    );
    let error = changed("mlp_dim: 40", "mlp_dim: 41");
    assert!(error.contains("smpl_head.transformer"), "{error}");
    let error = changed("TYPE: vit", "TYPE: resnet");
    assert!(error.contains("MODEL.BACKBONE.TYPE"), "{error}");
    let error = open(&checkpoint, &config, None).err().unwrap();
    assert!(error.contains("SMPL"), "{error}");
    let error = open(&body, &config, Some(&body)).err().unwrap();
    assert!(error.contains("not a checkpoint of HMR2"), "{error}");
    let error = open(&folder.path().join("none.ckpt"), &config, Some(&body))
        .err()
        .unwrap();
    assert!(error.contains("none.ckpt"), "{error}");
}
