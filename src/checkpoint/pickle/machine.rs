//! The pickle machine: reads opcode after opcode and builds a graph; it makes and runs nothing.
//!
//! Source: CPython's `Modules/_pickle.c`, 3.14, whose behaviour is kept where it does not run code.

use super::super::error::{Fault, Parse};
use super::super::source::Source;
use super::arena::{Arena, EMPTY_TUPLE, FALSE, NONE, TRUE};
use super::input::Input;
use super::memo::Memo;
use super::opcodes::Op;
use super::value::{Id, Pickle, Value};

/// Most instructions run: a few for every value that fits in memory.
const MAX_STEPS: u64 = 1 << 24;
/// The newest protocol there is.
const MAX_PROTOCOL: u8 = 5;

/// Reads one pickle between `start` and `end` of `source`, to its STOP.
pub fn parse(source: &Source, start: u64, end: u64) -> Parse<Pickle> {
    let mut machine = Machine {
        input: Input::new(source, start, end)?,
        arena: Arena::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Memo::default(),
        counted: 0,
    };
    let root = machine.run().map_err(|fault| machine.explain(fault))?;
    let end = machine.input.position();
    Ok(Pickle {
        root,
        end,
        ..machine.arena.pickle
    })
}

/// The machine's state.
pub(super) struct Machine {
    pub input: Input,
    pub arena: Arena,
    stack: Vec<Id>,
    /// Heights of the stack at each open MARK.
    marks: Vec<usize>,
    memo: Memo,
    /// Bytes of stack, marks and memo already counted.
    counted: usize,
}

impl Machine {
    fn run(&mut self) -> Parse<Id> {
        let mut steps = 0_u64;
        loop {
            let at = self.input.position();
            let byte = self.input.byte()?;
            let op = Op::from_byte(byte).ok_or_else(|| {
                Fault::corrupt(format!(
                    "unknown pickle opcode 0x{byte:02x} at byte {at}; this is no pickle, or a damaged one"
                ))
            })?;
            let place = |fault: Fault| fault.within(format_args!("{} at byte {at}", op.name()));
            if op == Op::Stop {
                return self.pop().map_err(place);
            }
            self.step(op).map_err(place)?;
            steps += 1;
            if steps > MAX_STEPS {
                return Err(Fault::hostile(format!(
                    "more than {MAX_STEPS} instructions before byte {at}"
                )));
            }
            if steps.is_multiple_of(256) {
                self.count()?;
            }
        }
    }

    /// Names a program whose files look like pickles and are none.
    fn explain(&self, fault: Fault) -> Fault {
        let mut globals = self.arena.pickle.globals.iter();
        match globals.any(|global| global.module == "joblib.numpy_pickle") {
            true => Fault::unsupported(
                "it was written by joblib, which puts arrays between the pickle's instructions; \
                 load it in Python and save it with pickle, torch or safetensors",
            ),
            false => fault,
        }
    }

    /// Counts what stack, marks and memo have taken.
    fn count(&mut self) -> Parse<()> {
        let bytes = self.stack.capacity() * 4 + self.marks.capacity() * 8 + self.memo.bytes();
        if bytes > self.counted {
            self.arena.spend(bytes - self.counted)?;
            self.counted = bytes;
        }
        Ok(())
    }

    fn step(&mut self, op: Op) -> Parse<()> {
        match op {
            Op::Mark => self.marks.push(self.stack.len()),
            Op::Pop => self.pop_or_mark()?,
            Op::PopMark => {
                let from = self.pop_mark()?;
                self.stack.truncate(from);
            }
            Op::Dup => {
                let top = self.top()?;
                self.stack.push(top);
            }
            Op::None => self.stack.push(NONE),
            Op::NewTrue => self.stack.push(TRUE),
            Op::NewFalse => self.stack.push(FALSE),
            Op::EmptyTuple => self.stack.push(EMPTY_TUPLE),
            Op::Proto => self.protocol()?,
            Op::Frame => {
                let len = u64::from_le_bytes(self.input.array()?);
                self.input.expect(len)?;
            }
            Op::Stop => {}
            Op::Put | Op::BinPut | Op::LongBinPut | Op::Memoize => self.memoize(op)?,
            Op::Get | Op::BinGet | Op::LongBinGet => self.recall(op)?,
            _ => return self.step_value(op),
        }
        Ok(())
    }

