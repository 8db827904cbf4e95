//! What the networks do with files and frames of all kinds, on tiny weights.

use std::path::PathBuf;

use tempfile::tempdir;

use super::*;
use crate::checkpoint::convert::{self, convert};

fn fixture(name: &str) -> PathBuf {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/goldens/dpt");
    goldens.join(name)
}

/// A tiny network of each kind, and the heads that its checkpoint does not tell.
fn tiny() -> [(Kind, PathBuf, Option<i64>); 4] {
    [
        (Kind::DptLarge, fixture("a/dpt_large_tiny.pt"), Some(2)),
        (
            Kind::DptHybrid,
            fixture("dpt_hybrid_tiny/dpt_hybrid_384.pt"),
            Some(2),
        ),
        (Kind::MidasV21, fixture("midas_tiny/midas_v21_384.pt"), None),
        (
            Kind::MidasSmall,
            fixture("midas_small_tiny/midas_v21_small_256.pt"),
            None,
        ),
    ]
}

fn load(kind: Kind, path: &Path, heads: Option<i64>) -> Result<Midas, ModelError> {
    let mut settings = Settings::new(DType::F32, Device::Cpu, 1);
    settings.heads = heads;
    settings.side = Some(64);
    Midas::load(path, kind, settings).map(|(model, _)| model)
}

fn image(width: usize, height: usize) -> Rgb8 {
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8;
    Rgb8 {
        width,
        height,
        data: (0..3 * width * height).map(byte).collect(),
    }
}

#[test]
fn every_format_gives_the_same_depth() {
    let folder = tempdir().unwrap();
    let frame = image(70, 41);
    for (kind, path, heads) in tiny() {
        let expected = load(kind, &path, heads).unwrap().depth(&[&frame]).unwrap();
        assert!(expected[0].values.iter().all(|v| v.is_finite()));
        for extension in ["pt", "h5", "pkl", "safetensors"] {
            let other = folder.path().join(format!("{kind}.{extension}"));
            convert(&path, &other, &convert::Options::default(), &mut |_, _| {
                true
            })
            .unwrap();
            let found = load(kind, &other, heads).unwrap().depth(&[&frame]).unwrap();
            assert_eq!(found, expected, "{kind} as {extension}");
        }
    }
}

#[test]
fn frames_of_any_sizes_come_back_in_order_and_size() {
    for (kind, path, heads) in tiny() {
        let model = load(kind, &path, heads).unwrap();
        let sizes = [[70, 41], [70, 41], [1, 1], [33, 90], [70, 41], [2, 3]];
        let frames: Vec<Rgb8> = sizes.iter().map(|&[w, h]| image(w, h)).collect();
        let frames: Vec<&Rgb8> = frames.iter().collect();
        let maps = model.depth(&frames).unwrap();
        assert_eq!(maps.len(), frames.len());
        for (map, frame) in maps.iter().zip(&frames) {
            assert_eq!([map.width, map.height], [frame.width, frame.height]);
            assert_eq!(map.values.len(), map.width * map.height);
            let [low, high] = map.range();
            assert!(low <= high && high.is_finite(), "{kind}: {low} to {high}");
            assert_eq!(map, &model.depth(&[frame]).unwrap()[0], "{kind}");
        }
    }
}

#[test]
fn nobody_is_asked_and_nothing_answered() {
    let (kind, path, heads) = tiny()[2].clone();
    assert!(
        load(kind, &path, heads)
            .unwrap()
            .depth(&[])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_frame_that_cannot_be_is_named() {
    let (kind, path, heads) = tiny()[0].clone();
    let model = load(kind, &path, heads).unwrap();
    let thin = image(900, 10);
    let error = model.depth(&[&image(8, 8), &thin]).unwrap_err();
    assert!(matches!(error, DepthError::Size(SizeError::Thin { .. })));
    assert!(error.to_string().contains("900 x 10"), "{error}");
}

#[test]
fn what_is_no_such_network_is_told_in_a_sentence() {
    let text = |kind, path: &Path, heads| load(kind, path, heads).err().unwrap().to_string();
    let [large, _, v21, _] = tiny();
    let other = text(Kind::MidasSmall, &v21.1, None);
    assert!(
        other.contains("a checkpoint of MiDaS, not of MiDaS_small"),
        "{other}"
    );
    let heads = text(Kind::DptLarge, &large.1, None);
    assert!(
        heads.contains("32 features") && heads.contains("number of heads"),
        "{heads}"
    );
    let wrong = text(Kind::DptLarge, &large.1, Some(3));
    assert!(wrong.contains("3 heads"), "{wrong}");
    let none = fixture("../hmr2/a/hmr2_tiny.ckpt");
    assert!(text(Kind::DptLarge, &none, None).contains("not a checkpoint of DPT_Large"));
    let mut settings = Settings::new(DType::F32, Device::Cpu, 1);
    (settings.heads, settings.hooks) = (Some(2), Some([0, 1, 2, 9]));
    let hooks = Midas::load(&large.1, Kind::DptLarge, settings)
        .err()
        .unwrap();
    assert!(hooks.to_string().contains("in 4 blocks"), "{hooks}");
}
