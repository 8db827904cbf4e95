//! Status, verification, preparation, import and export, in a world of small models.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ensure::Means;
use super::error::*;
use super::ledger::{Trust, Wrong};
use super::prepare::{PrepareOptions, Readiness, prepare};
use super::progress::Watch;
use super::status::{Overall, Status, list, status};
use super::store::Store;
use super::transfer::{self, ImportOptions};
use super::verify::{Verified, verify};
use super::world_tests::*;
use super::{fast, info};
use crate::checkpoint::open;

fn one(store: &Store, id: &str) -> Status {
    status(store, id).unwrap()
}

fn check(store: &Store, id: &str) -> Vec<Verified> {
    verify(store, &[id.to_string()], QUIET).unwrap()
}

#[test]
fn what_is_missing_says_what_to_do() {
    let world = World::new();
    let store = world.store();
    let net = one(&store, "Net_Large");
    assert_eq!((net.available, net.state), (false, Overall::Missing));
    assert!(
        net.remedy
            .unwrap()
            .contains("npx pose4d models download net")
    );
    assert!(
        one(&store, "body")
            .remedy
            .unwrap()
            .contains("smplify.is.tue.mpg.de")
    );
    assert_eq!(status(&store, "nonsense").unwrap_err().code, MODEL_UNKNOWN);
    assert!(list(&store).iter().all(|status| !status.available));
    assert!(!world.root().exists(), "asking creates nothing");
}

#[test]
fn a_cut_off_file_is_never_available() {
    let world = World::new();
    let store = world.store();
    let whole = net(2.0);
    for length in [0, 1, 100, whole.len() - 1] {
        world.put_own("nets/pinned.npz", &whole[..length]);
        world.put_own("nets/net.npz", &whole[..length]);
        for id in ["pinned", "net"] {
            let status = one(&store, id);
            // One byte is no format at all where no size is published.
            let is_told = status.state == Overall::Corrupt || (id, length) == ("net", 1);
            assert!(is_told, "{id} {length}: {status:?}");
            assert!(!status.available && status.problem.is_some() && status.remedy.is_some());
        }
    }
    assert!(one(&store, "pinned").problem.unwrap().contains("cut off"));
    world.put_own("nets/pinned.npz", &whole);
    assert!(
        one(&store, "pinned").available,
        "the file is looked at again once it changed"
    );
}

#[test]
fn a_tampered_file_of_the_right_size_is_found_by_verify_and_remembered() {
    let world = World::new();
    let store = world.store();
    let mut bytes = net(2.0);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    world.put_own("nets/pinned.npz", &bytes);
    assert_eq!(one(&store, "pinned").state, Overall::Unverified);
    let seen = check(&store, "pinned");
    assert_eq!(
        (seen.len(), seen[0].ok, seen[0].wrong),
        (1, false, Some(Wrong::Corrupt))
    );
    assert_eq!(one(&store, "pinned").state, Overall::Corrupt);

    world.put_own("nets/pinned.npz", &net(2.0));
    assert_eq!(check(&store, "pinned")[0].trust, Some(Trust::Published));
    let status = one(&store, "pinned");
    assert_eq!(
        (status.state, status.trust),
        (Overall::Verified, Some(Trust::Published))
    );
}

#[test]
fn without_a_published_hash_structure_decides_and_then_the_record() {
    let world = World::new();
    let store = world.store();
    let path = world.put_own("nets/net.npz", &net(1.0));
    assert_eq!(check(&store, "net")[0].trust, Some(Trust::Structure));
    // The checksum inside the file shows a flipped bit even without any record.
    let other = World::new();
    let mut flipped = net(1.0);
    flipped[600] ^= 1;
    other.put_own("nets/net.npz", &flipped);
    let found = &check(&other.store(), "net")[0];
    assert_eq!(found.wrong, Some(Wrong::Corrupt), "{:?}", found.problem);

    // A bit lost by the disk: other bytes, the same time. Even a sound file would not do.
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, &net(9.0)).unwrap();
    file.set_modified(time).unwrap();
    let rotted = &check(&store, "net")[0];
    assert!(
        rotted.problem.as_ref().unwrap().contains("nobody wrote"),
        "{rotted:?}"
    );
    // A file that somebody put there is judged anew.
    world.put_own("nets/net.npz", &net(8.0));
    assert!(check(&store, "net")[0].ok);
}

