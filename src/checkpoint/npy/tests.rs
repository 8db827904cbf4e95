//! Headers as numpy writes them, and as nobody should. Good files of every type are compared with
//! numpy in `tests/checkpoint_torch.rs`.

use std::sync::Arc;

use super::*;
use crate::checkpoint::dtype::DType;

fn file(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
    let mut out = vec![0x93, b'N', b'U', b'M', b'P', b'Y', version, 0];
    if version == 1 {
        out.extend((header.len() as u16).to_le_bytes());
    } else {
        out.extend((header.len() as u32).to_le_bytes());
    }
    out.extend(header.as_bytes());
    out.extend(values);
    out
}

fn parse(bytes: &[u8]) -> Parse<Contents> {
    let source: Source = Arc::new(bytes.to_vec());
    read(&source)
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}    \n")
}

fn only(header: &str, values: &[u8]) -> Parse<Tensor> {
    let mut contents = parse(&file(1, header, values))?;
    Ok(contents.tensors.swap_remove(ONLY).unwrap())
}

#[test]
fn headers_of_every_version_are_read() {
    for version in [1, 2, 3] {
        let bytes = file(
            version,
            &header("'<i4'", "False", "(2,)"),
            &[1, 0, 0, 0, 255, 255, 255, 255],
        );
        let contents = parse(&bytes).unwrap();
        let tensor = &contents.tensors[ONLY];
        assert_eq!(
            (tensor.dtype, tensor.shape.as_slice()),
            (DType::I32, [2].as_slice())
        );
        assert_eq!(tensor.read().unwrap(), [1, 0, 0, 0, 255, 255, 255, 255]);
        // Nothing of it is copied: the values can be mapped.
        assert_eq!(tensor.extent().unwrap().len, 8);
    }
}

#[test]
fn scalars_and_empty_arrays() {
    let scalar = only(&header("'|u1'", "False", "()"), &[9]).unwrap();
    assert_eq!((scalar.shape.len(), scalar.read().unwrap()), (0, vec![9]));
    let empty = only(&header("'<f4'", "True", "(0, 5)"), &[]).unwrap();
    assert_eq!(
        (empty.shape.as_slice(), empty.read().unwrap()),
        ([0, 5].as_slice(), vec![])
    );
}

#[test]
fn fortran_order_and_big_endian_are_turned() {
    // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) lies in memory as 1 4 2 5 3 6.
    let turned = only(&header("'|u1'", "True", "(2, 3)"), &[1, 4, 2, 5, 3, 6]).unwrap();
    assert_eq!(turned.read().unwrap(), [1, 2, 3, 4, 5, 6]);
    let swapped = only(&header("'>i2'", "False", "(2,)"), &[0, 1, 2, 3]).unwrap();
    assert_eq!(swapped.read().unwrap(), [1, 0, 3, 2]);
}

#[test]
fn what_is_no_number_is_listed() {
    let cases = [
        ("'|O'", "()", &b"\x80\x02cmodule\nClass\n."[..], "numpy.object_"),
        ("'<M8[ns]'", "(1,)", &[0; 8], "numpy.datetime64"),
        ("'<f16'", "(1,)", &[0; 16], "numpy.longdouble"),
        ("'|V3'", "(2,)", &[0; 6], "numpy.void"),
    ];
    for (descr, shape, values, class) in cases {
        let contents = parse(&file(1, &header(descr, "False", shape), values)).unwrap();
        let listed = [Opaque {
            path: ONLY.into(),
            class: class.into(),
        }];
        assert_eq!(contents.opaque, listed, "{descr}");
        assert!(contents.tensors.is_empty(), "{descr}");
    }
}

