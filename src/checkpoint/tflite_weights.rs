//! The constants of a `.tflite` file as named tensors, whatever its operators are.
//!
//! Layout: TensorFlow Lite schema v3 (`tensorflow/lite/schema/schema.fbs`). Numbers stay as they
//! are stored (quantised ones are integers); rows kept sparse are filled up with zeros.

use std::collections::HashMap;
use std::sync::Arc;

use super::blob::Blob;
use super::checkpoint::{Contents, Opaque};
use super::dtype::DType;
use super::error::{Fault, Parse};
use super::flatbuffer::{Buffer, OutOfBounds, Table};
use super::limits;
use super::source::{Source, read_vec};
use super::tensor::{Data, Sink, Tensor, TensorBytes, View};

/// FlatBuffers count in 32 bits with a sign.
const MAX_FILE: u64 = i32::MAX as u64;
/// Networks within a file.
const MAX_GRAPHS: usize = 64;
const IDENTIFIER: &[u8] = b"TFL3";

/// Whether a file begins as TensorFlow Lite files do.
pub fn looks_like(head: &[u8]) -> bool {
    head.get(4..8) == Some(IDENTIFIER)
}

pub fn read(source: &Source) -> Parse<Contents> {
    let size = source.len();
    if size > MAX_FILE {
        return Err(Fault::unsupported(format!(
            "a .tflite file of {size} bytes; at most {MAX_FILE} are read"
        )));
    }
    // Offsets lead anywhere: the file is looked at whole, and let go again.
    let bytes = read_vec(source.as_ref(), 0, size as usize)?;
    if !looks_like(&bytes) {
        return Err(Fault::corrupt(
            "the mark \"TFL3\" of TensorFlow Lite is missing at byte 4",
        ));
    }
    let model = Buffer(&bytes).root().map_err(damaged)?;
    let graphs = tables(&model, "the subgraphs", 2, MAX_GRAPHS)?;
    if graphs.is_empty() {
        return Err(Fault::corrupt("a TensorFlow Lite file without a network"));
    }
    let mut reader = Reader {
        source,
        bytes: &bytes,
        buffers: tables(&model, "the buffers", 4, 2 * limits::MAX_TENSORS)?,
        contents: Contents::default(),
        repeated: HashMap::new(),
        names: 0,
    };
    for (number, graph) in graphs.iter().enumerate() {
        let prefix = match number {
            0 => String::new(),
            number => format!("subgraph{number}."),
        };
        let left = limits::MAX_TENSORS - reader.contents.tensors.len();
        let tensors = tables(graph, "the tensors", 0, left)?;
        for (index, tensor) in tensors.iter().enumerate() {
            reader.tensor(tensor, &prefix, index)?;
        }
    }
    Ok(reader.contents)
}

fn damaged(error: OutOfBounds) -> Fault {
    Fault::corrupt(format!("damaged TensorFlow Lite file: {error}"))
}

/// The tables of a vector that has no more than `most`.
fn tables<'a>(
    table: &Table<'a>,
    what: &'static str,
    index: usize,
    most: usize,
) -> Parse<Vec<Table<'a>>> {
    let count = table.vector(what, index, 4).map_err(damaged)?.len() / 4;
    if count > most {
        return Err(Fault::hostile(format!(
            "{what}: {count}; at most {most} are read"
        )));
    }
    table.tables(what, index).map_err(damaged)
}

fn dtype(code: u8) -> Result<DType, &'static str> {
    Ok(match code {
        0 => DType::F32,
        1 => DType::F16,
        2 => DType::I32,
        3 => DType::U8,
        4 => DType::I64,
        6 => DType::Bool,
        7 => DType::I16,
        8 => DType::C64,
        9 => DType::I8,
        10 => DType::F64,
        11 => DType::C128,
        12 => DType::U64,
        15 => DType::U32,
        16 => DType::U16,
        18 => DType::BF16,
        5 => return Err("TensorFlow Lite strings"),
        13 => return Err("TensorFlow Lite resource"),
        14 => return Err("TensorFlow Lite variant"),
        17 => return Err("TensorFlow Lite int4"),
        _ => return Err("TensorFlow Lite tensor of an unknown type"),
    })
}

struct Reader<'a> {
    source: &'a Source,
    bytes: &'a [u8],
    buffers: Vec<Table<'a>>,
    contents: Contents,
    /// How often each name came that came more than once.
    repeated: HashMap<String, usize>,
    /// Bytes of all names so far.
    names: u64,
}

