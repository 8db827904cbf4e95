//! A frame's relative inverse depth, pixel by pixel: larger is nearer, in no unit.

/// The least and the greatest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub min: f32,
    pub max: f32,
}

/// `[height, width]`, row-major. What a value means in metres differs from frame to frame: see
/// [`super::fit`].
#[derive(Clone, Debug, PartialEq)]
pub struct DepthMap {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl DepthMap {
    /// Of the values that are numbers; both 0 where none is.
    pub fn range(&self) -> Range {
        let mut range = Range {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        };
        for &value in self.values.iter().filter(|value| value.is_finite()) {
            range.min = range.min.min(value);
            range.max = range.max.max(value);
        }
        match range.min <= range.max {
            true => range,
            false => Range { min: 0.0, max: 0.0 },
        }
    }

    /// The value of the pixel that covers a place (pixels; 0 is the left or upper edge); `None`
    /// beyond the frame, and where it is no number.
    pub fn at(&self, x: f32, y: f32) -> Option<f32> {
        let inside = |v: f32, side: usize| v >= 0.0 && v < side as f32;
        if !inside(x, self.width) || !inside(y, self.height) {
            return None;
        }
        let value = self.values.get(y as usize * self.width + x as usize)?;
        value.is_finite().then_some(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_the_value_of_its_pixel_and_none_beyond_the_frame() {
        let map = DepthMap {
            width: 3,
            height: 2,
            values: vec![1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0],
        };
        assert_eq!(map.at(0.0, 0.0), Some(1.0));
        assert_eq!(map.at(2.99, 1.5), Some(6.0));
        assert_eq!(map.at(1.5, 1.5), None, "no number");
        for (x, y) in [(-0.1, 0.0), (3.0, 0.0), (0.0, 2.0), (f32::NAN, 0.0)] {
            assert_eq!(map.at(x, y), None);
        }
        assert_eq!(map.range(), Range { min: 1.0, max: 6.0 });
        let empty = DepthMap {
            width: 1,
            height: 1,
            values: vec![f32::INFINITY],
        };
        assert_eq!(empty.range(), Range { min: 0.0, max: 0.0 });
    }
}
