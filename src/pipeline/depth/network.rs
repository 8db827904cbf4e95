//! A depth network at its desk: frames in, a map of each out.

use std::sync::Arc;

use tch::{Device, TchError};

use super::map::DepthMap;
use crate::imaging::pixels::Rgb8;
use crate::models::midas::{DepthError, Midas};
use crate::pipeline::error::{EngineError, IMAGE_SHAPE, MEMORY};
use crate::pipeline::humans::post::Network;
use crate::pipeline::plan::machine::{Machine, megabytes};

/// A frame of the shape that working memory is reckoned for.
const USUAL: [usize; 2] = [1920, 1080];

/// A network, and what it may take.
pub struct DepthNetwork {
    midas: Midas,
    device: Device,
    /// Bytes at work for a frame of the usual shape.
    working: u64,
    /// Bytes of RAM that this process may hold.
    budget: Option<u64>,
}

impl DepthNetwork {
    pub fn new(midas: Midas, device: Device, working: u64, budget: Option<u64>) -> Self {
        Self {
            midas,
            device,
            working,
            budget,
        }
    }

    /// Whether the frame can be seen at all, and with the memory there is.
    fn fits(&self, image: &Rgb8) -> Result<(), EngineError> {
        let size = self.midas.input_size(image.width, image.height);
        let [width, height] = size.map_err(|e| EngineError::new(IMAGE_SHAPE, e.to_string()))?;
        let [usual_width, usual_height] = self
            .midas
            .input_size(USUAL[0], USUAL[1])
            .unwrap_or([width, height]);
        let (area, usual) = (width * height, usual_width * usual_height);
        // The plan has room for the usual shape.
        if area <= usual {
            return Ok(());
        }
        let needed = (self.working as f64 * area as f64 / usual as f64) as u64;
        let machine = Machine::read(&[self.device], self.budget);
        let room = machine.room(self.device).unwrap_or(&machine.host);
        match room.available.filter(|there| *there < needed) {
            None => Ok(()),
            Some(there) => Err(EngineError::new(
                MEMORY,
                format!(
                    "a frame of {} x {} pixels makes an input of {width} x {height}, for which {} needs {} MB \
                     ({} MB there, {}); crop it to a less extreme shape, or free memory",
                    image.width,
                    image.height,
                    self.midas.kind(),
                    megabytes(needed),
                    megabytes(there),
                    room.bound,
                ),
            )),
        }
    }
}

impl Network for DepthNetwork {
    type Item = Arc<Rgb8>;
    /// A frame that the network cannot see is that frame's error.
    type Outcome = Result<DepthMap, EngineError>;

    fn run(&self, images: &[Arc<Rgb8>]) -> Result<Vec<Self::Outcome>, TchError> {
        let fits: Vec<Result<(), EngineError>> =
            images.iter().map(|image| self.fits(image)).collect();
        let good: Vec<&Rgb8> = images
            .iter()
            .zip(&fits)
            .filter(|(_, fits)| fits.is_ok())
            .map(|(image, _)| image.as_ref())
            .collect();
        let maps = match self.midas.depth(&good) {
            Ok(maps) => maps,
            Err(DepthError::Torch(error)) => return Err(error),
            // Cannot be: every size was asked for.
            Err(DepthError::Size(error)) => return Err(TchError::Shape(error.to_string())),
        };
        let mut maps = maps.into_iter();
        let outcome = |fits: Result<(), EngineError>| match fits {
            Err(why) => Some(Err(why)),
            Ok(()) => maps.next().map(|map| {
                Ok(DepthMap {
                    width: map.width,
                    height: map.height,
                    values: map.values,
                })
            }),
        };
        Ok(fits.into_iter().filter_map(outcome).collect())
    }
}