#[test]
fn a_file_of_another_model_is_different_not_corrupt() {
    let world = World::new();
    let store = world.store();
    world.put_own(
        "nets/net.npz",
        &npz(&[("x", npy("|u1", &[1], &[1]))], false),
    );
    let status = one(&store, "net");
    assert_eq!(status.state, Overall::Different);
    assert!(status.problem.unwrap().contains("no tensor \"w\""));
    assert!(!check(&store, "net")[0].ok);
}

#[test]
#[cfg(unix)]
fn files_of_other_tools_are_used_in_place_through_links_and_left_alone() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    let store = world.store();
    let real = world.put("disk/net.npz", &net(1.0));
    fs::create_dir_all(world.folder.path().join("home/.cache/4DHumans/logs")).unwrap();
    let link = world
        .folder
        .path()
        .join("home/.cache/4DHumans/logs/net.npz");
    let middle = world.folder.path().join("disk/link.npz");
    symlink(&real, &middle).unwrap();
    symlink(&middle, &link).unwrap();
    let before = fs::metadata(&real).unwrap().modified().unwrap();

    let status = one(&store, "net");
    assert_eq!(status.origin.as_deref(), Some("4dhumans"));
    assert_eq!(
        status.real_path.as_deref(),
        Some(real.canonicalize().unwrap().as_path())
    );
    let done = prepared(&world, &store, &["net"]);
    assert_eq!(
        (done[0].status, done[0].downloaded),
        (Readiness::Ready, false)
    );
    let form = done[0].path.clone().unwrap();
    assert_eq!(form, world.root().join("fast/net.fp32.safetensors"));
    assert_eq!(fs::metadata(&real).unwrap().modified().unwrap(), before);
    assert_eq!(
        files_in(&world.folder.path().join("disk")),
        ["link.npz", "net.npz"]
    );

    // Dangling links and circles are told, never followed.
    fs::remove_file(&real).unwrap();
    assert_eq!(one(&store, "net").state, Overall::Unreadable);
    assert!(
        one(&store, "net")
            .problem
            .unwrap()
            .contains("leads nowhere")
    );
    fs::remove_file(&middle).unwrap();
    symlink(&link, &middle).unwrap();
    assert_eq!(one(&store, "net").state, Overall::Unreadable);
}

#[test]
fn a_file_written_anew_by_another_tool_is_not_held_to_the_published_hash() {
    let world = World::new();
    let store = world.store();
    world.put("home/.cache/depthmap/models/midas_pinned.npz", &net(7.0));
    let status = one(&store, "pinned");
    assert!(status.available, "{:?}", status.problem);
    assert_eq!(check(&store, "pinned")[0].trust, Some(Trust::Structure));
    // The published file goes before it.
    world.put("home/.cache/4DHumans/pinned.npz", &net(2.0));
    assert_eq!(one(&store, "pinned").origin.as_deref(), Some("4dhumans"));
    assert_eq!(one(&store, "pinned").others.len(), 1);
}

#[test]
fn prepare_fetches_once_verifies_unpacks_and_writes_the_fast_form() {
    let world = World::new();
    let store = world.store();
    let done = prepared(&world, &store, &["all"]);
    for model in &done {
        assert_eq!(model.status, Readiness::Ready, "{model:?}");
        let form = model.path.as_ref().unwrap();
        assert_eq!(form.extension().unwrap(), "safetensors");
        assert!(model.converted && model.precision.as_deref() == Some("fp32"));
        let form = open::open(form).unwrap();
        let original = open::open(model.source_path.as_ref().unwrap()).unwrap();
        assert_eq!(form.read("w").unwrap(), original.read("w").unwrap());
    }
    // net, pinned, named and the archive of the other two.
    assert_eq!(world.count(), 4);
    let again = prepared(&world, &store, &["all"]);
    assert!(
        again
            .iter()
            .all(|model| !model.converted && !model.downloaded)
    );
    assert_eq!(world.count(), 4);
    assert_eq!(one(&store, "net").trust, Some(Trust::Recorded));
    assert_eq!(one(&store, "named").trust, Some(Trust::Published));
    assert_eq!(one(&store, "inner").formats.len(), 2);

    // A flipped bit in what was downloaded is found and fetched again.
    let path = world.root().join("nets/net.npz");
    let mut bytes = fs::read(&path).unwrap();
    bytes[600] ^= 1;
    fs::write(&path, bytes).unwrap();
    let healed = prepared(&world, &store, &["net"]);
    assert_eq!(
        (healed[0].status, healed[0].downloaded),
        (Readiness::Ready, true)
    );
    assert_eq!(fs::read(&path).unwrap(), net(1.0));
}

