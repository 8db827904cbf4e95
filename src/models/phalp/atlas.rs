//! The colours of a body's surface, as a picture shows them, laid out flat.
//!
//! Source: 4D-Humans `track.py` (`HMR2023TextureSampler`), with `bmap_256.npy` and `fmap_256.npy`
//! of PHALP, which say of each texel on which triangle of the body it lies and where in it. Not
//! repeated: the original's depth ends at 100 metres, so that somebody who fills less than 39 % of
//! the crop is wholly invisible.

use std::path::Path;

use tch::{Device, Kind};

use crate::checkpoint::dtype::DType;
use crate::checkpoint::report::Tolerance;
use crate::geometry::depth_map::{Corner, DepthMap};
use crate::layers::weights::{Options, Weights};
use crate::models::error::ModelError;
use crate::models::phalp::picture::{Picture, SIDE};

/// In pixels of a crop.
const FOCAL_LENGTH: f32 = 5000.0;
/// The original's background, metres; further away where the body is.
const BACKGROUND: f32 = 100.0;
/// A point of the surface may lie so far behind what is seen, metres.
const BEHIND: f32 = 1e-4;
/// Divides the colours.
const COLOURS: f32 = 5.0;
/// The largest atlas, texels of a side.
const LARGEST: u64 = 4096;

const TOLERANCE: Tolerance = Tolerance {
    missing: &[],
    unused: &[],
};

/// What was seen of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct UvMap {
    pub side: usize,
    /// `[3, side, side]`: normalised RGB divided by five; 0 where nothing was seen.
    pub colour: Vec<f32>,
    /// `[side, side]`
    pub seen: Vec<bool>,
}

struct Texel {
    /// Place in the atlas.
    at: usize,
    /// Numbers of vertices, and their shares.
    corners: [usize; 3],
    shares: [f32; 3],
}

/// Where on the body each texel lies.
pub struct Atlas {
    side: usize,
    texels: Vec<Texel>,
    /// `[13776 * 3]` vertex numbers.
    faces: Vec<u32>,
}

impl Atlas {
    /// `shares` is `bmap_256.npy` `[side, side, 3]`, `triangles` is `fmap_256.npy` `[side, side]` with
    /// −1 where there is no body; `faces` are the body's, over `vertices` vertices.
    pub fn open(
        shares: &Path,
        triangles: &Path,
        faces: &[u32],
        vertices: usize,
    ) -> Result<Self, ModelError> {
        let options = Options {
            precision: DType::F32,
            device: Device::Cpu,
            renames: &[],
            threads: 1,
        };
        let wrong = |what: String| {
            ModelError::Unfit(format!(
                "{}: {what}; fmap_256.npy, whole numbers [side, side], is expected",
                triangles.display()
            ))
        };
        let file = Weights::open(triangles, options)?;
        let map = file
            .integers("arr_0")?
            .ok_or_else(|| wrong("no array".into()))?;
        file.finish(&TOLERANCE)?;
        let side = match *map.shape.as_slice() {
            [rows, columns] if rows == columns && (1..=LARGEST).contains(&rows) => rows as usize,
            _ => return Err(wrong(format!("an array {:?}", map.shape))),
        };
        let shares = read_shares(shares, side, options)?;
        Self::new(side, &map.values, &shares, faces, vertices).map_err(wrong)
    }

    /// As [`Atlas::open`], of what is in the files; the error says what is wrong with `triangles`.
    pub fn new(
        side: usize,
        triangles: &[i64],
        shares: &[[f32; 3]],
        faces: &[u32],
        vertices: usize,
    ) -> Result<Self, String> {
        let mut texels = Vec::new();
        for (at, (&triangle, &shares)) in triangles.iter().zip(shares).enumerate() {
            if triangle < 0 {
                continue;
            }
            let first = usize::try_from(triangle).ok();
            let first = first.and_then(|triangle| triangle.checked_mul(3));
            let corners = first.and_then(|first| faces.get(first..first.checked_add(3)?));
            let corners = corners.and_then(|corners| {
                let corners = corners.first_chunk::<3>()?.map(|corner| corner as usize);
                corners.iter().all(|c| *c < vertices).then_some(corners)
            });
            let corners = corners.ok_or_else(|| {
                let there = faces.len() / 3;
                format!("triangle {triangle} at texel {at}, of {there} that the body has")
            })?;
            texels.push(Texel {
                at,
                corners,
                shares,
            });
        }
        Ok(Self {
            side,
            texels,
            faces: faces.to_vec(),
        })
    }

