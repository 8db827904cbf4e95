//! Several at once and one after another: who may go on with whose bytes, and what is swept away.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::owner::{self, Working};
use super::places::{DATA, Place};
use super::request::{Phase, Request, Settings};
use super::run::download;
use super::server_tests::{Content, Server, get, names, quick, request, sha};
use super::state::{Durable, State};
use super::sweep::{sweep, unfinished};

struct Case {
    folder: tempfile::TempDir,
    place: Place,
    content: Content,
    server: Server,
    request: Request,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("weights.bin");
        let content = Content::new(200_000);
        let server = Server::honest(&content);
        Self {
            place: Place::of(&dest).unwrap(),
            request: request(&dest, &[server.url("/weights.bin")], Some(&content.bytes)),
            folder,
            content,
            server,
        }
    }

    fn state(&self) -> State {
        State {
            url: self.request.urls[0].clone(),
            etag: Some(self.content.etag.into()),
            total: Some(self.content.len() as u64),
            expected_sha256: self.request.sha256.clone(),
            expected_bytes: self.request.bytes,
            boot: owner::boot(),
            ..State::default()
        }
    }

    fn leave(&self, path: &Path, bytes: &[u8], state: &State) {
        fs::create_dir(path).unwrap();
        fs::write(path.join(DATA), bytes).unwrap();
        state.write(path).unwrap();
    }

    /// Fetches the rest; the first byte asked for.
    fn fetch(&self) -> Option<usize> {
        let before = self.server.hits().len();
        let fetched = get(&self.request, &quick()).unwrap();
        assert_eq!(fetched.sha256, sha(&self.content.bytes));
        assert_eq!(fs::read(&self.request.dest).unwrap(), self.content.bytes);
        assert_eq!(names(self.folder.path()), ["weights.bin"]);
        let hits = self.server.hits();
        let from = hits.get(before).and_then(super::server_tests::Hit::from);
        assert_eq!(fetched.resumed_from, from.unwrap_or(0) as u64);
        fs::remove_file(&self.request.dest).unwrap();
        from
    }

    fn half(&self) -> &[u8] {
        &self.content.bytes[..self.content.half()]
    }
}

/// The name of an owner on another machine.
fn stranger() -> String {
    let name = Working::start().owner().to_string();
    let mut parts: Vec<&str> = name.split('-').collect();
    parts[1] = "00000001";
    parts.join("-")
}

#[test]
fn bytes_left_by_the_dead_are_used() {
    let case = Case::new();
    let dead = Working::start().owner();
    for path in [case.place.active(&dead), case.place.idle()] {
        case.leave(&path, case.half(), &case.state());
        assert_eq!(case.fetch(), Some(case.content.half()));
    }
}

#[test]
fn of_several_the_longest_is_used_and_the_others_go() {
    let case = Case::new();
    let paths = [(); 3].map(|()| case.place.active(&Working::start().owner()));
    for (path, len) in paths.iter().zip([10, 90_000, 500]) {
        case.leave(path, &case.content.bytes[..len], &case.state());
    }
    case.leave(&case.place.idle(), case.half(), &case.state());
    assert_eq!(case.fetch(), Some(case.content.half()));
}

#[test]
fn bytes_that_cannot_belong_are_not_used() {
    let case = Case::new();
    let longer = [case.content.bytes.as_slice(), b"more"].concat();
    let state = |change: fn(&mut State)| {
        let mut state = case.state();
        change(&mut state);
        state
    };
    let half = case.half();
    for (bytes, state) in [
        (half, state(|s| s.expected_sha256 = None)),
        (half, state(|s| s.expected_bytes = Some(7))),
        (half, state(|s| s.total = Some(7))),
        (half, state(|s| s.boot = None)),
        (&longer, case.state()),
        (
            half,
            state(|s| {
                s.durable = Some(Durable {
                    bytes: 50_000,
                    sha256: sha(b"others"),
                });
            }),
        ),
    ] {
        case.leave(&case.place.idle(), bytes, &state);
        assert_eq!(case.fetch(), None, "{state:?}");
    }
    fs::create_dir(case.place.idle()).unwrap();
    fs::write(case.place.idle().join(DATA), half).unwrap();
    assert_eq!(case.fetch(), None, "no state");
    fs::create_dir(case.place.idle()).unwrap();
    assert_eq!(case.fetch(), None, "nothing at all");
}

