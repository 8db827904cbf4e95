//! Files that do not belong together are told so; those that do give what they promise.

use std::path::PathBuf;

use tch::Kind;

use super::*;
use crate::checkpoint::open as checkpoints;
use crate::checkpoint::write::{Entry, safetensors};
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
    assert!(error.contains("https://smplify.is.tue.mpg.de"), "{error}");
    let error = open(&body, &config, Some(&body)).err().unwrap();
    assert!(error.contains("not a checkpoint of HMR2"), "{error}");
    for kind in ["classic", "simple"] {
        let other = fixture(&format!("vitpose/a/vitpose_tiny_{kind}.pth"));
        let error = open(&other, &config, Some(&body)).err().unwrap();
        assert!(error.contains("not a checkpoint of HMR2"), "{error}");
        let error = open(&checkpoint, &config, Some(&other)).err().unwrap();
        assert!(error.contains("v_template"), "{error}");
    }
    let error = open(&checkpoint, &checkpoint, Some(&body)).err().unwrap();
    assert!(error.contains("MODEL"), "{error}");
    let error = open(&folder.path().join("none.ckpt"), &config, Some(&body))
        .err()
        .unwrap();
    assert!(error.contains("none.ckpt"), "{error}");
}

/// The tiny checkpoint's weights alone (no optimizer states), `extra` added to them.
fn rewritten(path: &Path, extra: &[(&str, DType, Vec<u64>, Vec<u8>)]) {
    let file = checkpoints::open(fixture("hmr2/a/hmr2_tiny.ckpt")).unwrap();
    let mut entries = Vec::new();
    let mut bytes = Vec::new();
    for (name, tensor) in file.tensors() {
        entries.push(Entry {
            name: name.to_string(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
        });
        bytes.push(file.read(name).unwrap());
    }
    for (name, dtype, shape, data) in extra {
        entries.push(Entry {
            name: (*name).to_owned(),
            dtype: *dtype,
            shape: shape.clone(),
        });
        bytes.push(data.clone());
    }
    let mut out = std::fs::File::create(path).unwrap();
    safetensors::write(&mut out, &entries, &[], &mut |i, sink| sink(&bytes[i])).unwrap();
}

#[test]
fn a_checkpoint_with_its_own_body_needs_no_file_and_goes_before_it() {
    let config = fixture("hmr2/a/model_config.yaml");
    let body = fixture("smpl/a/SMPL_NEUTRAL.pkl.gz");
    let file = checkpoints::open(&body).unwrap();
    let floats = |name: &str| file.f32s(name).unwrap();
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let whole = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    // smplx's buffers: one row per element of rotation.
    let stored = floats("posedirs");
    let count = 6890 * 3;
    let posedirs: Vec<f32> = (0..207)
        .flat_map(|p| (0..count).map(move |v| v * 207 + p))
        .map(|at| stored[at])
        .collect();
    let integers = |name: &str| -> Vec<i64> {
        let raw = file.read(name).unwrap();
        let values = raw.as_chunks::<4>().0.iter();
        values
            .map(|&v| i64::from(u32::from_le_bytes(v).cast_signed()))
            .collect()
    };
    let real = |name: &'static str, shape: &[u64], values: &[f32]| {
        (name, DType::F32, shape.to_vec(), bytes(values))
    };
    let mut extra = vec![
        real("smpl.v_template", &[6890, 3], &floats("v_template")),
        real("smpl.shapedirs", &[6890, 3, 10], &floats("shapedirs")),
        real("smpl.posedirs", &[207, 6890 * 3], &posedirs),
        real("smpl.J_regressor", &[24, 6890], &floats("J_regressor")),
        real("smpl.lbs_weights", &[6890, 24], &floats("weights")),
    ];
    let (parents, faces) = (integers("kintree_table"), integers("f"));
    extra.push(("smpl.parents", DType::I64, vec![24], whole(&parents[..24])));
    extra.push((
        "smpl.faces_tensor",
        DType::I64,
        vec![13_776, 3],
        whole(&faces),
    ));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("with.safetensors");
    rewritten(&path, &extra);
    let crops = Tensor::randn([1, 3, 256, 256], (Kind::Float, Device::Cpu));
    let vertices = |model: &Hmr2| model.forward(&crops).unwrap().vertices;
    let slim = folder.path().join("slim.safetensors");
    rewritten(&slim, &[]);
    let expected = vertices(&open(&slim, &config, Some(&body)).unwrap());
    let lightning = fixture("hmr2/a/hmr2_tiny.ckpt");
    assert!(vertices(&open(&lightning, &config, Some(&body)).unwrap()).equal(&expected));
    assert!(vertices(&open(&path, &config, None).unwrap()).equal(&expected));
    // The checkpoint's own template stands where the file says otherwise.
    let moved: Vec<f32> = floats("v_template").iter().map(|v| v + 1.0).collect();
    extra[0] = real("smpl.v_template", &[6890, 3], &moved);
    rewritten(&path, &extra);
    assert!(!vertices(&open(&path, &config, Some(&body)).unwrap()).equal(&expected));
    // What it lacks comes from the file, and is missed without one.
    extra.truncate(1);
    rewritten(&path, &extra);
    open(&path, &config, Some(&body)).unwrap();
    let error = open(&path, &config, None).err().unwrap();
    assert!(error.contains("smpl."), "{error}");
}
