//! Datasets: from an object's header to a tensor, or to what else it is.

use std::sync::Arc;

use serde_json::Value;

use super::bytes::Cursor;
use super::chunked::ChunkedBytes;
use super::dataspace::Dataspace;
use super::datatype::{Class, Datatype};
use super::file::File;
use super::filters::Pipeline;
use super::grid::Grid;
use super::header::{Header, kind};
use super::layout::{Chunked, Layout};
use super::values;
use crate::checkpoint::blob::Blob;
use crate::checkpoint::dtype::DType;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;
use crate::checkpoint::tensor::{Data, Sink, Tensor, TensorBytes, View};

/// What a dataset is to us.
#[derive(Clone)]
pub enum Dataset {
    Tensor(Tensor),
    /// Text, or a list of texts.
    Value(Value),
    /// Its elements are no numbers; what they are.
    Opaque(String),
}

/// What a dataset's bytes are cut into.
struct Elements<'a> {
    dtype: DType,
    big_endian: bool,
    /// Of the dataset.
    space: &'a Dataspace,
    shape: &'a [u64],
    /// Of what each of its elements consists of; empty for a single number.
    inner: Vec<u64>,
}

/// Reads a dataset; `None` for an object that is none.
pub fn dataset(file: &Arc<File>, header: &Header) -> Parse<Option<Dataset>> {
    let Some(layout) = header.find(kind::LAYOUT) else {
        return Ok(None);
    };
    if header.find(kind::EXTERNAL_FILES).is_some() {
        return Err(Fault::hostile(
            "an HDF5 dataset whose numbers are in another file; \
             write it again with its data inside",
        ));
    }
    let missing = |what: &str| Fault::corrupt(format!("a dataset without a {what}"));
    let datatype = header.get(file, kind::DATATYPE)?;
    let datatype = Datatype::parse(&datatype.ok_or_else(|| missing("datatype"))?)?;
    let space = header.get(file, kind::DATASPACE)?;
    let space = space.ok_or_else(|| missing("dataspace"))?;
    let space = Dataspace::parse(&space, file.length_size)?;
    let layout = Layout::parse(file, layout)?;
    let Some(shape) = &space.shape else {
        return Ok(Some(Dataset::Opaque("HDF5 empty dataset".to_owned())));
    };
    let (dtype, big_endian, inner) = match &datatype.class {
        Class::Number { dtype, big_endian } => (*dtype, *big_endian, Vec::new()),
        Class::Array {
            dtype,
            big_endian,
            shape,
        } => (*dtype, *big_endian, shape.clone()),
        // Text is read as the bytes it is made of.
        Class::Text | Class::VariableText => (DType::U8, false, vec![datatype.size]),
        Class::Other(name) => return Ok(Some(Dataset::Opaque(name.clone()))),
    };
    let elements = Elements {
        dtype,
        big_endian,
        space: &space,
        shape,
        inner,
    };
    if elements.element_bytes()? != datatype.size {
        return Err(Fault::corrupt("an array datatype of another size than its parts"));
    }
    let tensor = tensor(file, header, &layout, &elements)?;
    match datatype.class {
        Class::Text | Class::VariableText => text(file, &datatype, shape, &tensor).map(Some),
        _ => Ok(Some(Dataset::Tensor(tensor))),
    }
}

impl Elements<'_> {
    /// Bytes of an element of the dataset.
    fn element_bytes(&self) -> Parse<u64> {
        let bytes = limits::elements(&self.inner)?.checked_mul(self.dtype.size() as u64);
        bytes.ok_or_else(|| Fault::hostile("an array datatype that overflows"))
    }

    fn whole_shape(&self) -> Vec<u64> {
        self.shape.iter().chain(&self.inner).copied().collect()
    }

    /// Bytes that change places, 1 if none do.
    fn swapped(&self) -> usize {
        if self.big_endian { self.dtype.word() } else { 1 }
    }
}

fn text(file: &File, datatype: &Datatype, shape: &[u64], tensor: &Tensor) -> Parse<Dataset> {
    let opaque = || Ok(Dataset::Opaque("HDF5 text".to_owned()));
    if tensor.bytes()? > values::MAX_BYTES {
        return opaque();
    }
    let bytes = tensor.read()?;
    match values::value(file, datatype, shape, &bytes)? {
        Some(value) => Ok(Dataset::Value(value)),
        None => opaque(),
    }
}

