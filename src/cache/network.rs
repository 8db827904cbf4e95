//! How missing files are got: over the network, and out of archives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::download::request::{self, Phase, Request, Settings};
use super::download::run;
use super::ensure::{Means, Received};
use super::error::CacheError;
use super::manifest::{Algorithm, Entry};
use super::progress::{Progress, Watch};
use super::unpack;

/// How soon a cancellation is passed on.
const LOOK: Duration = Duration::from_millis(50);

/// Runs `job` with the means of this release.
pub fn with_means<R>(settings: &Settings, job: impl FnOnce(Means) -> R) -> R {
    job(Means {
        offline: settings.offline,
        fetch: &|entry, dest, watch| fetch(entry, dest, settings, watch),
        unpack: &unpack,
    })
}

/// What is asked for on behalf of an entry.
fn request(entry: &Entry, dest: &Path) -> Request {
    let prefix = |algorithm: Algorithm| {
        let prefix = entry.prefix.as_ref()?;
        (prefix.algorithm == algorithm).then(|| prefix.hex.clone())
    };
    Request {
        urls: entry.urls.clone(),
        dest: dest.to_path_buf(),
        bytes: entry.exact_bytes(),
        sha256: entry.sha256.clone().or_else(|| prefix(Algorithm::Sha256)),
        md5: prefix(Algorithm::Md5),
        about_bytes: entry.bytes.filter(|_| !entry.exact),
        label: format!("{} ({})", entry.id, entry.file),
    }
}

fn fetch(
    entry: &Entry,
    dest: &Path,
    settings: &Settings,
    watch: Watch,
) -> Result<Received, CacheError> {
    let tell = |progress: request::Progress| {
        (watch.tell)(&Progress {
            phase: phase(progress.phase),
            model: &entry.id,
            file: &entry.file,
            loaded: progress.loaded,
            total: progress.total,
        });
    };
    let request = request(entry, dest);
    let fetched = with_flag(watch, |cancel| {
        run::download(&request, settings, &tell, cancel)
    })?;
    Ok(Received {
        sha256: fetched.sha256,
        url: fetched.url,
        etag: fetched.etag,
    })
}

/// Named as the phases of all other work are.
fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connect",
        Phase::Downloading => "download",
        Phase::Verifying => "verify",
        Phase::Waiting => "wait",
        Phase::Retrying => "retry",
    }
}

/// Runs `job` with a flag that is raised when the caller wants no more.
fn with_flag<R>(watch: Watch, job: impl FnOnce(&AtomicBool) -> R) -> R {
    let (cancel, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) && !watch.is_cancelled() {
                thread::park_timeout(LOOK);
            }
            cancel.store(watch.is_cancelled(), Ordering::Relaxed);
        });
        let result = job(&cancel);
        done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    })
}

fn unpack(
    archive: &Path,
    patterns: &[&str],
    folder: &Path,
    watch: Watch,
) -> Result<BTreeMap<String, PathBuf>, CacheError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    unpack::unpack(archive, patterns, folder, ("", &name), watch)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::cache::error::{ABORTED, OFFLINE};
    use crate::cache::prepare::{PrepareOptions, Readiness, prepare};
    use crate::cache::status::status;
    use crate::cache::store::{Options, Store};
    use crate::cache::surroundings::Surroundings;
    use crate::cache::world_tests::{QUIET, net, sha256};

    /// Serves the same bytes to everybody, or nothing at all.
    fn serve(content: Vec<u8>, silent: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                if silent {
                    open.push(stream);
                    continue;
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    content.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&content);
            }
        });
        format!("http://{address}/net.npz")
    }

    fn store(folder: &Path, url: &str, more: serde_json::Value) -> Store {
        let mut entry = serde_json::json!({
            "id": "net", "family": "test", "component": "test", "purpose": "tests",
            "source": "download", "file": "net.npz", "place": "nets/net.npz", "urls": [url],
            "licence": "MIT", "format": "npz", "precision": "fp32", "keys": ["w"],
        });
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        let table = serde_json::json!({ "version": 1, "sets": {}, "entries": [entry] });
        std::fs::write(folder.join("manifest.json"), table.to_string()).unwrap();
        let options = Options {
            cache_dir: Some(folder.join("cache")),
            manifest: Some(folder.join("manifest.json")),
            ..Options::default()
        };
        Store::open_in(options, Surroundings::default()).unwrap()
    }

    fn settings() -> Settings {
        Settings {
            proxy: request::Proxy::None,
            retries: 1,
            back_off: Duration::from_millis(1),
            ..Settings::default()
        }
    }

    fn run(store: &Store, settings: &Settings, watch: Watch) -> Result<Readiness, CacheError> {
        let names = ["net".to_string()];
        let options = PrepareOptions::default();
        with_means(settings, |means| {
            prepare(store, &names, &options, means, watch)
        })
        .map(|done| done[0].status)
    }

    #[test]
    fn a_file_comes_over_http_and_is_held_to_its_hash() {
        let good = sha256(&net(1.0));
        for (more, readiness) in [
            (serde_json::json!({}), Readiness::Ready),
            (serde_json::json!({ "sha256": good }), Readiness::Ready),
            (
                serde_json::json!({ "prefix": { "algorithm": "sha256", "hex": good[..8] } }),
                Readiness::Ready,
            ),
            (
                serde_json::json!({ "sha256": sha256(b"") }),
                Readiness::Failed,
            ),
            (
                serde_json::json!({ "prefix": { "algorithm": "md5", "hex": "000000" } }),
                Readiness::Failed,
            ),
            (
                serde_json::json!({ "bytes": 7, "exact": true }),
                Readiness::Failed,
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let url = serve(net(1.0), false);
            let store = store(folder.path(), &url, more.clone());
            let offline = Settings {
                offline: true,
                ..settings()
            };
            assert_eq!(run(&store, &offline, QUIET).unwrap(), Readiness::Missing);
            assert_eq!(
                run(&store, &settings(), QUIET).unwrap(),
                readiness,
                "{more}"
            );
            let found = status(&store, "net").unwrap();
            assert_eq!(found.available, readiness == Readiness::Ready, "{more}");
            if found.available {
                assert_eq!(run(&store, &offline, QUIET).unwrap(), Readiness::Ready);
            }
        }
        assert_eq!(OFFLINE, "ERR_POSE4D_OFFLINE");
    }

    #[test]
    fn a_cancelled_download_ends_soon() {
        let folder = tempfile::tempdir().unwrap();
        let url = serve(Vec::new(), true);
        let store = store(folder.path(), &url, serde_json::json!({}));
        let begun = std::time::Instant::now();
        let cancelled = || begun.elapsed() > Duration::from_millis(300);
        let watch = Watch {
            cancelled: &cancelled,
            ..Watch::SILENT
        };
        let error = run(&store, &settings(), watch).unwrap_err();
        assert_eq!(error.code, ABORTED);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
