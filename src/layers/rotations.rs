//! Rotations as networks give them.

use tch::{Kind, TchError, Tensor};

/// Six numbers `[…, 6]` to rotations `[…, 3, 3]`: the first three are the first column, the next
/// three the second before it is made orthogonal to the first (Zhou et al., CVPR 2019).
pub fn rotations(numbers: &Tensor) -> Result<Tensor, TchError> {
    let first = normalised(&numbers.f_narrow(-1, 0, 3)?)?;
    let second = numbers.f_narrow(-1, 3, 3)?;
    let along = dot(&first, &second)?;
    let second = normalised(&second.f_sub(&along.f_mul(&first)?)?)?;
    let third = first.f_linalg_cross(&second, -1)?;
    Tensor::f_stack(&[first, second, third], -1)
}

fn dot(a: &Tensor, b: &Tensor) -> Result<Tensor, TchError> {
    a.f_mul(b)?
        .f_sum_dim_intlist([-1].as_slice(), true, Kind::Float)
}

fn normalised(v: &Tensor) -> Result<Tensor, TchError> {
    v.f_div(&dot(v, v)?.f_sqrt()?.f_clamp_min(1e-12)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn rotations_are_rotations_and_columns_come_first() {
        let numbers = Tensor::randn([5, 24, 6], (Kind::Float, Device::Cpu));
        let found = rotations(&numbers).unwrap();
        let unit = found.matmul(&found.transpose(-1, -2));
        let eye = Tensor::eye(3, (Kind::Float, Device::Cpu));
        assert!((unit - eye).abs().max().double_value(&[]) < 1e-5);
        assert!((found.det() - 1.0).abs().max().double_value(&[]) < 1e-5);
        let turned = Tensor::from_slice(&[0f32, 2.0, 0.0, -3.0, 1.0, 0.0]).view([1, 6]);
        let expected = [0f32, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let found = Vec::<f32>::try_from(rotations(&turned).unwrap().view(-1)).unwrap();
        assert_eq!(found, expected);
    }
}
