//! Which frames of a call are followed, in which order, and which have no place in the clip.

use std::collections::HashSet;

use super::error::{EngineError, FRAME_DUPLICATE, FRAME_NUMBER, FRAME_ORDER};

/// Beyond this a double no longer tells whole numbers apart.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// `Err` where a number cannot number a frame.
pub fn check_number(number: f64) -> Result<(), EngineError> {
    if number.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER).contains(&number) {
        return Ok(());
    }
    Err(EngineError::new(
        FRAME_NUMBER,
        format!("frameNumber must be a whole number, 0 or more, but is {number}"),
    ))
}

/// For every frame of a call: `Err` if its number has no place in the clip. Frames with one are
/// followed in the order of `sequence`.
pub struct Plan {
    /// Positions in the call, ascending by frame number.
    pub sequence: Vec<usize>,
    pub refused: Vec<(usize, EngineError)>,
}

impl Plan {
    /// `last`: the highest number of earlier calls on the clip. Untracked frames are independent
    /// of one another: their numbers need not be different, nor ascend from call to call.
    pub fn new(numbers: &[f64], last: Option<f64>, tracking: bool) -> Self {
        let mut seen = HashSet::new();
        let mut plan = Self {
            sequence: Vec::new(),
            refused: Vec::new(),
        };
        for (at, &number) in numbers.iter().enumerate() {
            match place(number, last, tracking, &mut seen) {
                Ok(()) => plan.sequence.push(at),
                Err(why) => plan.refused.push((at, why)),
            }
        }
        if tracking {
            let number_at = |at: &usize| numbers.get(*at).copied().unwrap_or(f64::NAN);
            plan.sequence
                .sort_by(|a, b| number_at(a).total_cmp(&number_at(b)));
        }
        plan
    }
}

/// As `Plan`, for frames that come one by one: a number must exceed every earlier one.
pub fn next_number(number: f64, last: Option<f64>, tracking: bool) -> Result<(), EngineError> {
    match last {
        Some(last) if tracking && number == last => Err(duplicate(number)),
        _ => place(number, last, tracking, &mut HashSet::new()),
    }
}

fn duplicate(number: f64) -> EngineError {
    EngineError::new(
        FRAME_DUPLICATE,
        format!("frameNumber {number} occurs more than once; the first one counts"),
    )
}

fn place(
    number: f64,
    last: Option<f64>,
    tracking: bool,
    seen: &mut HashSet<u64>,
) -> Result<(), EngineError> {
    check_number(number)?;
    if !tracking {
        return Ok(());
    }
    if let Some(last) = last.filter(|last| number <= *last) {
        return Err(EngineError::new(
            FRAME_ORDER,
            format!(
                "frameNumber {number} comes after {last} on this clip; numbers must rise \
                 (within a call any order will do; open a new clip to start again)"
            ),
        ));
    }
    // Whole and below 2^53: the conversion is exact.
    if !seen.insert(number as u64) {
        return Err(duplicate(number));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::error::{FRAME_DUPLICATE, FRAME_NUMBER, FRAME_ORDER};

    fn codes(plan: &Plan) -> Vec<(usize, &'static str)> {
        plan.refused.iter().map(|(at, e)| (*at, e.code)).collect()
    }

    #[test]
    fn sorts_and_refuses() {
        let plan = Plan::new(
            &[7.0, 5.0, f64::NAN, 5.0, 2.0, -1.0, 6.5, 1e300],
            Some(3.0),
            true,
        );
        assert_eq!(plan.sequence, [1, 0]);
        assert_eq!(
            codes(&plan),
            [
                (2, FRAME_NUMBER),
                (3, FRAME_DUPLICATE),
                (4, FRAME_ORDER),
                (5, FRAME_NUMBER),
                (6, FRAME_NUMBER),
                (7, FRAME_NUMBER)
            ]
        );
    }

    #[test]
    fn untracked_numbers_are_free() {
        let plan = Plan::new(&[3.0, 3.0, 1.0, f64::INFINITY], Some(9.0), false);
        assert_eq!(plan.sequence, [0, 1, 2]);
        assert_eq!(codes(&plan), [(3, FRAME_NUMBER)]);
    }
}
