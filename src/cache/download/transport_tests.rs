//! On the way to the server: names, ports, proxies, TLS, passwords.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::child_tests::Order;
use super::request::{Proxy, Request, Settings};
use super::server_tests::{Content, Server, get, listen, names, quick, request, sha};
use crate::cache::error::DOWNLOAD;

struct Case {
    folder: tempfile::TempDir,
    content: Content,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            content: Content::new(90_000),
        }
    }

    fn request(&self, url: String) -> Request {
        let dest = self.folder.path().join("weights.bin");
        request(&dest, &[url], Some(&self.content.bytes))
    }

    /// The message of the refusal.
    fn refused(&self, url: String, settings: &Settings) -> String {
        let error = get(&self.request(url), settings).unwrap_err();
        assert_eq!(error.code, DOWNLOAD, "{error}");
        assert_eq!(names(self.folder.path()), [""; 0]);
        error.message
    }
}

fn through(server: &Server) -> Settings {
    Settings {
        proxy: Proxy::Url(server.url("")),
        ..quick()
    }
}

#[test]
fn a_closed_port_is_said_to_be_one() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let message = Case::new().refused(format!("http://{port}/weights.bin"), &quick());
    assert!(message.contains("no connection"), "{message}");
}

#[test]
fn a_host_that_does_not_exist_is_said_not_to() {
    let message = Case::new().refused("http://no-such-host.invalid/weights.bin".into(), &quick());
    // Where names are looked up at a server out of reach, the time runs out first.
    let known = message.contains("name is not known") || message.contains("no connection");
    assert!(known, "{message}");
}

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let case = Case::new();
    let proxy = Server::honest(&case.content);
    let request = case.request("http://example.invalid/weights.bin".into());
    get(&request, &through(&proxy)).unwrap();
    assert_eq!(
        proxy.hits()[0].line,
        "GET http://example.invalid/weights.bin HTTP/1.1"
    );
}

#[test]
fn a_proxy_that_wants_a_password_gets_a_clear_error() {
    let case = Case::new();
    let proxy = Server::start(|_, out| out.status("407 Proxy Authentication Required", &[]));
    for url in ["http://example.invalid/w", "https://example.invalid/w"] {
        let message = case.refused(url.into(), &through(&proxy));
        assert!(message.contains("user:password@host"), "{url}: {message}");
    }
    assert!(
        proxy.hits()[1]
            .line
            .starts_with("CONNECT example.invalid:443")
    );
    let rude = Server::start(|_, out| out.status("403 Forbidden", &[]));
    let message = case.refused("https://example.invalid/w".into(), &through(&rude));
    assert!(message.contains("proxy"), "{message}");
}

#[test]
fn proxies_are_taken_from_the_environment() {
    let case = Case::new();
    let proxy = Server::honest(&case.content);
    let mut order = Order::new(case.request("http://example.invalid/weights.bin".into()));
    order.environment = true;
    let url = proxy.url("");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        assert_eq!(
            order.run(&[(name, &url)]),
            Ok(sha(&case.content.bytes)),
            "{name}"
        );
        std::fs::remove_file(&order.request.dest).unwrap();
    }
    let asked = proxy.hits().len();
    for name in ["NO_PROXY", "no_proxy"] {
        let variables = [("HTTP_PROXY", url.as_str()), (name, "example.invalid")];
        let error = order.run(&variables).unwrap_err();
        assert!(error.starts_with(DOWNLOAD), "{error}");
    }
    assert_eq!(proxy.hits().len(), asked, "NO_PROXY was not honoured");
    // A password in the variable reaches the proxy.
    let with_password = url.replace("http://", "http://me:secret@");
    order.run(&[("HTTP_PROXY", &with_password)]).unwrap();
    let hits = proxy.hits();
    assert_eq!(
        hits.last().unwrap().header("proxy-authorization"),
        Some("Basic bWU6c2VjcmV0")
    );
}

#[test]
fn a_password_is_sent_to_its_host_only() {
    let case = Case::new();
    let other = Server::honest(&case.content);
    let elsewhere = other.url("/weights.bin");
    let server = Server::start(move |hit, out| match hit.path.as_str() {
        "/weights.bin" => out.status("302 Found", &[("Location", "/step")]),
        _ => out.status("302 Found", &[("Location", &elsewhere)]),
    });
    let url = server
        .url("/weights.bin")
        .replace("http://", "http://me:secret@");
    let fetched = get(&case.request(url), &quick()).unwrap();
    let sent = |server: &Server| -> Vec<_> {
        let hits = server.hits();
        hits.iter()
            .map(|hit| hit.header("authorization").map(str::to_owned))
            .collect()
    };
    assert_eq!(
        sent(&server),
        [
            Some("Basic bWU6c2VjcmV0".to_owned()),
            Some("Basic bWU6c2VjcmV0".to_owned())
        ]
    );
    assert_eq!(sent(&other), [None]);
    assert_eq!(
        fetched.url,
        Some(server.url("/weights.bin")),
        "no password in what is stored"
    );
    let hit = &other.hits()[0];
    assert_eq!(hit.header("accept-encoding"), Some("identity"));
    assert!(hit.header("user-agent").unwrap().starts_with("pose4d/"));
    assert_eq!((hit.header("cookie"), hit.header("referer")), (None, None));
}

