//! Pickles that Python made, against what Python reads from them; and files that lie.
//!
//! `tests/fixtures/pickles/generate.py` makes the pickles.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::checkpoint::Contents;
use super::super::error::Kind;
use super::super::source::FileSource;
use super::*;

fn fixtures() -> PathBuf {
    let here = std::path::Path::new(file!()).ancestors().nth(4).unwrap();
    here.join("tests/fixtures/pickles")
}

fn read_bytes(bytes: &[u8]) -> Parse<Contents> {
    let source: Source = Arc::new(bytes.to_vec());
    read(&source)
}

fn fault(bytes: &[u8]) -> Fault {
    match read_bytes(bytes) {
        Err(fault) => fault,
        Ok(contents) => panic!("read {:?}", contents.tensors.keys().collect::<Vec<_>>()),
    }
}

fn fixture(name: &str) -> Contents {
    let source: Source = Arc::new(FileSource::open(&fixtures().join(name)).unwrap());
    read(&source).unwrap_or_else(|fault| panic!("{name}: {fault}"))
}

#[test]
fn every_fixture_is_read_as_python_reads_it() {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let files = expected.as_object().unwrap();
    assert!(files.len() > 100);
    for (name, expected) in files {
        let contents = fixture(name);
        assert_eq!(expected["root"], contents.root, "{name}");
        let mut found = Vec::new();
        let root = match contents.root.as_str() {
            "" => String::new(),
            root => format!("{root}."),
        };
        let weights = contents
            .tensors
            .iter()
            .map(|(n, t)| (format!("{root}{n}"), t));
        let others = contents.others.iter().map(|(n, t)| (n.clone(), t));
        for (path, tensor) in weights.chain(others) {
            tensor.check().unwrap();
            let bytes = tensor
                .read()
                .unwrap_or_else(|fault| panic!("{name} {path}: {fault}"));
            let crc = crc32fast::hash(&bytes);
            let line = serde_json::json!([path, tensor.dtype.name(), tensor.shape, crc]);
            found.push(line);
        }
        let mut wanted = expected["tensors"].as_array().unwrap().clone();
        // Weights come first with us, whatever stands before them in the file.
        wanted.sort_by_key(|line| line[0].to_string());
        found.sort_by_key(|line| line[0].to_string());
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn weights_keep_the_files_order() {
    let contents = fixture("lightning_p4.pkl");
    let names: Vec<_> = contents.tensors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["conv.weight", "conv.bias", "bn.num_batches_tracked"]
    );
    assert_eq!(contents.root, "state_dict");
    assert_eq!(contents.values["epoch"], 1);
    assert_eq!(contents.values["hyper_parameters.lr"], 1e-4);
    let opaque: Vec<_> = contents
        .opaque
        .iter()
        .map(|o| (o.path.as_str(), o.class.as_str()))
        .collect();
    assert_eq!(
        opaque,
        [
            ("hyper_parameters.cfg", "yacs.config.CfgNode"),
            ("hyper_parameters.conf", "omegaconf.dictconfig.DictConfig"),
        ]
    );
}

#[test]
fn plain_values_are_kept() {
    let contents = fixture("torch_p2.pkl");
    assert_eq!(contents.values["device"], "cuda:1");
    assert_eq!(contents.values["dtype"], "torch.float16");
    let contents = fixture("nested_p0.pkl");
    assert_eq!(contents.values["2"], "1208925819614629174706176");
    assert!(contents.values["1"].is_null());
    let contents =
        read_bytes(b"\x80\x02}(K\x07](K\x01G\x7f\xf8\0\0\0\0\0\0NX\x01\0\0\0a(\x88te\x88)u.");
    let contents = contents.unwrap();
    assert_eq!(
        contents.values["7"],
        serde_json::json!([1, "nan", null, "a", [true]])
    );
    assert_eq!(contents.values["True"], serde_json::json!([]));
    assert!(contents.tensors.is_empty());
}

#[test]
fn arrays_we_do_not_read_are_named() {
    let contents = fixture("others_p4.pkl");
    let class = |path: &str| {
        let found = contents.opaque.iter().find(|o| o.path == path);
        found.map(|o| o.class.clone()).unwrap_or_default()
    };
    assert_eq!(class("text"), "numpy.ndarray of type U2");
    assert_eq!(contents.values["objects"], serde_json::json!([null, 1]));
    assert_eq!(class("fields"), "numpy.ndarray of a structured type");
    assert_eq!(contents.values["names.lr"], 0.1);
    assert_eq!(contents.values["counts.a"], 2);
}

#[test]
fn what_follows_a_pickle() {
    let good = std::fs::read(fixtures().join("flat_p4.pkl")).unwrap();
    let two = fault(&[&good[..], &good].concat());
    assert_eq!(two.kind, Kind::Unsupported, "{two}");
    assert!(two.message.contains("several pickles"), "{two}");
    let attack = fault(&[&good[..], b"cos\nsystem\n(S'id'\ntR."].concat());
    assert_eq!(attack.kind, Kind::Hostile, "{attack}");
    let junk = fault(&[&good[..], b"junk"].concat());
    assert_eq!(junk.kind, Kind::Corrupt, "{junk}");
    assert!(junk.message.contains("4 bytes follow"), "{junk}");
}

#[test]
fn every_fixture_cut_off_is_an_error() {
    for name in [
        "flat_p0.pkl",
        "scipy_p2.pkl",
        "torch_p4.pkl",
        "order_p5.pkl",
        "py2_chumpy_p1.pkl",
    ] {
        let good = std::fs::read(fixtures().join(name)).unwrap();
        for len in 0..good.len() {
            assert_eq!(
                fault(&good[..len]).kind,
                Kind::Corrupt,
                "{name} cut at {len}"
            );
        }
    }
}

/// Flipping any byte may change what is read, but never more than that.
#[test]
fn damaged_fixtures_never_panic() {
    for name in [
        "flat_p0.pkl",
        "types_p1.pkl",
        "scipy_p4.pkl",
        "torch_p2.pkl",
        "chumpy_p5.pkl",
    ] {
        let good = std::fs::read(fixtures().join(name)).unwrap();
        for at in (0..good.len()).step_by(2) {
            for value in [good[at] ^ 1, good[at] ^ 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let Ok(contents) = read_bytes(&bad) else {
                    continue;
                };
                for tensor in contents.tensors.values().chain(contents.others.values()) {
                    if tensor.bytes().is_ok_and(|bytes| bytes < 1 << 20) {
                        let _ = tensor.read();
                    }
                }
            }
        }
    }
}

/// `{'a': <array>}` of protocol 2, the array's parts as given.
fn array(shape: &[u8], dtype: &[u8], data: &[u8]) -> Vec<u8> {
    [
        &b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"[..],
        shape,
        b"cnumpy\ndtype\nU\x02",
        dtype,
        b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        data,
        b"tbs.",
    ]
    .concat()
}

/// What is wrong, and the shape, type and data that are.
type Lie = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

#[test]
fn arrays_that_lie_are_refused() {
    let four = b"U\x04\0\0\x80\x3f";
    assert!(read_bytes(&array(b"K\x01\x85", b"f4", four)).is_ok());
    let lies: &[Lie] = &[
        ("too short", b"K\x02\x85", b"f4", four),
        ("too long", b"K\x01\x85", b"f2", four),
        (
            "overflow",
            b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ft",
            b"f4",
            four,
        ),
        ("negative", b"J\xff\xff\xff\xff\x85", b"f4", four),
        ("no tuple", b"K\x01", b"f4", four),
        ("no data", b"K\x01\x85", b"f4", b"N"),
        ("list of numbers", b"K\x01\x85", b"f4", b"](K\x01e"),
        (
            "other codec",
            b"K\x01\x85",
            b"f4",
            b"c_codecs\nencode\nX\x04\0\0\0abcdU\x05utf-8\x86R",
        ),
        (
            "above 255",
            b"K\x02\x85",
            b"u1",
            b"c_codecs\nencode\nX\x03\0\0\0a\xc4\x80U\x06latin1\x86R",
        ),
        (
            "one short",
            b"K\x03\x85",
            b"u1",
            b"c_codecs\nencode\nX\x03\0\0\0a\xc3\xbfU\x06latin1\x86R",
        ),
    ];
    for (what, shape, dtype, data) in lies {
        let fault = fault(&array(shape, dtype, data));
        assert!(fault.message.contains("\"a\""), "{what}: {fault}");
    }
}

/// `chumpy` and containers that hold themselves.
#[test]
fn circles_end() {
    let own = read_bytes(b"]q\x00(h\x00K\x01e.").err().unwrap();
    assert_eq!(own.kind, Kind::Unsupported, "{own}");
    for circle in [
        &b"cchumpy.ch\nCh\n)\x81q\x00}U\x01xh\x00sb."[..],
        b"cchumpy.reordering\nSelect\n)\x81q\x00}(U\x01ah\x00U\x04idxsh\x00ub.",
        b"cscipy.sparse.csc\ncsc_matrix\n)\x81q\x00}(U\x06_shapeK\x01K\x01\x86U\x04datah\x00ub.",
    ] {
        assert_eq!(fault(circle).kind, Kind::Hostile);
    }
}

#[test]
fn containers_out_of_proportion_are_refused() {
    let mut doubling = b"]q\x00".to_vec();
    for level in 0..60_u8 {
        doubling.extend([
            b'0',
            b']',
            b'q',
            level + 1,
            b'(',
            b'h',
            level,
            b'h',
            level,
            b'e',
        ]);
    }
    doubling.push(b'.');
    assert_eq!(fault(&doubling).kind, Kind::Hostile);

    let deep = [&b"]".repeat(1000)[..], &b"a".repeat(999), b"."].concat();
    assert!(fault(&deep).message.contains("deep"));

    let long_name = [&b"}X\x00\x20\x00\x00"[..], &b"n".repeat(0x2000), b"Ns."].concat();
    assert!(fault(&long_name).message.contains("8192 bytes"));

    let opaque = [&b"cm\nC\n)Rq\x00]("[..], &b"h\x00".repeat(260_000), b"e."].concat();
    assert_eq!(fault(&opaque).kind, Kind::Hostile);
}

#[test]
fn names_that_fall_together_are_an_error() {
    let one = array(b"K\x01\x85", b"u1", b"U\x01a");
    let value = &one[b"\x80\x02}U\x01a".len()..one.len() - 2];
    let both = |first: &[u8], second: &[u8]| {
        [&b"\x80\x02}("[..], first, value, second, value, b"u."].concat()
    };
    // Python: the same key again, the last value counts.
    assert_eq!(
        read_bytes(&both(b"U\x01a", b"U\x01a"))
            .unwrap()
            .tensors
            .len(),
        1
    );
    assert!(
        fault(&both(b"U\x011", b"K\x01"))
            .message
            .contains("two keys")
    );
    let dotted = [
        &b"\x80\x02}(U\x03a.b"[..],
        value,
        b"U\x01a}U\x01b",
        value,
        b"su.",
    ]
    .concat();
    assert!(fault(&dotted).message.contains("two tensors"));
}

#[test]
fn a_file_of_unknown_objects_says_so() {
    let fault = fault(b"\x80\x02cmymodel\nNet\n)\x81}b.");
    assert_eq!(fault.kind, Kind::Unsupported);
    assert!(fault.message.contains("mymodel.Net"), "{fault}");
}

/// An array of `i4` as the program that makes it.
fn integers(values: &[i32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
    let data = [&[b'U', bytes.len() as u8][..], &bytes].concat();
    let whole = array(&[b'K', values.len() as u8, 0x85], b"i4", &data);
    whole[b"\x80\x02}U\x01a".len()..whole.len() - 2].to_vec()
}

/// A 2 x 3 matrix.
fn csc(data: &[i32], indices: &[i32], pointers: &[i32]) -> Vec<u8> {
    [
        &b"cscipy.sparse.csc\ncsc_matrix\n)\x81}(U\x06_shapeK\x02K\x03\x86U\x04data"[..],
        &integers(data),
        b"U\x07indices",
        &integers(indices),
        b"U\x06indptr",
        &integers(pointers),
        b"ub.",
    ]
    .concat()
}

#[test]
fn sparse_matrices_that_lie_are_refused() {
    let good = read_bytes(&csc(&[5, 6, 7], &[0, 1, 1], &[0, 1, 3, 3])).unwrap();
    let dense = good.tensors["arr_0"].read().unwrap();
    let expected: Vec<u8> = [5_i32, 0, 0, 0, 13, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    assert_eq!(dense, expected);
    for (what, bad) in [
        ("row outside", csc(&[5, 6, 7], &[0, 2, 1], &[0, 1, 3, 3])),
        ("negative row", csc(&[5, 6, 7], &[0, -1, 1], &[0, 1, 3, 3])),
        ("too few pointers", csc(&[5, 6, 7], &[0, 1, 1], &[0, 1, 3])),
        (
            "pointers backwards",
            csc(&[5, 6, 7], &[0, 1, 1], &[0, 3, 1, 3]),
        ),
        (
            "pointers beyond",
            csc(&[5, 6, 7], &[0, 1, 1], &[0, 1, 3, 4]),
        ),
        (
            "pointers from 1",
            csc(&[5, 6, 7], &[0, 1, 1], &[1, 1, 3, 3]),
        ),
        ("pointers short", csc(&[5, 6, 7], &[0, 1, 1], &[0, 1, 2, 2])),
        ("too few indices", csc(&[5, 6, 7], &[0, 1], &[0, 1, 3, 3])),
    ] {
        assert_eq!(fault(&bad).kind, Kind::Corrupt, "{what}");
    }
}
