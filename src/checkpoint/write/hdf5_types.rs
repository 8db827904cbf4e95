//! HDF5 datatype messages for our element types, as h5py writes them.

use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};

/// The message for `dtype`; a fault where HDF5 has no type that h5py reads (tensor `name`).
pub fn datatype(dtype: DType, name: &str) -> Parse<Vec<u8>> {
    Ok(match dtype {
        DType::Bool => boolean(),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => integer(dtype.size(), false),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => integer(dtype.size(), true),
        // Bits of exponent and mantissa.
        DType::F16 => float(5, 10),
        DType::BF16 => float(8, 7),
        DType::F32 => float(8, 23),
        DType::F64 => float(11, 52),
        DType::C64 => complex(&float(8, 23), 4),
        DType::C128 => complex(&float(11, 52), 8),
        DType::F8E4M3 | DType::F8E5M2 => {
            return Err(Fault::unsupported(format!(
                "h5py reads no HDF5 type for {dtype} (tensor {name:?}); \
                 write .safetensors or .pt instead"
            )));
        }
    })
}

/// Class, three bytes of flags, size.
fn head(class: u8, flags: [u8; 3], size: usize) -> Vec<u8> {
    let mut bytes = vec![0x10 | class];
    bytes.extend(flags);
    bytes.extend((size as u32).to_le_bytes());
    bytes
}

fn integer(size: usize, signed: bool) -> Vec<u8> {
    let mut bytes = head(0, [if signed { 8 } else { 0 }, 0, 0], size);
    // First bit and number of bits.
    bytes.extend([0, 0, 8 * size as u8, 0]);
    bytes
}

fn float(exponent: u8, mantissa: u8) -> Vec<u8> {
    let bits = 1 + exponent + mantissa;
    // The mantissa's first bit is implied; the sign is the last bit.
    let mut bytes = head(1, [0x20, bits - 1, 0], usize::from(bits / 8));
    bytes.extend([0, 0, bits, 0]);
    // Position and width of the exponent and of the mantissa.
    bytes.extend([mantissa, exponent, 0, mantissa]);
    let bias = (1_u32 << (exponent - 1)) - 1;
    bytes.extend(bias.to_le_bytes());
    bytes
}

/// An enumeration of FALSE and TRUE over int8.
fn boolean() -> Vec<u8> {
    let mut bytes = head(8, [2, 0, 0], 1);
    bytes.extend(integer(1, true));
    bytes.extend(b"FALSE\0\0\0TRUE\0\0\0\0\0\x01");
    bytes
}

/// A compound of `r` and `i`.
fn complex(part: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = head(6, [2, 0, 0], 2 * size);
    for (name, offset) in [(b'r', 0), (b'i', size as u32)] {
        bytes.extend([name, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(offset.to_le_bytes());
        // No array within the member: rank, permutation and sizes are zeros.
        bytes.extend([0; 28]);
        bytes.extend(part);
    }
    bytes
}
