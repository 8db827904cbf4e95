//! Crops of all sizes, inside the image, across its border and beyond, against OpenCV's.

use std::path::Path;

use super::*;
use crate::checkpoint::open::open;
use crate::models::hmr2::config::DecoderSize;
use crate::models::vit::TrunkSize;

const STEP: usize = 16;

fn config() -> Config {
    Config {
        image_size: 256,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        box_shape: [192.0, 256.0],
        focal_length: 5000.0,
        trunk: TrunkSize::HUGE,
        decoder: DecoderSize {
            width: 1024,
            depth: 6,
            heads: 8,
            head_width: 64,
            hidden: 1024,
            context: 1280,
            skip_embedding: false,
        },
        mean_shape_input: false,
        iterations: 1,
        update_hips: false,
    }
}

/// As `tests/fixtures/crops/generate.py` makes it.
fn image() -> Rgb8 {
    let (width, height) = (1000, 760);
    let value = |i: usize| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        ((x * (7 + c) + y * 13) ^ (x * y / 31)) as u8
    };
    Rgb8 {
        width,
        height,
        data: (0..width * height * 3).map(value).collect(),
    }
}

#[test]
fn pixel_for_pixel_what_opencv_cuts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/crops/crops.npz");
    let npz = open(&path).unwrap();
    let [boxes, sides, crops] = ["boxes", "sides", "crops"].map(|n| npz.f32s(n).unwrap());
    let (image, config) = (image(), config());
    let cropper = Cropper::new(&config, 0..256);
    let kept = 256 / STEP;
    let mut crop = vec![0.0; cropper.len()];
    let references = crops.chunks_exact(3 * kept * kept).zip(&sides);
    for (i, (b, (expected, side))) in boxes.as_chunks::<4>().0.iter().zip(references).enumerate() {
        let bbox = BBox::new(b[0], b[1], b[2], b[3]);
        let square = Square::around(bbox, config.box_shape).unwrap();
        assert_eq!(square.side, *side, "{bbox:?}");
        cropper.crop(&image, square, &mut crop).unwrap();
        let rows = (i % STEP..256).step_by(STEP);
        let ours = (0..3).flat_map(|c| {
            let crop = &crop;
            rows.clone().flat_map(move |y| {
                ((3 * i) % STEP..256)
                    .step_by(STEP)
                    .map(move |x| crop[(c * 256 + y) * 256 + x])
            })
        });
        for (ours, expected) in ours.zip(expected) {
            assert!(
                (ours - expected).abs() < 2e-6,
                "{bbox:?}: {ours} {expected}"
            );
        }
    }
}

#[test]
fn the_columns_asked_for_are_those_of_the_whole() {
    let (image, config) = (image(), config());
    for side in [100.0, 900.0] {
        let center = [300.0, 420.0];
        let (whole, part) = (
            Cropper::new(&config, 0..256),
            Cropper::new(&config, 32..224),
        );
        let mut all = vec![0.0; whole.len()];
        let mut some = vec![0.0; part.len()];
        let square = Square { center, side };
        whole.crop(&image, square, &mut all).unwrap();
        part.crop(&image, square, &mut some).unwrap();
        let rows = all.chunks_exact(256).flat_map(|row| &row[32..224]);
        assert!(rows.eq(&some), "side {side}");
    }
}

#[test]
fn boxes_without_area_are_refused() {
    let shape = config().box_shape;
    for [x1, y1, x2, y2] in [
        [5.0, 5.0, 5.0, 5.0],
        [9.0, 5.0, 5.0, 8.0],
        [f32::NAN, 0.0, 5.0, 5.0],
        [0.0, 0.0, f32::INFINITY, 5.0],
        [-3e38, 0.0, 3e38, 1.0],
        [2e6, 0.0, 2.1e6, 1.0],
    ] {
        let bbox = BBox::new(x1, y1, x2, y2);
        assert!(Square::around(bbox, shape).is_err(), "{bbox:?}");
    }
    let line = BBox::new(5.0, 5.0, 5.0, 45.0);
    assert_eq!(Square::around(line, shape).unwrap().side, 40.0);
    let nothing = Rgb8 {
        width: 0,
        height: 0,
        data: Vec::new(),
    };
    let config = config();
    let cropper = Cropper::new(&config, 0..1);
    let square = Square::around(line, shape).unwrap();
    let mut out = vec![0.0; cropper.len()];
    assert_eq!(
        cropper.crop(&nothing, square, &mut out),
        Err(CropError::NoPixels)
    );
}

#[test]
fn at_and_beyond_the_border_is_black_and_a_pixel_is_a_box() {
    let config = config();
    let image = Rgb8 {
        width: 20,
        height: 20,
        data: vec![255; 20 * 20 * 3],
    };
    let cropper = Cropper::new(&config, 0..256);
    let mut out = vec![f32::NAN; cropper.len()];
    let mut crop = |x1: f32, y1: f32, x2: f32, y2: f32| {
        let square = Square::around(BBox::new(x1, y1, x2, y2), config.box_shape).unwrap();
        cropper.crop(&image, square, &mut out).unwrap();
        [0, 128 * 256 + 10, 128 * 256 + 128].map(|at| out[at])
    };
    let normal = |v: f64| ((v - 0.485) / 0.229) as f32;
    let (black, white) = (normal(0.0), normal(1.0));
    let near = |found: [f32; 3], expected: [f32; 3]| {
        let far = |(a, b): (f32, f32)| (a - b).abs() < 1e-5;
        assert!(found.into_iter().zip(expected).all(far), "{found:?}");
    };
    // Small ones are warped, large ones blurred on the way.
    for side in [30.0, 3e3, 4e5] {
        near(crop(1e3, 0.0, 1e3 + side, side), [black; 3]);
        near(crop(-5.0 - 2.0 * side, 0.0, -5.0 - side, side), [black; 3]);
    }
    near(crop(7.0, 7.0, 8.0, 8.0), [white; 3]);
    near(crop(-10.0, 5.0, 10.0, 15.0), [black, black, white]);
}