impl<'a> Reader<'a> {
    /// Takes a tensor, if it is a constant.
    fn tensor(&mut self, table: &Table<'a>, prefix: &str, index: usize) -> Parse<()> {
        let name = name(table, index)?;
        let place = |fault: Fault| fault.within(format_args!("tensor {name:?}"));
        let Some(data) = self.data(table).map_err(place)? else {
            return Ok(());
        };
        let dtype = match dtype(table.u8(1, 0).map_err(damaged)?) {
            Ok(dtype) => dtype,
            Err(class) => return self.opaque(prefix, name, class),
        };
        let shape = shape(table).map_err(place)?;
        let count = limits::elements(&shape).map_err(place)?;
        let bytes = count.checked_mul(dtype.size() as u64);
        let bytes = bytes.ok_or_else(|| place(Fault::hostile("a shape that overflows")))?;
        let data = match table.table("a tensor's sparsity", 6).map_err(damaged)? {
            None if data.len != bytes => {
                let len = data.len;
                return Err(place(Fault::corrupt(format!(
                    "{dtype} {shape:?} takes {bytes} bytes, the file holds {len}"
                ))));
            }
            None => Data::View(View::whole(data)),
            Some(sparsity) => match self.rows(&sparsity, &shape, dtype, data).map_err(place)? {
                Some(rows) => Data::Special(Arc::new(rows)),
                None => return self.opaque(prefix, name, "TensorFlow Lite sparse blocks"),
            },
        };
        let name = self.free_name(format!("{prefix}{name}"));
        self.charge(&name)?;
        self.contents
            .tensors
            .insert(name, Tensor { dtype, shape, data });
        Ok(())
    }

    fn charge(&mut self, name: &str) -> Parse<()> {
        self.names += name.len() as u64;
        limits::check_names(self.source.len(), self.names)
    }

    /// Names need not differ in these files: the second `a` is called `a#2`.
    fn free_name(&mut self, name: String) -> String {
        if !self.contents.tensors.contains_key(&name) {
            return name;
        }
        let count = self.repeated.entry(name.clone()).or_insert(1);
        loop {
            *count += 1;
            let numbered = format!("{name}#{count}");
            if !self.contents.tensors.contains_key(&numbered) {
                return numbered;
            }
        }
    }

    fn opaque(&mut self, prefix: &str, name: String, class: &str) -> Parse<()> {
        self.charge(&name)?;
        self.contents.opaque.push(Opaque {
            path: format!("{prefix}{name}"),
            class: class.to_owned(),
        });
        Ok(())
    }

    /// The bytes of a constant; none for what is only computed.
    fn data(&self, table: &Table<'a>) -> Parse<Option<Blob>> {
        let index = table.i32(2, 0).map_err(damaged)?;
        let buffer = usize::try_from(index)
            .ok()
            .and_then(|index| self.buffers.get(index));
        let buffer = buffer
            .ok_or_else(|| Fault::corrupt(format!("buffer {index} of {}", self.buffers.len())))?;
        // Beyond two gigabytes data lie outside the FlatBuffer, which such files are not.
        let outside = buffer.u64(2, 0).map_err(damaged)?;
        if outside > 1 {
            let offset = buffer.u64(1, 0).map_err(damaged)?;
            return Blob::raw(self.source, offset, outside).map(Some);
        }
        let data = buffer.vector("a buffer", 0, 1).map_err(damaged)?;
        if data.is_empty() {
            return Ok(None);
        }
        self.blob(data).map(Some)
    }

    /// A stretch of the file as bytes on demand.
    fn blob(&self, part: &[u8]) -> Parse<Blob> {
        // A vector that is left out is empty, and not in the file at all.
        let offset = match part {
            [] => 0,
            part => part.as_ptr().addr() - self.bytes.as_ptr().addr(),
        };
        Blob::raw(self.source, offset as u64, part.len() as u64)
    }

    /// Rows of which only some columns are stored, the one sparse form that our files use.
    fn rows(
        &self,
        table: &Table<'a>,
        shape: &[u64],
        dtype: DType,
        values: Blob,
    ) -> Parse<Option<SparseRows>> {
        let order = table.vector("the traversal order", 0, 4).map_err(damaged)?;
        let mut expected = (0..shape.len()).flat_map(|axis| (axis as u32).to_le_bytes());
        let dims = tables(table, "the dimensions", 2, 2 * limits::MAX_DIMS)?;
        let plain =
            order.len() == 4 * shape.len() && order.iter().all(|&b| expected.next() == Some(b));
        let (Some((last, dense)), Some((&columns, outer))) =
            (dims.split_last(), shape.split_last())
        else {
            return Ok(None);
        };
        if !plain || dense.len() != outer.len() {
            return Ok(None);
        }
        for (dim, &size) in dense.iter().zip(outer) {
            let kept = dim.u8(0, 0).map_err(damaged)? == 0;
            if !kept || i64::from(dim.i32(1, 0).map_err(damaged)?) != size as i64 {
                return Ok(None);
            }
        }
        if last.u8(0, 0).map_err(damaged)? != 1 {
            return Ok(None);
        }
        let rows = SparseRows {
            rows: limits::elements(outer)?,
            columns,
            size: dtype.size(),
            ends: self.indices(last, 2)?,
            places: self.indices(last, 4)?,
            values,
        };
        rows.check()?;
        Ok(Some(rows))
    }

