//! Looking at a clip's frames without following anybody: for whoever follows them elsewhere.

use super::ahead::all_of;
use super::call::Call;
use super::error::{EngineError, INTERNAL, ends_call};
use super::looks::{Looked, pack};
use super::order::Plan;
use super::perception::Perception;
use super::source::FrameInput;

impl<P: Perception> Call<P> {
    /// `start`: frames of the clip before the first of these. One outcome per frame, in the order
    /// given.
    pub(super) async fn look_at(
        &self,
        frames: Vec<FrameInput>,
        start: u64,
    ) -> Result<Vec<Looked>, EngineError> {
        let numbers: Vec<f64> = frames.iter().map(|f| f.number).collect();
        let tracked = self.settings.tracking;
        let plan = Plan::new(&numbers, None, tracked);
        let mut looks: Vec<Option<Looked>> = numbers.iter().map(|_| None).collect();
        for (at, why) in plan.refused {
            let number = numbers.get(at).copied().unwrap_or(f64::NAN);
            put(&mut looks, at, (number, Err(why)));
        }
        let mut inputs: Vec<Option<FrameInput>> = frames.into_iter().map(Some).collect();
        let take = |at: &usize| inputs.get_mut(*at).and_then(Option::take);
        let queue: Vec<FrameInput> = plan.sequence.iter().filter_map(take).collect();
        let index = |place: u64| if tracked { start + place } else { 0 };
        let mut ahead = self.prepare_ahead(all_of((0..).map(index).zip(queue)));
        for at in plan.sequence {
            let Some(prepared) = ahead.next().await else {
                break;
            };
            let prepared = prepared??;
            let number = prepared.number();
            let packed = match prepared.looked() {
                Ok((view, seen)) => pack(&self.core, &self.ctl, view, seen).await,
                Err(why) => Err(why),
            };
            match packed {
                Err(why) if ends_call(&why) => return Err(why),
                packed => put(&mut looks, at, (number, packed)),
            }
        }
        let expected = looks.len();
        let looks: Vec<Looked> = looks.into_iter().flatten().collect();
        if looks.len() == expected {
            return Ok(looks);
        }
        self.check_open()?;
        Err(EngineError::new(INTERNAL, "frames were lost"))
    }
}

fn put(looks: &mut [Option<Looked>], at: usize, look: Looked) {
    if let Some(slot) = looks.get_mut(at) {
        *slot = Some(look);
    }
}
