//! What is remembered of a partial: which bytes they are, and how many surely are on the disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::crash;
use super::request::Request;

pub const NAME: &str = "state.json";
/// Written first, then renamed over `NAME`.
pub const NEW_NAME: &str = "state.new";
/// Ours are a few hundred bytes.
const MAX_BYTES: u64 = 64 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The source, without what stands before its host.
    pub url: String,
    /// Strong ones only: a weak one does not promise the same bytes.
    pub etag: Option<String>,
    /// Only where the reply's date makes it a strong validator (RFC 9110, 8.8.2.2).
    pub last_modified: Option<String>,
    pub total: Option<u64>,
    /// What the caller asked for then.
    pub expected_sha256: Option<String>,
    pub expected_md5: Option<String>,
    pub expected_bytes: Option<u64>,
    /// The boot in which the bytes were written: within it, what was written can be read.
    pub boot: Option<String>,
    pub durable: Option<Durable>,
}

/// The first `bytes` were synced, and this is their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    pub bytes: u64,
    pub sha256: String,
}

impl State {
    /// `None` when there is none, or none that makes sense.
    pub fn read(folder: &Path) -> Option<Self> {
        let mut text = Vec::new();
        let file = File::open(folder.join(NAME)).ok()?;
        file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Readers see the old one or the new one, whatever happens.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(NEW_NAME);
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        drop(file);
        crash::step("a new state is written");
        fs::rename(new, folder.join(NAME))?;
        crash::step("the new state is the state");
        Ok(())
    }

    /// Whether bytes of this state may be part of what `request` asks for.
    pub fn serves(&self, request: &Request) -> bool {
        let same_hash =
            (&self.expected_sha256, &self.expected_md5) == (&request.sha256, &request.md5);
        let same_length = self.expected_bytes == request.bytes;
        // Without a hash, only the same source and a validator tell that the bytes fit together.
        let known = request.has_hash() || (self.has_validator() && self.is_from(request));
        let fits = self
            .total
            .is_none_or(|n| request.refuses_length(n).is_none());
        same_hash && same_length && known && fits
    }

    pub fn has_validator(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }

    fn is_from(&self, request: &Request) -> bool {
        let public = |url: &String| super::client::public_url(url);
        request.urls.iter().any(|url| public(url) == self.url)
    }

    /// How many of `len` bytes found can be believed.
    pub fn believable(&self, len: u64, boot: Option<&str>) -> u64 {
        if boot.is_some() && boot == self.boot.as_deref() {
            return len;
        }
        self.durable.as_ref().map_or(0, |sure| sure.bytes.min(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            url: "http://a/b".into(),
            etag: Some("\"1\"".into()),
            total: Some(100),
            boot: Some("now".into()),
            durable: Some(Durable {
                bytes: 40,
                sha256: "ab".into(),
            }),
            ..State::default()
        }
    }

    #[test]
    fn a_state_is_read_as_written_and_nonsense_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()), None);
        state().write(folder.path()).unwrap();
        assert_eq!(State::read(folder.path()), Some(state()));
        for text in ["", "{", "[]", "{\"url\": 3}"] {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(State::read(folder.path()), None, "{text}");
        }
    }

    #[test]
    fn bytes_of_another_boot_are_believed_as_far_as_they_were_synced() {
        assert_eq!(state().believable(90, Some("now")), 90);
        assert_eq!(state().believable(90, Some("later")), 40);
        assert_eq!(state().believable(30, Some("later")), 30);
        assert_eq!(state().believable(90, None), 40);
    }

    #[test]
    fn a_partial_serves_the_same_request_only() {
        let request = Request {
            urls: vec!["http://user:pass@a/b".into(), "http://c/d".into()],
            ..Request::default()
        };
        assert!(state().serves(&request));
        let other = |change: fn(&mut State)| {
            let mut state = state();
            change(&mut state);
            state.serves(&request)
        };
        assert!(!other(|s| s.url = "http://a/other".into()));
        assert!(!other(|s| s.etag = None));
        assert!(!other(|s| s.expected_bytes = Some(3)));
        assert!(!other(|s| s.expected_sha256 = Some("ab".into())));
        let hashed = Request {
            sha256: Some("ab".into()),
            ..request.clone()
        };
        let mut state = state();
        (state.etag, state.url) = (None, "http://elsewhere".into());
        state.expected_sha256 = Some("ab".into());
        assert!(state.serves(&hashed), "the hash will tell");
        let longer = Request {
            about_bytes: Some(1000),
            ..hashed
        };
        assert!(!state.serves(&longer));
    }
}
