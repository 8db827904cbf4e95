//! Both detectors on photos of all shapes, and on files that are not theirs.

use std::path::PathBuf;

use super::*;

const KINDS: [Kind; 2] = [Kind::VitDet, Kind::RegNetY];

fn fixture(model: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/goldens")
        .join(model)
}

fn checkpoint(kind: Kind) -> PathBuf {
    fixture(match kind {
        Kind::VitDet => "vitdet/a/model_tiny_p4.pkl",
        Kind::RegNetY => "regnet/a/model_tiny_p4.pkl",
    })
}

fn settings(precision: DType) -> Settings {
    Settings {
        precision,
        device: Device::Cpu,
        threads: 1,
    }
}

fn image(width: usize, height: usize) -> Rgb8 {
    let value = |i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8;
    Rgb8 {
        width,
        height,
        data: (0..width * height * 3).map(value).collect(),
    }
}

/// Everything that is found counts as a person's.
fn everything(kind: Kind) -> Choice {
    Choice {
        score: 0.01,
        person: 0.0,
        ..kind.choice()
    }
}

#[test]
fn boxes_stay_inside_images_of_any_shape() {
    for kind in KINDS {
        let (detector, _) =
            PersonDetector::open_with_masks(kind, &checkpoint(kind), settings(DType::F32)).unwrap();
        for (width, height) in [(1, 1), (1, 90), (300, 2), (64, 48)] {
            let image = image(width, height);
            let found = detector
                .detect_with_masks(&image, &everything(kind))
                .unwrap();
            for seen in found {
                let [x1, y1, x2, y2] = seen.detection.bounds;
                assert!(0.0 <= x1 && x1 < x2 && x2 <= width as f32);
                assert!(0.0 <= y1 && y1 < y2 && y2 <= height as f32);
                let mask = seen.mask.unwrap();
                assert!(mask.left + mask.width <= width);
                assert!(mask.inside.len() <= width * height);
            }
        }
    }
}

#[test]
fn nobody_is_an_empty_list() {
    for kind in KINDS {
        let (detector, _) =
            PersonDetector::open(kind, &checkpoint(kind), settings(DType::F32)).unwrap();
        let nobody = Choice {
            score: 1.0,
            ..kind.choice()
        };
        assert_eq!(detector.detect(&image(80, 60), &nobody).unwrap(), []);
    }
}

#[test]
fn half_precision_finds_what_single_finds() {
    for kind in KINDS {
        let found = |precision| {
            let (detector, _) =
                PersonDetector::open(kind, &checkpoint(kind), settings(precision)).unwrap();
            let choice = Choice {
                top: 20,
                ..everything(kind)
            };
            detector.detect(&image(120, 100), &choice).unwrap()
        };
        let single = found(DType::F32);
        assert!(!single.is_empty());
        for precision in [DType::BF16, DType::F16] {
            let half = found(precision);
            let best = |found: &[Detection]| found.first().map_or(0.0, |d| d.score);
            assert!(
                (best(&half) - best(&single)).abs() < 0.1,
                "{kind:?} {precision}"
            );
        }
    }
}

#[test]
fn another_models_file_is_told_so() {
    for (kind, other, expected) in [
        (
            Kind::RegNetY,
            "vitdet/a/model_tiny_p4.pkl",
            "not a checkpoint of RegNetY",
        ),
        (
            Kind::VitDet,
            "regnet/a/model_tiny_p4.pkl",
            "not a checkpoint of ViTDet",
        ),
        (
            Kind::VitDet,
            "hmr2/a/hmr2_tiny.ckpt",
            "not a checkpoint of ViTDet",
        ),
    ] {
        let opened = PersonDetector::open(kind, &fixture(other), settings(DType::F32));
        let error = opened.err().unwrap().to_string();
        assert!(error.contains(expected) && error.contains(other), "{error}");
    }
    let opened = PersonDetector::open(
        Kind::VitDet,
        &fixture("vitdet/a/meta.json"),
        settings(DType::F32),
    );
    assert!(opened.is_err());
}
