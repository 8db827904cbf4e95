//! Writes a pickle: one dict of names and numpy arrays, as Python's `pickle.load` reads it.
//!
//! Protocol 4, which Python 3.4 and later read. Arrays are what `ndarray.__reduce__` gives; the
//! function is named by its numpy 1 path, which numpy 2 still knows.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::super::limits::PIECE;
use super::super::pickle::opcodes::Op;
use super::{Entry, Feed};

/// Numbers in the pickle's memo.
const RECONSTRUCT: u8 = 0;
const NDARRAY: u8 = 1;
const DTYPE: u8 = 2;
/// `((0,), b'b')` without the class: the arguments that every array shares.
const ARGS: u8 = 3;
/// The types follow, one number for each of [`DType::ALL`].
const FIRST_TYPE: u8 = 4;

/// Writes all `tensors`, asking `feed` for their bytes.
///
/// Refuses types that numpy does not have (bfloat16, 8-bit floats) before anything is written.
pub fn write(out: &mut File, tensors: &[Entry], feed: &mut Feed) -> Parse<()> {
    for entry in tensors {
        code(entry)?;
    }
    let mut writer = Writer {
        out: BufWriter::with_capacity(PIECE, out),
        typed: [false; DType::ALL.len()],
    };
    writer.begin()?;
    for (index, entry) in tensors.iter().enumerate() {
        let place = |fault: Fault| fault.within(format_args!("tensor {:?}", entry.name));
        writer.array(index, entry, feed).map_err(place)?;
    }
    writer.put(&[Op::Stop.byte()])?;
    writer.out.flush()?;
    Ok(())
}

