//! A whole track read anew by the pose predictor: windows of it, each filled in and read out.
//!
//! Source: PHALP 96f7e6c, `Pose_transformer_v2.smooth_tracks` and `visualize/postprocessor.py`.

use tch::{Kind, TchError, Tensor};

use super::pose_predictor::{PosePredictor, Readout};

/// Frames read out of a window, and frames looked at before and behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub step: i64,
    pub margin: i64,
}

impl Span {
    /// The original's.
    pub const PUBLISHED: Self = Self {
        step: 32,
        margin: 32,
    };
}

impl PosePredictor {
    /// `poses` is `[frames, 229]`; `seen` is `[frames]`, 1 where a pose was seen: the others are
    /// filled in. The outcome is `[1, frames, …]`.
    pub fn smooth(&self, poses: &Tensor, seen: &Tensor, span: Span) -> Result<Readout, TchError> {
        let frames = poses.size2()?.0;
        let room = self.config().frames;
        if span.step < 1 || span.margin < 0 || 2 * span.margin + span.step >= room {
            return Err(TchError::Shape(format!(
                "steps of {} frames with {} on each side do not fit a window of {room}",
                span.step, span.margin
            )));
        }
        let poses = self.normalised(&poses.f_unsqueeze(0)?)?;
        let seen = seen.f_to_kind(Kind::Float)?.f_to_device(poses.device())?;
        let mut tokens = Vec::new();
        for first in (0..frames).step_by(span.step as usize) {
            let start = (first - span.margin).max(0);
            let end = (first + span.step + span.margin).min(frames);
            let fill = [0, room - (end - start)];
            let part = poses.f_narrow(1, start, end - start)?;
            let part = part.f_constant_pad_nd([0, 0, fill[0], fill[1]])?;
            let mask = seen.f_narrow(0, start, end - start)?;
            let mask = mask.f_constant_pad_nd(fill)?.f_unsqueeze(0)?;
            let read = span.step.min(frames - first);
            // Behind the class token.
            tokens.push(
                self.encode(&part, &mask)?
                    .f_narrow(1, 1 + first - start, read)?,
            );
        }
        self.read_out(&Tensor::f_cat(&tokens, 1)?)
    }
}
