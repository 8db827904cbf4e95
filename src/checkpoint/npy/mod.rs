//! `.npy` arrays: one tensor, or a record's fields, found by the header.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

mod array;
mod header;
mod layout;
mod literal;
mod text;

use std::io::Read;

use flate2::read::DeflateDecoder;

use super::blob::{Blob, Encoding};
use super::checkpoint::{Contents, Opaque};
use super::error::{Fault, Parse};
use super::source::{Source, read_vec};
use super::tensor::Tensor;
use array::Array;
use header::Header;
use layout::{Kind, Layout};

/// What the array of a file that holds just one is called.
const ONLY: &str = "arr_0";

/// The bytes a `.npy` array begins with.
pub fn looks_like(head: &[u8]) -> bool {
    head.starts_with(header::MAGIC)
}

/// Reads the one array of a `.npy` file.
pub fn read(source: &Source) -> Parse<Contents> {
    let mut contents = Contents::default();
    let blob = Blob::raw(source, 0, source.len())?;
    add(ONLY, blob, &mut contents)?;
    Ok(contents)
}

/// Whether a member of an archive holds an array, whatever it is called.
pub fn is_array(blob: &Blob) -> Parse<bool> {
    Ok(looks_like(&start(blob, header::MAGIC.len())?))
}

/// Adds the array in `blob` to `contents` under `name`.
///
/// Numbers become tensors (`name`, or `name.field` for records), short texts values, and
/// everything else is listed by its class.
pub fn add(name: &str, blob: Blob, contents: &mut Contents) -> Parse<()> {
    let size = header::size(&start(&blob, header::PREFIX)?)?;
    let head = start(&blob, size)?;
    if head.len() < size {
        return Err(Fault::corrupt("the .npy header is cut off"));
    }
    let Header {
        layout,
        fortran,
        shape,
    } = header::parse(&head)?;
    if layout.kind != Kind::Object {
        array::check_size(&shape, layout.size, blob.len - size as u64)?;
    }
    let array = Array {
        blob,
        head,
        shape,
        fortran,
        item: layout.size,
    };
    match &layout.kind {
        Kind::Number(dtype) => {
            let tensor = array.tensor(*dtype, layout.big_endian)?;
            insert(contents, name.to_owned(), tensor)
        }
        Kind::Record(fields) => array.fields(name, fields, 0, &mut |name, found| match found {
            Ok(tensor) => insert(contents, name, tensor),
            Err(layout) => {
                list(contents, &name, layout);
                Ok(())
            }
        }),
        Kind::Unicode | Kind::Bytes if text::is_short(&array) => {
            let value = text::value(&array, &layout)?;
            contents.values.insert(name.to_owned(), value);
            Ok(())
        }
        _ => {
            list(contents, name, &layout);
            Ok(())
        }
    }
}

fn insert(contents: &mut Contents, name: String, tensor: Tensor) -> Parse<()> {
    if let Some(before) = contents.tensors.insert(name, tensor) {
        return Err(Fault::corrupt(format!(
            "two arrays of one name ({} {:?} is the first)",
            before.dtype, before.shape
        )));
    }
    Ok(())
}

fn list(contents: &mut Contents, name: &str, layout: &Layout) {
    contents.opaque.push(Opaque {
        path: name.to_owned(),
        class: layout.class(),
    });
}

/// The first `n` decoded bytes, fewer if there are no more.
fn start(blob: &Blob, n: usize) -> Parse<Vec<u8>> {
    let n = blob.len.min(n as u64) as usize;
    if blob.encoding == Encoding::Raw {
        return Ok(read_vec(blob.source.as_ref(), blob.offset, n)?);
    }
    // Incompressible data grow by a few bytes in a thousand; the rest is room for block headers.
    let packed = blob.stored.min(n as u64 + n as u64 / 8 + 4096) as usize;
    let packed = read_vec(blob.source.as_ref(), blob.offset, packed)?;
    let mut bytes = vec![0; n];
    DeflateDecoder::new(packed.as_slice())
        .read_exact(&mut bytes)
        .map_err(|error| Fault::corrupt(format!("bad deflate stream: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
