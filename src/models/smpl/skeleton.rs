//! The kinematic tree: rotations relative to parents made absolute, one level at a time.

use tch::{Device, TchError, Tensor};

/// Joints as far from the pelvis as each other.
struct Level {
    /// Their numbers.
    joints: Tensor,
    /// Their parents' numbers.
    parents: Tensor,
    /// Their parents' places within the level before.
    places: Tensor,
}

/// The tree, arranged so that a level costs as many operations as a joint would.
pub struct Skeleton {
    levels: Vec<Level>,
    /// Where each joint stands when the levels are written one after the other.
    order: Tensor,
}

/// Where posed joints are, and how each moves what is attached to it.
pub struct Transforms {
    /// `[batch, joints, 3]` metres.
    pub joints: Tensor,
    /// `[batch, joints, 3, 4]`: from the rest pose to the posed body.
    pub matrices: Tensor,
}

impl Skeleton {
    /// `parents[0]` is none; every other comes before its child.
    pub fn new(parents: &[Option<usize>], device: Device) -> Result<Self, TchError> {
        let mut depths: Vec<usize> = Vec::with_capacity(parents.len());
        for parent in parents {
            depths.push(parent.map_or(0, |p| depths.get(p).map_or(0, |d| d + 1)));
        }
        let deepest = depths.iter().copied().max().unwrap_or(0);
        let of_depth = |depth: usize| -> Vec<usize> {
            (0..parents.len()).filter(|&j| depths[j] == depth).collect()
        };
        let index = |numbers: &[usize]| {
            let numbers: Vec<i64> = numbers.iter().map(|&n| n as i64).collect();
            Tensor::f_from_slice(&numbers)?.f_to_device(device)
        };
        let mut order = of_depth(0);
        let mut levels = Vec::new();
        for depth in 1..=deepest {
            let (above, joints) = (of_depth(depth - 1), of_depth(depth));
            let hung_on: Vec<usize> = joints.iter().filter_map(|&j| parents[j]).collect();
            let place = |p: &usize| above.iter().position(|a| a == p);
            let places: Vec<usize> = hung_on.iter().filter_map(place).collect();
            levels.push(Level {
                joints: index(&joints)?,
                parents: index(&hung_on)?,
                places: index(&places)?,
            });
            order.extend(joints);
        }
        let place = |joint: usize| order.iter().position(|&o| o == joint);
        let places: Vec<usize> = (0..parents.len()).filter_map(place).collect();
        Ok(Self {
            levels,
            order: index(&places)?,
        })
    }

    /// `rotations` `[batch, joints, 3, 3]` relative to parents, `rest` `[batch, joints, 3]`.
    pub fn pose(&self, rotations: &Tensor, rest: &Tensor) -> Result<Transforms, TchError> {
        let rest = rest.f_unsqueeze(-1)?;
        let mut rotation = rotations.f_narrow(1, 0, 1)?;
        let mut place = rest.f_narrow(1, 0, 1)?;
        let mut all_rotations = vec![rotation.f_alias()?];
        let mut all_places = vec![place.f_alias()?];
        for level in &self.levels {
            let above = rotation.f_index_select(1, &level.places)?;
            let bones = rest
                .f_index_select(1, &level.joints)?
                .f_sub(&rest.f_index_select(1, &level.parents)?)?;
            let from = place.f_index_select(1, &level.places)?;
            place = above.f_matmul(&bones)?.f_add(&from)?;
            rotation = above.f_matmul(&rotations.f_index_select(1, &level.joints)?)?;
            all_rotations.push(rotation.f_alias()?);
            all_places.push(place.f_alias()?);
        }
        let rotations = Tensor::f_cat(&all_rotations, 1)?.f_index_select(1, &self.order)?;
        let places = Tensor::f_cat(&all_places, 1)?.f_index_select(1, &self.order)?;
        let shifts = places.f_sub(&rotations.f_matmul(&rest)?)?;
        Ok(Transforms {
            joints: places.f_squeeze_dim(-1)?,
            matrices: Tensor::f_cat(&[rotations, shifts], -1)?,
        })
    }
}
