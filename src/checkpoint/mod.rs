//! Floor 2: file → named tensors and graphs; no network, no model names.

pub mod npy;
pub mod npz;
