//! Depth: options in, maps and what they say of people out.

use indexmap::IndexMap;
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

use super::fields::{Fields, PRECISIONS};
use super::value::Value;
use crate::models::midas::Kind;
use crate::pipeline::config::DepthConfig;
use crate::pipeline::depth::estimate;
use crate::pipeline::depth::fit::{Fit, Method};
use crate::pipeline::depth::model::DepthModel;
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT};
use crate::pipeline::result;

/// The least and the greatest value of a depth map.
#[napi(object, object_from_js = false)]
pub struct DepthRange {
    pub min: f64,
    pub max: f64,
}

/// A frame's depth. A bad frame has `error` and `errorCode` and no `depth`.
#[napi(object, object_from_js = false)]
pub struct DepthResult {
    /// As given; NaN where it was not a number.
    pub frame_number: f64,
    /// Pixels, upright; 0 where the image could not be decoded.
    pub width: u32,
    /// Pixels, upright; 0 where the image could not be decoded.
    pub height: u32,
    /// `[height, width]`, row-major: relative inverse depth. Larger is nearer; it has no unit, and zero
    /// and scale are of this frame alone (docs/depth.md).
    pub depth: Option<Float32Array>,
    /// Of `depth`.
    pub range: Option<DepthRange>,
    /// Which network, by its name in torch.hub.
    #[napi(ts_type = "'DPT_Large' | 'DPT_Hybrid' | 'MiDaS' | 'MiDaS_small'")]
    pub model: &'static str,
    /// Work spent on this frame, milliseconds; waiting is not counted.
    pub processing_time_ms: f64,
    /// The same per stage, milliseconds.
    pub timings: IndexMap<String, f64>,
    /// What is wrong with this frame, and what to do.
    pub error: Option<String>,
    /// Stable code, `ERR_POSE4D_…`.
    pub error_code: Option<String>,
}

/// Where a person is in the frame's depth map.
#[napi(object, object_from_js = false)]
pub struct PersonDepth {
    /// The map's, median over the person's body where nobody else's covers it; larger is nearer.
    pub value: f64,
    /// On the body that it is the median of.
    pub places: u32,
    /// Distance along the camera's axis by the frame's fit, metres; absent without a fit, and for what
    /// lies beyond any distance.
    pub metres: Option<f64>,
}

/// From a depth map to metres: `1 / metres = scale * value + shift`, fitted to people's own distances
/// (`camera.translation` and `joints3d`).
#[napi(object, object_from_js = false)]
pub struct DepthFit {
    /// `scale`: the shift is taken for 0, since one person (or all at one depth) tells no more.
    #[napi(ts_type = "'scale-and-shift' | 'scale'")]
    pub method: &'static str,
    /// 1/m per unit of the map.
    pub scale: f64,
    /// 1/m
    pub shift: f64,
    /// People it is fitted to; two leave no residual, one neither.
    pub people: u32,
    /// Root mean square of what is left, 1/m.
    pub residual: f64,
    /// The same in metres.
    pub residual_metres: f64,
}

/// What a frame's depth map says on the whole.
#[napi(object, object_from_js = false)]
pub struct FrameDepth {
    /// Which network, by its name in torch.hub.
    #[napi(ts_type = "'DPT_Large' | 'DPT_Hybrid' | 'MiDaS' | 'MiDaS_small'")]
    pub model: &'static str,
    pub range: DepthRange,
    /// Absent where nobody's distance is known.
    pub fit: Option<DepthFit>,
}

impl From<estimate::DepthResult> for DepthResult {
    /// The map is handed over, not copied.
    fn from(frame: estimate::DepthResult) -> Self {
        let (error_code, error) = frame
            .error
            .map(|(code, message)| (code.to_owned(), message))
            .unzip();
        Self {
            frame_number: frame.frame_number,
            width: frame.width,
            height: frame.height,
            range: frame.map.as_ref().map(|map| {
                let range = map.range();
                DepthRange {
                    min: range.min.into(),
                    max: range.max.into(),
                }
            }),
            depth: frame.map.map(|map| Float32Array::new(map.values)),
            model: frame.model,
            processing_time_ms: frame.processing_time_ms,
            timings: frame
                .timings
                .iter()
                .map(|(name, ms)| ((*name).to_owned(), *ms))
                .collect(),
            error,
            error_code,
        }
    }
}

impl From<result::PersonDepth> for PersonDepth {
    fn from(depth: result::PersonDepth) -> Self {
        Self {
            value: depth.value.into(),
            places: depth.places,
            metres: depth.metres.map(Into::into),
        }
    }
}

impl From<Fit> for DepthFit {
    fn from(fit: Fit) -> Self {
        Self {
            method: match fit.method {
                Method::ScaleAndShift => "scale-and-shift",
                Method::Scale => "scale",
            },
            scale: fit.scale.into(),
            shift: fit.shift.into(),
            people: u32::try_from(fit.people).unwrap_or(u32::MAX),
            residual: fit.residual.into(),
            residual_metres: fit.residual_metres.into(),
        }
    }
}

impl From<result::FrameDepth> for FrameDepth {
    fn from(depth: result::FrameDepth) -> Self {
        Self {
            model: depth.model,
            range: DepthRange {
                min: depth.min.into(),
                max: depth.max.into(),
            },
            fit: depth.fit.map(Into::into),
        }
    }
}

pub const DEPTH: &[&str] = &["model", "precision", "batchSize", "heads", "files"];

const MODELS: &[(&str, DepthModel)] = &[
    ("DPT_Large", DepthModel(Kind::DptLarge)),
    ("DPT_Hybrid", DepthModel(Kind::DptHybrid)),
    ("MiDaS", DepthModel(Kind::MidasV21)),
    ("MiDaS_small", DepthModel(Kind::MidasSmall)),
];

/// `config.depth`, but for its files.
pub fn depth_config(fields: &Fields) -> Result<DepthConfig, EngineError> {
    let usual = DepthConfig::default();
    let batch = fields.whole("batchSize", 0, 256)?;
    let precision = fields.choice("precision", PRECISIONS)?;
    Ok(DepthConfig {
        model: fields.choice("model", MODELS)?.unwrap_or(usual.model),
        precision: precision.unwrap_or(usual.precision),
        batch_size: batch.map_or(usual.batch_size, |n| n as usize),
        heads: fields.whole("heads", 1, 1024)?.map(|n| n as u32),
        files: usual.files,
    })
}

/// The network that a call of `estimateDepth` means.
pub fn depth_call(value: Value, usual: DepthModel) -> Result<DepthModel, EngineError> {
    let fields = Fields::new("options", value, &["model"])?;
    Ok(fields.choice("model", MODELS)?.unwrap_or(usual))
}

/// `depth: true` with its `depthModel`.
pub fn depth_of_clip(
    fields: &Fields,
    usual: DepthModel,
) -> Result<Option<DepthModel>, EngineError> {
    let wanted = fields.boolean("depth")?.unwrap_or(false);
    let model = fields.choice("depthModel", MODELS)?;
    if model.is_some() && !wanted {
        let message = "options.depthModel goes with depth: true";
        return Err(EngineError::new(INVALID_ARGUMENT, message));
    }
    Ok(wanted.then(|| model.unwrap_or(usual)))
}
