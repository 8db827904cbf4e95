//! `optimize` and `clear`: what goes, what stays, and that nothing outside the cache is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::clear::clear;
use super::error::INVALID_ARGUMENT;
use super::optimize::{OptimizeOptions, Optimized, optimize};
use super::owner::Draft;
use super::prepare::{PrepareOptions, Readiness, prepare};
use super::store::Store;
use super::world_tests::*;

fn tidy(store: &Store, options: OptimizeOptions) -> Optimized {
    optimize(store, options, &|_| Vec::new(), QUIET).unwrap()
}

const KEEP_ORIGINALS: OptimizeOptions = OptimizeOptions {
    dry_run: false,
    originals_only: true,
    archives: false,
};

fn removed(report: &Optimized, root: &Path) -> Vec<String> {
    let relative = |path: &PathBuf| {
        path.strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<_> = report
        .removed
        .iter()
        .map(|file| relative(&file.path))
        .collect();
    names.sort();
    names
}

#[test]
fn damaged_files_go_and_everything_doubtful_stays() {
    let world = World::new();
    let store = world.store();
    let mut flipped = net(2.0);
    flipped[600] ^= 1;
    world.put_own("nets/pinned.npz", &flipped);
    world.put_own("nets/net.npz", &net(1.0)[..700]);
    world.put_own("nets/inner.npz", &net(4.0));
    // Sound, but another model; and something we cannot read at all.
    world.put_own(
        "nets/other.npz",
        &npz(&[("x", npy("|u1", &[1], &[1]))], false),
    );
    world.put_own("nets/named.npz", b"ONNX or whatever");
    world.put_own("notes.txt", b"mine");

    let planned = tidy(
        &store,
        OptimizeOptions {
            dry_run: true,
            ..KEEP_ORIGINALS
        },
    );
    assert_eq!(
        removed(&planned, &world.root()),
        ["nets/net.npz", "nets/pinned.npz"]
    );
    assert!(world.root().join("nets/net.npz").exists());

    let report = tidy(&store, KEEP_ORIGINALS);
    assert_eq!(
        removed(&report, &world.root()),
        ["nets/net.npz", "nets/pinned.npz"]
    );
    assert_eq!((report.files_checked, report.files_removed), (6, 2));
    assert!(
        report.space_freed_mb > 0.0 && report.errors.is_empty(),
        "{report:?}"
    );
    for name in [
        "nets/inner.npz",
        "nets/other.npz",
        "nets/named.npz",
        "notes.txt",
    ] {
        assert!(world.root().join(name).exists(), "{name}");
    }
    assert_eq!(report.kept.len(), 3, "{:?}", report.kept);
    assert!(tidy(&store, KEEP_ORIGINALS).removed.is_empty());
}

#[test]
fn a_checksum_that_fails_inside_is_no_proof_alone() {
    let world = World::new();
    let mut flipped = net(1.0);
    flipped[600] ^= 1;
    world.put_own("nets/net.npz", &flipped);
    let report = tidy(&world.store(), KEEP_ORIGINALS);
    assert_eq!(
        (report.files_removed, report.kept.len()),
        (0, 1),
        "{report:?}"
    );
    assert!(report.kept[0].reason.contains("not proven"), "{report:?}");
}

#[test]
fn what_the_user_brought_is_never_judged_by_a_hash() {
    let world = World::new();
    let store = world.store();
    let source = world.put("in/body.npz", &body(|_, _| {}));
    let options = super::transfer::ImportOptions::default();
    super::transfer::import(&store, &source, "body", options, QUIET).unwrap();
    let path = world.root().join("smpl/body.npz");
    fs::write(
        &path,
        body(|name, shape| {
            if name == "shapedirs" {
                shape[2] = 20;
            }
        }),
    )
    .unwrap();
    let report = tidy(&store, KEEP_ORIGINALS);
    assert_eq!(report.files_removed, 0, "{report:?}");
    assert!(path.exists());
    // Half a file is of use to nobody.
    let half = fs::read(&path).unwrap();
    fs::write(&path, &half[..half.len() / 2]).unwrap();
    assert_eq!(tidy(&store, KEEP_ORIGINALS).files_removed, 1);
}

#[test]
fn the_same_bytes_twice_are_kept_once() {
    let world = World::new();
    let store = world.store();
    world.put_own("nets/net.npz", &net(1.0));
    world.put_own("net.npz", &net(1.0));
    world.put_own("old/copy of net.npz", &net(1.0));
    world.put_own("pinned.npz", &net(2.0));
    world.put_own("old/other.bin", &net(9.0));
    let report = tidy(&store, KEEP_ORIGINALS);
    assert_eq!(
        removed(&report, &world.root()),
        ["net.npz", "old/copy of net.npz"]
    );
    // The only copy stays where the old guide put it.
    assert_eq!(
        files_in(&world.root())
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect::<Vec<_>>(),
        ["nets/net.npz", "old/other.bin", "pinned.npz"]
    );
}

#[test]
fn fast_forms_are_written_and_bad_ones_removed() {
    let world = World::new();
    let store = world.store();
    world.put_own("nets/net.npz", &net(1.0));
    let report = tidy(&store, OptimizeOptions::default());
    let form = world.root().join("nets/net.fp32.safetensors");
    assert_eq!(report.fast_forms, [form.clone()]);
    assert_eq!(tidy(&store, OptimizeOptions::default()).fast_forms.len(), 0);
    let good = fs::read(&form).unwrap();

    // A flipped bit, a cut, another original: each time the form goes and comes back good.
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [flipped, good[..good.len() - 9].to_vec(), good[..4].to_vec()] {
        fs::write(&form, bad).unwrap();
        let report = tidy(&store, OptimizeOptions::default());
        assert_eq!(report.files_removed, 1, "{report:?}");
        assert_eq!(fs::read(&form).unwrap(), good);
    }
    world.put_own("nets/net.npz", &net(5.0));
    super::verify::verify(&store, &["net".into()], QUIET).unwrap();
    let report = tidy(&store, OptimizeOptions::default());
    assert_eq!(
        (report.files_removed, report.fast_forms.len()),
        (1, 1),
        "{report:?}"
    );
    fs::remove_file(world.root().join("nets/net.npz")).unwrap();
    let report = tidy(&store, OptimizeOptions::default());
    assert!(report.files_removed == 0 && form.exists(), "{report:?}");
}

#[test]
fn drafts_of_the_dead_go_those_of_the_living_stay() {
    let world = World::new();
    let store = world.store();
    let living = super::owner::Drafts::create(&world.root().join("nets")).unwrap();
    fs::write(living.path("net.npz"), b"half").unwrap();
    let part = world.put_own("nets/net.npz.part/data", b"half");
    let report = optimize(
        &store,
        KEEP_ORIGINALS,
        &|_| vec![(part.parent().unwrap().to_path_buf(), Draft::Orphan)],
        QUIET,
    )
    .unwrap();
    assert_eq!(removed(&report, &world.root()), ["nets/net.npz.part"]);
    assert!(living.path("net.npz").exists());
    assert_eq!(report.kept.len(), 1);
}

#[test]
#[cfg(unix)]
fn links_out_of_the_cache_are_no_way_out() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    let store = world.store();
    let outside = world.put("precious/net.npz", &net(1.0)[..700]);
    let mut flipped = net(2.0);
    flipped[600] ^= 1;
    let flipped_file = world.put("precious/pinned.npz", &flipped);
    world.put("precious/a.pose4d-draft", b"x");
    fs::create_dir_all(world.root()).unwrap();
    // The folder that would hold the files leads outside; so does a link to one file.
    symlink(
        world.folder.path().join("precious"),
        world.root().join("nets"),
    )
    .unwrap();
    symlink(&outside, world.root().join("net.npz")).unwrap();
    symlink("/", world.root().join("everything")).unwrap();
    let before = files_in(&world.folder.path().join("precious"));

    let report = tidy(&store, OptimizeOptions::default());
    assert_eq!(report.files_removed, 0, "{report:?}");
    let cleared = clear(&store, None, true).unwrap();
    assert!(cleared.errors.is_empty(), "{cleared:?}");
    assert_eq!(files_in(&world.folder.path().join("precious")), before);
    assert_eq!(fs::read(&flipped_file).unwrap(), flipped);
    assert!(
        !world.root().join("net.npz").is_symlink(),
        "the link itself was ours"
    );
}

