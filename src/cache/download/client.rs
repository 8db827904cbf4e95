//! One request with its redirects, and what went wrong with it in plain words.

use std::collections::HashSet;
use std::error::Error;
use std::io;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, Url, redirect};

use super::fault::Failure;
use super::request::{Proxy, Settings};
use crate::cache::error::{CacheError, DOWNLOAD, INVALID_ARGUMENT};

const MAX_REDIRECTS: usize = 10;

pub struct Client {
    inner: reqwest::Client,
    /// Why no certificate can be checked; plain HTTP works without.
    no_certificates: Option<String>,
}

/// What is asked of a source.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// First byte wanted; 0 asks for the whole file.
    pub from: u64,
    /// Continue only if the file is still this one (`If-Range`).
    pub only_if: Option<String>,
}

impl Client {
    pub fn new(settings: &Settings) -> Result<Self, CacheError> {
        // Of two installers one comes second; whichever is there will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxy = match &settings.proxy {
            Proxy::Url(url) => Some(reqwest::Proxy::all(url).map_err(|error| {
                let why = chain(&error);
                CacheError::new(INVALID_ARGUMENT, format!("the proxy {url:?}: {why}"))
            })?),
            _ => None,
        };
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("pose4d/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .connect_timeout(settings.connect_timeout)
                .pool_max_idle_per_host(0)
                .referer(false)
                .http1_only();
            match (&settings.proxy, proxy.clone()) {
                (Proxy::None, _) => builder.no_proxy(),
                (_, Some(proxy)) => builder.proxy(proxy),
                _ => builder,
            }
        };
        let broken = |error: reqwest::Error| CacheError::new(DOWNLOAD, chain(&error));
        match builder().build() {
            Ok(inner) => Ok(Self {
                inner,
                no_certificates: None,
            }),
            Err(error) => Ok(Self {
                inner: builder().tls_certs_only([]).build().map_err(broken)?,
                no_certificates: Some(chain(&error)),
            }),
        }
    }

    /// Sends the request and follows redirects; the reply's body is still to be read.
    pub async fn get(&self, url: &str, range: &Range) -> Result<Response, Failure> {
        let mut url = parse(url)?;
        let mut seen = HashSet::new();
        for _ in 0..=MAX_REDIRECTS {
            if !seen.insert(url.clone()) {
                return Err(Failure::source(format!(
                    "redirects go round in a circle at {}",
                    public(&url)
                )));
            }
            let reply = self.send(&url, range).await?;
            if !reply.status().is_redirection() || reply.status().as_u16() == 304 {
                return Ok(reply);
            }
            url = target(&url, reply.headers())?;
        }
        Err(Failure::source(format!(
            "more than {MAX_REDIRECTS} redirects"
        )))
    }

    async fn send(&self, url: &Url, range: &Range) -> Result<Response, Failure> {
        let mut request = self.inner.get(url.clone());
        let plain = HeaderValue::from_static("identity");
        request = request.header(header::ACCEPT_ENCODING, plain);
        if range.from > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", range.from));
            if let Some(validator) = &range.only_if {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        request
            .send()
            .await
            .map_err(|error| self.explain(&error, url))
    }

    fn explain(&self, error: &reqwest::Error, url: &Url) -> Failure {
        if let Some(why) = &self.no_certificates
            && url.scheme() == "https"
        {
            return Failure::source(format!(
                "no certificates to check the server with ({why}); install the package \
                 ca-certificates, or name a file of them in SSL_CERT_FILE"
            ));
        }
        explain(error)
    }
}

/// The URL as it may be shown and stored: without a user's name and password.
pub fn public_url(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| public(&url))
}

fn public(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

fn parse(url: &str) -> Result<Url, Failure> {
    let url = Url::parse(url).map_err(|why| Failure::source(format!("no valid URL ({why})")))?;
    allowed(&url)?;
    Ok(url)
}

fn allowed(url: &Url) -> Result<(), Failure> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        scheme => Err(Failure::source(format!(
            "only http and https are fetched, found {scheme:?}"
        ))),
    }
}

