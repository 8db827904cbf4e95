//! The grid of chunks a dataset is cut into.

use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

/// Most chunks of one dataset: a million of 64 KB make 64 GB.
const MAX_CHUNKS: u64 = 1 << 22;
/// Largest chunk; HDF5's own limit.
const MAX_CHUNK: u64 = u32::MAX as u64;

/// Shapes in elements; numbers of chunks per dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    pub shape: Vec<u64>,
    pub chunk: Vec<u64>,
    /// Bytes of an element.
    pub element: u64,
    /// Trailing dimensions that are inside an element and never cut; indexes do not know them.
    inner: usize,
    /// Chunks per dimension of the dataset as it is.
    pub counts: Vec<u64>,
    /// Chunks per dimension of the dataset grown as far as it may; `u64::MAX`: without end.
    max_counts: Vec<u64>,
}

impl Grid {
    pub fn new(shape: &[u64], max: &[u64], chunk: &[u64], element: u64) -> Parse<Self> {
        if shape.is_empty() || shape.len() != chunk.len() || shape.len() != max.len() {
            return Err(Fault::corrupt(format!(
                "a dataset of the shape {shape:?} in chunks of the shape {chunk:?}"
            )));
        }
        let bytes = limits::elements(chunk)?.checked_mul(element);
        if bytes.is_none_or(|bytes| bytes > MAX_CHUNK) {
            return Err(Fault::hostile(format!(
                "chunks of the shape {chunk:?}: more than {MAX_CHUNK} bytes each"
            )));
        }
        let grown = |(&n, &c): (&u64, &u64)| match n {
            u64::MAX => u64::MAX,
            n => n.div_ceil(c),
        };
        let counts: Vec<u64> = shape.iter().zip(chunk).map(grown).collect();
        let total = limits::elements(&counts)?;
        if total > MAX_CHUNKS {
            return Err(Fault::hostile(format!(
                "a dataset of {total} chunks; at most {MAX_CHUNKS} are read"
            )));
        }
        Ok(Self {
            shape: shape.to_vec(),
            chunk: chunk.to_vec(),
            element,
            inner: 0,
            counts,
            max_counts: max.iter().zip(chunk).map(grown).collect(),
        })
    }

    /// Says that the last `inner` dimensions are inside an element.
    pub fn with_inner(mut self, inner: usize) -> Self {
        self.inner = inner;
        self
    }

    /// The chunk shape as indexes know it.
    pub fn outer_chunk(&self) -> &[u64] {
        &self.chunk[..self.chunk.len() - self.inner]
    }

    /// Chunks in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().product()
    }

    /// Bytes of a whole chunk.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunk.iter().product::<u64>() * self.element
    }

    /// The number, in row-major order, of the chunk at `place`; `None` outside the dataset.
    ///
    /// The place may leave out the dimensions inside an element.
    pub fn number(&self, place: &[u64]) -> Option<u64> {
        let inside = place.iter().zip(&self.counts).all(|(at, count)| at < count);
        let fold = |n: u64, (at, count): (&u64, &u64)| n * count + at;
        inside.then(|| place.iter().zip(&self.counts).fold(0, fold))
    }

    /// The place of the chunk of a number.
    pub fn place(&self, mut number: u64) -> Vec<u64> {
        let mut place = vec![0; self.counts.len()];
        for (at, &count) in place.iter_mut().zip(&self.counts).rev() {
            *at = number % count.max(1);
            number /= count.max(1);
        }
        place
    }

    /// Whether the chunk reaches over the dataset's edge.
    pub fn is_partial(&self, place: &[u64]) -> bool {
        let over = |((at, chunk), n): ((&u64, &u64), &u64)| (at + 1) * chunk > *n;
        place.iter().zip(&self.chunk).zip(&self.shape).any(over)
    }

    /// The number of a chunk from its number in an index over the dataset as it may grow.
    ///
    /// Indexes count through the greatest extent, so that growing moves no chunk. A dimension
    /// without end counts slowest wherever it stands.
    pub fn from_index(&self, mut index: u64) -> Option<u64> {
        let endless = self.max_counts.iter().position(|&n| n == u64::MAX);
        let mut place = vec![0; self.counts.len()];
        for (axis, &count) in self.max_counts.iter().enumerate().rev() {
            if Some(axis) == endless {
                continue;
            }
            let count = count.max(1);
            place[axis] = index % count;
            index /= count;
        }
        match endless {
            Some(axis) => place[axis] = index,
            None if index > 0 => return None,
            None => {}
        }
        self.number(&place)
    }

    /// The reverse of [`Grid::from_index`], where no dimension is without end.
    pub fn to_index(&self, number: u64) -> u64 {
        let place = self.place(number);
        let fold = |n: u64, (at, count): (&u64, &u64)| n.saturating_mul(*count).saturating_add(*at);
        place.iter().zip(&self.max_counts).fold(0, fold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_places_are_each_others_inverse() {
        let grid = Grid::new(&[5, 7, 3], &[5, 7, 3], &[2, 3, 3], 4).unwrap();
        assert_eq!(grid.counts, [3, 3, 1]);
        for number in 0..grid.total() {
            assert_eq!(grid.number(&grid.place(number)), Some(number));
        }
        assert_eq!(grid.number(&[3, 0, 0]), None);
        assert!(grid.is_partial(&[2, 0, 0]) && !grid.is_partial(&[1, 1, 0]));
    }

    #[test]
    fn an_index_counts_through_the_greatest_extent() {
        let grid = Grid::new(&[4, 4], &[8, 6], &[2, 2], 4).unwrap();
        for number in 0..grid.total() {
            assert_eq!(grid.from_index(grid.to_index(number)), Some(number));
        }
        assert_eq!(grid.to_index(3), 4);
    }

    #[test]
    fn an_endless_dimension_counts_slowest() {
        let grid = Grid::new(&[4, 4], &[8, u64::MAX], &[2, 2], 4).unwrap();
        // Four chunks high at most: index 5 is column 1, row 1.
        assert_eq!(grid.from_index(5), grid.number(&[1, 1]));
        assert_eq!(grid.from_index(2), None);
    }

    #[test]
    fn shapes_out_of_proportion_are_refused() {
        assert!(Grid::new(&[1 << 40], &[1 << 40], &[1], 4).is_err());
        assert!(Grid::new(&[8], &[8], &[1 << 31], 4).is_err());
        assert!(Grid::new(&[8], &[8], &[2, 2], 4).is_err());
    }
}