    /// A union of vectors of int32, uint16 or uint8: its type at `field`, its table one after.
    fn indices(&self, table: &Table<'a>, field: usize) -> Parse<Indices> {
        let width = match table.u8(field, 0).map_err(damaged)? {
            1 => 4,
            2 => 2,
            3 => 1,
            other => return Err(Fault::corrupt(format!("sparse indices of type {other}"))),
        };
        let vector = table.table("sparse indices", field + 1).map_err(damaged)?;
        let vector = vector.ok_or_else(|| Fault::corrupt("sparse indices that are not there"))?;
        let bytes = vector.vector("sparse indices", 0, width).map_err(damaged)?;
        Ok(Indices {
            blob: self.blob(bytes)?,
            width,
        })
    }
}

/// A tensor's name; its number where it has none.
fn name(table: &Table, index: usize) -> Parse<String> {
    let bytes = table.vector("a tensor's name", 3, 1).map_err(damaged)?;
    if bytes.len() > limits::MAX_NAME {
        return Err(Fault::hostile(format!(
            "a tensor's name of {} bytes",
            bytes.len()
        )));
    }
    Ok(match bytes {
        [] => format!("tensor{index}"),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    })
}

fn shape(table: &Table) -> Parse<Vec<u64>> {
    let bytes = table.vector("a tensor's shape", 0, 4).map_err(damaged)?;
    if bytes.len() / 4 > limits::MAX_DIMS {
        return Err(Fault::hostile(format!("{} dimensions", bytes.len() / 4)));
    }
    let sizes = bytes
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let size = |n: i32| u64::try_from(n).map_err(|_| Fault::corrupt(format!("a size of {n}")));
    sizes.map(size).collect()
}

/// Numbers of one, two or four bytes.
struct Indices {
    blob: Blob,
    width: usize,
}

impl Indices {
    fn len(&self) -> u64 {
        self.blob.len / self.width as u64
    }

    fn read(&self) -> Parse<Vec<u8>> {
        self.blob.read(self.blob.len)
    }

    /// The number at an index of what [`Indices::read`] gave.
    fn at(&self, bytes: &[u8], index: u64) -> Option<u64> {
        let start = usize::try_from(index).ok()?.checked_mul(self.width)?;
        let bytes = bytes.get(start..start + self.width)?;
        Some(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }
}

/// Rows of which only some columns are stored.
struct SparseRows {
    rows: u64,
    columns: u64,
    /// Bytes of an element.
    size: usize,
    /// Where each row begins among the stored values, and where the last one ends.
    ends: Indices,
    /// The column of each stored value.
    places: Indices,
    values: Blob,
}

impl SparseRows {
    fn check(&self) -> Parse<()> {
        let stored = self.values.len / self.size as u64;
        if self.ends.len() != self.rows + 1 || self.places.len() != stored {
            return Err(contradiction());
        }
        let dense = self
            .rows
            .saturating_mul(self.columns)
            .saturating_mul(self.size as u64);
        let held = self.values.len + self.ends.blob.len + self.places.blob.len;
        limits::check_expansion(held, dense)
    }

    /// Puts the stored values of a row where they belong.
    fn fill(&self, parts: &Parts, number: u64, row: &mut [u8]) -> Option<()> {
        let start = self.ends.at(&parts.ends, number)?;
        let end = self.ends.at(&parts.ends, number + 1)?;
        if end < start || end > self.places.len() {
            return None;
        }
        for at in start..end {
            let place = self.places.at(&parts.places, at)?;
            let to = usize::try_from(place).ok()?.checked_mul(self.size)?;
            let from = at as usize * self.size;
            let value = parts.values.get(from..from + self.size)?;
            row.get_mut(to..to + self.size)?.copy_from_slice(value);
        }
        Some(())
    }
}

fn contradiction() -> Fault {
    Fault::corrupt("a sparse tensor that contradicts itself")
}

/// What is stored of a sparse tensor, in memory.
struct Parts {
    ends: Vec<u8>,
    places: Vec<u8>,
    values: Vec<u8>,
}

impl TensorBytes for SparseRows {
    fn stream(&self, sink: &mut Sink) -> Parse<()> {
        let parts = Parts {
            ends: self.ends.read()?,
            places: self.places.read()?,
            values: self.values.read(self.values.len)?,
        };
        let width = self.columns as usize * self.size;
        if width == 0 {
            return Ok(());
        }
        // Several rows at once, so that short ones are no burden.
        let each = (limits::PIECE / width).max(1) as u64;
        let mut piece = Vec::new();
        let mut first = 0;
        while first < self.rows {
            let count = each.min(self.rows - first);
            piece.clear();
            piece.resize(width * count as usize, 0);
            for (number, row) in (first..).zip(piece.chunks_exact_mut(width)) {
                self.fill(&parts, number, row).ok_or_else(contradiction)?;
            }
            sink(&piece)?;
            first += count;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tflite_weights_tests.rs"]
mod tests;
