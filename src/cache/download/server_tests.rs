//! A server for tests that says, byte by byte, whatever a test wants it to.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::request::{Fetched, Proxy, Request, Settings};
use super::run::download;
use crate::cache::error::CacheError;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Hit {
    /// How many came to this server before.
    pub n: usize,
    /// First line, as sent.
    pub line: String,
    pub path: String,
    headers: HashMap<String, String>,
}

impl Hit {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// First byte of the range asked for.
    pub fn from(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

/// The connection a reply goes into. Whether the client still listens is not the server's business.
pub struct Out(pub TcpStream);

impl Out {
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref());
    }

    pub fn head(&mut self, status: &str, headers: &[(&str, &str)]) {
        let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.raw(text + "\r\n");
    }

    /// A reply of `status` with a short text.
    pub fn status(&mut self, status: &str, headers: &[(&str, &str)]) {
        let text = "no file here, only words";
        let length = text.len().to_string();
        self.head(
            status,
            &[&[("Content-Length", length.as_str())], headers].concat(),
        );
        self.raw(text);
    }

    /// 200 with all of `bytes` announced and the first `sent` of them delivered.
    pub fn whole(&mut self, bytes: &[u8], sent: usize, headers: &[(&str, &str)]) {
        let length = bytes.len().to_string();
        self.head(
            "200 OK",
            &[&[("Content-Length", length.as_str())], headers].concat(),
        );
        self.raw(&bytes[..sent]);
    }

    /// 206 with the range named as `range` and `bytes` as the body.
    pub fn part(&mut self, range: &str, bytes: &[u8], headers: &[(&str, &str)]) {
        let length = bytes.len().to_string();
        let own = [
            ("Content-Length", length.as_str()),
            ("Content-Range", range),
        ];
        self.head("206 Partial Content", &[&own, headers].concat());
        self.raw(bytes);
    }

    /// An empty one would be the end.
    pub fn chunk(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.raw(format!("{:x}\r\n", bytes.len()));
        self.raw(bytes);
        self.raw("\r\n");
    }

    /// Ends the connection the hard way.
    pub fn reset(&mut self) {
        std::thread::sleep(Duration::from_millis(5));
        socket2::SockRef::from(&self.0)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        let _ = self.0.shutdown(Shutdown::Read);
    }

    /// Keeps silent until the client goes away, or longer than any test waits.
    pub fn stall(&mut self) {
        let _ = self.0.set_read_timeout(Some(Duration::from_secs(20)));
        let _ = self.0.read(&mut [0]);
    }
}

/// What a server has to offer, and what it will offer later.
#[derive(Clone, Debug)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub etag: &'static str,
    pub next: Vec<u8>,
}

impl Content {
    pub fn new(len: usize) -> Self {
        Self {
            bytes: noise(len, 1),
            etag: "\"v1\"",
            next: noise(len, 2),
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A place in the middle.
    pub fn half(&self) -> usize {
        self.len() / 2
    }

    /// The range from `from` to the end, as a server names it.
    pub fn range(&self, from: usize) -> String {
        format!("bytes {from}-{}/{}", self.len() - 1, self.len())
    }

    /// What a server without faults answers.
    pub fn honest(&self, hit: &Hit, out: &mut Out) {
        let etag = [("ETag", self.etag)];
        let same = hit.header("if-range").is_none_or(|tag| tag == self.etag);
        match hit.from().filter(|_| same) {
            Some(from) if from >= self.len() => {
                let range = format!("bytes */{}", self.len());
                out.status("416 Range Not Satisfiable", &[("Content-Range", &range)]);
            }
            Some(from) => out.part(&self.range(from), &self.bytes[from..], &etag),
            None => out.whole(&self.bytes, self.len(), &etag),
        }
    }

    /// The next version, without faults.
    pub fn honest_next(&self, hit: &Hit, out: &mut Out) {
        let next = Self {
            bytes: self.next.clone(),
            etag: "\"v2\"",
            next: Vec::new(),
        };
        next.honest(hit, out);
    }
}

/// Bytes that do not compress and start like no page.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let mut bytes: Vec<u8> = (0..len).map(|_| next()).collect();
    if let Some(first) = bytes.first_mut() {
        *first = 0x80 + seed as u8;
    }
    bytes
}

pub fn sha(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub struct Server {
    address: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    pub fn start(serve: impl Fn(&Hit, &mut Out) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hits = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (heard, stop) = (hits.clone(), over.clone());
        let (serve, count) = (Arc::new(serve), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (serve, heard, count) = (serve.clone(), heard.clone(), count.clone());
                std::thread::spawn(move || {
                    let mut out = Out(stream);
                    let Some(mut hit) = listen(&mut out.0) else {
                        return;
                    };
                    hit.n = count.fetch_add(1, Ordering::Relaxed);
                    heard.lock().unwrap().push(hit.clone());
                    serve(&hit, &mut out);
                });
            }
        });
        Self {
            address,
            hits,
            over,
        }
    }

    /// A server without faults.
    pub fn honest(content: &Content) -> Self {
        let content = content.clone();
        Self::start(move |hit, out| content.honest(hit, out))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads one request's head.
pub fn listen(stream: &mut impl Read) -> Option<Hit> {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while !text.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => text.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines = text.lines();
    let line = lines.next()?.to_owned();
    let path = line.split(' ').nth(1)?.to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Hit {
        n: 0,
        line,
        path,
        headers: lines.map_while(header).collect(),
    })
}

/// Patience for tests: faults are over in a fraction of a second.
pub fn quick() -> Settings {
    Settings {
        proxy: Proxy::None,
        retries: 3,
        connect_timeout: Duration::from_millis(500),
        response_timeout: Duration::from_millis(300),
        stall_timeout: Duration::from_millis(200),
        slow_rate: 2_000,
        slow_window: Duration::from_millis(250),
        back_off: Duration::from_millis(1),
        max_back_off: Duration::from_millis(10),
        max_retry_after: Duration::from_secs(3),
        heartbeat: Duration::from_millis(50),
        lease: Duration::from_secs(2),
        ..Settings::default()
    }
}

pub fn request(dest: &Path, urls: &[String], bytes: Option<&[u8]>) -> Request {
    Request {
        urls: urls.to_vec(),
        dest: dest.to_owned(),
        bytes: bytes.map(|bytes| bytes.len() as u64),
        sha256: bytes.map(sha),
        md5: None,
        about_bytes: None,
        label: "the weights".into(),
    }
}

/// A download that nobody watches or cancels.
pub fn get(request: &Request, settings: &Settings) -> Result<Fetched, CacheError> {
    download(request, settings, &|_| {}, &AtomicBool::new(false))
}

/// The names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