#[test]
fn after_a_power_cut_only_synced_bytes_count() {
    let case = Case::new();
    let mut bytes = case.half().to_vec();
    bytes[60_000..].fill(0);
    let state = State {
        boot: Some("an earlier one".into()),
        durable: Some(Durable {
            bytes: 60_000,
            sha256: sha(&case.content.bytes[..60_000]),
        }),
        ..case.state()
    };
    case.leave(&case.place.idle(), &bytes, &state);
    assert_eq!(case.fetch(), Some(60_000));
}

#[test]
fn wrong_bytes_in_a_partial_cost_a_second_transfer_and_nothing_else() {
    let case = Case::new();
    let mut bytes = case.half().to_vec();
    bytes[5] ^= 1;
    case.leave(&case.place.idle(), &bytes, &case.state());
    let fetched = get(&case.request, &quick()).unwrap();
    assert_eq!(
        (fetched.sha256, fetched.resumed_from),
        (sha(&case.content.bytes), 0)
    );
    let asked: Vec<_> = case
        .server
        .hits()
        .iter()
        .map(super::server_tests::Hit::from)
        .collect();
    assert_eq!(asked, [Some(case.content.half()), None]);
}

#[test]
fn a_complete_partial_is_published_without_the_network() {
    let case = Case::new();
    case.leave(&case.place.idle(), &case.content.bytes, &case.state());
    get(&case.request, &quick()).unwrap();
    assert!(case.server.hits().is_empty());
    assert_eq!(names(case.folder.path()), ["weights.bin"]);
}

