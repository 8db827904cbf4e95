//! Arrays of a reference archive, and tensors of ours beside them.

use std::path::Path;

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open;
use tch::{Device, Kind, Tensor};

use crate::report::{Bound, Differences, Table};

/// An `.npz` file of a case.
pub struct Arrays(Checkpoint);

impl Arrays {
    /// `None` when there is no such file.
    pub fn open(path: &Path) -> Result<Option<Self>, String> {
        if !path.is_file() {
            return Ok(None);
        }
        open(path).map(|c| Some(Self(c))).map_err(|e| e.to_string())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.tensors().contains_key(name)
    }

    pub fn shape(&self, name: &str) -> Result<Vec<i64>, String> {
        let tensor = self.0.get(name).map_err(|e| e.to_string())?;
        Ok(tensor.shape.iter().map(|&d| d as i64).collect())
    }

    pub fn f32s(&self, name: &str) -> Result<Vec<f32>, String> {
        self.0.f32s(name).map_err(|e| e.to_string())
    }

    /// Without rounding where the array holds doubles or whole numbers.
    pub fn f64s(&self, name: &str) -> Result<Vec<f64>, String> {
        let tensor = self.0.get(name).map_err(|e| e.to_string())?;
        let value: fn(&[u8; 8]) -> f64 = match tensor.dtype {
            DType::F64 => |b| f64::from_le_bytes(*b),
            DType::I64 => |b| i64::from_le_bytes(*b) as f64,
            _ => return Ok(self.f32s(name)?.into_iter().map(f64::from).collect()),
        };
        let bytes = self.0.read(name).map_err(|e| e.to_string())?;
        Ok(bytes.as_chunks().0.iter().map(value).collect())
    }

    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        match self.0.get(name).map_err(|e| e.to_string())?.dtype {
            DType::U8 => Ok(self.0.read(name).map_err(|e| e.to_string())?),
            other => Err(format!("{name}: bytes expected, {other} found")),
        }
    }

    pub fn tensor(&self, name: &str) -> Result<Tensor, String> {
        Ok(Tensor::from_slice(&self.f32s(name)?).reshape(self.shape(name)?))
    }

    /// Judges `ours` against the array `name`: no element further off than `part` of the
    /// array's largest, and than `most`.
    pub fn judge(
        &self,
        table: &mut Table,
        name: &str,
        ours: &Tensor,
        part: f64,
        most: f64,
    ) -> Result<(), String> {
        let theirs = self.f32s(name)?;
        if ours.size() != self.shape(name)? {
            let text = format!("{:?} ours, {:?} theirs", ours.size(), self.shape(name)?);
            table.check(name, false, text);
            return Ok(());
        }
        let largest = theirs.iter().fold(0.0, |m, v| v.abs().max(m));
        let bound = Bound::Max((part * f64::from(largest)).min(most));
        table.judge(
            name,
            &Differences::between(&f32s(ours), &theirs),
            "",
            &[bound],
        );
        Ok(())
    }
}

/// The elements, row by row.
pub fn f32s(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor
        .to_device(Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous()
        .view(-1);
    Vec::try_from(flat).expect("one dimension of f32")
}

/// Every `step`-th row of `[batch, rows, …]`.
pub fn every(tensor: &Tensor, step: i64) -> Tensor {
    tensor.slice(1, None, None, step)
}
