//! How shapes of `geometry`, which knows nothing but std, are stored: for `#[serde(with = …)]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;

#[derive(Serialize, Deserialize)]
#[serde(remote = "BBox")]
pub struct StoredBox {
    x1: f32,
    y1: f32,
    x2: f32,
    y2: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Roi")]
pub struct StoredRoi {
    cx: f32,
    cy: f32,
    size: f32,
    rotation: f32,
}

/// `Option<Roi>`.
pub mod maybe_roi {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "StoredRoi")] Roi);

    pub fn serialize<S: Serializer>(roi: &Option<Roi>, to: S) -> Result<S::Ok, S::Error> {
        roi.map(Whole).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Roi>, D::Error> {
        Ok(Option::<Whole>::deserialize(from)?.map(|Whole(roi)| roi))
    }
}

/// `Option<Vec<BBox>>`.
pub mod maybe_boxes {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "StoredBox")] BBox);

    pub fn serialize<S: Serializer>(boxes: &Option<Vec<BBox>>, to: S) -> Result<S::Ok, S::Error> {
        let whole = |list: &Vec<BBox>| list.iter().copied().map(Whole).collect::<Vec<_>>();
        boxes.as_ref().map(whole).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<BBox>>, D::Error> {
        let whole = Option::<Vec<Whole>>::deserialize(from)?;
        Ok(whole.map(|list| list.into_iter().map(|Whole(b)| b).collect()))
    }
}