/// Keeps a stranger's bytes open and goes on writing to them, whatever we do.
#[test]
fn bytes_of_another_machine_are_copied_after_its_lease() {
    let case = Case::new();
    let path = case
        .folder
        .path()
        .join(format!("weights.bin.{}.part", stranger()));
    case.leave(&path, case.half(), &case.state());
    assert!(unfinished(case.folder.path()).unwrap()[0].live);
    assert_eq!(sweep(case.folder.path()).unwrap().removed, 0);
    let mut zombie = fs::OpenOptions::new()
        .write(true)
        .open(path.join(DATA))
        .unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    let waits = Arc::new(AtomicUsize::new(0));
    let writer = std::thread::spawn(move || {
        // Alive for a second, then silent, then writing again as if nothing had happened.
        for _ in 0..20 {
            zombie.set_modified(std::time::SystemTime::now()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(600));
        while !ended.load(Ordering::Relaxed) {
            zombie.seek(SeekFrom::Start(0)).unwrap();
            zombie.write_all(&[0xFF; 300_000]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let settings = Settings {
        lease: Duration::from_millis(400),
        ..quick()
    };
    let start = Instant::now();
    let count = |progress: super::request::Progress| {
        waits.fetch_add(
            usize::from(progress.phase == Phase::Waiting),
            Ordering::Relaxed,
        );
    };
    let fetched = download(&case.request, &settings, &count, &AtomicBool::new(false)).unwrap();
    assert!(
        start.elapsed() > Duration::from_millis(1200),
        "its life signs were not respected"
    );
    assert!(waits.load(Ordering::Relaxed) > 3);
    assert_eq!(fetched.resumed_from, case.content.half() as u64);
    std::thread::sleep(Duration::from_millis(500));
    over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(fs::read(&case.request.dest).unwrap(), case.content.bytes);
    assert_eq!(names(case.folder.path()), ["weights.bin"]);
}

#[test]
fn who_dies_while_copying_leaves_a_copy_to_be_made() {
    let case = Case::new();
    let path = case.place.to_copy(&Working::start().owner());
    case.leave(&path, case.half(), &case.state());
    fs::write(path.join("copy"), "begun").unwrap();
    assert_eq!(case.fetch(), Some(case.content.half()));
}

/// As a suspended process finds it when it wakes up.
#[test]
fn who_was_taken_for_dead_starts_again() {
    let case = Case::new();
    let folder = case.folder.path().to_owned();
    let content = case.content.clone();
    let server = Server::start(move |hit, out| {
        if hit.n > 0 {
            return content.honest(hit, out);
        }
        out.whole(&content.bytes, content.half(), &[("ETag", content.etag)]);
        let active = names(&folder)
            .into_iter()
            .find(|name| name.ends_with(".part"));
        let active = folder.join(active.unwrap());
        let arrived = || fs::metadata(active.join(DATA)).map_or(0, |data| data.len());
        while arrived() < content.half() as u64 {
            std::thread::sleep(Duration::from_millis(1));
        }
        fs::rename(active, folder.join("weights.bin.part")).unwrap();
        out.stall();
    });
    let request = Request {
        urls: vec![server.url("/weights.bin")],
        ..case.request.clone()
    };
    let settings = Settings {
        stall_timeout: Duration::from_secs(20),
        ..quick()
    };
    get(&request, &settings).unwrap();
    assert_eq!(fs::read(&request.dest).unwrap(), case.content.bytes);
    assert_eq!(
        server.hits()[1].from(),
        Some(case.content.half()),
        "it took its own bytes back"
    );
    assert_eq!(names(case.folder.path()), ["weights.bin"]);
}

#[test]
fn threads_that_want_the_same_file_share_one_download() {
    for locks in [true, false] {
        let case = Case::new();
        let content = case.content.clone();
        let server = Server::start(move |hit, out| {
            std::thread::sleep(Duration::from_millis(100));
            content.honest(hit, out);
        });
        let request = Request {
            urls: vec![server.url("/weights.bin")],
            ..case.request.clone()
        };
        let settings = Settings { locks, ..quick() };
        let fetched: Vec<_> = std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(|| get(&request, &settings).unwrap()));
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let network = fetched
            .iter()
            .filter(|fetched| fetched.url.is_some())
            .count();
        assert_eq!((network, server.hits().len()), (1, 1), "locks: {locks}");
        assert!(fetched.iter().all(|f| f.sha256 == sha(&case.content.bytes)));
        assert_eq!(names(case.folder.path()), ["weights.bin"]);
    }
}

#[test]
fn a_lock_that_nobody_works_under_is_waited_for_and_then_ignored() {
    let case = Case::new();
    let crate::cache::lock::Outcome::Held(lock) = crate::cache::lock::try_take(&case.place.lock())
    else {
        panic!("nobody holds it")
    };
    let settings = Settings {
        lease: Duration::from_millis(300),
        ..quick()
    };
    let start = Instant::now();
    get(&case.request, &settings).unwrap();
    assert!(start.elapsed() > Duration::from_millis(300));
    drop(lock);
    assert_eq!(names(case.folder.path()), ["weights.bin"]);
}

#[test]
fn sweeping_takes_what_the_dead_left_and_nothing_else() {
    let case = Case::new();
    let working = Working::start();
    let live = case.place.active(&working.owner());
    case.leave(&live, b"123", &case.state());
    case.leave(&case.place.idle(), b"12345", &case.state());
    let dead = case.place.active(&Working::start().owner());
    case.leave(&dead, b"1234567", &case.state());
    let other = Place::of(&case.folder.path().join("other.bin")).unwrap();
    fs::write(other.lock(), "").unwrap();
    fs::write(case.place.lock(), "").unwrap();
    let strangers: [(PathBuf, &str); 4] = [
        (case.folder.path().join("movie.part"), "of a browser"),
        (case.folder.path().join("x.lock"), ""),
        (case.folder.path().join("y.part.lock"), "not empty"),
        (case.folder.path().join("weights.bin"), "the file"),
    ];
    for (path, text) in &strangers {
        fs::write(path, text).unwrap();
    }
    let not_ours = case.folder.path().join("parts.part");
    fs::create_dir(&not_ours).unwrap();
    fs::write(not_ours.join("precious"), "x").unwrap();
    let left = unfinished(case.folder.path()).unwrap();
    assert_eq!(left.iter().filter(|left| left.live).count(), 1);
    let swept = sweep(case.folder.path()).unwrap();
    assert_eq!(
        (swept.bytes, swept.removed),
        (12, 3),
        "{:?}",
        names(case.folder.path())
    );
    assert!(live.exists() && case.place.lock().exists() && !other.lock().exists());
    for (path, text) in &strangers {
        assert_eq!(fs::read_to_string(path).unwrap(), *text);
    }
    assert_eq!(fs::read_to_string(not_ours.join("precious")).unwrap(), "x");
    drop(working);
    assert_eq!(sweep(case.folder.path()).unwrap().bytes, 3);
    assert_eq!(sweep(Path::new("/no/such/folder")).unwrap().removed, 0);
}