    pub fn side(&self) -> usize {
        self.side
    }

    /// The map of a body (`vertices`, `[6890, 3]` metres) that stands at `camera` (scale and offset in
    /// the crop, as HMR2 gives them) in `picture`.
    pub fn seen(&self, vertices: &[f32], camera: [f32; 3], picture: &Picture) -> UvMap {
        let body = placed(vertices, camera);
        let middle = SIDE as f32 / 2.0;
        let seen_at = |[x, y, z]: [f32; 3]| {
            [
                FOCAL_LENGTH * x / z + middle,
                FOCAL_LENGTH * y / z + middle,
                z,
            ]
        };
        let corners: Vec<Corner> = body.iter().copied().map(seen_at).collect();
        let deepest = body.iter().map(|v| v[2]).fold(0.0, f32::max);
        let background = match deepest < BACKGROUND {
            true => BACKGROUND,
            false => 2.0 * deepest,
        };
        let depths = DepthMap::draw(&corners, &self.faces, SIDE, background);
        let mut map = UvMap {
            side: self.side,
            colour: vec![0.0; 3 * self.side * self.side],
            seen: vec![false; self.side * self.side],
        };
        for texel in &self.texels {
            let [x, y, z] = seen_at(texel.place(&body));
            if z > 0.0
                && z <= depths.at(x, y) + BEHIND
                && let Some(colour) = picture.at(x, y)
            {
                map.put(texel.at, colour.map(|value| value / COLOURS));
            }
        }
        map
    }
}

impl UvMap {
    fn put(&mut self, at: usize, colour: [f32; 3]) {
        let plane = self.seen.len();
        for (channel, value) in colour.into_iter().enumerate() {
            if let Some(place) = self.colour.get_mut(channel * plane + at) {
                *place = value;
            }
        }
        if let Some(seen) = self.seen.get_mut(at) {
            *seen = true;
        }
    }
}

impl Texel {
    /// Where it is on the body.
    fn place(&self, body: &[[f32; 3]]) -> [f32; 3] {
        let mut place = [0.0; 3];
        for (corner, share) in self.corners.iter().zip(self.shares) {
            let corner = body.get(*corner).copied().unwrap_or([f32::NAN; 3]);
            for (sum, value) in place.iter_mut().zip(corner) {
                *sum += share * value;
            }
        }
        place
    }
}

/// In front of the crop's camera, metres.
fn placed(vertices: &[f32], [scale, tx, ty]: [f32; 3]) -> Vec<[f32; 3]> {
    let shift = [tx, ty, 2.0 * FOCAL_LENGTH / (SIDE as f32 * scale + 1e-9)];
    let moved = |v: &[f32; 3]| std::array::from_fn(|axis| v[axis] + shift[axis]);
    vertices.as_chunks::<3>().0.iter().map(moved).collect()
}

fn read_shares(path: &Path, side: usize, options: Options) -> Result<Vec<[f32; 3]>, ModelError> {
    let file = Weights::open(path, options)?;
    let rows = i64::try_from(side).unwrap_or(0);
    let map = file.get("arr_0", &[rows, rows, 3])?;
    file.finish(&TOLERANCE)?;
    let flat = map
        .f_to_kind(Kind::Float)?
        .f_contiguous()?
        .f_reshape([-1])?;
    let mut values = vec![0f32; 3 * side * side];
    flat.f_copy_data(&mut values, 3 * side * side)?;
    Ok(values.as_chunks::<3>().0.to_vec())
}

#[cfg(test)]
#[path = "atlas_tests.rs"]
mod tests;
