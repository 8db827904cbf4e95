//! `pose_predictor.yaml`: the sizes of the pose predictor.

use std::path::Path;

use serde_json::Value;

use crate::checkpoint::open::open;
use crate::models::error::ModelError;

/// How the network is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PredictorConfig {
    /// Frames it sees at once.
    pub frames: i64,
    /// Features of a frame.
    pub width: i64,
    /// Hidden features of the pose's encoder.
    pub pose_hidden: i64,
    pub depth: i64,
    pub heads: i64,
    /// Features of one head.
    pub head_width: i64,
    /// Hidden features of the perceptrons.
    pub hidden: i64,
    /// Of the convolution over time.
    pub stride: i64,
    pub padding: i64,
    /// Action classes of AVA.
    pub actions: i64,
}

impl PredictorConfig {
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = open(path)?;
        let place = path.display();
        let unfit = |why: String| ModelError::Unfit(format!("{place}: {why}"));
        let Some(configs) = file.contents().values.get("configs") else {
            return Err(unfit("no `configs`, which pose_predictor.yaml has".into()));
        };
        let extra = configs
            .pointer("/extra_feat/enable")
            .and_then(Value::as_str);
        if let Some(extra) = extra.filter(|extra| !extra.is_empty()) {
            return Err(unfit(format!(
                "extra_feat.enable is {extra:?}; only poses can be given to the predictor"
            )));
        }
        let whole = |path: &str| {
            let found = configs.pointer(path).and_then(Value::as_i64);
            found
                .filter(|n| (1..1 << 20).contains(n))
                .ok_or_else(|| unfit(format!("configs{path} is no positive whole number")))
        };
        let valid = configs.pointer("/ava/predict_valid") != Some(&Value::Bool(false));
        let actions = match valid {
            true => "/ava/num_valid_action_classes",
            false => "/ava/num_action_classes",
        };
        let pose = whole("/extra_feat/pose_shape/dim")?;
        let (width, encoded) = (whole("/in_feat")?, whole("/extra_feat/pose_shape/en_dim")?);
        if pose != 229 || encoded != width {
            return Err(unfit(format!(
                "poses of {pose} numbers encoded as {encoded} of {width} features; 229 numbers \
                 and as many as in_feat are expected"
            )));
        }
        Ok(Self {
            frames: whole("/frame_length")?,
            width,
            pose_hidden: whole("/extra_feat/pose_shape/mid_dim")?,
            depth: whole("/transformer/depth")?,
            heads: whole("/transformer/heads")?,
            head_width: whole("/transformer/dim_head")?,
            hidden: whole("/transformer/mlp_dim")?,
            stride: whole("/transformer/conv/stride")?,
            padding: whole("/transformer/conv/pad")?,
            actions: whole(actions)?,
        })
    }
}
