//! HDF5 files as h5py, Keras and PyTables write them: every dataset of numbers is a tensor.
//!
//! Own reading after the "HDF5 File Format Specification Version 3.0" (support.hdfgroup.org):
//! superblocks 0 to 3, groups and chunk indexes of all kinds, the filters gzip, shuffle,
//! Fletcher's checksum and LZF. Nothing outside the file is ever read: external links, external
//! storage and virtual datasets are refused.

pub mod attributes;
pub mod bytes;
pub mod chunk_arrays;
pub mod chunked;
pub mod dataset;
pub mod dataspace;
pub mod datatype;
pub mod file;
pub mod filters;
pub mod grid;
pub mod group;
pub mod header;
pub mod heap;
pub mod index;
pub mod layout;
pub mod tree;
pub mod values;
pub mod walk;

pub use self::walk::{looks_like, read};
