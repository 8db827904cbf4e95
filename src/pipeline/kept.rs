//! The last frames of an offline clip, kept to be looked at again: as they came where that is
//! smaller, and never more than so many bytes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::EngineError;
use super::source::FrameSource;
use crate::imaging::limits::DecodeLimits;
use crate::imaging::pixels::Rgb8;

/// Of pictures that are kept, all together: 41 frames of raw full HD.
const MOST_BYTES: usize = 256 << 20;
/// However long the clip, and whatever a stored one says.
const MOST_FRAMES: usize = 128;

/// A frame's picture, or how to come by it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Picture {
    /// It has none, or it is not kept.
    Gone,
    Encoded(#[serde(with = "bytes")] Arc<[u8]>),
    Text(Arc<str>),
    Path(PathBuf),
    Raw(#[serde(with = "raw")] Arc<Rgb8>),
}

impl Picture {
    /// Of a source that is about to be decoded; raw pixels are kept once they are checked.
    pub fn of(source: &FrameSource) -> Self {
        match source {
            FrameSource::Bytes(bytes) => Self::Encoded(bytes.as_slice().into()),
            FrameSource::Base64(text) => Self::Text(text.as_str().into()),
            FrameSource::Path(path) => Self::Path(path.clone()),
            FrameSource::Pixels { .. } | FrameSource::Bad(_) => Self::Gone,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Gone => 0,
            Self::Encoded(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            Self::Path(path) => path.as_os_str().len(),
            Self::Raw(image) => image.data.len(),
        }
    }

    /// Work for a pool thread. What could be decoded once may yet be gone: a file.
    pub fn decode(&self, limits: &DecodeLimits) -> Result<Arc<Rgb8>, EngineError> {
        let source = match self {
            Self::Raw(image) => return Ok(Arc::clone(image)),
            Self::Encoded(bytes) => FrameSource::Bytes(bytes.to_vec()),
            Self::Text(text) => FrameSource::Base64(text.to_string()),
            Self::Path(path) => FrameSource::Path(path.clone()),
            Self::Gone => {
                let why = "the frame's picture was not kept";
                return Err(EngineError::new(super::error::INTERNAL, why));
            }
        };
        source.decode(limits).map(Arc::new)
    }
}

/// A frame that was followed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptFrame {
    pub number: f64,
    pub index: u64,
    pub time_s: f64,
    /// Another shot begins with it.
    pub starts_shot: bool,
    pub picture: Picture,
}

/// The last frames, oldest first. A clone shares them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept(VecDeque<Arc<KeptFrame>>);

impl Kept {
    /// Keeps `frame`, and with it at most `most` in all.
    pub fn add(&mut self, frame: KeptFrame, most: usize) {
        self.0.push_back(Arc::new(frame));
        let mut bytes: usize = self.0.iter().map(|frame| frame.picture.bytes()).sum();
        while self.0.len() > most.min(MOST_FRAMES) || (bytes > MOST_BYTES && self.0.len() > 1) {
            let gone = self.0.pop_front();
            bytes -= gone.map_or(0, |frame| frame.picture.bytes());
        }
    }

    /// The frames of the same shot before frame `index`, latest first.
    pub fn before(&self, index: u64) -> Vec<Arc<KeptFrame>> {
        let mut found = Vec::new();
        let mut in_shot = true;
        for frame in self.0.iter().rev().filter(|frame| frame.index <= index) {
            if !in_shot {
                break;
            }
            if frame.index < index {
                found.push(Arc::clone(frame));
            }
            in_shot = !frame.starts_shot;
        }
        found
    }
}

/// Bytes as such, and not one number after the other.
mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &Arc<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
        Ok(Arc::from(<&[u8]>::deserialize(from)?))
    }
}

/// A picture whose pixels are as many as it says.
mod raw {
    use super::*;

    pub fn serialize<S: Serializer>(image: &Arc<Rgb8>, to: S) -> Result<S::Ok, S::Error> {
        let data: Arc<[u8]> = Arc::from(image.data.as_slice());
        let size = (image.width as u64, image.height as u64);
        (size, Whole(data)).serialize(to)
    }

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "bytes")] Arc<[u8]>);

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Rgb8>, D::Error> {
        let ((width, height), Whole(data)) = <((u64, u64), Whole)>::deserialize(from)?;
        let needed = width.checked_mul(height).and_then(|n| n.checked_mul(3));
        let (Ok(width), Ok(height)) = (usize::try_from(width), usize::try_from(height)) else {
            return Err(serde::de::Error::custom("a picture of no size"));
        };
        if needed != Some(data.len() as u64) || data.is_empty() {
            return Err(serde::de::Error::custom("a picture of another size"));
        }
        Ok(Arc::new(Rgb8 {
            width,
            height,
            data: data.to_vec(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(index: u64, starts_shot: bool, picture: Picture) -> KeptFrame {
        KeptFrame {
            number: index as f64,
            index,
            time_s: 0.0,
            starts_shot,
            picture,
        }
    }

    fn indices(kept: &Kept, before: u64) -> Vec<u64> {
        kept.before(before).iter().map(|f| f.index).collect()
    }

    #[test]
    fn the_last_frames_of_the_shot_are_there_and_no_more() {
        let mut kept = Kept::default();
        for index in 0..20 {
            kept.add(frame(index, index == 15, Picture::Gone), 12);
        }
        assert_eq!(indices(&kept, 19), [18, 17, 16, 15], "up to the cut");
        assert!(
            indices(&kept, 15).is_empty(),
            "nor across it from its first frame"
        );
        assert_eq!(indices(&kept, 11), [10, 9, 8]);
    }

    #[test]
    fn pictures_are_bounded_by_their_bytes() {
        let mut kept = Kept::default();
        let bytes: Arc<[u8]> = vec![0; MOST_BYTES / 3].into();
        for index in 0..9 {
            kept.add(
                frame(index, false, Picture::Encoded(Arc::clone(&bytes))),
                50,
            );
        }
        assert_eq!(indices(&kept, 9), [8, 7, 6]);
    }

    #[test]
    fn a_stored_picture_of_another_size_is_refused() {
        let good = Picture::Raw(Arc::new(Rgb8 {
            width: 3,
            height: 2,
            data: (0..18).collect(),
        }));
        let stored = postcard::to_stdvec(&good).unwrap();
        let back: Picture = postcard::from_bytes(&stored).unwrap();
        let same = |picture: &Picture| match picture {
            Picture::Raw(image) => image.data.clone(),
            _ => Vec::new(),
        };
        assert_eq!(same(&back), same(&good));
        let mut wrong = stored.clone();
        wrong[1] = 4;
        assert!(postcard::from_bytes::<Picture>(&wrong).is_err());
    }
}
