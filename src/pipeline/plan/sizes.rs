//! How large the networks are, from the headers of their files: no weight is read.

use std::path::Path;

use crate::checkpoint::checkpoint::Checkpoint;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::open;
use crate::models::midas::Kind;

/// The networks that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    VitDet,
    RegNetY,
    Hmr2,
    VitPose,
    /// Texture encoder and pose predictor, which tell people apart.
    Phalp,
    /// Of the MiDaS family.
    Depth(Kind),
}

impl Network {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::VitDet => "vitdet",
            Self::RegNetY => "regnety",
            Self::Hmr2 => "hmr2",
            Self::VitPose => "vitpose",
            Self::Phalp => "phalp",
            Self::Depth(kind) => kind.name(),
        }
    }

    /// Beginnings of the names that are in the file and are not loaded.
    fn unused(self) -> &'static [&'static str] {
        match self {
            // Where people are told apart by their looks, it is loaded: 10 MB.
            Self::VitDet | Self::RegNetY => &["roi_heads.mask_"],
            Self::Hmr2 => &["discriminator."],
            Self::VitPose | Self::Phalp => &[],
            Self::Depth(_) => &["pretrained.model.head.", "auxlayer."],
        }
    }

    /// Beginnings of the names that are single precision whatever the network's is.
    fn single(self) -> &'static [&'static str] {
        match self {
            Self::Hmr2 => &["smpl."],
            _ => &[],
        }
    }
}

/// A network's parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelSize {
    /// Numbers that are kept in the working precision.
    pub matrices: u64,
    /// Bytes of what is not: vectors (norms, biases), the body, whole numbers.
    pub fixed_bytes: u64,
    /// Numbers of the largest matrix, which is twice in memory while it is laid out anew.
    pub largest: u64,
}

impl ModelSize {
    /// From the header of a checkpoint of `network`.
    pub fn of_file(network: Network, path: &Path) -> Result<Self, CheckpointError> {
        Ok(Self::of(network, &open::open(path)?))
    }

    /// As [`ModelSize::of_file`], of an open file.
    pub fn of(network: Network, checkpoint: &Checkpoint) -> Self {
        let mut size = Self::default();
        let begins = |name: &str, list: &[&str]| list.iter().any(|start| name.starts_with(start));
        for (name, tensor) in checkpoint.tensors() {
            if begins(name, network.unused()) || is_rest_of_hmar(name) {
                continue;
            }
            // A number of elements that overflows was refused when the file was opened.
            let elements = tensor.elements().unwrap_or(u64::MAX);
            let dims = tensor.shape.iter().filter(|&&side| side > 1).count();
            if !tensor.dtype.is_float() {
                size.fixed_bytes += elements.saturating_mul(tensor.dtype.size() as u64);
            } else if dims < 2 || begins(name, network.single()) {
                size.fixed_bytes += elements.saturating_mul(4);
            } else {
                size.matrices = size.matrices.saturating_add(elements);
                size.largest = size.largest.max(elements);
            }
        }
        size
    }

    /// A body model's file, or any other that is loaded in single precision.
    pub fn of_single(path: &Path) -> Result<Self, CheckpointError> {
        let checkpoint = open::open(path)?;
        let elements = |tensor: &crate::checkpoint::tensor::Tensor| tensor.elements().unwrap_or(0);
        Ok(Self {
            fixed_bytes: checkpoint.tensors().values().map(elements).sum::<u64>() * 4,
            ..Self::default()
        })
    }

    /// Both together: a network and the body it poses.
    pub fn and(self, other: Self) -> Self {
        Self {
            matrices: self.matrices + other.matrices,
            fixed_bytes: self.fixed_bytes + other.fixed_bytes,
            largest: self.largest.max(other.largest),
        }
    }

    /// Bytes of all parameters in `precision`.
    pub fn bytes(&self, precision: DType) -> u64 {
        let size = precision.size() as u64;
        self.matrices
            .saturating_mul(size)
            .saturating_add(self.fixed_bytes)
    }

    /// Bytes beside them while they are loaded.
    pub fn staging(&self, precision: DType) -> u64 {
        self.largest.saturating_mul(precision.size() as u64)
    }
}

/// Of HMAR only the encoder of textures is loaded; HMR2 replaces the rest.
fn is_rest_of_hmar(name: &str) -> bool {
    name.starts_with("hmar.") && !name.starts_with("hmar.encoding_head.conv")
}

/// The files that are there; `None`: not there, or not wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub vitdet: Option<ModelSize>,
    pub regnety: Option<ModelSize>,
    /// With its body.
    pub hmr2: Option<ModelSize>,
    pub vitpose: Option<ModelSize>,
    pub phalp: Option<ModelSize>,
}

impl Sizes {
    pub fn of(&self, network: Network) -> Option<ModelSize> {
        match network {
            Network::VitDet => self.vitdet,
            Network::RegNetY => self.regnety,
            Network::Hmr2 => self.hmr2,
            Network::VitPose => self.vitpose,
            Network::Phalp => self.phalp,
            // Planned when it is first asked for, by itself: `depth::room`.
            Network::Depth(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_what_a_precision_will_cost() {
        let header = concat!(
            r#"{"backbone.w":{"dtype":"F32","shape":[4,8],"data_offsets":[0,128]},"#,
            r#""backbone.b":{"dtype":"F32","shape":[8],"data_offsets":[128,160]},"#,
            r#""smpl.v":{"dtype":"F32","shape":[2,3],"data_offsets":[160,184]},"#,
            r#""smpl.f":{"dtype":"I64","shape":[2],"data_offsets":[184,200]},"#,
            r#""discriminator.w":{"dtype":"F32","shape":[2,2],"data_offsets":[200,216]}}"#,
        );
        let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let mut bytes = (padded.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(padded.as_bytes());
        bytes.extend_from_slice(&[0; 216]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        std::fs::write(&path, bytes).unwrap();

        let size = ModelSize::of_file(Network::Hmr2, &path).unwrap();
        let fixed = 32 + 24 + 16;
        assert_eq!((size.matrices, size.fixed_bytes), (32, fixed));
        assert_eq!(size.bytes(DType::F32), 128 + fixed);
        assert_eq!(size.bytes(DType::BF16), 64 + fixed);
        assert_eq!(size.staging(DType::BF16), 64);
        let body = ModelSize::of_single(&path).unwrap();
        assert_eq!(body.bytes(DType::BF16), 4 * (32 + 8 + 6 + 2 + 4));
        assert_eq!(size.and(body).bytes(DType::F32), 128 + fixed + 208);
    }
}
