//! Reading FlatBuffers tables from an untrusted slice: every offset is checked before it is followed.

/// The bytes do not form the table that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} lies outside the file (offset {offset}, length {length} of {size} bytes)")]
pub struct OutOfBounds {
    pub what: &'static str,
    pub offset: usize,
    pub length: usize,
    pub size: usize,
}

type Result<T> = std::result::Result<T, OutOfBounds>;

/// A whole FlatBuffers file.
#[derive(Clone, Copy)]
pub struct Buffer<'a>(pub &'a [u8]);

impl<'a> Buffer<'a> {
    fn bytes(&self, what: &'static str, offset: usize, length: usize) -> Result<&'a [u8]> {
        offset
            .checked_add(length)
            .and_then(|end| self.0.get(offset..end))
            .ok_or(OutOfBounds {
                what,
                offset,
                length,
                size: self.0.len(),
            })
    }

    fn u16(&self, what: &'static str, offset: usize) -> Result<u16> {
        let b = self.bytes(what, offset, 2)?;
        Ok(u16::from_le_bytes([b[0], b[1]]))
    }

    fn u32(&self, what: &'static str, offset: usize) -> Result<u32> {
        let b = self.bytes(what, offset, 4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// The root table.
    pub fn root(self) -> Result<Table<'a>> {
        let at = self.u32("the root offset", 0)? as usize;
        Table::at(self, "the root table", at)
    }
}

/// A table: fields by their number in the schema.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    buffer: Buffer<'a>,
    at: usize,
    vtable: usize,
    fields: usize,
}

impl<'a> Table<'a> {
    fn at(buffer: Buffer<'a>, what: &'static str, at: usize) -> Result<Self> {
        let back = buffer.u32(what, at)? as i32;
        let vtable = (at as i64 - i64::from(back))
            .try_into()
            .unwrap_or(usize::MAX);
        let size = usize::from(buffer.u16(what, vtable)?);
        buffer.bytes(what, vtable, size)?;
        Ok(Self {
            buffer,
            at,
            vtable,
            fields: size.saturating_sub(4) / 2,
        })
    }

    /// Absolute offset of a field; `None` where the file leaves it at its default.
    fn field(&self, index: usize) -> Result<Option<usize>> {
        if index >= self.fields {
            return Ok(None);
        }
        let offset = self
            .buffer
            .u16("a table's field list", self.vtable + 4 + 2 * index)?;
        Ok((offset != 0).then(|| self.at + usize::from(offset)))
    }

    fn pointer(&self, what: &'static str, index: usize) -> Result<Option<usize>> {
        let Some(at) = self.field(index)? else {
            return Ok(None);
        };
        Ok(Some(at + self.buffer.u32(what, at)? as usize))
    }

    pub fn u8(&self, index: usize, default: u8) -> Result<u8> {
        match self.field(index)? {
            Some(at) => Ok(self.buffer.bytes("a byte field", at, 1)?[0]),
            None => Ok(default),
        }
    }

    pub fn i32(&self, index: usize, default: i32) -> Result<i32> {
        match self.field(index)? {
            Some(at) => Ok(self.buffer.u32("an integer field", at)? as i32),
            None => Ok(default),
        }
    }

    pub fn u64(&self, index: usize, default: u64) -> Result<u64> {
        let Some(at) = self.field(index)? else {
            return Ok(default);
        };
        let bytes = self.buffer.bytes("an integer field", at, 8)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    pub fn table(&self, what: &'static str, index: usize) -> Result<Option<Table<'a>>> {
        self.pointer(what, index)?
            .map(|at| Table::at(self.buffer, what, at))
            .transpose()
    }

    /// A vector's elements as raw bytes; empty where the field is left out.
    pub fn vector(&self, what: &'static str, index: usize, item: usize) -> Result<&'a [u8]> {
        let Some(at) = self.pointer(what, index)? else {
            return Ok(&[]);
        };
        let length = self.buffer.u32(what, at)? as usize;
        self.buffer.bytes(what, at + 4, length.saturating_mul(item))
    }

    pub fn i32s(&self, what: &'static str, index: usize) -> Result<Vec<i32>> {
        let bytes = self.vector(what, index, 4)?;
        Ok(bytes
            .chunks_exact(4)
            .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect())
    }

    pub fn string(&self, what: &'static str, index: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(self.vector(what, index, 1)?).into_owned())
    }

    pub fn tables(&self, what: &'static str, index: usize) -> Result<Vec<Table<'a>>> {
        let Some(at) = self.pointer(what, index)? else {
            return Ok(Vec::new());
        };
        let length = self.vector(what, index, 4)?.len() / 4;
        (0..length)
            .map(|i| {
                let slot = at + 4 + 4 * i;
                let target = slot + self.buffer.u32(what, slot)? as usize;
                Table::at(self.buffer, what, target)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose root table has one field: the integer 7.
    fn tiny() -> Vec<u8> {
        let mut file = vec![12, 0, 0, 0]; // root at 12
        file.extend([6, 0, 8, 0, 4, 0, 0, 0]); // vtable: 6 bytes, table of 8, field 0 at +4
        file.extend([8, 0, 0, 0, 7, 0, 0, 0]); // table: vtable 8 back, the field
        file
    }

    #[test]
    fn reads_a_field_and_defaults() {
        let file = tiny();
        let root = Buffer(&file).root().unwrap();
        assert_eq!(root.i32(0, 1).unwrap(), 7);
        assert_eq!(root.i32(3, 42).unwrap(), 42);
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_survived() {
        let file = tiny();
        for cut in 0..file.len() {
            let _ = Buffer(&file[..cut]).root().and_then(|t| t.i32(0, 0));
        }
        for at in 0..file.len() {
            for value in [0, 1, 127, 128, 255] {
                let mut bad = file.clone();
                bad[at] = value;
                if let Ok(table) = Buffer(&bad).root() {
                    let _ = table.i32(0, 0);
                    let _ = table.tables("t", 0);
                    let _ = table.string("s", 0);
                }
            }
        }
    }
}
