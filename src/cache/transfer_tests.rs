//! Import, export and conversion, in a world of small models.

use std::fs;
use std::path::Path;

use super::error::*;
use super::status::{Overall, Status, status};
use super::store::Store;
use super::transfer::{ImportOptions, convert, export, import};
use super::verify::{Verified, verify};
use super::world_tests::*;
use crate::checkpoint::open;

fn one(store: &Store, id: &str) -> Status {
    status(store, id).unwrap()
}

fn check(store: &Store, id: &str) -> Vec<Verified> {
    verify(store, &[id.to_string()], QUIET).unwrap()
}

#[test]
fn import_checks_contents_before_taking_a_file_in() {
    let world = World::new();
    let store = world.store();
    let take = |path: &Path, id: &str, force: bool| {
        import(
            &store,
            path,
            id,
            ImportOptions { force, link: false },
            QUIET,
        )
    };
    let other = world.put("in/other.npz", &net(6.0));
    assert_eq!(
        take(&other, "pinned", false).unwrap_err().code,
        MODEL_CORRUPT
    );
    assert!(!one(&store, "pinned").available);
    let done = take(&other, "pinned", true).unwrap();
    assert_eq!(done.path, world.root().join("nets/pinned.npz"));
    assert_eq!(one(&store, "pinned").state, Overall::Verified);
    assert!(
        check(&store, "pinned")[0].ok,
        "the user's own weights stay trusted"
    );

    let cut = world.put("in/cut.npz", &net(6.0)[..900]);
    assert_eq!(take(&cut, "net", true).unwrap_err().code, MODEL_CORRUPT);
    let wrong = world.put(
        "in/wrong.npz",
        &npz(&[("x", npy("|u1", &[1], &[1]))], false),
    );
    assert_eq!(take(&wrong, "net", true).unwrap_err().code, MODEL_FILE);
    let nowhere = world.folder.path().join("in/nowhere");
    assert_eq!(
        take(&nowhere, "net", false).unwrap_err().code,
        MODEL_UNAVAILABLE
    );
    let error = take(&nowhere, "body", false).unwrap_err();
    assert_eq!(error.code, LICENCE);
    assert!(error.message.contains("smplify.is.tue.mpg.de"));
}

#[test]
fn a_body_model_must_have_all_its_arrays() {
    let world = World::new();
    let store = world.store();
    let take = |bytes: &[u8], name: &str| {
        let path = world.put(&format!("in/{name}"), bytes);
        import(&store, &path, "body", ImportOptions::default(), QUIET)
    };
    for (array, axis, size, told) in [
        ("v_template", 0, 6891, "v_template"),
        ("shapedirs", 2, 9, "at least 10"),
        ("posedirs", 2, 206, "posedirs"),
        ("J_regressor", 0, 25, "J_regressor"),
        ("weights", 1, 23, "weights"),
        ("f", 0, 13775, "[13776, 3]"),
        ("kintree_table", 0, 3, "kintree_table"),
    ] {
        let bytes = body(|name, shape| {
            if name == array {
                shape[axis] = size;
            }
        });
        let error = take(&bytes, "SMPL_NEUTRAL.npz").unwrap_err();
        assert_eq!(error.code, MODEL_FILE, "{error}");
        assert!(error.message.contains(told), "{error}");
    }
    let longer = body(|name, shape| {
        if name == "shapedirs" {
            shape[2] = 30;
        }
    });
    assert!(
        take(&longer, "SMPL_NEUTRAL.npz")
            .unwrap()
            .warnings
            .is_empty()
    );
    let male = take(&body(|_, _| {}), "basicmodel_m_lbs_10_207_0_v1.0.0.npz").unwrap();
    assert!(male.warnings[0].contains("male"), "{:?}", male.warnings);
    assert!(one(&store, "body").available);
}

#[test]
#[cfg(unix)]
fn a_linked_import_leaves_the_file_where_it_is() {
    let world = World::new();
    let store = world.store();
    let source = world.put("in/net.npz", &net(1.0));
    let options = ImportOptions {
        link: true,
        force: false,
    };
    let done = import(&store, &source, "net", options, QUIET).unwrap();
    assert_eq!(
        fs::read_link(&done.path).unwrap(),
        source.canonicalize().unwrap()
    );
    let ready = prepared(&world, &store, &["net"]);
    assert_eq!(
        ready[0].path,
        Some(world.root().join("nets/net.fp32.safetensors"))
    );
    super::clear::clear(&store, Some("net"), false).unwrap();
    assert_eq!(fs::read(&source).unwrap(), net(1.0));
    assert!(!one(&store, "net").available);
}

#[test]
fn export_copies_or_converts_whole_files() {
    let world = World::new();
    let store = world.store();
    assert_eq!(
        export(&store, "net", Path::new("/tmp/x"), None, QUIET)
            .unwrap_err()
            .code,
        MODEL_UNAVAILABLE
    );
    world.put_own("nets/net.npz", &net(1.0));
    let out = world.folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let copied = export(&store, "net", &out, None, QUIET).unwrap();
    assert_eq!(
        (copied.path.clone(), copied.converted),
        (out.join("net.npz"), false)
    );
    assert_eq!(fs::read(&copied.path).unwrap(), net(1.0));
    let converted = export(&store, "net", &out, Some("safetensors"), QUIET).unwrap();
    assert!(converted.converted && converted.path == out.join("net.safetensors"));
    let tensors = open::open(&converted.path).unwrap();
    let original = open::open(world.root().join("nets/net.npz")).unwrap();
    assert_eq!(tensors.read("w").unwrap(), original.read("w").unwrap());
    for format in ["exe", "zip"] {
        let error = export(&store, "net", &out, Some(format), QUIET).unwrap_err();
        assert_eq!(error.code, INVALID_ARGUMENT, "{format}");
    }
    assert_eq!(files_in(&out), ["net.npz", "net.safetensors"]);

    // Bytes known to be wrong are not handed out.
    let mut bytes = net(2.0);
    bytes[600] ^= 1;
    world.put_own("nets/pinned.npz", &bytes);
    let error = export(&store, "pinned", &out.join("bad.npz"), None, QUIET).unwrap_err();
    assert_eq!(error.code, MODEL_CORRUPT);
    assert!(!out.join("bad.npz").exists());
}

#[test]
fn convert_takes_a_path_or_a_name() {
    let world = World::new();
    let store = world.store();
    let own = world.put_own("nets/net.npz", &net(1.0));
    let out = world.folder.path().join("a.safetensors");
    let by_name = convert(&store, "net", &out, None, Some("fp16"), QUIET).unwrap();
    assert_eq!(open::open(&out).unwrap().read("w").unwrap().len(), 2000);
    assert_eq!(by_name.sha256, sha256(&fs::read(&out).unwrap()));
    let path = own.to_str().unwrap();
    let by_path = convert(&store, path, &out, Some("safetensors"), None, QUIET).unwrap();
    assert!(by_path.bytes > by_name.bytes);
    for (format, precision) in [(Some("doc"), None), (None, Some("int8"))] {
        let error = convert(&store, "net", &out, format, precision, QUIET).unwrap_err();
        assert_eq!(error.code, INVALID_ARGUMENT);
    }
}
