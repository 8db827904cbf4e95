//! The JSON header of a `.safetensors` file, as strict as JSON allows.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::checkpoint::limits::{MAX_DIMS, MAX_NAME, MAX_TENSORS};

/// The one key that is no tensor.
pub const METADATA: &str = "__metadata__";

/// The header, names borrowed from its text where they hold no escapes.
#[derive(Default)]
pub struct Header<'a> {
    pub tensors: IndexMap<Cow<'a, str>, Info<'a>>,
    pub metadata: IndexMap<String, String>,
}

/// One tensor; the offsets count from the end of the header.
pub struct Info<'a> {
    pub dtype: Cow<'a, str>,
    pub shape: Vec<u64>,
    pub start: u64,
    pub end: u64,
}

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut header = Header::default();
        let mut metadata = None;
        while let Some(Text(name)) = map.next_key()? {
            let again = if name == METADATA {
                let Metadata(texts) = map.next_value()?;
                metadata.replace(texts).is_some()
            } else if name.len() > MAX_NAME {
                let len = name.len();
                return Err(A::Error::custom(format!(
                    "a name of {len} bytes; at most {MAX_NAME} are read"
                )));
            } else {
                header.tensors.insert(name, map.next_value()?).is_some()
            };
            if again {
                return Err(A::Error::custom("a name is given twice"));
            }
            if header.tensors.len() > MAX_TENSORS {
                return Err(A::Error::custom(format!("more than {MAX_TENSORS} tensors")));
            }
        }
        header.metadata = metadata.unwrap_or_default();
        Ok(header)
    }
}

impl<'de> Deserialize<'de> for Info<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InfoVisitor)
    }
}

struct InfoVisitor;

impl<'de> Visitor<'de> for InfoVisitor {
    type Value = Info<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(Text(key)) = map.next_key()? {
            let again = match key.as_ref() {
                "dtype" => dtype.replace(map.next_value::<Text>()?).is_some(),
                "shape" => shape.replace(map.next_value::<Shape>()?).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<(u64, u64)>()?).is_some(),
                _ => return Err(A::Error::custom(format!("unknown key {key:.40?}"))),
            };
            if again {
                return Err(A::Error::custom(format!("{key:?} is given twice")));
            }
        }
        let (start, end) = offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?;
        Ok(Info {
            dtype: dtype.ok_or_else(|| A::Error::missing_field("dtype"))?.0,
            shape: shape.ok_or_else(|| A::Error::missing_field("shape"))?.0,
            start,
            end,
        })
    }
}

/// A string, borrowed where it can be.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a list of at most {MAX_DIMS} sizes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut shape = Vec::new();
        while let Some(size) = seq.next_element()? {
            shape.push(size);
            if shape.len() > MAX_DIMS {
                return Err(A::Error::invalid_length(shape.len(), &self));
            }
        }
        Ok(Shape(shape))
    }
}

struct Metadata(IndexMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = IndexMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if texts.insert(key, value).is_some() {
                return Err(A::Error::custom("a key of the metadata is given twice"));
            }
            if texts.len() > MAX_TENSORS {
                return Err(A::Error::custom(format!(
                    "more than {MAX_TENSORS} texts in the metadata"
                )));
            }
        }
        Ok(Metadata(texts))
    }
}
