//! The hashes of a file, taken while its bytes pass by.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::request::Request;

#[derive(Clone, Debug, Default)]
pub struct Hashers {
    sha256: Sha256,
    /// Only where it is asked for: old releases publish no other hash.
    md5: Option<Md5>,
}

/// In hex.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    pub sha256: String,
    pub md5: Option<String>,
}

impl Hashers {
    pub fn new(request: &Request) -> Self {
        Self {
            sha256: Sha256::new(),
            md5: request.md5.is_some().then(Md5::new),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// Of the bytes so far.
    pub fn digests(&self) -> Digests {
        Digests {
            sha256: hex(&self.sha256.clone().finalize()),
            md5: self.md5.clone().map(|md5| hex(&md5.finalize())),
        }
    }
}

impl Digests {
    /// How they differ from what is asked for; `None` when they do not.
    pub fn refused_by(&self, request: &Request) -> Option<String> {
        let differs = |name, expected: &Option<String>, found: &str| {
            let expected = expected.as_ref()?;
            let start = found.get(..expected.len());
            let equal = start.is_some_and(|start| start.eq_ignore_ascii_case(expected));
            (!equal).then(|| format!("expected the {name} {expected}, found {found}"))
        };
        let md5 = self.md5.as_deref().unwrap_or_default();
        differs("SHA-256", &request.sha256, &self.sha256)
            .or_else(|| differs("MD5", &request.md5, md5))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_well_known_ones_and_a_prefix_is_enough() {
        let mut request = Request {
            md5: Some("900150983cd24".into()),
            sha256: Some("BA7816BF".into()),
            ..Request::default()
        };
        let mut hashers = Hashers::new(&request);
        hashers.update(b"a");
        assert!(
            hashers
                .digests()
                .refused_by(&request)
                .unwrap()
                .contains("SHA-256")
        );
        hashers.update(b"bc");
        assert_eq!(hashers.digests().refused_by(&request), None);
        request.md5 = Some("0".into());
        assert!(
            hashers
                .digests()
                .refused_by(&request)
                .unwrap()
                .contains("MD5")
        );
    }
}
