//! The header of a `.npy` array: versions 1 to 3.

use super::layout::{Layout, sizes};
use super::literal::{self, Literal};
use crate::checkpoint::error::{Fault, Parse};

pub const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Magic, version and the longest form of the header's length.
const PREFIX: usize = 12;
/// Longest header read, bytes; version 1 cannot write a longer one.
const MAX_HEADER: usize = 64 << 10;

pub struct Header {
    pub layout: Layout,
    pub fortran: bool,
    pub shape: Vec<u64>,
}

/// Bytes before the values, from the file's first ones.
pub fn size(start: &[u8]) -> Parse<usize> {
    if !start.starts_with(MAGIC) {
        return Err(no_magic());
    }
    let short = || Fault::corrupt("the .npy header is cut off");
    let (prefix, length) = match start.get(6..8).ok_or_else(short)? {
        [1, 0] => {
            let bytes = start.get(8..).and_then(<[u8]>::first_chunk);
            (
                10,
                usize::from(u16::from_le_bytes(*bytes.ok_or_else(short)?)),
            )
        }
        [2 | 3, 0] => {
            let bytes = start.get(8..).and_then(<[u8]>::first_chunk);
            (
                PREFIX,
                u32::from_le_bytes(*bytes.ok_or_else(short)?) as usize,
            )
        }
        version => {
            return Err(Fault::unsupported(format!(
                ".npy format version {version:?}; expected [1, 0], [2, 0] or [3, 0]"
            )));
        }
    };
    if length > MAX_HEADER {
        return Err(Fault::hostile(format!(
            "a .npy header of {length} bytes; at most {MAX_HEADER} are read"
        )));
    }
    Ok(prefix + length)
}

pub fn no_magic() -> Fault {
    Fault::corrupt("not a .npy array: expected the bytes \\x93NUMPY at its start")
}

/// Reads the header from everything before the values.
pub fn parse(start: &[u8]) -> Parse<Header> {
    let (prefix, latin) = if start.get(6) == Some(&1) {
        (10, true)
    } else {
        (PREFIX, false)
    };
    let version_2 = start.get(6) == Some(&2);
    let bytes = start.get(prefix..).unwrap_or_default();
    let text = if latin || version_2 {
        bytes.iter().map(|&byte| char::from(byte)).collect()
    } else {
        String::from_utf8(bytes.to_vec())
            .map_err(|_| Fault::corrupt("the .npy header is not UTF-8"))?
    };
    fields(&text).map_err(|fault| fault.within("the .npy header"))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, keys in any order.
fn fields(text: &str) -> Parse<Header> {
    let Literal::Dict(items) = literal::parse(text)? else {
        return Err(Fault::corrupt("expected a dictionary"));
    };
    let (mut layout, mut fortran, mut shape) = (None, None, None);
    for (key, value) in &items {
        let Literal::Str(key) = key else {
            return Err(Fault::corrupt(format!("a key is {key:?}")));
        };
        let again = match (key.as_str(), value) {
            ("descr", descr) => layout.replace(Layout::parse(descr)?).is_some(),
            ("fortran_order", Literal::Bool(flag)) => fortran.replace(*flag).is_some(),
            ("shape", tuple) => {
                let sizes = sizes(tuple)
                    .ok_or_else(|| Fault::corrupt(format!("the shape is {tuple:?}")))?;
                shape.replace(sizes).is_some()
            }
            _ => return Err(Fault::corrupt(format!("unexpected {key:?}: {value:?}"))),
        };
        if again {
            return Err(Fault::corrupt(format!("{key:?} is given twice")));
        }
    }
    match (layout, fortran, shape) {
        (Some(layout), Some(fortran), Some(shape)) => Ok(Header {
            layout,
            fortran,
            shape,
        }),
        _ => Err(Fault::corrupt("expected descr, fortran_order and shape")),
    }
}
