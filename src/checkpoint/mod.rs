//! Floor 2: file → named tensors and graphs; no network, no model names.

pub mod blob;
pub mod cast;
pub mod checkpoint;
pub mod dtype;
pub mod error;
pub mod flatbuffer;
pub mod inspect;
pub mod limits;
pub mod load;
pub mod mapping;
pub mod npy;
pub mod npz;
pub mod open;
pub mod rename;
pub mod report;
pub mod source;
pub mod tensor;
pub mod tflite;
pub mod write;