#[test]
fn a_password_is_never_shown() {
    let case = Case::new();
    let server = Server::start(|_, out| out.status("404 Not Found", &[]));
    let url = server.url("/w").replace("http://", "http://me:secret@");
    let message = case.refused(url, &quick());
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let case = Case::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream?.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
        std::io::Result::Ok(())
    });
    let message = case.refused(format!("https://127.0.0.1:{port}/w"), &quick());
    assert!(message.contains("does not speak TLS"), "{message}");
}

/// An HTTPS server with a certificate of its own.
struct Tls {
    url: String,
    certificate: String,
}

impl Tls {
    fn start(reply: impl Fn(&str, &mut dyn Write) + Send + Sync + 'static) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], PrivateKeyDer::Pkcs8(private))
            .unwrap();
        let (config, reply) = (Arc::new(config), Arc::new(reply));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, reply) = (config.clone(), reply.clone());
                std::thread::spawn(move || {
                    let _ = answer(config, stream?, &*reply);
                    std::io::Result::Ok(())
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}/weights.bin"),
            certificate: key.cert.pem(),
        }
    }

    fn trust(&self, folder: &Path) -> String {
        let path = folder.join("certificate.pem");
        std::fs::write(&path, &self.certificate).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn answer(
    config: Arc<rustls::ServerConfig>,
    mut stream: TcpStream,
    reply: &dyn Fn(&str, &mut dyn Write),
) -> std::io::Result<()> {
    let mut tls = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = rustls::Stream::new(&mut tls, &mut stream);
    if let Some(hit) = listen(&mut stream) {
        reply(&hit.path, &mut stream);
    }
    stream.conn.send_close_notify();
    stream.flush()
}

fn whole(content: &Content, out: &mut dyn Write) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    let _ = out.write_all(head.as_bytes());
    let _ = out.write_all(&content.bytes);
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused_with_the_remedy() {
    let case = Case::new();
    let content = case.content.clone();
    let server = Tls::start(move |_, out| whole(&content, out));
    let message = case.refused(server.url.clone(), &quick());
    assert!(message.contains("certificate is not trusted"), "{message}");
    assert!(message.contains("SSL_CERT_FILE"), "{message}");
}

#[test]
fn a_certificate_named_in_ssl_cert_file_is_trusted_for_its_host() {
    let (case, certificates) = (Case::new(), tempfile::tempdir().unwrap());
    let content = case.content.clone();
    let server = Tls::start(move |_, out| whole(&content, out));
    let trusted = server.trust(certificates.path());
    let trust = [("SSL_CERT_FILE", trusted.as_str())];
    let order = Order::new(case.request(server.url.clone()));
    assert_eq!(order.run(&trust), Ok(sha(&case.content.bytes)));
    std::fs::remove_file(&order.request.dest).unwrap();
    let other_name = server.url.replace("localhost", "127.0.0.1");
    let error = Order::new(case.request(other_name))
        .run(&trust)
        .unwrap_err();
    assert!(error.contains("certificate is not trusted"), "{error}");
}

#[test]
fn a_redirect_from_https_to_http_is_refused() {
    let (case, certificates) = (Case::new(), tempfile::tempdir().unwrap());
    let plain = Server::honest(&case.content);
    let to = plain.url("/weights.bin");
    let server = Tls::start(move |_, out| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let _ = out.write_all(head.as_bytes());
    });
    let trusted = server.trust(certificates.path());
    let order = Order::new(case.request(server.url.clone()));
    let error = order.run(&[("SSL_CERT_FILE", &trusted)]).unwrap_err();
    assert!(error.contains("from https to http"), "{error}");
    assert!(plain.hits().is_empty());
}

#[test]
fn tls_that_breaks_off_in_the_middle_is_tried_again() {
    let (case, certificates) = (Case::new(), tempfile::tempdir().unwrap());
    let (content, asked) = (case.content.clone(), Mutex::new(0));
    let server = Tls::start(move |_, out| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        if *asked == 1 {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                content.len()
            );
            let _ = out.write_all(head.as_bytes());
            let _ = out.write_all(&content.bytes[..content.half()]);
        } else {
            whole(&content, out);
        }
    });
    let trusted = server.trust(certificates.path());
    let order = Order::new(case.request(server.url.clone()));
    assert_eq!(
        order.run(&[("SSL_CERT_FILE", &trusted)]),
        Ok(sha(&case.content.bytes))
    );
}

#[test]
fn without_any_certificates_plain_http_works_and_https_says_why_not() {
    let (case, empty) = (Case::new(), tempfile::tempdir().unwrap());
    let none = empty.path().join("none.pem");
    std::fs::write(&none, "").unwrap();
    let variables = [
        ("SSL_CERT_FILE", none.to_str().unwrap()),
        ("SSL_CERT_DIR", empty.path().to_str().unwrap()),
    ];
    let server = Server::honest(&case.content);
    let order = Order::new(case.request(server.url("/weights.bin")));
    assert_eq!(order.run(&variables), Ok(sha(&case.content.bytes)));
    std::fs::remove_file(&order.request.dest).unwrap();
    let content = case.content.clone();
    let tls = Tls::start(move |_, out| whole(&content, out));
    let error = Order::new(case.request(tls.url))
        .run(&variables)
        .unwrap_err();
    assert!(error.contains("ca-certificates"), "{error}");
}
