//! Floor 2: file → named tensors and graphs; no network, no model names.

pub mod flatbuffer;
pub mod npy;
pub mod npz;
pub mod tflite;
