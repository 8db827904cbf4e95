//! A chunked dataset's bytes in row-major order: strips put together from decoded chunks.

use std::collections::VecDeque;
use std::sync::Arc;

use super::file::File;
use super::filters::Pipeline;
use super::grid::Grid;
use super::index::{self, Chunk};
use super::layout::Chunked;
use crate::checkpoint::error::Parse;
use crate::checkpoint::limits;
use crate::checkpoint::source::read_vec;
use crate::checkpoint::tensor::{Sink, TensorBytes};

/// A strip is an eighth of the tensor, within these bounds: a chunk that reaches over several
/// strips is decoded for each of them.
const STRIP: std::ops::RangeInclusive<u64> = (32 << 20)..=(256 << 20);
/// Decoded chunks kept for the next strip.
const KEPT: usize = 16 << 20;
/// Unfiltered chunks up to this size are read whole, larger ones only where they are needed.
const SMALL: u64 = 4 << 20;

pub struct ChunkedBytes {
    pub file: Arc<File>,
    pub layout: Chunked,
    pub grid: Grid,
    pub pipeline: Pipeline,
    /// One element, as it is in the file; empty: zeros.
    pub fill: Vec<u8>,
    /// Bytes to be reversed; 1: none.
    pub swapped: usize,
}

impl ChunkedBytes {
    /// Walks the index and refuses chunks that unpack out of proportion.
    pub fn check(&self) -> Parse<()> {
        let filtered = !self.pipeline.is_empty();
        let chunks = index::chunks(&self.file, &self.layout, &self.grid, filtered)?;
        let whole = self.grid.chunk_bytes();
        let mut stored = 0_u64;
        for chunk in chunks {
            limits::check_expansion(chunk.stored, whole)?;
            stored = stored.saturating_add(chunk.stored);
        }
        let bytes = limits::elements(&self.grid.shape)?.saturating_mul(self.grid.element);
        limits::check_expansion(stored, bytes)
    }
}

impl TensorBytes for ChunkedBytes {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        let total = limits::elements(&self.grid.shape)?.saturating_mul(self.grid.element);
        if total == 0 {
            return Ok(());
        }
        let file = self.file.again();
        let filtered = !self.pipeline.is_empty();
        let mut reader = Reader {
            of: self,
            chunks: index::chunks(&file, &self.layout, &self.grid, filtered)?,
            kept: VecDeque::new(),
        };
        let target = (total / 8).clamp(*STRIP.start(), *STRIP.end());
        let mut strip = Strip::first(&self.grid, target);
        let mut buffer = Vec::new();
        loop {
            self.blank(&mut buffer, strip.bytes(self.grid.element));
            reader.fill(&strip, &mut buffer)?;
            for word in buffer.chunks_exact_mut(self.swapped) {
                word.reverse();
            }
            for piece in buffer.chunks(limits::PIECE) {
                sink(piece)?;
            }
            if !strip.next(&self.grid.shape) {
                return Ok(());
            }
        }
    }
}

impl ChunkedBytes {
    /// What is read where no chunk was ever written.
    fn blank(&self, buffer: &mut Vec<u8>, len: usize) {
        buffer.clear();
        buffer.resize(len, 0);
        if self.fill.iter().any(|&b| b != 0) {
            for element in buffer.chunks_exact_mut(self.fill.len()) {
                element.copy_from_slice(&self.fill);
            }
        }
    }
}

/// A stretch of the tensor that is one run in row-major order.
struct Strip {
    /// First index and the one after the last, per dimension.
    low: Vec<u64>,
    high: Vec<u64>,
    /// The dimension along which strips follow each other; those before it have one index each.
    axis: usize,
    rows: u64,
}

impl Strip {
    fn first(grid: &Grid, target: u64) -> Self {
        let rank = grid.shape.len();
        let row = |axis: usize| grid.shape[axis + 1..].iter().product::<u64>() * grid.element;
        let axis = (0..rank).find(|&axis| row(axis) <= target);
        let axis = axis.unwrap_or(rank - 1);
        let (size, chunk) = (grid.shape[axis], grid.chunk[axis]);
        let fit = (target / row(axis).max(1)).clamp(1, size);
        // Whole rows of chunks, if one fits.
        let rows = if fit >= chunk && fit < size { fit - fit % chunk } else { fit };
        let mut high: Vec<u64> = vec![1; axis];
        high.push(rows);
        high.extend(&grid.shape[axis + 1..]);
        Self {
            low: vec![0; rank],
            high,
            axis,
            rows,
        }
    }

    fn bytes(&self, element: u64) -> usize {
        let lens = self.low.iter().zip(&self.high).map(|(low, high)| high - low);
        (lens.product::<u64>() * element) as usize
    }

    /// Moves on; false after the last one.
    fn next(&mut self, shape: &[u64]) -> bool {
        let axis = self.axis;
        self.low[axis] = self.high[axis];
        if self.low[axis] < shape[axis] {
            self.high[axis] = (self.low[axis] + self.rows).min(shape[axis]);
            return true;
        }
        self.low[axis] = 0;
        self.high[axis] = self.rows.min(shape[axis]);
        for axis in (0..axis).rev() {
            self.low[axis] += 1;
            self.high[axis] += 1;
            if self.low[axis] < shape[axis] {
                return true;
            }
            self.low[axis] = 0;
            self.high[axis] = 1;
        }
        false
    }
}

/// The bytes of a chunk.
enum Content {
    Decoded(Arc<Vec<u8>>),
    /// As they are, at this position of the source.
    InPlace(u64),
}

struct Reader<'a> {
    of: &'a ChunkedBytes,
    chunks: Vec<Chunk>,
    kept: VecDeque<(u64, Arc<Vec<u8>>)>,
}

