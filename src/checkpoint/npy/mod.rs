//! `.npy` arrays: one tensor, or a record's fields, found by the header.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

mod array;
mod header;
mod layout;
mod literal;
mod text;

use std::io::Read;
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use super::blob::{Blob, Encoding};
use super::checkpoint::{Contents, Opaque};
use super::error::{Fault, Kind as FaultKind, Parse};
use super::limits::MAX_TENSORS;
use super::pickle;
use super::source::{Source, read_vec};
use super::tensor::Tensor;
use array::Array;
use header::Header;
use layout::{Kind, Layout};

/// What the array of a file that holds just one is called.
const ONLY: &str = "arr_0";
/// Bytes read at first: numpy pads the header of a plain array to 128.
const USUAL_HEADER: usize = 256;
/// Most memory that the texts of one file take as values.
const MAX_TEXTS: u64 = 8 << 20;

/// The bytes a `.npy` array begins with.
pub fn looks_like(head: &[u8]) -> bool {
    head.starts_with(header::MAGIC)
}

/// Reads the one array of a `.npy` file.
pub fn read(source: &Source) -> Parse<Contents> {
    let blob = Blob::raw(source, 0, source.len())?;
    let mut arrays = Arrays::default();
    if !arrays.add(ONLY, &blob)? {
        return Err(header::no_magic());
    }
    Ok(arrays.contents)
}

/// What the arrays of a file hold.
#[derive(Default)]
pub struct Arrays {
    pub contents: Contents,
    /// Memory that texts take so far.
    texts: u64,
}

impl Arrays {
    /// Adds the array in `blob` under `name`; false when it holds none.
    ///
    /// Numbers become tensors (`name`, or `name.field` for records), short texts values, and
    /// everything else is listed by its class.
    pub fn add(&mut self, name: &str, blob: &Blob) -> Parse<bool> {
        let mut head = start(blob, USUAL_HEADER)?;
        if !looks_like(&head) {
            return Ok(false);
        }
        let size = header::size(&head)?;
        if size > head.len() {
            head = start(blob, size)?;
        }
        if size > head.len() {
            return Err(Fault::corrupt("the .npy header is cut off"));
        }
        head.truncate(size);
        let Header {
            layout,
            fortran,
            shape,
        } = header::parse(&head)?;
        if layout.kind != Kind::Object {
            array::check_size(&shape, layout.size, blob.len - size as u64)?;
        }
        let array = Array {
            blob: blob.clone(),
            head,
            shape,
            fortran,
            item: layout.size,
        };
        self.sort(name, &array, &layout)?;
        Ok(true)
    }

    fn sort(&mut self, name: &str, array: &Array, layout: &Layout) -> Parse<()> {
        match &layout.kind {
            Kind::Number(dtype) => {
                let tensor = array.tensor(*dtype, layout.big_endian)?;
                self.insert(name.to_owned(), tensor)
            }
            Kind::Record(fields) => array.fields(name, fields, 0, &mut |name, found| match found {
                Ok(tensor) => self.insert(name, tensor),
                Err(layout) => self.list(name, layout),
            }),
            Kind::Unicode | Kind::Bytes if self.has_room(text::cost(array)) => {
                let value = text::value(array, layout)?;
                self.contents.values.insert(name.to_owned(), value);
                Ok(())
            }
            Kind::Object => self.objects(name, array, layout),
            _ => self.list(name.to_owned(), layout),
        }
    }

    /// Objects are a pickle: it is read as any other, and nothing in it is run.
    fn objects(&mut self, name: &str, array: &Array, layout: &Layout) -> Parse<()> {
        let head = array.head.len() as u64;
        let Blob { offset, len, .. } = array.blob;
        let (source, start, end) = match array.blob.encoding {
            Encoding::Raw => (array.blob.source.clone(), offset + head, offset + len),
            _ if self.has_room(len) => {
                let bytes: Source = Arc::new(array.blob.read(len)?);
                (bytes, head, len)
            }
            _ => return self.list(name.to_owned(), layout),
        };
        let pickle = pickle::parse(&source, start, end)?;
        if pickle.end != end {
            let behind = end - pickle.end;
            return Err(Fault::corrupt(format!("{behind} bytes follow the pickle's end")));
        }
        match pickle::contents(&pickle, &source, None) {
            Ok(found) => self.take(name, found),
            // Nothing but objects that only Python could make.
            Err(fault) if fault.kind == FaultKind::Unsupported => {
                self.list(name.to_owned(), layout)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Takes over what a pickle holds; that of a file's only array keeps its names.
    fn take(&mut self, name: &str, found: Contents) -> Parse<()> {
        if name == ONLY && self.contents.tensors.is_empty() {
            self.contents = found;
            if let Some(value) = self.contents.values.remove("") {
                self.contents.values.insert(ONLY.to_owned(), value);
            }
            return self.count();
        }
        let path = |inner: &str| match inner {
            "" | ONLY => name.to_owned(),
            inner => format!("{name}.{inner}"),
        };
        let root = found.root;
        for (inner, tensor) in found.tensors {
            let inner = match root.as_str() {
                "" => inner,
                root => format!("{root}.{inner}"),
            };
            self.insert(path(&inner), tensor)?;
        }
        for (inner, tensor) in found.others {
            self.insert(path(&inner), tensor)?;
        }
        for (inner, value) in found.values {
            self.contents.values.insert(path(&inner), value);
        }
        for opaque in found.opaque {
            let path = path(&opaque.path);
            self.count()?;
            self.contents.opaque.push(Opaque { path, ..opaque });
        }
        Ok(())
    }

    /// Whether texts that take `bytes` of memory may be kept as values.
    fn has_room(&mut self, bytes: u64) -> bool {
        let fits = bytes <= MAX_TEXTS - self.texts;
        self.texts += if fits { bytes } else { 0 };
        fits
    }

    fn insert(&mut self, name: String, tensor: Tensor) -> Parse<()> {
        self.count()?;
        let (index, before) = self.contents.tensors.insert_full(name, tensor);
        if before.is_some() {
            let name = self.contents.tensors.get_index(index).map(|(name, _)| name);
            return Err(Fault::corrupt(format!("two arrays of one name: {name:?}")));
        }
        Ok(())
    }

    fn list(&mut self, path: String, layout: &Layout) -> Parse<()> {
        self.count()?;
        let class = layout.class();
        self.contents.opaque.push(Opaque { path, class });
        Ok(())
    }

    /// Few bytes of a header may describe many fields.
    fn count(&self) -> Parse<()> {
        if self.contents.tensors.len() + self.contents.opaque.len() < MAX_TENSORS {
            return Ok(());
        }
        Err(Fault::hostile(format!(
            "more than {MAX_TENSORS} arrays and fields of records"
        )))
    }
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