#[test]
fn offline_and_licence_are_answers_among_the_others() {
    let world = World::new();
    let store = world.store();
    world.put_own("nets/pinned.npz", &net(2.0));
    let names = ["net".to_string(), "pinned".to_string(), "body".to_string()];
    let done = world.with_means(true, |means| {
        prepare(&store, &names, &PrepareOptions::default(), means, QUIET).unwrap()
    });
    let codes: Vec<_> = done.iter().map(|model| model.code).collect();
    assert_eq!(codes, [Some(OFFLINE), None, Some(LICENCE)]);
    assert_eq!(done[1].status, Readiness::Ready);
    assert!(done[0].problem.as_ref().unwrap().contains("nets/net.npz"));
    assert_eq!(world.count(), 0);
}

#[test]
fn what_a_server_gives_instead_is_refused_and_removed() {
    let world = World::new();
    let store = world.store();
    for (id, bytes) in [
        ("net", b"<html>Sign in</html>".to_vec()),
        ("net", net(1.0)[..500].to_vec()),
        ("net", npz(&[("x", npy("|u1", &[1], &[1]))], false)),
        ("named", net(1.0)),
    ] {
        let fetch = |entry: &super::manifest::Entry, dest: &Path, _: Watch| {
            let received = world.fetch(entry, dest)?;
            fs::write(dest, &bytes).unwrap();
            Ok(received)
        };
        let unpack = |_: &Path, _: &[&str], _: &Path, _: Watch| unreachable!();
        let means = Means {
            offline: false,
            fetch: &fetch,
            unpack: &unpack,
        };
        let options = PrepareOptions::default();
        let done = prepare(&store, &[id.to_string()], &options, means, QUIET).unwrap();
        assert_ne!(done[0].status, Readiness::Ready, "{id}");
        assert!(!one(&store, id).available, "{id}");
    }
}

#[test]
fn cancelling_ends_the_work_with_its_code_and_the_next_call_goes_on() {
    let world = World::new();
    let store = world.store();
    let cancel = AtomicBool::new(false);
    let tell = |progress: &super::progress::Progress| {
        if progress.phase == "convert" {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let watch = Watch {
        tell: &tell,
        cancelled: &|| cancel.load(Ordering::Relaxed),
    };
    let options = PrepareOptions::default();
    let error = world
        .with_means(false, |means| {
            prepare(&store, &["all".to_string()], &options, means, watch)
        })
        .unwrap_err();
    assert_eq!(error.code, ABORTED);
    assert_eq!(
        files_in(&world.root().join("nets")),
        ["net.npz"],
        "no draft stays"
    );
    let done = prepared(&world, &store, &["all"]);
    assert!(done.iter().all(|model| model.status == Readiness::Ready));
    assert_eq!(world.count(), 4, "what was fetched is not fetched again");
}

#[test]
fn a_fast_form_follows_its_original() {
    let world = World::new();
    let store = world.store();
    world.put_own("nets/net.npz", &net(1.0));
    let entry = store.manifest().entry("net").unwrap();
    let make = |precision: &str| {
        let sight = store.best(entry, &store.roots()).unwrap();
        fast::ensure(&store, entry, &sight, precision, QUIET).unwrap()
    };
    let first = make("fp32");
    assert!(first.made && !make("fp32").made);
    assert_eq!(first.path, world.root().join("nets/net.fp32.safetensors"));
    let half = make("bf16");
    assert!(half.bytes < first.bytes);
    assert_eq!(
        open::open(&half.path).unwrap().read("w").unwrap().len(),
        2000
    );

    world.put_own("nets/net.npz", &net(5.0));
    let again = make("fp32");
    assert!(again.made && again.source_sha256 != first.source_sha256);
    // Cut off, it is made again.
    let bytes = fs::read(&again.path).unwrap();
    fs::write(&again.path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(make("fp32").made);
    assert_eq!(fs::read(&again.path).unwrap(), bytes);
    let error = fast::ensure(
        &store,
        entry,
        &store.best(entry, &[]).unwrap(),
        "int4",
        QUIET,
    );
    assert_eq!(error.unwrap_err().code, INVALID_ARGUMENT);
}

#[test]
fn many_threads_on_one_cache_make_one_good_state() {
    let world = World::new();
    let options = PrepareOptions::default();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = world.store();
                world.with_means(false, |means| {
                    for model in
                        prepare(&store, &["all".to_string()], &options, means, QUIET).unwrap()
                    {
                        assert_eq!(model.status, Readiness::Ready, "{model:?}");
                    }
                });
            });
        }
    });
    let store = world.store();
    assert!(
        verify(&store, &[], QUIET)
            .unwrap()
            .iter()
            .all(|seen| seen.ok)
    );
    let left: Vec<_> = files_in(&world.root());
    assert!(left.iter().all(|path| !path.contains("draft")), "{left:?}");
}