fn tensor(
    file: &Arc<File>,
    header: &Header,
    layout: &Layout,
    elements: &Elements,
) -> Parse<Tensor> {
    let shape = elements.whole_shape();
    let count = limits::elements(&shape)?;
    let bytes = count.checked_mul(elements.dtype.size() as u64);
    let bytes = bytes.ok_or_else(|| Fault::hostile(format!("the shape {shape:?} overflows")))?;
    let data = match layout {
        _ if bytes == 0 => view(Blob::raw(&file.source, 0, 0)?, elements),
        Layout::Compact { len, .. } if *len < bytes => {
            return Err(Fault::corrupt(format!(
                "a dataset of {bytes} bytes in a header that holds {len} of them"
            )));
        }
        Layout::Compact { position, .. } => {
            view(Blob::raw(&file.source, *position, bytes)?, elements)
        }
        Layout::Contiguous { address: None } => {
            limits::check_expansion(file.source.len(), bytes)?;
            let filled = Filled {
                fill: fill(file, header, elements)?,
                swapped: elements.swapped(),
                bytes,
            };
            Data::Special(Arc::new(filled))
        }
        Layout::Contiguous {
            address: Some(address),
        } => {
            let position = file.position("a dataset", *address, bytes)?;
            view(Blob::raw(&file.source, position, bytes)?, elements)
        }
        Layout::Chunked(layout) => chunked(file, header, layout, elements)?,
    };
    Ok(Tensor {
        dtype: elements.dtype,
        shape,
        data,
    })
}

fn view(storage: Blob, elements: &Elements) -> Data {
    let mut view = View::whole(storage);
    view.big_endian = elements.swapped() > 1;
    Data::View(view)
}

fn chunked(
    file: &Arc<File>,
    header: &Header,
    layout: &Chunked,
    elements: &Elements,
) -> Parse<Data> {
    if layout.element != elements.element_bytes()? {
        return Err(Fault::corrupt(format!(
            "chunks of elements of {} bytes in a dataset of {}",
            layout.element,
            elements.element_bytes()?
        )));
    }
    let pipeline = match header.get(file, kind::FILTERS)? {
        Some(message) => Pipeline::parse(&message)?,
        None => Pipeline::default(),
    };
    // An array within an element is as good as further dimensions that are never cut.
    let with_inner = |sizes: &[u64]| -> Vec<u64> {
        sizes.iter().chain(&elements.inner).copied().collect()
    };
    let grid = Grid::new(
        &elements.whole_shape(),
        &with_inner(&elements.space.max),
        &with_inner(&layout.chunk),
        elements.dtype.size() as u64,
    )?
    .with_inner(elements.inner.len());
    let bytes = ChunkedBytes {
        file: file.clone(),
        layout: layout.clone(),
        grid,
        pipeline,
        fill: fill(file, header, elements)?,
        swapped: elements.swapped(),
    };
    bytes.check()?;
    Ok(Data::Special(Arc::new(bytes)))
}

/// What is read where nothing was written: one element, or nothing for zeros.
fn fill(file: &File, header: &Header, elements: &Elements) -> Parse<Vec<u8>> {
    let value = if let Some(message) = header.get(file, kind::FILL)? {
        fill_value(&message)?
    } else if let Some(message) = header.get(file, kind::OLD_FILL)? {
        let mut c = Cursor::new("a fill value", &message);
        let len = c.u32()? as usize;
        c.take(len)?.to_vec()
    } else {
        Vec::new()
    };
    if value.is_empty() || value.len() as u64 == elements.element_bytes()? {
        return Ok(value);
    }
    Err(Fault::corrupt(format!(
        "a fill value of {} bytes for elements of {}",
        value.len(),
        elements.element_bytes()?
    )))
}

fn fill_value(message: &[u8]) -> Parse<Vec<u8>> {
    let mut c = Cursor::new("a fill value", message);
    let defined = match c.version(&[1, 2, 3])? {
        3 => c.u8()? & 0x20 != 0,
        version => {
            // When space is taken and when the value is written.
            c.skip(2)?;
            c.u8()? != 0 || version == 1
        }
    };
    if !defined || c.left() < 4 {
        return Ok(Vec::new());
    }
    // A negative size says that the value is not defined.
    match c.u32()? as i32 {
        len if len > 0 => c.take(len as usize).map(<[u8]>::to_vec),
        _ => Ok(Vec::new()),
    }
}

/// A dataset that was never written.
struct Filled {
    /// One element as it is in the file; empty: zeros.
    fill: Vec<u8>,
    swapped: usize,
    bytes: u64,
}

impl TensorBytes for Filled {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        let mut element = self.fill.clone();
        for word in element.chunks_exact_mut(self.swapped) {
            word.reverse();
        }
        if element.is_empty() {
            element.push(0);
        }
        let mut piece = element.repeat((limits::PIECE / element.len()).max(1));
        let mut left = self.bytes;
        while left > 0 {
            piece.truncate(left.min(piece.len() as u64) as usize);
            sink(&piece)?;
            left -= piece.len() as u64;
        }
        Ok(())
    }
}
