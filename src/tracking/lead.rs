//! Where somebody was before they were first seen: the rules by which they are guessed after their
//! last sight, with time running backward.

use crate::geometry::boxes::BBox;
use crate::tracking::config::TrackerConfig;
use crate::tracking::motion::Motion;
use crate::tracking::observation::Observation;

/// Later sights say nothing about how somebody moved when they first came.
const SIGHTS: usize = 12;

/// A person's first sights, looked at from behind.
#[derive(Clone, Debug)]
pub struct Lead {
    config: TrackerConfig,
    motion: Motion,
    bbox: BBox,
    allowed: u32,
    /// Coming in through a side of the frame that the first box touches.
    entering: bool,
}

impl Lead {
    /// `sights`: times in seconds and boxes, earliest first; `frame`: width and height of the first
    /// one's frame. `None` where nothing can be guessed.
    pub fn new(sights: &[(f64, BBox)], frame: (f32, f32), max_predicted: u32) -> Option<Self> {
        let config = TrackerConfig::default();
        let known = sights.get(..SIGHTS.min(sights.len()))?;
        let mut backward = known.iter().rev();
        let center = |b: &BBox| b.center().map(f64::from);
        let size = |b: &BBox| f64::from(b.area()).sqrt();
        let (time, last) = backward.next()?;
        let mut motion = Motion::new(-time, center(last), size(last));
        for (time, bbox) in backward {
            motion.see(&config, -time, center(bbox), size(bbox));
        }
        let (_, bbox) = *known.first()?;
        let count = u32::try_from(sights.len()).unwrap_or(u32::MAX);
        let earned = match count < config.n_init {
            true => 1,
            false => count.saturating_mul(config.predicted_per_sight),
        };
        let [dx, dy] = motion.velocity();
        let entering = (bbox.x1 <= 0.0 && dx < 0.0)
            || (bbox.x2 >= frame.0 && dx > 0.0)
            || (bbox.y1 <= 0.0 && dy < 0.0)
            || (bbox.y2 >= frame.1 && dy > 0.0);
        let allowed = match entering {
            true => config.leaving_frames.min(max_predicted),
            false => max_predicted,
        };
        let sound = motion.size() > 0.0 && motion.size().is_finite();
        sound.then_some(Self {
            allowed: allowed.min(earned),
            config,
            motion,
            bbox,
            entering,
        })
    }

    pub fn is_entering(&self) -> bool {
        self.entering
    }

    /// `frames` before the first sight, at `time` seconds: how far from their first place they are
    /// expected, in pixels, and how sure that is. `None` where nobody is guessed any more.
    pub fn at(&self, frames: u32, time: f64, frame: (f32, f32)) -> Option<([f32; 2], f32)> {
        if frames > self.allowed {
            return None;
        }
        let by = self.motion.displacement(&self.config, -time);
        let place = Observation {
            bbox: self.bbox,
            score: 0.0,
            begins: true,
            keypoints: Vec::new(),
            joints: Vec::new(),
            looks: None,
        }
        .moved(by);
        let visible = place.visible_part(frame);
        let decay = (-(frames as f32) / self.config.decay_frames).exp();
        (visible >= self.config.min_visible).then(|| (by.map(|v| v as f32), decay * visible))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: (f32, f32) = (1000.0, 500.0);

    /// Somebody who walks to the right from `x`, six pixels a frame.
    fn walker(x: f32, frames: u32) -> Vec<(f64, BBox)> {
        let at = |n: u32| {
            let left = x + 6.0 * n as f32;
            (
                f64::from(100 + n) / 30.0,
                BBox::new(left, 100.0, left + 60.0, 300.0),
            )
        };
        (0..frames).map(at).collect()
    }

    fn time(frames: u32) -> f64 {
        f64::from(100 - frames) / 30.0
    }

    #[test]
    fn a_walker_comes_from_where_they_walk_from() {
        let lead = Lead::new(&walker(500.0, 10), FRAME, 30).unwrap();
        let (by, sure) = lead.at(3, time(3), FRAME).unwrap();
        assert!((by[0] + 17.0).abs() < 2.0 && by[1].abs() < 1e-3, "{by:?}");
        assert!((sure - (-0.3f32).exp()).abs() < 1e-3);
        assert!(lead.at(20, time(20), FRAME).is_some());
        assert_eq!(lead.at(21, time(21), FRAME), None, "two frames a sight");
        let long = Lead::new(&walker(500.0, 60), FRAME, 30).unwrap();
        assert!(long.at(30, time(30), FRAME).is_some());
        assert_eq!(long.at(31, time(31), FRAME), None);
    }

    #[test]
    fn who_comes_in_through_the_side_was_not_there_for_long() {
        let lead = Lead::new(&walker(-5.0, 20), FRAME, 30).unwrap();
        assert!(lead.is_entering());
        assert!(lead.at(2, time(2), FRAME).is_some());
        assert_eq!(lead.at(6, time(6), FRAME), None);
        // Who walks towards that side did not come from there.
        let mut back = walker(-5.0, 20);
        let boxes: Vec<BBox> = back.iter().rev().map(|(_, b)| *b).collect();
        for ((_, bbox), other) in back.iter_mut().zip(boxes) {
            *bbox = other;
        }
        assert!(!Lead::new(&back, FRAME, 30).unwrap().is_entering());
    }

    #[test]
    fn a_glimpse_earns_one_guess_and_nothing_none() {
        let lead = Lead::new(&walker(500.0, 2), FRAME, 30).unwrap();
        assert!(lead.at(1, time(1), FRAME).is_some());
        assert_eq!(lead.at(2, time(2), FRAME), None);
        assert!(Lead::new(&[], FRAME, 30).is_none());
        assert!(Lead::new(&[(0.0, BBox::default())], FRAME, 30).is_none());
    }
}
