//! Floor 2: file → named tensors and graphs; no network, no model names.

pub mod archive;
pub mod blob;
pub mod cast;
#[allow(
    clippy::module_inception,
    reason = "the file is named after the type it owns, like its neighbours"
)]
pub mod checkpoint;
pub mod convert;
pub mod dtype;
pub mod error;
pub mod escapes;
pub mod flatbuffer;
pub mod hdf5;
pub mod inspect;
pub mod latin1;
pub mod limits;
pub mod load;
pub mod mapping;
pub mod npy;
pub mod npz;
pub mod open;
pub mod pickle;
pub mod rename;
pub mod report;
pub mod safetensors;
pub mod source;
pub mod tar_index;
pub mod tar_stream;
pub mod tensor;
pub mod tflite;
pub mod tflite_weights;
pub mod torch_legacy;
pub mod torch_script;
pub mod torch_zip;
pub mod write;
pub mod yaml;
pub mod yaml_scalar;
pub mod zip;
