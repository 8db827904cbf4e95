//! Regions of boxes of all kinds, and crops against OpenCV's.

use super::*;

#[test]
fn a_region_has_the_crops_ratio_and_some_air() {
    let region = Region::around(BBox::new(100.0, 50.0, 220.0, 450.0)).unwrap();
    assert_eq!(region.center, [160.0, 250.0]);
    assert_eq!(region.scale, [1.875, 2.5]);
    let wide = Region::of([0.0, 0.0, 300.0, 100.0]).unwrap();
    assert_eq!(wide.scale, [1.875, 2.5]);
}

#[test]
fn places_go_to_the_crop_and_back() {
    let region = Region::of([150.25, 20.5, 370.5, 680.0]).unwrap();
    for warp in [Warp::Unbiased, Warp::Plain] {
        let map = region.to_crop(warp).unwrap();
        for [x, y] in [[0.0, 0.0], [191.0, 255.0], [13.0, 200.5]] {
            let [u, v] = region.to_image([x, y], [WIDTH, HEIGHT], warp);
            let seen = [0, 3]
                .map(|row| map[row] * f64::from(u) + map[row + 1] * f64::from(v) + map[row + 2]);
            let far = (seen[0] - f64::from(x))
                .abs()
                .max((seen[1] - f64::from(y)).abs());
            assert!(far < 2e-3, "{warp:?} {x} {y}: {seen:?}");
        }
    }
}

#[test]
fn boxes_without_area_are_refused() {
    let nan = f32::NAN;
    for [x1, y1, x2, y2] in [
        [5.0, 5.0, 5.0, 5.0],
        [9.0, 5.0, 5.0, 8.0],
        [5.0, 9.0, 8.0, 5.0],
        [nan, 0.0, 5.0, 5.0],
        [0.0, 0.0, nan, 5.0],
        [0.0, 0.0, f32::INFINITY, 5.0],
        [-3e38, 0.0, 3e38, 1.0],
        [2e6, 0.0, 2.1e6, 1.0],
    ] {
        let bbox = BBox::new(x1, y1, x2, y2);
        assert!(Region::around(bbox).is_err(), "{bbox:?}");
    }
    let line = Region::around(BBox::new(5.0, 5.0, 5.0, 45.0)).unwrap();
    assert_eq!(line.center, [5.0, 25.0]);
    let nothing = Rgb8 {
        width: 0,
        height: 0,
        data: Vec::new(),
    };
    let mut out = vec![0.0; NUMBERS];
    let error = crop(&nothing, line, Warp::Unbiased, &mut out);
    assert_eq!(error, Err(CropError::NoPixels));
}

#[test]
fn at_and_beyond_the_border_is_black() {
    let image = Rgb8 {
        width: 20,
        height: 20,
        data: vec![255; 20 * 20 * 3],
    };
    let black = [0, 1, 2].map(|c| (0.0 - MEAN[c]) / STD[c]);
    let white = [0, 1, 2].map(|c| (1.0 - MEAN[c]) / STD[c]);
    let mut out = vec![f32::NAN; NUMBERS];
    let plane = WIDTH * HEIGHT;
    for warp in [Warp::Unbiased, Warp::Plain] {
        for far in [1e3, 5e5, -6e5f32] {
            let away = Region::around(BBox::new(far, 0.0, far + far.abs() / 2.0, 30.0)).unwrap();
            crop(&image, away, warp, &mut out).unwrap();
            let value = |c: usize| &out[c * plane..(c + 1) * plane];
            assert!(
                (0..3).all(|c| value(c).iter().all(|v| *v == black[c])),
                "{far}"
            );
        }
        // Half of it beyond the left border.
        let across = Region::around(BBox::new(-4.0, 2.0, 4.0, 18.0)).unwrap();
        crop(&image, across, warp, &mut out).unwrap();
        assert_eq!(
            [out[128 * WIDTH], out[128 * WIDTH + 150]],
            [black[0], white[0]]
        );
        let pixel = Region::around(BBox::new(7.0, 7.0, 8.0, 8.0)).unwrap();
        crop(&image, pixel, warp, &mut out).unwrap();
        assert!((0..3).all(|c| {
            out[c * plane..(c + 1) * plane]
                .iter()
                .all(|v| *v == white[c])
        }));
    }
}