#[test]
fn clear_takes_only_what_is_ours() {
    let world = World::new();
    let store = world.store();
    let found = world.put("home/.cache/4DHumans/logs/net.npz", &net(1.0));
    for path in [
        "nets/net.npz",
        "nets/pinned.npz",
        "notes.txt",
        "pose4d/runtime/libtorch.so",
    ] {
        world.put_own(path, &net(2.0));
    }
    super::verify::verify(&store, &[], QUIET).unwrap();
    let error = clear(&store, None, false).unwrap_err();
    assert_eq!(error.code, INVALID_ARGUMENT);
    assert!(error.message.contains("confirm"));
    let one = clear(&store, Some("net"), false).unwrap();
    assert_eq!(one.files_removed, 1);
    assert!(world.root().join("nets/pinned.npz").exists());
    assert!(clear(&store, Some("nonsense"), true).is_err());

    let all = clear(&store, None, true).unwrap();
    assert_eq!((all.files_removed, all.kept.len()), (1, 1), "{all:?}");
    assert_eq!(
        files_in(&world.root()),
        ["notes.txt", "pose4d/runtime/libtorch.so"]
    );
    assert!(found.exists());
    assert!(!world.root().join("nets").exists(), "empty folders go");
}

#[test]
fn an_archive_goes_only_when_asked_and_only_unpacked() {
    let world = World::new();
    let store = world.store();
    let with_archives = OptimizeOptions {
        archives: true,
        ..KEEP_ORIGINALS
    };
    let bundle = world.put_own("nets/bundle.tar", &[2; 600]);
    tidy(&store, with_archives);
    assert!(bundle.exists());
    world.with_means(false, |means| {
        let options = PrepareOptions::default();
        prepare(&store, &["inner".into()], &options, means, QUIET).unwrap();
    });
    tidy(&store, KEEP_ORIGINALS);
    assert!(bundle.exists());
    tidy(&store, with_archives);
    assert!(!bundle.exists());
}

