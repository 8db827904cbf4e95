//! Dataspace messages: a dataset's shape.

use super::bytes::Cursor;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

/// A shape; `None` where a dataset holds nothing at all (h5py's `Empty`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataspace {
    pub shape: Option<Vec<u64>>,
    /// How far each dimension may grow; `u64::MAX`: without end.
    pub max: Vec<u64>,
}

impl Dataspace {
    pub fn parse(message: &[u8], length_size: usize) -> Parse<Self> {
        let mut c = Cursor::new("an HDF5 dataspace", message);
        let version = c.version(&[1, 2])?;
        let rank = usize::from(c.u8()?);
        if rank > limits::MAX_DIMS {
            return Err(Fault::hostile(format!(
                "a dataset of {rank} dimensions; at most {} are read",
                limits::MAX_DIMS
            )));
        }
        let flags = c.u8()?;
        let null = version == 2 && c.u8()? == 2;
        if version == 1 {
            c.skip(5)?;
        }
        let mut sizes = || (0..rank).map(|_| c.uint(length_size)).collect::<Parse<Vec<_>>>();
        let shape = sizes()?;
        let max = if flags & 1 == 0 {
            shape.clone()
        } else {
            let all_ones = u64::MAX >> (64 - 8 * length_size);
            let widen = |n: u64| if n == all_ones { u64::MAX } else { n };
            sizes()?.into_iter().map(widen).collect()
        };
        if shape.iter().zip(&max).any(|(n, max)| n > max) {
            return Err(Fault::corrupt(format!(
                "a dataset of shape {shape:?} is larger than the most it may grow to, {max:?}"
            )));
        }
        limits::elements(&shape)?;
        Ok(Self {
            shape: (!null).then_some(shape),
            max,
        })
    }
}
