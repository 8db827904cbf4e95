//! Opcodes that push numbers, strings and containers.

use super::super::error::{Fault, Parse};
use super::arena::{FALSE, TRUE, is_held};
use super::machine::Machine;
use super::opcodes::Op;
use super::text;
use super::value::{Coding, Id, Run, Value};

/// Python refuses longer numbers in decimal, too.
const MAX_DIGITS: u64 = 4300;
/// Longest integer held in memory, bytes.
const MAX_BIG: u64 = 64;

impl Machine {
    /// Numbers as text, one to a line (protocol 0).
    pub(super) fn number_line(&mut self, op: Op) -> Parse<()> {
        let start = self.input.position();
        let line = self.input.short_line(MAX_DIGITS)?;
        let text = String::from_utf8_lossy(&line);
        let bad = || Fault::corrupt(format!("{text:?} where a number is expected"));
        let text = text.trim();
        match (op, text) {
            (Op::Int, "00") => self.push(FALSE),
            (Op::Int, "01") => self.push(TRUE),
            (Op::Float, _) => {
                let value = text.parse().map_err(|_| bad())?;
                self.push_new(Value::Float(value))?;
            }
            _ => {
                let digits = text.strip_suffix('L').filter(|_| op == Op::Long);
                let digits = digits.unwrap_or(text);
                if !is_decimal(digits) {
                    return Err(bad());
                }
                match digits.parse() {
                    Ok(n) => self.push_int(n)?,
                    Err(_) => {
                        let bytes = decimal_bytes(digits);
                        let run = self.arena.run(
                            start,
                            line.len() as u64,
                            Coding::Raw,
                            bytes.as_deref(),
                        )?;
                        self.push_new(Value::Big(run))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Numbers in binary.
    pub(super) fn number(&mut self, op: Op) -> Parse<()> {
        match op {
            Op::BinInt => {
                let n = i32::from_le_bytes(self.input.array()?);
                self.push_int(i64::from(n))
            }
            Op::BinInt1 => {
                let n = self.input.byte()?;
                self.push_int(i64::from(n))
            }
            Op::BinInt2 => {
                let n = u16::from_le_bytes(self.input.array()?);
                self.push_int(i64::from(n))
            }
            Op::BinFloat => {
                let value = f64::from_be_bytes(self.input.array()?);
                self.push_new(Value::Float(value))
            }
            Op::Long1 => {
                let len = self.input.byte()?;
                self.long(u64::from(len))
            }
            _ => {
                let len = i32::from_le_bytes(self.input.array()?);
                let len = u64::try_from(len).map_err(|_| negative("an integer", len))?;
                self.long(len)
            }
        }
    }

    fn push_int(&mut self, n: i64) -> Parse<()> {
        let id = self.arena.int(n)?;
        self.push(id);
        Ok(())
    }

    /// An integer in two's complement, little-endian.
    fn long(&mut self, len: u64) -> Parse<()> {
        let start = self.input.skip(len)?;
        if len > MAX_BIG {
            let run = self.arena.run(start, len, Coding::Raw, None)?;
            return self.push_new(Value::Big(run));
        }
        let mut bytes = self.input.again(start, len as usize)?;
        shorten(&mut bytes);
        if bytes.len() <= 8 {
            let fill = if bytes.last().is_some_and(|&top| top >= 0x80) {
                0xff
            } else {
                0
            };
            let mut wide = [fill; 8];
            wide.iter_mut()
                .zip(&bytes)
                .for_each(|(to, &from)| *to = from);
            return self.push_int(i64::from_le_bytes(wide));
        }
        let run = self.arena.run(start, len, Coding::Raw, Some(&bytes))?;
        self.push_new(Value::Big(run))
    }

    /// Strings with a length before them.
    pub(super) fn string(&mut self, op: Op) -> Parse<()> {
        let len = match op {
            Op::ShortBinString | Op::ShortBinBytes | Op::ShortBinUnicode => {
                u64::from(self.input.byte()?)
            }
            Op::BinString => {
                let len = i32::from_le_bytes(self.input.array()?);
                u64::try_from(len).map_err(|_| negative("a string", len))?
            }
            Op::BinUnicode | Op::BinBytes => u64::from(u32::from_le_bytes(self.input.array()?)),
            _ => u64::from_le_bytes(self.input.array()?),
        };
        let start = self.input.skip(len)?;
        let value = match op {
            Op::BinString | Op::ShortBinString => Value::Str(self.text(start, len, Coding::Raw)?),
            Op::BinUnicode | Op::ShortBinUnicode | Op::BinUnicode8 => {
                Value::Text(self.text(start, len, Coding::Utf8)?)
            }
            _ => {
                let bytes = match is_held(false, len) {
                    true => Some(self.input.again(start, len as usize)?),
                    false => None,
                };
                Value::Bytes(self.arena.run(start, len, Coding::Raw, bytes.as_deref())?)
            }
        };
        self.push_new(value)
    }

    /// Strings that end with their line (protocol 0).
    pub(super) fn string_line(&mut self, op: Op) -> Parse<()> {
        let (start, len) = self.input.line()?;
        if op == Op::Unicode {
            let run = self.text(start, len, Coding::RawUnicode)?;
            return self.push_new(Value::Text(run));
        }
        let unquoted = || Fault::corrupt("a string without quotes around it");
        let inner = len.checked_sub(2).ok_or_else(unquoted)?;
        let open = self.input.again(start, 1)?;
        let close = self.input.again(start + len - 1, 1)?;
        if open != close || !matches!(open.as_slice(), b"'" | b"\"") {
            return Err(unquoted());
        }
        let run = self.text(start + 1, inner, Coding::Escaped)?;
        self.push_new(Value::Str(run))
    }

    /// Text as a run, decoded when it is short.
    pub(super) fn text(&mut self, start: u64, len: u64, coding: Coding) -> Parse<Run> {
        if !is_held(true, len) {
            return self.arena.run(start, len, coding, None);
        }
        let bytes = self.input.again(start, len as usize)?;
        let decoded = text::decode(bytes, coding)?;
        self.arena.run(start, len, coding, Some(&decoded))
    }

    /// Buffers that are not in the file cannot be read; those that are may be made read-only.
    pub(super) fn buffer(&mut self, op: Op) -> Parse<()> {
        if op == Op::NextBuffer {
            return Err(Fault::unsupported(
                "its arrays were kept outside the pickle (out-of-band buffers) and are not in this file",
            ));
        }
        match self.arena.pickle.value(self.top()?) {
            Value::Bytes(_) | Value::Str(_) | Value::Object(_) => Ok(()),
            other => Err(Fault::corrupt(format!("{} is no buffer", other.kind()))),
        }
    }

    pub(super) fn empty(&mut self, op: Op) -> Parse<()> {
        self.push_new(match op {
            Op::EmptyList => Value::List(Vec::new()),
            Op::EmptySet => Value::Set(Vec::new()),
            _ => Value::Dict(Vec::new()),
        })
    }

    /// Containers of everything above the last MARK.
    pub(super) fn collect(&mut self, op: Op) -> Parse<()> {
        let items = self.pop_to_mark()?;
        let value = match op {
            Op::Tuple if items.is_empty() => {
                self.push(super::arena::EMPTY_TUPLE);
                return Ok(());
            }
            Op::Tuple => Value::Tuple(items.into()),
            Op::FrozenSet => Value::FrozenSet(items.into()),
            Op::List => Value::List(items),
            _ => Value::Dict(paired(&items)?),
        };
        self.push_new(value)
    }

    pub(super) fn tuple(&mut self, len: usize) -> Parse<()> {
        let mut items = vec![0; len];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push_new(Value::Tuple(items.into()))
    }

    pub(super) fn append(&mut self, op: Op) -> Parse<()> {
        let items = match op {
            Op::Append => vec![self.pop()?],
            _ => self.pop_to_mark()?,
        };
        let list = self.top()?;
        let fits = match self.arena.pickle.value(list) {
            Value::List(_) => op != Op::AddItems,
            Value::Set(_) => op == Op::AddItems,
            _ => true,
        };
        if !fits {
            let kind = self.arena.pickle.value(list).kind();
            return Err(Fault::corrupt(format!("Python does not do this to {kind}")));
        }
        self.arena.extend(list, &items)
    }

    pub(super) fn set(&mut self, op: Op) -> Parse<()> {
        let pairs = match op {
            Op::SetItem => self
                .pop_array::<2>()
                .map(|[key, value]| vec![(key, value)])?,
            _ => paired(&self.pop_to_mark()?)?,
        };
        let dict = self.top()?;
        self.arena.set(dict, &pairs)
    }
}

fn paired(items: &[Id]) -> Parse<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::corrupt(
            "a key without a value; the pickle is damaged",
        ));
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn negative(what: &str, len: i32) -> Fault {
    Fault::corrupt(format!("{what} of {len} bytes; the pickle is damaged"))
}

/// Digits with an optional sign, as Python writes them.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain && (digits.len() == 1 || !digits.starts_with('0'))
}

/// Two's complement, little-endian, of a decimal number; `None` when it is long.
fn decimal_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_start_matches(['-', '+']);
    let mut bytes = vec![0_u8; MAX_BIG as usize];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut bytes {
            let value = u32::from(*byte) * 10 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry > 0 {
            return None;
        }
    }
    if text.starts_with('-') {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    shorten(&mut bytes);
    Some(bytes)
}

/// Drops bytes on top that only repeat the sign.
fn shorten(bytes: &mut Vec<u8>) {
    while let [.., next, last @ (0 | 0xff)] = **bytes
        && (next >= 0x80) == (last == 0xff)
    {
        bytes.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_decimals() {
        let bytes = |text| decimal_bytes(text).unwrap();
        assert_eq!(bytes("256"), [0, 1]);
        assert_eq!(bytes("255"), [255, 0]);
        assert_eq!(bytes("-1"), [255]);
        assert_eq!(bytes("-129"), [0x7f, 0xff]);
        // torch's magic number.
        assert_eq!(
            bytes("119547037146038801333356"),
            [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
        );
        assert_eq!(decimal_bytes(&"9".repeat(200)), None);
    }
}
