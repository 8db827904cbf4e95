//! What is seen of a body in a picture, and which atlases are refused.

use super::*;

/// A square of two triangles, one unit wide, and a texel on each.
fn atlas() -> Atlas {
    let shares = [[0.5, 0.25, 0.25]; 4];
    Atlas::new(2, &[0, 1, -1, 0], &shares, &[0, 1, 2, 0, 2, 3], 4).unwrap()
}

const SQUARE: [f32; 12] = [
    -0.5, -0.5, 0.0, 0.5, -0.5, 0.0, 0.5, 0.5, 0.0, -0.5, 0.5, 0.0,
];

fn grey(value: f32) -> Picture {
    Picture {
        pixels: vec![value; 3 * SIDE * SIDE],
        mask: vec![true; SIDE * SIDE],
    }
}

#[test]
fn what_is_seen_has_the_pictures_colour_and_the_rest_none() {
    let map = atlas().seen(&SQUARE, [0.9, 0.0, 0.0], &grey(2.0));
    assert_eq!(map.seen, [true, true, false, true]);
    for channel in map.colour.chunks(4) {
        assert!((channel[0] - 0.4).abs() < 1e-6 && channel[2] == 0.0);
    }
    let mut others = grey(2.0);
    others.mask.fill(false);
    let map = atlas().seen(&SQUARE, [0.9, 0.0, 0.0], &others);
    assert_eq!(map.seen, [false; 4]);
    assert!(map.colour.iter().all(|v| *v == 0.0));
}

#[test]
fn somebody_small_in_the_crop_is_seen() {
    // 2 * 5000 / (256 * 0.2) = 195 metres away.
    let map = atlas().seen(&SQUARE, [0.2, 0.0, 0.0], &grey(1.0));
    assert_eq!(map.seen, [true, true, false, true]);
}

#[test]
fn beside_the_crop_or_nowhere_there_is_nothing() {
    for camera in [[0.9, 50.0, 0.0], [f32::NAN, 0.0, 0.0], [-0.5, 0.0, 0.0]] {
        let map = atlas().seen(&SQUARE, camera, &grey(1.0));
        assert_eq!(map.seen, [false; 4], "{camera:?}");
    }
    let map = atlas().seen(&[], [0.9, 0.0, 0.0], &grey(1.0));
    assert_eq!(map.seen, [false; 4]);
}

#[test]
fn a_triangle_that_the_body_lacks_is_refused() {
    let refused =
        |triangle, faces: &[u32]| Atlas::new(1, &[triangle], &[[1.0, 0.0, 0.0]], faces, 3).err();
    assert_eq!(refused(0, &[0, 1, 2]), None);
    assert!(
        refused(1, &[0, 1, 2])
            .unwrap()
            .contains("triangle 1 at texel 0, of 1")
    );
    assert!(refused(i64::MAX, &[0, 1, 2]).is_some());
    assert!(refused(0, &[0, 1, 3]).is_some());
}

#[test]
fn files_of_another_kind_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, descr: &str, shape: &str, bytes: &[u8]| {
        let head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let length = (10 + head.len() + 1).next_multiple_of(64) - 10;
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((length as u16).to_le_bytes());
        file.extend(format!("{head:<width$}\n", width = length - 1).as_bytes());
        file.extend(bytes);
        let path = folder.path().join(name);
        std::fs::write(&path, file).unwrap();
        path
    };
    let triangles = write("fmap.npy", "<i8", "(1, 1)", &0i64.to_le_bytes());
    let ones: Vec<u8> = [1f32, 0.0, 0.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let shares = write("bmap.npy", "<f4", "(1, 1, 3)", &ones);
    let open = |shares: &Path, triangles: &Path| {
        Atlas::open(shares, triangles, &[0, 1, 2], 3).map_err(|e| e.to_string())
    };
    assert_eq!(open(&shares, &triangles).unwrap().side(), 1);
    let error = open(&shares, &shares).err().unwrap();
    assert!(error.contains("bmap.npy"), "{error}");
    let error = open(&triangles, &triangles).err().unwrap();
    assert!(error.contains("fmap.npy"), "{error}");
    let flat = write("flat.npy", "<i8", "(1,)", &0i64.to_le_bytes());
    let error = open(&shares, &flat).err().unwrap();
    assert!(error.contains("[side, side]"), "{error}");
}