#[test]
fn a_cache_that_cannot_be_written_still_answers() {
    let world = World::new();
    world.put("home/.cache/4DHumans/pinned.npz", &net(2.0));
    // /proc takes no folders, whoever asks.
    let store = world.store_at(Some("/proc/nowhere".into()));
    assert!(one(&store, "pinned").available);
    assert!(check(&store, "pinned")[0].ok);
    assert_eq!(info::info(&store, true).found.unwrap().len(), 1);
    let done = prepared(&world, &store, &["pinned", "net"]);
    assert_eq!(done[1].status, Readiness::Failed);
    assert_eq!(done[1].code, Some(CACHE_IO));
    assert!(done[1].problem.as_ref().unwrap().contains("/proc/nowhere"));
    let error = transfer::import(
        &store,
        &world.put("in/net.npz", &net(1.0)),
        "net",
        ImportOptions::default(),
        QUIET,
    );
    assert_eq!(error.unwrap_err().code, CACHE_IO);
}

#[test]
fn info_reports_what_the_old_manager_did() {
    let world = World::new();
    let store = world.store();
    let megabyte = vec![0; 1 << 20];
    world.put_own("nets/bundle.tar", &megabyte);
    world.put_own(
        "midas_DPT_Large.pt",
        &[megabyte.as_slice(), &megabyte].concat(),
    );
    world.put_own("pose4d/runtime/libtorch.so", &megabyte);
    world.put("home/.cache/4DHumans/pinned.npz", &net(2.0));
    let info = info::info(&store, true);
    assert_eq!((info.total_files, info.total_size_mb), (2, 3.0));
    assert_eq!(info.formats["pt"], 1);
    assert_eq!(info.formats["h5"], 0);
    assert!(info.models["midas_DPT_Large"].unknown);
    assert_eq!(info.models["bundle"].formats["tar"].size_mb, 1.0);
    let stats = info.stats.unwrap();
    assert_eq!((stats.total_models, stats.average_model_size_mb), (2, 1.5));
    assert_eq!(stats.largest_model.unwrap().name, "midas_DPT_Large");
    assert_eq!(stats.smallest_model.unwrap().name, "bundle");
    assert_eq!(stats.cache_health, info::Health::Good);
    assert_eq!(info.found.unwrap()["pinned"].formats.len(), 1);
    for number in 0..60 {
        world.put_own(&format!("more/{number}.bin"), b"x");
    }
    assert_eq!(
        info::info(&store, false).cache_health,
        info::Health::Cluttered
    );
    let large = fs::File::create(world.root().join("more/large.pt")).unwrap();
    large.set_len(5001 << 20).unwrap();
    assert_eq!(info::info(&store, false).cache_health, info::Health::Large);
}
