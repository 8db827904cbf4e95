//! Archives that contradict themselves. Good files are compared with PyTorch in
//! `tests/checkpoint_torch.rs`.

use super::*;
use crate::checkpoint::write::zip as write;

/// `{'w': tensor}` of `elements` floats in storage `key`, seen from `offset` with `shape` and
/// `stride`.
fn state_dict(key: &str, elements: u8, offset: u8, shape: u8, stride: u8) -> Vec<u8> {
    let mut out = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(b'X');
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    };
    text(&mut out, "storage");
    out.extend(b"ctorch\nFloatStorage\n");
    text(&mut out, key);
    text(&mut out, "cpu");
    out.extend([b'K', elements, b't', b'Q', b'K', offset]);
    out.extend([b'K', shape, 0x85, b'K', stride, 0x85]);
    out.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    out
}

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = write::Archive::new(&mut out);
    for (name, bytes) in members {
        archive.add(name, bytes).unwrap();
    }
    archive.finish().unwrap();
    out
}

fn parse(members: &[(&str, &[u8])]) -> Parse<Contents> {
    let source: Source = Arc::new(archive(members));
    read(&source)
}

fn refusal(members: &[(&str, &[u8])]) -> String {
    parse(members).err().expect("it was read").message
}

#[test]
fn records_lie_under_any_folder() {
    let good = state_dict("0", 2, 0, 2, 1);
    for root in ["", "archive/", "a b/c/"] {
        let pickle = format!("{root}data.pkl");
        let data = format!("{root}data/0");
        let found = parse(&[(&pickle, &good), (&data, &[1, 2, 3, 4, 5, 6, 7, 8])]).unwrap();
        assert_eq!(
            found.tensors["w"].read().unwrap(),
            [1, 2, 3, 4, 5, 6, 7, 8],
            "{root}"
        );
    }
}

#[test]
fn views_of_storages_are_read() {
    let bytes: Vec<u8> = (0..40).collect();
    let strided = state_dict("0", 10, 1, 3, 4);
    let found = parse(&[("a/data.pkl", &strided), ("a/data/0", &bytes)]).unwrap();
    let expected = [&bytes[4..8], &bytes[20..24], &bytes[36..40]].concat();
    assert_eq!(found.tensors["w"].read().unwrap(), expected);
    // A step of zero repeats an element, as torch.expand does.
    let repeated = state_dict("0", 10, 2, 3, 0);
    let found = parse(&[("a/data.pkl", &repeated), ("a/data/0", &bytes)]).unwrap();
    assert_eq!(found.tensors["w"].read().unwrap(), bytes[8..12].repeat(3));
    let empty = state_dict("0", 0, 0, 0, 1);
    let found = parse(&[("a/data.pkl", &empty), ("a/data/0", &[])]).unwrap();
    assert!(found.tensors["w"].read().unwrap().is_empty());
}

#[test]
fn big_endian_archives_are_turned() {
    let good = state_dict("0", 1, 0, 1, 1);
    let members = |order| {
        [
            ("a/data.pkl", good.as_slice()),
            ("a/data/0", &[1, 2, 3, 4]),
            ("a/byteorder", order),
        ]
    };
    let found = parse(&members(b"big")).unwrap();
    assert_eq!(found.tensors["w"].read().unwrap(), [4, 3, 2, 1]);
    let found = parse(&members(b"little")).unwrap();
    assert_eq!(found.tensors["w"].read().unwrap(), [1, 2, 3, 4]);
    assert!(refusal(&members(b"middle")).contains("byte order"));
    assert!(refusal(&members(&[b'b'; 100])).contains("at most"));
}