/// Not a test of its own: what the processes of the test below run.
#[test]
fn a_process_of_the_campaign() {
    let Some(home) = std::env::var_os("POSE4D_TEST_CAMPAIGN") else {
        return;
    };
    let mut world = World::new();
    let home = PathBuf::from(home);
    world.around.home = Some(home.clone());
    world.around.cache = Some(home.join(".cache"));
    let store = world.store();
    world.with_means(false, |means| {
        let options = PrepareOptions::default();
        for round in 0..50 {
            for model in prepare(&store, &["all".into()], &options, means, QUIET).unwrap() {
                assert_eq!(model.status, Readiness::Ready, "{model:?}");
            }
            if round % 3 == 0 {
                let _ = clear(&store, Some("inner"), false);
            }
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn processes_killed_at_any_moment_leave_a_cache_that_heals() {
    let world = World::new();
    let home = world.folder.path().join("home");
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["a_process_of_the_campaign", "--test-threads=1"])
            .env("POSE4D_TEST_CAMPAIGN", &home)
            .env("TMPDIR", world.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for round in 0..12_u64 {
        let mut processes: Vec<_> = (0..3).map(|_| start()).collect();
        // Spread over start, fetching, unpacking, converting.
        std::thread::sleep(std::time::Duration::from_millis(5 + round * 7));
        for process in &mut processes {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        let store = world.store();
        for seen in super::verify::verify(&store, &[], QUIET).unwrap() {
            assert!(seen.ok, "round {round}: {seen:?}");
        }
    }
    let store = world.store();
    world.with_means(false, |means| {
        let options = PrepareOptions::default();
        for model in prepare(&store, &["all".into()], &options, means, QUIET).unwrap() {
            assert_eq!(model.status, Readiness::Ready, "{model:?}");
        }
    });
    tidy(&store, OptimizeOptions::default());
    let left: Vec<_> = files_in(&world.root());
    let expected = |name: &String| {
        name.starts_with("nets/") && !name.contains("draft") || name.starts_with(".pose4d/ledger/")
    };
    assert!(left.iter().all(expected), "{left:?}");
}
