//! The transformer decoder: one token that looks at the image's tokens, layer by layer.
//!
//! Source: 4D-Humans, `hmr2/models/components/pose_transformer.py`.

use tch::{Kind, TchError, Tensor};

use crate::checkpoint::dtype::DType;
use crate::layers::attention::attend;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::weights::{Param, Weights, WeightsError};
use crate::models::hmr2::config::DecoderSize;

/// Of the decoder's normalisations.
const NORM_EPS: f64 = 1e-5;

pub struct Decoder {
    embedding: Option<Linear>,
    /// `[1, 1, width]`, f32
    position: Tensor,
    layers: Vec<Layer>,
    kind: Kind,
}

struct Layer {
    self_norm: LayerNorm,
    /// What self-attention is for a single token, whose weight is always one.
    self_value: Linear,
    self_out: Option<Linear>,
    cross_norm: LayerNorm,
    query: Linear,
    key_value: Linear,
    cross_out: Option<Linear>,
    mlp_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: i64,
}

impl Decoder {
    /// `inputs` is the number of features of the token it is given.
    pub fn load(weights: &Weights, size: DecoderSize, inputs: i64) -> Result<Self, WeightsError> {
        let width = size.width;
        let embedding = (!size.skip_embedding)
            .then(|| Linear::load(&weights.sub("to_token_embedding"), inputs, width, true))
            .transpose()?;
        let position = weights.get_in("pos_embedding", &[1, 1, width], DType::F32)?;
        let layers = weights.sub("transformer").sub("layers");
        let layers: Vec<Layer> = (0..size.depth)
            .map(|i| Layer::load(&layers.sub(i), size))
            .collect::<Result<_, _>>()?;
        let kind = layers.first().map_or(Kind::Float, |l| l.key_value.kind());
        Ok(Self {
            embedding,
            position: position.f_detach_copy()?,
            layers,
            kind,
        })
    }

    /// `token` `[batch, 1, inputs]`, `context` `[batch, tokens, features]`; `[batch, width]`, f32.
    pub fn forward(&self, token: &Tensor, context: &Tensor) -> Result<Tensor, TchError> {
        let context = context.f_to_dtype(self.kind, false, false)?;
        let mut x = match &self.embedding {
            Some(embedding) => self.position.f_add(&embedding.forward(token)?)?,
            None => self.position.f_add(token)?,
        };
        for layer in &self.layers {
            x = layer.forward(x, &context)?;
        }
        x.f_squeeze_dim(1)
    }
}

impl Layer {
    fn load(weights: &Weights, size: DecoderSize) -> Result<Self, WeightsError> {
        let (width, inner) = (size.width, size.heads * size.head_width);
        let [own, cross, mlp] = [0, 1, 2].map(|part| weights.sub(part));
        let norm = |part: &Weights| LayerNorm::load(&part.sub("norm"), width, NORM_EPS);
        // One head as wide as the token leaves out the projection.
        let projects = !(size.heads == 1 && size.head_width == width);
        let out = |part: &Weights| {
            let weights = part.sub("fn").sub("to_out").sub(0);
            projects
                .then(|| Linear::load(&weights, inner, width, true))
                .transpose()
        };
        let net = mlp.sub("fn").sub("net");
        let (query, key_value) = (cross.sub("fn").sub("to_q"), cross.sub("fn").sub("to_kv"));
        Ok(Self {
            self_norm: norm(&own)?,
            self_value: values(&own.sub("fn").sub("to_qkv"), width, inner)?,
            self_out: out(&own)?,
            cross_norm: norm(&cross)?,
            query: Linear::load(&query, width, inner, false)?,
            key_value: Linear::load(&key_value, size.context, 2 * inner, false)?,
            cross_out: out(&cross)?,
            mlp_norm: norm(&mlp)?,
            fc1: Linear::load(&net.sub(0), width, size.hidden, true)?,
            fc2: Linear::load(&net.sub(3), size.hidden, width, true)?,
            heads: size.heads,
        })
    }

    fn forward(&self, x: Tensor, context: &Tensor) -> Result<Tensor, TchError> {
        let value = self.self_value.forward(&self.self_norm.forward(&x)?)?;
        let x = added(self.self_out.as_ref(), &value, x)?;
        let seen = self.look(&self.cross_norm.forward(&x)?, context)?;
        let x = added(self.cross_out.as_ref(), &seen, x)?;
        let hidden = self.fc1.forward_gelu(&self.mlp_norm.forward(&x)?)?;
        self.fc2.forward_add(&hidden, x)
    }

    /// Attention to the image's tokens.
    fn look(&self, x: &Tensor, context: &Tensor) -> Result<Tensor, TchError> {
        let (batch, tokens, _) = context.size3()?;
        let heads = |t: Tensor, tokens: i64| {
            t.f_reshape([batch, tokens, self.heads, -1])?
                .f_transpose(1, 2)
        };
        let query = heads(self.query.forward(x)?, 1)?;
        let [key, value]: [Tensor; 2] = self
            .key_value
            .forward(context)?
            .f_chunk(2, -1)?
            .try_into()
            .map_err(|_| TchError::Shape("keys and values do not divide in two".into()))?;
        attend(&query, &heads(key, tokens)?, &heads(value, tokens)?)
    }
}

/// The last third of a projection to queries, keys and values.
fn values(weights: &Weights, width: i64, inner: i64) -> Result<Linear, WeightsError> {
    let all = weights.get("weight", &[3 * inner, width])?;
    let values = all.f_narrow(0, 2 * inner, inner)?.f_detach_copy()?;
    Linear::new(Param::from(values), None)
}

fn added(out: Option<&Linear>, x: &Tensor, mut residual: Tensor) -> Result<Tensor, TchError> {
    match out {
        Some(out) => out.forward_add(x, residual),
        None => residual.f_add_(x),
    }
}
