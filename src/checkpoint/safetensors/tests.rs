//! The header's attacks. Good files are compared with Python in `tests/checkpoint_torch.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;

fn file(header: &[u8], data: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(vec![7; data]);
    out
}

fn parse(bytes: Vec<u8>) -> Parse<Contents> {
    let source: Source = Arc::new(bytes);
    read(&source)
}

fn info(dtype: &str, shape: &str, start: u64, end: u64) -> String {
    format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}"#)
}

#[test]
fn good_headers_are_read() {
    let a = info("F32", "[2]", 8, 16);
    let b = info("I8", "[0,3]", 8, 8);
    let c = info("F64", "[]", 0, 8);
    let header = format!(r#"{{"a":{a},"__metadata__":{{"k":"v"}},"b\u0041":{b},"c":{c}}}   "#);
    let found = parse(file(header.as_bytes(), 16)).unwrap();
    assert_eq!(found.tensors.keys().collect::<Vec<_>>(), ["a", "bA", "c"]);
    assert_eq!(found.values["k"], "v");
    assert_eq!(found.tensors["a"].extent().unwrap().len, 8);
    assert!(parse(file(b"{}", 0)).unwrap().tensors.is_empty());
}

#[test]
fn attacks_on_the_header_are_refused() {
    let a = info("U8", "[4]", 0, 4);
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let many_dims = info("U8", &format!("[{}1]", "1,".repeat(100)), 0, 4);
    let cases: Vec<(&str, String)> = vec![
        ("a name twice", format!(r#"{{"a":{a},"a":{a}}}"#)),
        (
            "a name twice, once escaped",
            format!(r#"{{"a":{a},"\u0061":{a}}}"#),
        ),
        (
            "metadata twice",
            format!(r#"{{"__metadata__":{{}},"__metadata__":{{}},"a":{a}}}"#),
        ),
        (
            "a key of the metadata twice",
            format!(r#"{{"__metadata__":{{"k":"1","k":"2"}},"a":{a}}}"#),
        ),
        (
            "metadata of numbers",
            format!(r#"{{"__metadata__":{{"k":1}},"a":{a}}}"#),
        ),
        (
            "a field twice",
            r#"{"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#.into(),
        ),
        (
            "an unknown field",
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}}"#.into(),
        ),
        (
            "no shape",
            r#"{"a":{"dtype":"U8","data_offsets":[0,4]}}"#.into(),
        ),
        ("no offsets", r#"{"a":{"dtype":"U8","shape":[4]}}"#.into()),
        (
            "three offsets",
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4,8]}}"#.into(),
        ),
        (
            "negative size",
            format!(r#"{{"a":{}}}"#, info("U8", "[-4]", 0, 4)),
        ),
        (
            "size with a point",
            format!(r#"{{"a":{}}}"#, info("U8", "[4.0]", 0, 4)),
        ),
        (
            "overflowing shape",
            format!(
                r#"{{"a":{}}}"#,
                info("U8", "[4294967296,4294967296,4]", 0, 4)
            ),
        ),
        (
            "overflowing bytes",
            format!(r#"{{"a":{}}}"#, info("F64", "[2305843009213693953]", 0, 4)),
        ),
        ("too many dimensions", format!(r#"{{"a":{many_dims}}}"#)),
        (
            "shape and offsets differ",
            format!(r#"{{"a":{}}}"#, info("U8", "[5]", 0, 4)),
        ),
        (
            "ends before it begins",
            format!(r#"{{"a":{}}}"#, info("U8", "[4]", 4, 0)),
        ),
        (
            "past the end",
            format!(r#"{{"a":{}}}"#, info("U8", "[5]", 0, 5)),
        ),
        (
            "far past the end",
            format!(r#"{{"a":{}}}"#, info("U8", "[4]", u64::MAX - 4, u64::MAX)),
        ),
        (
            "bytes left over",
            format!(r#"{{"a":{}}}"#, info("U8", "[3]", 0, 3)),
        ),
        (
            "a hole in front",
            format!(r#"{{"a":{}}}"#, info("U8", "[3]", 1, 4)),
        ),
        (
            "an overlap",
            format!(r#"{{"a":{a},"b":{}}}"#, info("U8", "[2]", 2, 4)),
        ),
        ("the same bytes twice", format!(r#"{{"a":{a},"b":{a}}}"#)),
        (
            "an unknown type",
            format!(r#"{{"a":{}}}"#, info("F4", "[4]", 0, 4)),
        ),
        ("deep JSON", deep),
        ("not an object", "[1, 2]".into()),
        ("space in front", format!(r#" {{"a":{a}}}"#)),
        ("more behind", format!(r#"{{"a":{a}}} x"#)),
        ("cut off", format!(r#"{{"a":{a}"#)),
        ("a tensor that is a number", r#"{"a":1}"#.into()),
    ];
    for (what, header) in cases {
        assert!(parse(file(header.as_bytes(), 4)).is_err(), "{what}");
    }
    assert!(parse(file(b"{\"a\xff\":{}}", 4)).is_err());
    for len in [0, 2, 8, 9] {
        assert!(parse(vec![0xff; len]).is_err(), "{len} bytes");
    }
    for claim in [5_u64, 99_000_000, 100_000_001, u64::MAX] {
        let mut bytes = file(b"{}", 0);
        bytes[..8].copy_from_slice(&claim.to_le_bytes());
        assert!(parse(bytes).is_err(), "{claim}");
    }
}

#[test]
fn a_million_tensors_are_refused_at_once() {
    let one = info("U8", "[0]", 0, 0);
    for count in [200_000, 1_000_000] {
        let mut header = String::from("{");
        for i in 0..count {
            header.push_str(&format!("\"{i}\":{one},"));
        }
        header.push_str("\"a\":1}");
        let bytes = file(header.as_bytes(), 0);
        let start = Instant::now();
        assert!(parse(bytes).is_err());
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }
}