#[test]
fn objects_are_read_as_pickles_and_nothing_is_run() {
    let object = |pickle: &[u8]| parse(&file(1, &header("'|O'", "False", "()"), pickle));
    assert_eq!(object(b"\x80\x02K\x07.").unwrap().values[ONLY], 7);
    let hostile = object(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.").err().unwrap();
    assert!(hostile.message.contains("posix.system"), "{hostile}");
    assert!(object(b"\x80\x02N.more").err().unwrap().message.contains("4 bytes follow"));
    assert!(object(b"").is_err() && object(b"\x80\x02").is_err());
}

#[test]
fn texts_are_values() {
    let bytes: Vec<u8> = "aδ\0b\0\0"
        .chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect();
    let contents = parse(&file(1, &header("'>U3'", "True", "(1, 2)"), &bytes)).unwrap();
    assert_eq!(contents.values[ONLY], serde_json::json!([["aδ", "b"]]));
    let contents = parse(&file(
        1,
        &header("'|S2'", "True", "(2, 2)"),
        b"a\0b\0c\0\xff\0",
    ))
    .unwrap();
    assert_eq!(
        contents.values[ONLY],
        serde_json::json!([["a", "c"], ["b", "ÿ"]])
    );
    let contents = parse(&file(1, &header("'<U0'", "False", "()"), b"")).unwrap();
    assert_eq!(contents.values[ONLY], serde_json::json!(""));
}

#[test]
fn many_texts_are_only_listed() {
    for shape in ["(1000000,)", "(1000000000, 0)"] {
        let contents = parse(&file(1, &header("'<U0'", "False", shape), b"")).unwrap();
        assert_eq!(contents.opaque[0].class, "numpy.str_", "{shape}");
    }
}

#[test]
fn hostile_headers_are_refused() {
    let big = "(4294967296, 4294967296, 4294967296)";
    let deep = format!("{}{}", "[('a', ".repeat(5000), ")]".repeat(5000));
    let cases = [
        ("huge shape overflows", header("'<f8'", "False", big)),
        (
            "shape beyond the file",
            header("'<f4'", "False", "(1000000000,)"),
        ),
        ("shape short of the file", header("'|u1'", "False", "(1,)")),
        ("negative", header("'<f4'", "False", "(-1,)")),
        (
            "too many dimensions",
            header("'|u1'", "False", &format!("({})", "1, ".repeat(65))),
        ),
        ("shape of text", header("'<f4'", "False", "('2',)")),
        ("shape of one number", header("'<f4'", "False", "2")),
        ("unknown type", header("'<q9'", "False", "(1,)")),
        ("type of text", header("'<é4'", "False", "(2,)")),
        (
            "width overflows",
            header("'<U9999999999999999999'", "False", "(0,)"),
        ),
        (
            "empty records for ever",
            header("[]", "False", "(9223372036854775807, 2)"),
        ),
        (
            "record overflows",
            header("[('a', '<f8', (9223372036854775807,))]", "False", "(1,)"),
        ),
        ("nested too deep", header(&deep, "False", "(2,)")),
        (
            "two fields of one name",
            header("[('a', '<f4'), ('a', '<f4')]", "False", "(1,)"),
        ),
        ("code", "__import__('os')".into()),
        (
            "no shape",
            "{'descr': '<f4', 'fortran_order': False}".into(),
        ),
        (
            "twice",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}".into(),
        ),
        (
            "another key",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}".into(),
        ),
        (
            "unclosed shape",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2}".into(),
        ),
        ("odd flag", header("'<f4'", "Maybe", "(2,)")),
        ("empty", String::new()),
    ];
    for (what, header) in cases {
        for version in [2, 3] {
            assert!(
                parse(&file(version, &header, &[0; 8])).is_err(),
                "{what} was read"
            );
        }
    }
}

#[test]
fn hostile_beginnings_are_refused() {
    let good = file(1, &header("'|u1'", "False", "(4,)"), &[1, 2, 3, 4]);
    for cut in 0..good.len() {
        assert!(parse(&good[..cut]).is_err(), "cut at {cut} was read");
    }
    let mut endless = file(2, "", &[]);
    endless[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(parse(&endless).err().unwrap().message.contains("at most"));
    let mut new = good.clone();
    new[6] = 9;
    assert!(parse(&new).err().unwrap().message.contains("version"));
    assert!(parse(b"PK\x03\x04 and more").is_err());
    let mut latin = file(3, &header("'<f4'", "False", "(2,)"), &[0; 8]);
    latin[15] = 0xff;
    assert!(parse(&latin).err().unwrap().message.contains("UTF-8"));
}

#[test]
fn empty_records_have_no_values() {
    let contents = parse(&file(1, &header("[]", "False", "(3,)"), &[])).unwrap();
    assert!(contents.tensors.is_empty());
}
