//! Where something moves that nobody known accounts for: worth a look between two searches.

use serde::{Deserialize, Serialize};

use crate::geometry::boxes::BBox;
use crate::geometry::roi::Roi;
use crate::imaging::pixels::Rgb8;

/// Cells along the frame's long side.
const CELLS: usize = 96;
/// Samples taken along each side of a cell.
const SAMPLES: usize = 4;
/// A cell stirs where it changes by this many grey levels, and by so many times the frame's mean.
const MIN_CHANGE: f32 = 10.0;
const MEAN_CHANGES: f32 = 4.0;
/// Fewer cells are noise.
const MIN_CELLS: usize = 4;
/// Known people account for what moves this far around them, as a part of their size.
const AROUND: f32 = 0.25;
/// The look spans this many times what stirs, within these parts of the frame's long side.
const SPAN: f32 = 2.5;
const SPAN_RANGE: [f32; 2] = [0.25, 0.6];

/// A frame, small and grey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Thumbnail {
    columns: usize,
    rows: usize,
    /// Pixels of the frame along a cell.
    cell: f32,
    levels: Vec<f32>,
}

/// As it is stored: numbers that may contradict one another.
#[derive(Deserialize)]
struct Stored {
    columns: usize,
    rows: usize,
    cell: f32,
    levels: Vec<f32>,
}

impl TryFrom<Stored> for Thumbnail {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored {
            columns,
            rows,
            cell,
            levels,
        } = stored;
        let whole = (1..=CELLS).contains(&columns)
            && (1..=CELLS).contains(&rows)
            && levels.len() == columns * rows;
        let thumbnail = Self {
            columns,
            rows,
            cell,
            levels,
        };
        whole.then_some(thumbnail).ok_or("a thumbnail of no size")
    }
}

impl Thumbnail {
    pub fn of(image: &Rgb8) -> Self {
        let cell = image.width.max(image.height) as f32 / CELLS as f32;
        let count = |extent: usize| ((extent as f32 / cell).round() as usize).clamp(1, CELLS);
        let (columns, rows) = (count(image.width), count(image.height));
        let mut levels = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                levels.push(level(image, column, row, cell));
            }
        }
        Self {
            columns,
            rows,
            cell,
            levels,
        }
    }
}

/// The mean of a grid of green samples in a cell.
fn level(image: &Rgb8, column: usize, row: usize, cell: f32) -> f32 {
    let at = |index: usize, sample: usize, extent: usize| {
        let position = (index as f32 + (sample as f32 + 0.5) / SAMPLES as f32) * cell;
        (position as usize).min(extent.saturating_sub(1))
    };
    let mut sum = 0.0;
    for y in 0..SAMPLES {
        for x in 0..SAMPLES {
            let pixel = at(row, y, image.height) * image.width + at(column, x, image.width);
            sum += f32::from(image.data.get(pixel * 3 + 1).copied().unwrap_or(0));
        }
    }
    sum / (SAMPLES * SAMPLES) as f32
}

/// The square around what stirs most, outside of the known people.
pub fn stirred(before: &Thumbnail, now: &Thumbnail, known: &[BBox]) -> Option<Roi> {
    if (before.columns, before.rows) != (now.columns, now.rows) {
        return None;
    }
    let change: Vec<f32> = now
        .levels
        .iter()
        .zip(&before.levels)
        .map(|(a, b)| (a - b).abs())
        .collect();
    let mean = change.iter().sum::<f32>() / change.len() as f32;
    let enough = MIN_CHANGE.max(MEAN_CHANGES * mean);
    let mut stirs: Vec<bool> = change.iter().map(|&c| c >= enough).collect();
    for (index, stirs) in stirs.iter_mut().enumerate() {
        *stirs &= !known.iter().any(|b| accounts_for(b, center(now, index)));
    }
    let mut best: Option<(f32, BBox)> = None;
    for index in 0..stirs.len() {
        let cells = spread(&mut stirs, index, now.columns);
        let weight: f32 = cells.iter().map(|&c| change[c]).sum();
        if cells.len() >= MIN_CELLS && best.is_none_or(|(most, _)| weight > most) {
            let around = BBox::around(cells.iter().map(|&c| center(now, c)));
            best = around.map(|b| (weight, b)).or(best);
        }
    }
    best.and_then(|(_, around)| region(&around, now.cell * CELLS as f32))
}

