//! Loading: precision, names, accounts, and views of a mapped file.

use std::path::PathBuf;

use super::*;
use crate::checkpoint::convert;
use crate::checkpoint::write::{self, Entry};

const CPU32: Options = Options {
    precision: DType::F32,
    device: Device::Cpu,
    renames: &[],
    threads: 2,
};

/// A file of three tensors: `blocks.0.weight` counts up, `blocks.0.ids` are whole numbers.
fn file(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("model.safetensors");
    let entry = |name: &str, dtype, shape: &[u64]| Entry {
        name: name.into(),
        dtype,
        shape: shape.to_vec(),
    };
    let entries = [
        entry("blocks.0.weight", DType::F32, &[2, 3]),
        entry("blocks.0.ids", DType::I64, &[2]),
        entry("extra", DType::F32, &[1]),
    ];
    let mut out = std::fs::File::create(&path).unwrap();
    write::safetensors::write(&mut out, &entries, &[], &mut |index, sink| match index {
        0 => sink(
            &(0..6)
                .flat_map(|i| (i as f32 + 0.125).to_le_bytes())
                .collect::<Vec<_>>(),
        ),
        1 => sink(&[7_i64, 8].map(i64::to_le_bytes).concat()),
        _ => sink(&1.5_f32.to_le_bytes()),
    })
    .unwrap();
    path
}

fn values(param: &Param) -> Vec<f64> {
    Vec::try_from(
        param
            .f_to_kind(Kind::Double)
            .unwrap()
            .f_flatten(0, -1)
            .unwrap(),
    )
    .unwrap()
}

#[test]
fn tensors_come_by_name_in_the_working_precision() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    for (precision, kind) in [
        (DType::F32, Kind::Float),
        (DType::BF16, Kind::BFloat16),
        (DType::F16, Kind::Half),
    ] {
        let weights = Weights::open(&path, Options { precision, ..CPU32 }).unwrap();
        let block = weights.sub("blocks").sub(0);
        let weight = block.get("weight", &[2, 3]).unwrap();
        assert_eq!(weight.kind(), kind);
        assert_eq!(values(&weight), [0.125, 1.125, 2.125, 3.125, 4.125, 5.125]);
        let ids = block.get_exact("ids", &[2], DType::I64).unwrap();
        assert_eq!(values(&ids), [7.0, 8.0]);
        weights.get("extra", &[1]).unwrap();
        let report = weights.finish(&Tolerance::default()).unwrap();
        assert_eq!(report.applied.len(), 3);
    }
}

#[test]
fn a_view_of_the_file_outlives_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let weight = {
        let weights = Weights::open(&path, CPU32).unwrap();
        weights.get("blocks.0.weight", &[2, 3]).unwrap()
    };
    // On Linux the bytes of a removed file live on as long as it is mapped.
    if cfg!(unix) {
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(values(&weight)[5], 5.125);
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Weights::open(&file(&folder), CPU32).unwrap();
    weights.get("blocks.0.weight", &[3, 2]).unwrap();
    weights.get("blocks.0.ids", &[2]).unwrap();
    let stand_in = weights.get("blocks.1.weight", &[4, 4]).unwrap();
    assert_eq!(stand_in.size(), [4, 4]);
    let error = weights
        .finish(&Tolerance::default())
        .map(|_| ())
        .unwrap_err();
    let WeightsError::Report(report) = &error else {
        panic!("{error}");
    };
    assert_eq!(report.mismatched.len(), 2);
    assert_eq!(report.missing.len(), 1);
    assert_eq!(report.unused, ["extra"]);
    let text = error.to_string();
    assert!(
        text.contains("expected real numbers [3, 2], found float32 [2, 3]"),
        "{text}"
    );
}

#[test]
fn names_of_another_project_are_translated() {
    let folder = tempfile::tempdir().unwrap();
    let renames: &'static [Rule] = &[("blocks.*.**", "backbone.layers.*.**")];
    let weights = Weights::open(&file(&folder), Options { renames, ..CPU32 }).unwrap();
    assert!(weights.contains("backbone.layers.0.weight"));
    weights.get("backbone.layers.0.weight", &[2, 3]).unwrap();
    let tolerance = Tolerance {
        missing: &[],
        unused: &["backbone.layers.0.ids", "extra"],
    };
    assert_eq!(weights.finish(&tolerance).unwrap().tolerated.len(), 2);
}

#[test]
fn all_formats_load_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    for extension in ["pt", "pkl", "h5"] {
        let other = folder.path().join(format!("model.{extension}"));
        convert::convert(&path, &other, &convert::Options::default(), &mut |_, _| {
            true
        })
        .unwrap();
        let weights = Weights::open(&other, CPU32).unwrap();
        let weight = weights.get("blocks.0.weight", &[2, 3]).unwrap();
        assert_eq!(
            values(&weight),
            [0.125, 1.125, 2.125, 3.125, 4.125, 5.125],
            "{extension}"
        );
    }
}