struct Writer<'a> {
    out: BufWriter<&'a mut File>,
    /// Which types are in the memo already.
    typed: [bool; DType::ALL.len()],
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Parse<()> {
        self.out.write_all(bytes)?;
        Ok(())
    }

    fn op(&mut self, op: Op) -> Parse<()> {
        self.put(&[op.byte()])
    }

    /// Puts the top of the stack into the memo.
    fn remember(&mut self, number: u8) -> Parse<()> {
        self.put(&[Op::BinPut.byte(), number])
    }

    fn recall(&mut self, number: u8) -> Parse<()> {
        self.put(&[Op::BinGet.byte(), number])
    }

    fn text(&mut self, text: &str) -> Parse<()> {
        let len = u32::try_from(text.len())
            .map_err(|_| Fault::unsupported("a name of more than 4 GiB"))?;
        self.op(Op::BinUnicode)?;
        self.put(&len.to_le_bytes())?;
        self.put(text.as_bytes())
    }

    fn int(&mut self, n: u64) -> Parse<()> {
        match n {
            0..=0xff => self.put(&[Op::BinInt1.byte(), n as u8]),
            _ => {
                // A zero byte on top keeps it positive.
                self.put(&[Op::Long1.byte(), 9])?;
                self.put(&n.to_le_bytes())?;
                self.put(&[0])
            }
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Parse<()> {
        self.text(module)?;
        self.text(name)?;
        self.op(Op::StackGlobal)
    }

    /// The dict, and what all arrays share.
    fn begin(&mut self) -> Parse<()> {
        self.put(&[Op::Proto.byte(), 4])?;
        self.global("numpy.core.multiarray", "_reconstruct")?;
        self.remember(RECONSTRUCT)?;
        self.global("numpy", "ndarray")?;
        self.remember(NDARRAY)?;
        self.global("numpy", "dtype")?;
        self.remember(DTYPE)?;
        self.recall(NDARRAY)?;
        self.int(0)?;
        self.op(Op::Tuple1)?;
        self.put(&[Op::ShortBinBytes.byte(), 1, b'b'])?;
        self.op(Op::Tuple3)?;
        self.remember(ARGS)?;
        for _ in 0..4 {
            self.op(Op::Pop)?;
        }
        self.op(Op::EmptyDict)
    }

    /// `name: _reconstruct(ndarray, (0,), b'b')` with its state, set in the dict.
    fn array(&mut self, index: usize, entry: &Entry, feed: &mut Feed) -> Parse<()> {
        self.text(&entry.name)?;
        self.recall(RECONSTRUCT)?;
        self.recall(ARGS)?;
        self.op(Op::Reduce)?;
        self.op(Op::Mark)?;
        self.int(1)?;
        self.op(Op::Mark)?;
        for &size in &entry.shape {
            self.int(size)?;
        }
        self.op(Op::Tuple)?;
        self.dtype(entry)?;
        self.op(Op::NewFalse)?;
        self.data(index, entry, feed)?;
        self.op(Op::Tuple)?;
        self.op(Op::Build)?;
        self.op(Op::SetItem)
    }

    /// `dtype('f4', False, True)` with the state `(3, '<', None, None, None, -1, -1, 0)`.
    fn dtype(&mut self, entry: &Entry) -> Parse<()> {
        let position = DType::ALL.iter().position(|&known| known == entry.dtype);
        let number = position.unwrap_or_default();
        if self.typed.get(number) == Some(&true) {
            return self.recall(FIRST_TYPE + number as u8);
        }
        self.recall(DTYPE)?;
        self.text(code(entry)?)?;
        self.op(Op::NewFalse)?;
        self.op(Op::NewTrue)?;
        self.op(Op::Tuple3)?;
        self.op(Op::Reduce)?;
        self.op(Op::Mark)?;
        self.int(3)?;
        self.text(if entry.dtype.word() > 1 { "<" } else { "|" })?;
        for _ in 0..3 {
            self.op(Op::None)?;
        }
        for number in [-1_i32, -1, 0] {
            self.op(Op::BinInt)?;
            self.put(&number.to_le_bytes())?;
        }
        self.op(Op::Tuple)?;
        self.op(Op::Build)?;
        self.remember(FIRST_TYPE + number as u8)?;
        if let Some(typed) = self.typed.get_mut(number) {
            *typed = true;
        }
        Ok(())
    }

    fn data(&mut self, index: usize, entry: &Entry, feed: &mut Feed) -> Parse<()> {
        let size = entry.dtype.size() as u64;
        let len = entry.shape.iter().try_fold(size, |n, &d| n.checked_mul(d));
        let len = len.ok_or_else(|| Fault::unsupported("a shape that overflows"))?;
        match u32::try_from(len) {
            Ok(len) => {
                self.op(Op::BinBytes)?;
                self.put(&len.to_le_bytes())?;
            }
            Err(_) => {
                self.op(Op::BinBytes8)?;
                self.put(&len.to_le_bytes())?;
            }
        }
        let mut written = 0_u64;
        feed(index, &mut |piece| {
            written += piece.len() as u64;
            self.out.write_all(piece)?;
            Ok(())
        })?;
        match written == len {
            true => Ok(()),
            false => Err(Fault::corrupt(format!(
                "{written} bytes came where {len} were announced"
            ))),
        }
    }
}

/// numpy's code for the type.
fn code(entry: &Entry) -> Parse<&'static str> {
    Ok(match entry.dtype {
        DType::Bool => "b1",
        DType::U8 => "u1",
        DType::I8 => "i1",
        DType::U16 => "u2",
        DType::I16 => "i2",
        DType::U32 => "u4",
        DType::I32 => "i4",
        DType::U64 => "u8",
        DType::I64 => "i8",
        DType::F16 => "f2",
        DType::F32 => "f4",
        DType::F64 => "f8",
        DType::C64 => "c8",
        DType::C128 => "c16",
        other @ (DType::BF16 | DType::F8E4M3 | DType::F8E5M2) => {
            return Err(Fault::unsupported(format!(
                "tensor {:?} is {other}, a type numpy does not have, so a .pkl cannot hold it; \
                 choose a dtype (float32 or float16), or write .safetensors, .pt or .h5",
                entry.name
            )));
        }
    })
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
