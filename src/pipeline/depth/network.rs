//! A depth network at its desk: frames in, a map of each out.

use std::sync::Arc;

use tch::TchError;

use super::map::DepthMap;
use crate::imaging::pixels::Rgb8;
use crate::models::midas::{DepthError, Midas};
use crate::pipeline::error::{EngineError, IMAGE_SHAPE};
use crate::pipeline::humans::post::Network;

impl Network for Midas {
    type Item = Arc<Rgb8>;
    /// A frame of a shape that the network cannot see is that frame's error.
    type Outcome = Result<DepthMap, EngineError>;

    fn run(&self, images: &[Arc<Rgb8>]) -> Result<Vec<Self::Outcome>, TchError> {
        let fits = |image: &Arc<Rgb8>| self.input_size(image.width, image.height);
        let good: Vec<&Rgb8> = images
            .iter()
            .filter(|image| fits(image).is_ok())
            .map(AsRef::as_ref)
            .collect();
        let maps = match self.depth(&good) {
            Ok(maps) => maps,
            Err(DepthError::Torch(error)) => return Err(error),
            // Cannot be: every size was asked for.
            Err(DepthError::Size(error)) => return Err(TchError::Shape(error.to_string())),
        };
        let mut maps = maps.into_iter();
        let outcome = |image: &Arc<Rgb8>| match fits(image) {
            Err(why) => Some(Err(EngineError::new(IMAGE_SHAPE, why.to_string()))),
            Ok(_) => maps.next().map(|map| {
                Ok(DepthMap {
                    width: map.width,
                    height: map.height,
                    values: map.values,
                })
            }),
        };
        Ok(images.iter().filter_map(outcome).collect())
    }
}
