//! Settings as released, as left out, and as they must not be.

use serde_json::json;

use super::*;

fn released() -> Value {
    json!({
        "MODEL": {
            "IMAGE_SIZE": 256,
            "IMAGE_MEAN": [0.485, 0.456, 0.406],
            "IMAGE_STD": [0.229, 0.224, 0.225],
            "BACKBONE": { "TYPE": "vit", "PRETRAINED_WEIGHTS": null },
            "SMPL_HEAD": {
                "TYPE": "transformer_decoder",
                "IN_CHANNELS": 2048,
                "TRANSFORMER_DECODER": {
                    "depth": 6, "heads": 8, "mlp_dim": 1024, "dim_head": 64,
                    "dropout": 0.0, "norm": "layer", "context_dim": 1280
                }
            }
        },
        "SMPL": { "NUM_BODY_JOINTS": 23 },
        "EXTRA": { "FOCAL_LENGTH": 5000 }
    })
}

fn with(path: &str, value: Value) -> Result<Config, String> {
    let mut file = released();
    let pointer = format!("/{}", path.replace('.', "/"));
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    file.pointer_mut(parent).unwrap()[key] = value;
    Config::read(file.as_object().unwrap())
}

#[test]
fn the_released_file_is_vit_h() {
    let config = Config::read(released().as_object().unwrap()).unwrap();
    assert_eq!(config.trunk, TrunkSize::HUGE);
    assert_eq!(config.box_shape, [192.0, 256.0]);
    assert_eq!(config.decoder.width, 1024);
    assert_eq!((config.iterations, config.mean_shape_input), (1, false));
}

#[test]
fn a_stated_size_is_taken() {
    let tiny = json!({ "embed_dim": 32, "depth": 3, "num_heads": 2 });
    let size = TrunkSize {
        width: 32,
        depth: 3,
        heads: 2,
    };
    let nested = json!({ "TYPE": "vit", "TINY": tiny });
    assert_eq!(with("MODEL.BACKBONE", nested).unwrap().trunk, size);
    let flat = json!({ "TYPE": "vit", "embed_dim": 32, "depth": 3, "num_heads": 2 });
    assert_eq!(with("MODEL.BACKBONE", flat).unwrap().trunk, size);
}

#[test]
fn what_is_not_understood_is_named() {
    for (path, value) in [
        ("MODEL.BACKBONE.TYPE", json!("resnet")),
        ("MODEL.SMPL_HEAD.TYPE", json!("hmr")),
        ("MODEL.SMPL_HEAD.JOINT_REP", json!("aa")),
        ("MODEL.SMPL_HEAD.TRANSFORMER_DECODER.norm", json!("ada")),
        ("MODEL.SMPL_HEAD.TRANSFORMER_DECODER.depth", json!(-1)),
        ("MODEL.SMPL_HEAD.TRANSFORMER_DECODER", Value::Null),
        ("MODEL.IMAGE_SIZE", json!(224)),
        ("MODEL.IMAGE_MEAN", json!([0.5, 0.5])),
        ("MODEL.IMAGE_STD", json!([0.2, 0.0, 0.2])),
        ("EXTRA.FOCAL_LENGTH", json!("far")),
        ("SMPL.NUM_BODY_JOINTS", json!(54)),
        ("SMPL.UPDATE_HIPS", json!(1)),
    ] {
        let error = with(path, value).unwrap_err();
        let setting = path.rsplit('.').next().unwrap();
        assert!(error.contains(setting), "{path}: {error}");
    }
    let odd = json!({ "TYPE": "vit", "embed_dim": 32, "depth": 3, "num_heads": 5 });
    assert!(with("MODEL.BACKBONE", odd).is_err());
}
