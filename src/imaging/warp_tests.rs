//! Crops against MediaPipe's own (tests/fixtures/warp), and the borders of what is allowed.

use super::*;

/// Repeats `image` of tests/fixtures/warp/generate.py.
fn image(width: usize, height: usize, kind: u8) -> Rgb8 {
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let smooth = x * 2 + y * 3 + c * 80 + ((x * y) >> 5);
                let noise = ((x * 7919 + y * 104_729 + c * 1_299_709) % 65_521 * 40_503) >> 8;
                data.push(if kind == 1 { noise } else { smooth } as u8);
            }
        }
    }
    Rgb8 {
        width,
        height,
        data,
    }
}

struct Case<'a> {
    image: Rgb8,
    roi: Roi,
    out: usize,
    border: Border,
    expected: &'a [u8],
}

fn cases() -> Vec<Case<'static>> {
    let mut rest: &[u8] = include_bytes!("../../tests/fixtures/warp/cases.bin");
    let mut cases = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| usize::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
        let float = |at: usize| f32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let out = word(4);
        let end = 24 + out * out * 3;
        cases.push(Case {
            image: image(word(0), word(2), rest[7]),
            roi: Roi {
                cx: float(8),
                cy: float(12),
                size: float(16),
                rotation: float(20),
            },
            out,
            border: [Border::Zero, Border::Replicate][usize::from(rest[6])],
            expected: &rest[24..end],
        });
        rest = &rest[end..];
    }
    cases
}

fn crop(case: &Case) -> Vec<u8> {
    let mut dst = vec![77; case.out * case.out * 3];
    warp_roi(&case.image, &case.roi, case.out, case.border, &mut dst);
    dst
}

#[test]
fn every_byte_is_mediapipes() {
    let cases = cases();
    assert!(cases.len() >= 15);
    for (index, case) in cases.iter().enumerate() {
        let wrong = crop(case)
            .iter()
            .zip(case.expected)
            .filter(|(a, b)| a != b)
            .count();
        assert_eq!(wrong, 0, "bytes of case {index}: {:?}", case.roi);
    }
}

#[test]
fn floats_are_the_scaled_bytes() {
    for case in cases() {
        let mut floats = vec![0.0; case.out * case.out * 3];
        warp_roi_f32(
            &case.image,
            &case.roi,
            case.out,
            case.border,
            2.0 / 255.0,
            -1.0,
            &mut floats,
        );
        for (float, byte) in floats.iter().zip(crop(&case)) {
            assert_eq!(*float, f32::from(byte) * (2.0 / 255.0) - 1.0);
        }
    }
}

/// The processor's own code for floats against the portable code for bytes, over edges and corners.
#[test]
fn floats_are_the_scaled_bytes_everywhere() {
    let mut state = 1u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    for index in 0..400 {
        let image = image(1 + random(90) as usize, 1 + random(60) as usize, 1);
        let case = Case {
            roi: Roi {
                cx: random(900) as f32 / 10.0,
                cy: random(600) as f32 / 10.0,
                size: 1.0 + random(800) as f32 / 10.0,
                rotation: [0.0, random(628) as f32 / 100.0][index % 2],
            },
            image,
            out: 1 + random(150) as usize,
            border: [Border::Zero, Border::Replicate][index / 2 % 2],
            expected: &[],
        };
        let mut floats = vec![-1.0; case.out * case.out * 3];
        let (scale, offset) = (1.0 / 255.0, 0.25);
        warp_roi_f32(
            &case.image,
            &case.roi,
            case.out,
            case.border,
            scale,
            offset,
            &mut floats,
        );
        for (float, byte) in floats.iter().zip(crop(&case)) {
            assert_eq!(*float, f32::from(byte) * scale + offset, "case {index}");
        }
    }
}

#[test]
fn what_cannot_be_cropped_is_black() {
    let image = image(20, 10, 0);
    let good = Roi {
        cx: 10.0,
        cy: 5.0,
        size: 8.0,
        rotation: 0.0,
    };
    let bad = [
        Roi { size: 0.0, ..good },
        Roi {
            size: f32::NAN,
            ..good
        },
        Roi {
            cx: f32::INFINITY,
            ..good
        },
        Roi {
            rotation: f32::NAN,
            ..good
        },
        Roi {
            size: 1e38,
            cx: -1e38,
            ..good
        },
    ];
    for roi in bad {
        let mut dst = [9; 4 * 4 * 3];
        warp_roi(&image, &roi, 4, Border::Zero, &mut dst);
        assert_eq!(dst, [0; 48], "{roi:?}");
    }
    let empty = Rgb8 {
        width: 0,
        height: 0,
        data: Vec::new(),
    };
    let mut dst = [9; 4 * 4 * 3];
    warp_roi(&empty, &good, 4, Border::Replicate, &mut dst);
    assert_eq!(dst, [0; 48]);
}