/// Where a redirect leads, if it is one to follow.
fn target(from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let location = headers.get(header::LOCATION);
    let location = location.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let location = location.ok_or_else(|| Failure::source("a redirect that leads nowhere"))?;
    let mut to = from.join(location).map_err(|why| {
        Failure::source(format!(
            "a redirect to {location:?}, which is no URL ({why})"
        ))
    })?;
    allowed(&to)?;
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(Failure::source(format!(
            "a redirect from https to http ({}) is not followed: anybody on the way could change \
             the file",
            public(&to)
        )));
    }
    // A name and password are for the host they were given for, and for nobody else.
    let same = from.origin() == to.origin();
    let (user, password) = if same {
        (from.username(), from.password())
    } else {
        ("", None)
    };
    let _ = to.set_username(user);
    let _ = to.set_password(password);
    to.set_fragment(None);
    Ok(to)
}

/// What an error of the transport means, and whether trying again may help.
pub fn explain(error: &reqwest::Error) -> Failure {
    let text = chain(error);
    if let Some(failure) = tls(error, &text) {
        return failure;
    }
    let has = |part: &str| text.contains(part);
    if has("proxy authorization required") || has("proxy authentication required") {
        return Failure::source(
            "the proxy asks for a user name and password: put them into HTTPS_PROXY as \
             http://user:password@host:port",
        );
    }
    if has("unsuccessful tunnel") || has("unsuccessful") && has("tunnel") {
        return Failure::source("the proxy (HTTPS_PROXY) refuses to connect to this host");
    }
    if has("dns error") {
        return Failure::retry(
            "the host's name is not known: is the network up? A proxy is read from HTTPS_PROXY",
        );
    }
    if error.is_timeout() {
        return Failure::retry("no connection within the time allowed");
    }
    if error.is_connect() {
        return Failure::retry(format!("no connection: {text}"));
    }
    if error.is_builder() {
        return Failure::source(text);
    }
    if error.is_body() || error.is_decode() {
        return Failure::retry(format!("the connection broke off: {text}"));
    }
    Failure::retry(text)
}

fn tls(error: &reqwest::Error, text: &str) -> Option<Failure> {
    match tls_cause(error)? {
        rustls::Error::InvalidCertificate(why) => Some(Failure::source(format!(
            "the server's certificate is not trusted ({why:?}); behind a company's proxy, name its \
             certificate in SSL_CERT_FILE"
        ))),
        rustls::Error::InvalidMessage(_) => Some(Failure::source(format!(
            "the server does not speak TLS: {text}"
        ))),
        _ => Some(Failure::retry(format!("TLS failed: {text}"))),
    }
}

/// The error of TLS among the causes, in whatever it is wrapped.
fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    // Wrappers are few; a circle of causes would be a bug of somebody else.
    for _ in 0..32 {
        let error = cause?;
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The error and its causes in one line, without the URL, which may hold a password.
fn chain(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        cause = inner.source();
    }
    if parts.is_empty() {
        return error.to_string();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, location: &str) -> Result<String, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        target(&Url::parse(from).unwrap(), &headers).map(String::from)
    }

    #[test]
    fn redirects_keep_to_the_web_and_never_step_down() {
        assert_eq!(follow("http://a/b/c", "d#x").unwrap(), "http://a/b/d");
        assert_eq!(follow("http://a/b", "https://c/d").unwrap(), "https://c/d");
        for (from, location) in [
            ("https://a/b", "http://a/b"),
            ("http://a/b", "file:///etc/passwd"),
            ("http://a/b", "ftp://a/b"),
            ("http://a/b", "http://"),
        ] {
            assert!(follow(from, location).is_err(), "{from} → {location}");
        }
        assert!(target(&Url::parse("http://a").unwrap(), &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_password_stays_with_its_host() {
        let from = "http://me:secret@a/b";
        assert_eq!(follow(from, "/c").unwrap(), "http://me:secret@a/c");
        assert_eq!(follow(from, "http://a/c").unwrap(), "http://me:secret@a/c");
        assert_eq!(follow(from, "http://b/c").unwrap(), "http://b/c");
        assert_eq!(follow(from, "http://x:y@b/c").unwrap(), "http://b/c");
        assert_eq!(follow(from, "http://a:81/c").unwrap(), "http://a:81/c");
        assert_eq!(public_url(from), "http://a/b");
    }
}
