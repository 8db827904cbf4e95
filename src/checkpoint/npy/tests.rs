//! Headers as numpy writes them, and as nobody should.

use super::*;

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

fn parse(bytes: &[u8]) -> Result<Array, NpyError> {
    read(&mut &bytes[..], bytes.len() as u64, 1 << 20)
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}    \n")
}

#[test]
fn every_type_is_decoded() {
    let cases: [(&str, Vec<u8>, Values); 7] = [
        (
            "<f2",
            vec![0x00, 0x3e, 0x00, 0xc0],
            Values::F16(vec![f16::from_f32(1.5), f16::from_f32(-2.0)]),
        ),
        (
            "<f4",
            [1.5f32, -2.0]
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            Values::F32(vec![1.5, -2.0]),
        ),
        (
            "<f8",
            [1.5f64, -2.0]
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            Values::F64(vec![1.5, -2.0]),
        ),
        (
            "<i4",
            [7i32, -8].iter().flat_map(|x| x.to_le_bytes()).collect(),
            Values::I32(vec![7, -8]),
        ),
        (
            "<i8",
            [7i64, -8].iter().flat_map(|x| x.to_le_bytes()).collect(),
            Values::I64(vec![7, -8]),
        ),
        ("|u1", vec![3, 255], Values::U8(vec![3, 255])),
        ("|b1", vec![0, 1], Values::Bool(vec![false, true])),
    ];
    for (descr, bytes, expected) in cases {
        for version in [1, 2, 3] {
            let array = parse(&file(version, &header(descr, "False", "(2,)"), &bytes)).unwrap();
            assert_eq!(array.shape, [2], "{descr}");
            assert_eq!(array.values, expected, "{descr}");
        }
    }
}

#[test]
fn conversions_keep_the_values() {
    let array = Array {
        shape: vec![2],
        values: Values::I32(vec![7, -8]),
    };
    assert_eq!(array.to_f32(), [7.0, -8.0]);
    assert_eq!(array.to_f64(), [7.0, -8.0]);
}

#[test]
fn scalars_and_empty_arrays() {
    let scalar = parse(&file(1, &header("|u1", "False", "()"), &[9])).unwrap();
    assert_eq!((scalar.shape, scalar.values), (vec![], Values::U8(vec![9])));
    let empty = parse(&file(1, &header("<f4", "True", "(0, 5)"), &[])).unwrap();
    assert_eq!(
        (empty.shape, empty.values),
        (vec![0, 5], Values::F32(vec![]))
    );
}

#[test]
fn fortran_order_is_turned() {
    // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) lies in memory as 1 4 2 5 3 6.
    let array = parse(&file(
        1,
        &header("|u1", "True", "(2, 3)"),
        &[1, 4, 2, 5, 3, 6],
    ))
    .unwrap();
    assert_eq!(array.values, Values::U8(vec![1, 2, 3, 4, 5, 6]));
}

#[test]
fn hostile_headers_are_refused() {
    let big = "(4294967296, 4294967296, 4294967296)";
    let cases = [
        ("huge shape overflows", header("<f8", "False", big)),
        (
            "shape beyond the file",
            header("<f4", "False", "(1000000000,)"),
        ),
        ("shape short of the file", header("|u1", "False", "(1,)")),
        ("negative", header("<f4", "False", "(-1,)")),
        (
            "too many dimensions",
            header("|u1", "False", &format!("({})", "1, ".repeat(65))),
        ),
        ("object values", header("|O", "False", "(2,)")),
        ("big endian", header(">f4", "False", "(2,)")),
        (
            "structured",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}".into(),
        ),
        ("code", "__import__('os')".into()),
        (
            "no shape",
            "{'descr': '<f4', 'fortran_order': False}".into(),
        ),
        (
            "unclosed shape",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2}".into(),
        ),
        ("odd flag", header("<f4", "Maybe", "(2,)")),
        ("not a character boundary", "{é'descr': '<f4'}".into()),
        ("empty", String::new()),
    ];
    for (what, header) in cases {
        assert!(
            parse(&file(1, &header, &[0; 8])).is_err(),
            "{what} was read"
        );
    }
}

#[test]
fn hostile_beginnings_are_refused() {
    let good = file(1, &header("|u1", "False", "(4,)"), &[1, 2, 3, 4]);
    for cut in 0..good.len() {
        assert!(parse(&good[..cut]).is_err(), "cut at {cut} was read");
    }
    let mut endless = file(2, "", &[]);
    endless[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(parse(&endless), Err(NpyError::HeaderSize(_))));
    let mut new = good.clone();
    new[6] = 9;
    assert!(matches!(parse(&new), Err(NpyError::Version(9, 0))));
    assert!(matches!(
        parse(b"PK\x03\x04 and more"),
        Err(NpyError::Magic)
    ));
}

#[test]
fn the_limit_holds_and_a_lying_length_costs_no_memory() {
    let bytes = file(1, &header("|u1", "False", "(4,)"), &[1, 2, 3, 4]);
    let limited = read(&mut &bytes[..], bytes.len() as u64, 3);
    assert!(matches!(
        limited,
        Err(NpyError::TooLarge {
            claimed: 4,
            limit: 3
        })
    ));

    let claimed = 1u64 << 60;
    let text = header("|u1", "False", &format!("({claimed},)"));
    let bytes = file(1, &text, &[]);
    let lying = read(&mut &bytes[..], bytes.len() as u64 + claimed, u64::MAX);
    assert!(matches!(lying, Err(NpyError::Size { available: 0, .. })));
}
