//! The whole memory of a clip as bytes, and back: an envelope whose header says which model and
//! keypoints the body is of, so that one that does not fit is refused before it is read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{EngineError, SNAPSHOT};
use super::sealed::{Kind, number, short_number};

/// Of the body's layout: to be raised with every change of what a clip remembers.
pub const VERSION: u32 = 2;

const KIND: Kind = Kind {
    magic: *b"pose4d\x1a\n",
    version: VERSION,
    code: SNAPSHOT,
    name: "snapshot",
    whole_name: "snapshot of a clip",
    maker: "clip.snapshot()",
};

/// What the memory is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// As in results: the network and its weights.
    pub model: String,
    pub keypoints: String,
    /// Of pose4d, which made it.
    pub made_by: String,
}

impl Header {
    pub fn new(model: &str, keypoints: &str) -> Self {
        Self {
            model: model.to_owned(),
            keypoints: keypoints.to_owned(),
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Bytes of `body` under `header`.
pub fn seal<T: Serialize>(header: &Header, body: &T) -> Result<Vec<u8>, EngineError> {
    KIND.seal(header, body)
}

/// What ends bytes that have a note behind them.
const NOTE: [u8; 4] = *b"note";
/// Length, check sum and mark of a note.
const NOTE_END: usize = 8 + 4 + 4;

/// The bytes with a note of the caller's behind them.
pub fn with_note(mut sealed: Vec<u8>, note: &str) -> Vec<u8> {
    sealed.extend_from_slice(note.as_bytes());
    sealed.extend_from_slice(&(note.len() as u64).to_le_bytes());
    sealed.extend_from_slice(&crc32fast::hash(note.as_bytes()).to_le_bytes());
    sealed.extend_from_slice(&NOTE);
    sealed
}

/// Bytes and the note behind them, if there is one.
pub fn split_note(bytes: &[u8]) -> Result<(&[u8], Option<&str>), EngineError> {
    if bytes.get(..8) != Some(&KIND.magic) || !bytes.ends_with(&NOTE) {
        return Ok((bytes, None));
    }
    let wrong = || KIND.damaged("its note cannot be read");
    let at = bytes.len().checked_sub(NOTE_END).ok_or_else(wrong)?;
    let (rest, _) = bytes.split_at_checked(at).ok_or_else(wrong)?;
    let length = number(bytes, at).and_then(|n| usize::try_from(n).ok());
    let start = length.and_then(|length| rest.len().checked_sub(length));
    let (sealed, note) = start
        .and_then(|start| rest.split_at_checked(start))
        .ok_or_else(wrong)?;
    if short_number(bytes, at + 8) != Some(crc32fast::hash(note)) {
        return Err(wrong());
    }
    let note = std::str::from_utf8(note).map_err(|_| wrong())?;
    Ok((sealed, Some(note)))
}

/// What was sealed, if it is whole, of this version, and of `expected`'s model and keypoints.
pub fn open<T: DeserializeOwned>(bytes: &[u8], expected: &Header) -> Result<T, EngineError> {
    let opened = KIND.open::<Header>(bytes)?;
    check("model", &opened.header.model, &expected.model)?;
    check("keypoints", &opened.header.keypoints, &expected.keypoints)?;
    opened.body()
}

fn check(what: &str, theirs: &str, ours: &str) -> Result<(), EngineError> {
    if theirs == ours {
        return Ok(());
    }
    Err(KIND.refused(format!(
        "the snapshot is of a clip with {what} {theirs:?}, this engine has {ours:?}; create the \
         engine with the same configuration"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sealed::HEAD;

    type Body = (Vec<u32>, Option<f64>);

    fn sealed() -> (Header, Vec<u8>) {
        let header = Header::new("fake 1", "coco17");
        let body: Body = (vec![1, 2, 300], Some(f64::NEG_INFINITY));
        let bytes = seal(&header, &body).unwrap();
        (header, bytes)
    }

    #[test]
    fn what_was_sealed_comes_back_to_the_bit() {
        let (header, bytes) = sealed();
        let body: Body = open(&bytes, &header).unwrap();
        assert_eq!(body, (vec![1, 2, 300], Some(f64::NEG_INFINITY)));
        let nan = f64::from_bits(0x7ff8_0000_0000_1234);
        let bytes = seal(&header, &nan).unwrap();
        assert_eq!(
            open::<f64>(&bytes, &header).unwrap().to_bits(),
            nan.to_bits()
        );
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let (header, bytes) = sealed();
        for end in 0..bytes.len() {
            let error = open::<Body>(&bytes[..end], &header).unwrap_err();
            assert_eq!(error.code, SNAPSHOT, "{end}");
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x11;
            assert_eq!(open::<Body>(&wrong, &header).unwrap_err().code, SNAPSHOT);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(open::<Body>(&longer, &header).is_err());
    }

    #[test]
    fn a_note_goes_with_the_bytes_and_is_checked_like_them() {
        let (header, bytes) = sealed();
        assert_eq!(split_note(&bytes).unwrap(), (&bytes[..], None));
        let noted = with_note(bytes.clone(), "größer {}");
        assert_eq!(split_note(&noted).unwrap(), (&bytes[..], Some("größer {}")));
        let read = |bytes: &[u8]| {
            let (sealed, note) = split_note(bytes)?;
            open::<Body>(sealed, &header).map(|_| note.map(str::to_owned))
        };
        for at in 0..noted.len() {
            let mut wrong = noted.clone();
            wrong[at] ^= 0x11;
            assert_eq!(read(&wrong).unwrap_err().code, SNAPSHOT, "{at}");
            // Cut where the note begins, it is the bytes without one.
            if at != bytes.len() {
                assert_eq!(read(&noted[..at]).unwrap_err().code, SNAPSHOT, "{at}");
            }
        }
    }

    #[test]
    fn another_model_set_of_keypoints_or_version_is_told() {
        let (header, mut bytes) = sealed();
        let other = |model: &str, keypoints: &str| {
            let error = open::<Body>(&bytes, &Header::new(model, keypoints)).unwrap_err();
            assert_eq!(error.code, SNAPSHOT);
            error.message
        };
        assert!(other("real 2", "coco17").contains("model \"fake 1\""));
        assert!(other("fake 1", "smpl24").contains("keypoints \"coco17\""));
        bytes[8] = 9;
        let error = open::<Body>(&bytes, &header).unwrap_err();
        assert!(error.message.contains("version 9"), "{}", error.message);
    }

    #[test]
    fn lengths_that_the_bytes_do_not_bear_out_cost_no_memory() {
        let header = Header::new("fake 1", "coco17");
        // A list of 2^60 numbers in ten bytes.
        let body = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 7];
        let mut bytes = seal(&header, &()).unwrap();
        bytes.extend_from_slice(&body);
        bytes[20..28].copy_from_slice(&(body.len() as u64).to_le_bytes());
        let crc = crc32fast::hash(&bytes[HEAD..]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            open::<Vec<u64>>(&bytes, &header).unwrap_err().code,
            SNAPSHOT
        );
    }
}