fn region(around: &BBox, long: f32) -> Option<Roi> {
    let [cx, cy] = around.center();
    let extent = around.width().max(around.height());
    // The camera moved, or the scene changed: no place in particular.
    (extent < SPAN_RANGE[1] * long).then(|| Roi {
        cx,
        cy,
        size: (SPAN * extent).clamp(SPAN_RANGE[0] * long, SPAN_RANGE[1] * long),
        rotation: 0.0,
    })
}

fn center(thumbnail: &Thumbnail, index: usize) -> [f32; 2] {
    let (x, y) = (index % thumbnail.columns, index / thumbnail.columns);
    [
        (x as f32 + 0.5) * thumbnail.cell,
        (y as f32 + 0.5) * thumbnail.cell,
    ]
}

fn accounts_for(person: &BBox, [x, y]: [f32; 2]) -> bool {
    let room = AROUND * person.width().max(person.height());
    x >= person.x1 - room && x <= person.x2 + room && y >= person.y1 - room && y <= person.y2 + room
}

/// Takes the connected cells around `start` out of the grid.
fn spread(stirs: &mut [bool], start: usize, columns: usize) -> Vec<usize> {
    let mut cells = Vec::new();
    let mut edge = vec![start];
    while let Some(cell) = edge.pop() {
        if !std::mem::take(&mut stirs[cell]) {
            continue;
        }
        cells.push(cell);
        let (x, y) = (cell % columns, cell / columns);
        let rows = stirs.len() / columns;
        for ny in y.saturating_sub(1)..=(y + 1).min(rows - 1) {
            for nx in x.saturating_sub(1)..=(x + 1).min(columns - 1) {
                edge.push(ny * columns + nx);
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(spot: Option<(usize, usize)>) -> Thumbnail {
        let (width, height) = (960, 540);
        let mut data = vec![90; width * height * 3];
        if let Some((left, top)) = spot {
            for y in top..top + 100 {
                data[(y * width + left) * 3..(y * width + left + 40) * 3].fill(200);
            }
        }
        Thumbnail::of(&Rgb8 {
            width,
            height,
            data,
        })
    }

    #[test]
    fn a_newcomer_is_looked_at_and_a_known_person_is_not() {
        let roi = stirred(&frame(None), &frame(Some((800, 300))), &[]).unwrap();
        assert!(
            (roi.cx - 820.0).abs() < 15.0 && (roi.cy - 350.0).abs() < 15.0,
            "{roi:?}"
        );
        assert!(roi.size >= 0.25 * 960.0);
        let known = [BBox::new(790.0, 290.0, 850.0, 410.0)];
        assert_eq!(
            stirred(&frame(None), &frame(Some((800, 300))), &known),
            None
        );
        assert_eq!(stirred(&frame(None), &frame(None), &[]), None);
    }

    #[test]
    fn a_cut_a_speck_and_another_size_are_no_place() {
        let dark = Thumbnail {
            levels: vec![0.0; frame(None).levels.len()],
            ..frame(None)
        };
        assert_eq!(stirred(&dark, &frame(None), &[]), None);
        let mut speck = frame(None);
        speck.levels[70] = 250.0;
        assert_eq!(stirred(&frame(None), &speck, &[]), None);
        let one = Thumbnail::of(&Rgb8 {
            width: 1,
            height: 1,
            data: vec![1, 2, 3],
        });
        assert_eq!(stirred(&one, &frame(None), &[]), None);
    }
}
