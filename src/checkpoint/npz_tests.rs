//! Archives as numpy writes them, through the writer of the tests, and damaged ones.

use std::sync::Arc;

use super::*;
use crate::checkpoint::write::zip as write;

fn array(values: &[f32]) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}\n",
        values.len()
    );
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
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

fn parse(bytes: Vec<u8>) -> Parse<Contents> {
    let source: Source = Arc::new(bytes);
    read(&source)
}

#[test]
fn arrays_are_named_after_their_members() {
    let a = array(&[1.0, 2.0]);
    let found = parse(archive(&[
        ("a.npy", &a),
        ("b", &a),
        ("c/d.npy", &a),
        ("notes.txt", b"text"),
        ("short", b"x"),
    ]))
    .unwrap();
    let names: Vec<_> = found.tensors.keys().collect();
    assert_eq!(names, ["a", "b", "c/d"]);
    let others: Vec<_> = found.opaque.iter().map(|o| o.path.as_str()).collect();
    assert_eq!(others, ["notes.txt", "short"]);
    assert_eq!(found.tensors["b"].read().unwrap(), a[a.len() - 8..]);
}

#[test]
fn faults_name_the_member() {
    let short = array(&[1.0, 2.0]);
    let short = &short[..short.len() - 1];
    let a = array(&[1.0]);
    for (name, bytes) in [
        ("short.npy", short),
        ("empty.npy", b""),
        ("text.npy", b"no array at all"),
    ] {
        let fault = parse(archive(&[("good.npy", &a), (name, bytes)]))
            .err()
            .unwrap();
        assert!(fault.message.contains(name), "{fault}");
    }
    let twice = parse(archive(&[("a.npy", &a), ("a", &a)])).err().unwrap();
    assert!(twice.message.contains("one name"), "{twice}");
}

#[test]
fn a_changed_byte_is_noticed() {
    let values: Vec<f32> = (0..1000).map(|i| (i as f32).sin()).collect();
    let good = archive(&[("a.npy", &array(&values))]);
    let expected = parse(good.clone()).unwrap().tensors["a"].read().unwrap();
    let mut noticed = 0;
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        match parse(bad).and_then(|found| found.tensors.get("a").map(|a| a.read()).transpose()) {
            Ok(Some(bytes)) => assert!(bytes == expected, "byte {at} changed the values unnoticed"),
            Ok(None) | Err(_) => noticed += 1,
        }
    }
    assert!(noticed > good.len() / 8, "{noticed}");
}