    fn step_value(&mut self, op: Op) -> Parse<()> {
        match op {
            Op::Int | Op::Long | Op::Float => self.number_line(op),
            Op::BinInt | Op::BinInt1 | Op::BinInt2 | Op::Long1 | Op::Long4 | Op::BinFloat => {
                self.number(op)
            }
            Op::String | Op::Unicode => self.string_line(op),
            Op::BinString
            | Op::ShortBinString
            | Op::BinUnicode
            | Op::ShortBinUnicode
            | Op::BinUnicode8
            | Op::BinBytes
            | Op::ShortBinBytes
            | Op::BinBytes8
            | Op::ByteArray8 => self.string(op),
            Op::NextBuffer | Op::ReadonlyBuffer => self.buffer(op),
            Op::EmptyList | Op::EmptyDict | Op::EmptySet => self.empty(op),
            Op::Tuple | Op::List | Op::Dict | Op::FrozenSet => self.collect(op),
            Op::Tuple1 => self.tuple(1),
            Op::Tuple2 => self.tuple(2),
            Op::Tuple3 => self.tuple(3),
            Op::Append | Op::Appends | Op::AddItems => self.append(op),
            Op::SetItem | Op::SetItems => self.set(op),
            _ => self.object(op),
        }
    }

    /// The stack's height below which nothing may be taken.
    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn underflow(&self) -> Fault {
        let above = if self.marks.is_empty() {
            ""
        } else {
            " above its MARK"
        };
        Fault::corrupt(format!("the stack is empty{above}; the pickle is damaged"))
    }

    pub fn push(&mut self, id: Id) {
        self.stack.push(id);
    }

    /// Makes `value` and pushes it.
    pub fn push_new(&mut self, value: Value) -> Parse<()> {
        let id = self.arena.push(value)?;
        self.stack.push(id);
        Ok(())
    }

    pub fn pop(&mut self) -> Parse<Id> {
        if self.stack.len() <= self.fence() {
            return Err(self.underflow());
        }
        self.stack.pop().ok_or_else(|| self.underflow())
    }

    pub fn top(&self) -> Parse<Id> {
        if self.stack.len() <= self.fence() {
            return Err(self.underflow());
        }
        self.stack.last().copied().ok_or_else(|| self.underflow())
    }

    /// Takes the last MARK away; the values above it begin at the height given.
    fn pop_mark(&mut self) -> Parse<usize> {
        self.marks
            .pop()
            .ok_or_else(|| Fault::corrupt("no MARK is on the stack; the pickle is damaged"))
    }

    /// Takes the values above the last MARK, and the MARK.
    pub fn pop_to_mark(&mut self) -> Parse<Vec<Id>> {
        let from = self.pop_mark()?;
        Ok(self.stack.split_off(from.min(self.stack.len())))
    }

    /// The `N` uppermost values, the uppermost last.
    pub fn pop_array<const N: usize>(&mut self) -> Parse<[Id; N]> {
        let mut ids = [NONE; N];
        for id in ids.iter_mut().rev() {
            *id = self.pop()?;
        }
        Ok(ids)
    }

    fn pop_or_mark(&mut self) -> Parse<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }

    fn protocol(&mut self) -> Parse<()> {
        let version = self.input.byte()?;
        if version > MAX_PROTOCOL {
            return Err(Fault::unsupported(format!(
                "pickle protocol {version}; 0 to {MAX_PROTOCOL} are read"
            )));
        }
        Ok(())
    }

    fn memoize(&mut self, op: Op) -> Parse<()> {
        let index = match op {
            Op::Memoize => self.memo.len(),
            _ => self.memo_index(op)?,
        };
        let top = self.top()?;
        self.memo.put(index, top);
        Ok(())
    }

    fn recall(&mut self, op: Op) -> Parse<()> {
        let index = self.memo_index(op)?;
        let id = self.memo.get(index).ok_or_else(|| {
            Fault::corrupt(format!(
                "the memo holds nothing under {index}; the pickle is damaged"
            ))
        })?;
        self.stack.push(id);
        Ok(())
    }

    fn memo_index(&mut self, op: Op) -> Parse<u64> {
        Ok(match op {
            Op::BinPut | Op::BinGet => u64::from(self.input.byte()?),
            Op::LongBinPut | Op::LongBinGet => u64::from(u32::from_le_bytes(self.input.array()?)),
            _ => {
                let line = self.input.short_line(32)?;
                let text = String::from_utf8_lossy(&line);
                text.trim().parse().map_err(|_| {
                    Fault::corrupt(format!("{text:?} where a memo's number is expected"))
                })?
            }
        })
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
