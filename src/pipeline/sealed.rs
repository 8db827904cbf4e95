//! What is kept or sent as bytes and read back without trust: an envelope with a check sum.
//!
//! Layout, little-endian: magic, version `u32`, lengths of header and body `u64`, CRC-32 of these
//! two `u32`, then both in postcard's form. Nothing in the bytes is believed before it is checked:
//! lengths against what is there, numbers where they are used.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{EngineError, INTERNAL};

/// Before header and body.
pub(super) const HEAD: usize = 8 + 4 + 8 + 8 + 4;
/// A header is names and numbers.
const MOST_HEADER: u64 = 64 << 10;

/// What an envelope holds.
pub struct Kind {
    pub magic: [u8; 8],
    /// Of the body's layout.
    pub version: u32,
    /// Of the errors.
    pub code: &'static str,
    /// `snapshot`
    pub name: &'static str,
    /// `snapshot of a clip`
    pub whole_name: &'static str,
    /// The function that makes it.
    pub maker: &'static str,
}

impl Kind {
    pub fn refused(&self, message: impl Into<String>) -> EngineError {
        EngineError::new(self.code, message)
    }

    pub fn damaged(&self, what: &str) -> EngineError {
        let Self { name, maker, .. } = self;
        self.refused(format!(
            "the {name} is damaged: {what}; keep the bytes as {maker} gave them"
        ))
    }

    /// Bytes of `body` under `header`.
    pub fn seal<H: Serialize, T: Serialize>(
        &self,
        header: &H,
        body: &T,
    ) -> Result<Vec<u8>, EngineError> {
        let failed = |e: postcard::Error| EngineError::new(INTERNAL, format!("{}: {e}", self.name));
        let header = postcard::to_stdvec(header).map_err(failed)?;
        let mut bytes = Vec::with_capacity(HEAD + header.len());
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&header);
        let start = bytes.len();
        let mut bytes = postcard::to_extend(body, bytes).map_err(failed)?;
        let body = (bytes.len() - start) as u64;
        let crc = crc32fast::hash(bytes.get(HEAD..).unwrap_or_default());
        if let Some(place) = bytes.get_mut(20..HEAD) {
            place[..8].copy_from_slice(&body.to_le_bytes());
            place[8..].copy_from_slice(&crc.to_le_bytes());
        }
        Ok(bytes)
    }

    /// What was sealed, if it is whole and of this version; its body is not read yet.
    pub fn open<'a, H: DeserializeOwned>(
        &'a self,
        bytes: &'a [u8],
    ) -> Result<Opened<'a, H>, EngineError> {
        if bytes.get(..8) != Some(&self.magic) {
            let Self {
                whole_name, maker, ..
            } = self;
            return Err(self.refused(format!(
                "these bytes are no {whole_name}; expected what {maker} gave"
            )));
        }
        let cut = || self.damaged("it is cut off");
        let version = short_number(bytes, 8).ok_or_else(cut)?;
        if version != self.version {
            return Err(self.refused(format!(
                "the {} has version {version}, this pose4d ({}) reads version {}; go on with the \
                 pose4d that made it",
                self.name,
                env!("CARGO_PKG_VERSION"),
                self.version,
            )));
        }
        let (header, body) = (number(bytes, 12).ok_or_else(cut)?, number(bytes, 20));
        let (body, crc) = (
            body.ok_or_else(cut)?,
            short_number(bytes, 28).ok_or_else(cut)?,
        );
        let rest = bytes.get(HEAD..).ok_or_else(cut)?;
        if header.checked_add(body) != Some(rest.len() as u64) || header > MOST_HEADER {
            return Err(self.damaged("its length is not what it says"));
        }
        if crc32fast::hash(rest) != crc {
            return Err(self.damaged("its check sum does not agree"));
        }
        let (header, body) = rest.split_at_checked(header as usize).ok_or_else(cut)?;
        let header = whole(header).map_err(|_| self.damaged("its header cannot be read"))?;
        Ok(Opened {
            kind: self,
            header,
            body,
        })
    }
}

/// An envelope whose header is known.
pub struct Opened<'a, H> {
    kind: &'a Kind,
    pub header: H,
    body: &'a [u8],
}

impl<H> Opened<'_, H> {
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        let wrong = |why| {
            self.kind
                .damaged(&format!("its content cannot be read ({why})"))
        };
        whole(self.body).map_err(wrong)
    }
}

pub(super) fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*field))
}

pub(super) fn short_number(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}

/// All of the bytes, and nothing left over.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