#[test]
fn contradictions_are_refused() {
    let good = state_dict("0", 2, 0, 2, 1);
    let pickle = ("a/data.pkl", good.as_slice());
    let data: (&str, &[u8]) = ("a/data/0", &[0; 8]);
    let longer = [good.as_slice(), b"cposix\nsystem\n."].concat();
    let outside = state_dict("../../etc/passwd", 2, 0, 2, 1);
    let cases: [(&str, Vec<(&str, &[u8])>, &str); 12] = [
        ("no storage", vec![pickle], "no data/0"),
        (
            "a short storage",
            vec![pickle, ("a/data/0", &[0; 7])],
            "claimed",
        ),
        (
            "a long storage",
            vec![pickle, ("a/data/0", &[0; 9])],
            "claimed",
        ),
        (
            "a storage elsewhere",
            vec![("a/data.pkl", &outside), data],
            "no data/../",
        ),
        (
            "two pickles",
            vec![pickle, data, ("b/data.pkl", &good)],
            "two pickles",
        ),
        (
            "two cases",
            vec![pickle, data, ("a/DATA/0", &[1; 8])],
            "case",
        ),
        (
            "bytes behind the pickle",
            vec![("a/data.pkl", &longer), data],
            "behind",
        ),
        (
            "no pickle",
            vec![("a/data.pkl.bak", &good), data],
            "without data.pkl",
        ),
        (
            "an empty pickle",
            vec![("a/data.pkl", b""), data],
            "data.pkl",
        ),
        (
            "a new version",
            vec![pickle, data, ("a/version", b"11\n")],
            "version 11",
        ),
        (
            "version zero",
            vec![pickle, data, ("a/version", b"0")],
            "version 0",
        ),
        (
            "a version of words",
            vec![pickle, data, ("a/version", b"three")],
            "three",
        ),
    ];
    for (what, members, expected) in cases {
        let message = refusal(&members);
        assert!(message.contains(expected), "{what}: {message}");
    }
}

#[test]
fn views_outside_their_storage_are_refused() {
    let bytes = [0; 40];
    for (offset, shape, stride) in [
        (10, 1, 1),
        (9, 2, 1),
        (0, 11, 1),
        (0, 4, 4),
        (255, 255, 255),
        (1, 2, 9),
    ] {
        let pickle = state_dict("0", 10, offset, shape, stride);
        let found = parse(&[("a/data.pkl", &pickle), ("a/data/0", &bytes)]);
        assert!(found.is_err(), "{offset} {shape} {stride}");
    }
    let message = refusal(&[
        ("a/data.pkl", &state_dict("0", 10, 1, 10, 1)),
        ("a/data/0", &bytes),
    ]);
    assert!(message.contains("storage of 40"), "{message}");
}

#[test]
fn an_archive_stuffed_with_members_is_refused() {
    let good = state_dict("0", 2, 0, 2, 1);
    let names: Vec<String> = (0..=MAX_UNUSED).map(|i| format!("a/extra/{i}")).collect();
    let mut members: Vec<(&str, &[u8])> = vec![("a/data.pkl", &good), ("a/data/0", &[0; 8])];
    assert!(parse(&members).is_ok());
    members.extend(names.iter().map(|name| (name.as_str(), b"".as_slice())));
    assert!(refusal(&members).contains("does not write"));
}

#[test]
fn checksums_count_unless_there_are_none() {
    let good = state_dict("0", 2, 0, 2, 1);
    let bytes = archive(&[("a/data.pkl", &good), ("a/data/0", &[9; 8])]);
    let at = bytes.windows(8).position(|eight| eight == [9; 8]).unwrap();
    let mut damaged = bytes.clone();
    damaged[at] = 8;
    let source: Source = Arc::new(damaged);
    let found = read(&source).unwrap();
    assert!(
        found.tensors["w"]
            .read()
            .err()
            .unwrap()
            .message
            .contains("checksum")
    );
    let at = bytes
        .windows(good.len())
        .position(|run| run == good)
        .unwrap();
    let mut damaged = bytes;
    damaged[at + 7] ^= 1;
    let source: Source = Arc::new(damaged);
    assert!(read(&source).err().unwrap().message.contains("checksum"));
}
