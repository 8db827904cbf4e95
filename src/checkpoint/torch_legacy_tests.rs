//! Legacy files written by hand: views of storages, and files that contradict themselves.

use std::sync::Arc;

use super::*;

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// One tensor of four floats in storage `key`; `view` is the pickled sixth part of its id.
fn object(key: &str, view: &[u8], shape: u8) -> Vec<u8> {
    let mut out = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor\n((".to_vec();
    text(&mut out, "storage");
    out.extend(b"ctorch\nFloatStorage\n");
    text(&mut out, key);
    text(&mut out, "cpu");
    out.extend(b"K\x04");
    out.extend(view);
    out.extend(b"tQK\0");
    out.extend([b'K', shape, 0x85, b'K', 1, 0x85]);
    out.extend(b"tRs.");
    out
}

fn keys(keys: &[&str]) -> Vec<u8> {
    let mut out = b"\x80\x02](".to_vec();
    keys.iter().for_each(|key| text(&mut out, key));
    out.extend(b"e.");
    out
}

const HEAD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

fn file(object: &[u8], list: &[u8], count: u64, data: usize) -> Vec<u8> {
    let mut out = [HEAD, object, list].concat();
    out.extend(count.to_le_bytes());
    out.extend((0..data).map(|i| i as u8));
    out
}

fn parse(bytes: Vec<u8>) -> Parse<Contents> {
    let source: Source = Arc::new(bytes);
    read(&source)
}

#[test]
fn storages_follow_the_pickles() {
    let good = file(&object("k", b"N", 4), &keys(&["k"]), 4, 16);
    assert!(looks_like(&good));
    let found = parse(good).unwrap();
    assert_eq!(
        found.tensors["w"].read().unwrap(),
        (0..16).collect::<Vec<u8>>()
    );
}

#[test]
fn the_first_five_parts_of_an_id_are_enough() {
    let found = parse(file(&object("k", b"", 4), &keys(&["k"]), 4, 16));
    assert_eq!(found.unwrap().tensors["w"].shape, [4]);
}

#[test]
fn a_view_is_part_of_its_storage() {
    let view = b"(X\x01\0\0\0vK\x01K\x02t";
    let found = parse(file(&object("k", view, 2), &keys(&["k"]), 4, 16)).unwrap();
    assert_eq!(
        found.tensors["w"].read().unwrap(),
        [4, 5, 6, 7, 8, 9, 10, 11]
    );
    // The view has two elements, whatever its storage has.
    assert!(parse(file(&object("k", view, 3), &keys(&["k"]), 4, 16)).is_err());
    let outside = b"(X\x01\0\0\0vK\x03K\x02t";
    assert!(parse(file(&object("k", outside, 1), &keys(&["k"]), 4, 16)).is_err());
}

#[test]
fn contradictions_are_refused() {
    let good = object("k", b"N", 4);
    let list = keys(&["k"]);
    let wrong_version = HEAD.len() - 4 - 3;
    let mut old = file(&good, &list, 4, 16);
    old[wrong_version] = 2;
    let mut no_magic = file(&good, &list, 4, 16);
    no_magic[5] ^= 1;
    let cases = [
        ("a short storage", file(&good, &list, 4, 15), "cut off"),
        (
            "bytes behind",
            file(&good, &list, 4, 17),
            "behind the last storage",
        ),
        ("fewer elements", file(&good, &list, 3, 12), "claimed"),
        ("more elements", file(&good, &list, 5, 20), "claimed"),
        (
            "elements without end",
            file(&good, &list, u64::MAX, 16),
            "cut off",
        ),
        (
            "overflowing bytes",
            file(&good, &list, 1 << 62, 16),
            "cut off",
        ),
        (
            "another key",
            file(&good, &keys(&["x"]), 4, 16),
            "what type",
        ),
        (
            "no storages",
            file(&good, &keys(&[]), 4, 16),
            "behind the last storage",
        ),
        (
            "keys that are no list",
            file(&good, b"\x80\x02N.", 4, 16),
            "no list",
        ),
        ("another version", old, "other than 1001"),
        ("no magic number", no_magic, "magic"),
    ];
    for (what, bytes, expected) in cases {
        let message = parse(bytes).err().expect(what).message;
        assert!(message.contains(expected), "{what}: {message}");
    }
    let twice = [
        HEAD,
        &good,
        &keys(&["k", "k"]),
        &4_u64.to_le_bytes(),
        &[0; 16],
    ]
    .concat();
    let twice = [twice.as_slice(), &4_u64.to_le_bytes(), &[0; 16]].concat();
    assert!(parse(twice).err().unwrap().message.contains("listed twice"));
}

#[test]
fn the_tar_format_is_told_apart() {
    assert!(is_tar(
        ["sys_info", "pickle", "tensors", "storages"].into_iter()
    ));
    assert!(!is_tar(["model.pth", "storages"].into_iter()));
    assert!(tar_fault().message.contains("torch.save"));
}
