//! PHALP's texture maps: made-up bodies as the original's sampler sees them.

use std::path::Path;

use pose4d::models::phalp::atlas::Atlas;
use pose4d::models::phalp::picture::{Picture, SIDE};

use crate::arrays::Arrays;
use crate::report::{Bound, Differences, Table};

/// Of normalised colours, divided by five.
const COLOUR: f64 = 1e-4;
/// Texels whose visibility rounding may decide otherwise: the original draws in single precision.
const OTHERWISE: f64 = 2e-3;
/// ImageNet's, of 0 to 255.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const DEVIATION: [f32; 3] = [58.395, 57.12, 57.375];

/// A case without `golden_texture.npz` has no such question.
pub fn run(case: &Path, table: &mut Table) -> Result<(), String> {
    let Some(golden) = Arrays::open(&case.join("golden_texture.npz"))? else {
        return Ok(());
    };
    let whole = |name: &str| golden.f64s(name);
    let faces: Vec<u32> = whole("faces")?.iter().map(|v| *v as u32).collect();
    let triangles: Vec<i64> = whole("fmap")?.iter().map(|v| *v as i64).collect();
    let (vertices, shares) = (golden.f32s("vertices")?, golden.f32s("bmap")?);
    let side = golden.shape("fmap")?[0] as usize;
    let shares = shares.as_chunks::<3>().0;
    let atlas = Atlas::new(side, &triangles, shares, &faces, vertices.len() / 3)?;
    let bytes = golden.bytes("picture")?;
    let plane = |channel: usize| {
        let bytes = bytes.iter().skip(channel).step_by(3);
        bytes.map(move |v| (f32::from(*v) - MEAN[channel]) / DEVIATION[channel])
    };
    let picture = Picture {
        pixels: (0..3).flat_map(plane).collect(),
        mask: golden.bytes("mask")?.iter().map(|v| *v > 0).collect(),
    };
    assert_eq!(picture.mask.len(), SIDE * SIDE);
    let theirs = golden.f32s("uv")?;
    let cameras = golden.f32s("cameras")?;
    let (mut colours, mut otherwise) = (Differences::default(), 0);
    for (camera, theirs) in cameras
        .as_chunks::<3>()
        .0
        .iter()
        .zip(theirs.chunks(4 * side * side))
    {
        let ours = atlas.seen(&vertices, *camera, &picture);
        for at in 0..side * side {
            if ours.seen[at] != (theirs[3 * side * side + at] > 0.0) {
                otherwise += 1;
                continue;
            }
            for channel in 0..3 {
                let place = channel * side * side + at;
                colours.push(f64::from((ours.colour[place] - theirs[place]).abs()));
            }
        }
    }
    table.judge("texture", &colours, "", &[Bound::Max(COLOUR)]);
    let texels = theirs.len() / 4;
    let text = format!("{otherwise} of {texels} texels seen by one and not the other");
    let few = f64::from(otherwise) <= OTHERWISE * texels as f64;
    table.check("visibility", few, text);
    Ok(())
}