impl Reader<'_> {
    /// Copies what every chunk has of the strip.
    fn fill(&mut self, strip: &Strip, buffer: &mut [u8]) -> Parse<()> {
        let grid = &self.of.grid;
        let first = |(low, chunk): (&u64, &u64)| low / chunk;
        let last = |(high, chunk): (&u64, &u64)| (high - 1) / chunk;
        let low: Vec<u64> = strip.low.iter().zip(&grid.chunk).map(first).collect();
        let high: Vec<u64> = strip.high.iter().zip(&grid.chunk).map(last).collect();
        let mut place = low.clone();
        loop {
            if let Some(number) = grid.number(&place)
                && let Ok(at) = self.chunks.binary_search_by_key(&number, |c| c.number)
            {
                let content = self.content(self.chunks[at], &place)?;
                Overlap::new(grid, strip, &place).copy(self.of, &content, buffer)?;
            }
            if !advance(&mut place, &low, &high) {
                return Ok(());
            }
        }
    }

    fn content(&mut self, chunk: Chunk, place: &[u64]) -> Parse<Content> {
        let ChunkedBytes {
            file,
            layout,
            grid,
            pipeline,
            ..
        } = self.of;
        let len = grid.chunk_bytes();
        let position = file.position("a chunk", chunk.address, chunk.stored)?;
        if pipeline.is_empty() && len > SMALL {
            return Ok(Content::InPlace(position));
        }
        if let Some((_, bytes)) = self.kept.iter().find(|(number, _)| *number == chunk.number) {
            return Ok(Content::Decoded(bytes.clone()));
        }
        let unfiltered = layout.edges_unfiltered && grid.is_partial(place);
        let mask = if unfiltered { u32::MAX } else { chunk.mask };
        let stored = read_vec(file.source.as_ref(), position, chunk.stored as usize)?;
        let bytes = Arc::new(pipeline.decode(stored, mask, len as usize)?);
        self.keep(chunk.number, bytes.clone());
        Ok(Content::Decoded(bytes))
    }

    fn keep(&mut self, number: u64, bytes: Arc<Vec<u8>>) {
        self.kept.push_back((number, bytes));
        let held = |kept: &VecDeque<(u64, Arc<Vec<u8>>)>| -> usize {
            kept.iter().map(|(_, bytes)| bytes.len()).sum()
        };
        while self.kept.len() > 1 && (self.kept.len() > 64 || held(&self.kept) > KEPT) {
            self.kept.pop_front();
        }
    }
}

/// Moves to the next index between `low` and `high` (inclusive); false after the last one.
fn advance(place: &mut [u64], low: &[u64], high: &[u64]) -> bool {
    for axis in (0..place.len()).rev() {
        if place[axis] < high[axis] {
            place[axis] += 1;
            return true;
        }
        place[axis] = low[axis];
    }
    false
}

/// What a chunk and a strip have in common.
struct Overlap {
    /// Sizes per dimension.
    len: Vec<u64>,
    /// Where it begins and how far apart its rows are, in elements, in each of the two.
    from: u64,
    from_steps: Vec<u64>,
    to: u64,
    to_steps: Vec<u64>,
}

impl Overlap {
    fn new(grid: &Grid, strip: &Strip, place: &[u64]) -> Self {
        let rank = place.len();
        let mut overlap = Self {
            len: vec![0; rank],
            from: 0,
            from_steps: vec![1; rank],
            to: 0,
            to_steps: vec![1; rank],
        };
        let (mut from_step, mut to_step) = (1, 1);
        for axis in (0..rank).rev() {
            let chunk = grid.chunk[axis];
            let start = place[axis] * chunk;
            let low = start.max(strip.low[axis]);
            let high = start.saturating_add(chunk).min(strip.high[axis]);
            overlap.len[axis] = high - low;
            overlap.from += (low - start) * from_step;
            overlap.to += (low - strip.low[axis]) * to_step;
            overlap.from_steps[axis] = from_step;
            overlap.to_steps[axis] = to_step;
            from_step *= chunk;
            to_step *= strip.high[axis] - strip.low[axis];
        }
        overlap
    }

    /// How many trailing dimensions lie in one run in both, and the run's elements.
    fn run(&self) -> (usize, u64) {
        let mut run = 1;
        for axis in (0..self.len.len()).rev() {
            if self.from_steps[axis] != run || self.to_steps[axis] != run {
                return (self.len.len() - 1 - axis, run);
            }
            run *= self.len[axis];
        }
        (self.len.len(), run)
    }

    fn copy(&self, of: &ChunkedBytes, content: &Content, buffer: &mut [u8]) -> Parse<()> {
        let (joined, run) = self.run();
        let outer = self.len.len() - joined;
        let element = of.grid.element;
        let bytes = (run * element) as usize;
        let low = vec![0; outer];
        let high: Vec<u64> = self.len[..outer].iter().map(|n| n - 1).collect();
        let mut at = low.clone();
        loop {
            let offset = |start: u64, steps: &[u64]| -> u64 {
                let steps = at.iter().zip(steps).map(|(i, step)| i * step);
                (start + steps.sum::<u64>()) * element
            };
            let to = offset(self.to, &self.to_steps) as usize;
            let from = offset(self.from, &self.from_steps);
            let target = &mut buffer[to..to + bytes];
            match content {
                Content::Decoded(chunk) => {
                    target.copy_from_slice(&chunk[from as usize..from as usize + bytes]);
                }
                Content::InPlace(position) => {
                    of.file.source.read_exact_at(target, position + from)?;
                }
            }
            if !advance(&mut at, &low, &high) {
                return Ok(());
            }
        }
    }
}
