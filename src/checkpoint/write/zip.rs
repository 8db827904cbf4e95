//! Writes zip archives of stored members, aligned as PyTorch wants them.
//!
//! Source: PKWARE APPNOTE 6.3.10; alignment by an extra field `FB` as in PyTorch's
//! `caffe2/serialize/inline_container.cc` (v2.11).

use std::io::Write;

use super::Output;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::tensor::Sink;

/// Members' data begin at multiples of this.
const ALIGNMENT: u64 = 64;
const HEADER_SIZE: u64 = 30;
/// UTF-8 names; checksum and sizes behind the data.
const FLAGS: u16 = 1 << 11 | 1 << 3;
/// Version 4.5 of the format knows 64-bit sizes.
const VERSION: u16 = 45;
/// Above this, a 32-bit field points to a 64-bit one.
const MAX: u64 = u32::MAX as u64;

pub struct Archive<W> {
    out: W,
    at: u64,
    members: Vec<Member>,
}

struct Member {
    name: String,
    header: u64,
    size: u64,
    crc: u32,
}

impl<W: Write> Archive<W> {
    /// `out` must be at its beginning.
    pub fn new(out: W) -> Self {
        Self {
            out,
            at: 0,
            members: Vec::new(),
        }
    }

    /// A member whose bytes are at hand.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Parse<()> {
        self.stream(name, bytes.len() as u64, &mut |sink| sink(bytes))
    }

    /// A member of `size` bytes that `feed` passes on.
    pub fn stream(
        &mut self,
        name: &str,
        size: u64,
        feed: &mut dyn FnMut(&mut Sink) -> Parse<()>,
    ) -> Parse<()> {
        let header = self.at;
        self.local_header(name, size)?;
        let mut crc = crc32fast::Hasher::new();
        let mut output = Output::new(&mut self.out, size);
        feed(&mut |piece| {
            crc.update(piece);
            output.push(piece)
        })?;
        output.finish()?;
        self.at += size;
        let crc = crc.finalize();
        let mut descriptor = b"PK\x07\x08".to_vec();
        descriptor.extend(crc.to_le_bytes());
        for size in [size, size] {
            match size >= MAX {
                true => descriptor.extend(size.to_le_bytes()),
                false => descriptor.extend((size as u32).to_le_bytes()),
            }
        }
        self.put(&descriptor)?;
        self.members.push(Member {
            name: name.to_owned(),
            header,
            size,
            crc,
        });
        Ok(())
    }

    fn local_header(&mut self, name: &str, size: u64) -> Parse<()> {
        let name_len = u16::try_from(name.len())
            .map_err(|_| Fault::unsupported(format!("a member's name of {} bytes", name.len())))?;
        let wide = match size >= MAX {
            // The sizes follow behind the data, in 64 bits since this field is here.
            true => extra(1, &[0; 16]),
            false => Vec::new(),
        };
        let start = self.at + HEADER_SIZE + u64::from(name_len) + wide.len() as u64 + 4;
        let padding = start.next_multiple_of(ALIGNMENT) - start;
        let padding = extra(u16::from_le_bytes(*b"FB"), &vec![b'Z'; padding as usize]);
        let narrow = if wide.is_empty() { 0 } else { u32::MAX };
        let mut header = b"PK\x03\x04".to_vec();
        for field in [VERSION, FLAGS, 0, 0, 0] {
            header.extend(field.to_le_bytes());
        }
        for field in [0, narrow, narrow] {
            header.extend(field.to_le_bytes());
        }
        header.extend(name_len.to_le_bytes());
        header.extend(((wide.len() + padding.len()) as u16).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(wide);
        header.extend(padding);
        self.put(&header)
    }

    fn put(&mut self, bytes: &[u8]) -> Parse<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes the directory and the end records.
    pub fn finish(mut self) -> Parse<()> {
        let offset = self.at;
        let members = std::mem::take(&mut self.members);
        for member in &members {
            self.put(&member.record())?;
        }
        let count = members.len() as u64;
        let size = self.at - offset;
        let mut end = Vec::new();
        if count >= u64::from(u16::MAX) || size >= MAX || offset >= MAX {
            end = wide_end(count, size, offset, self.at);
        }
        end.extend(b"PK\x05\x06\0\0\0\0");
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend(narrow(size).to_le_bytes());
        end.extend(narrow(offset).to_le_bytes());
        end.extend([0; 2]);
        self.put(&end)?;
        self.out.flush()?;
        Ok(())
    }
}

impl Member {
    /// The directory's entry.
    fn record(&self) -> Vec<u8> {
        let mut wide = Vec::new();
        for value in [self.size, self.size, self.header] {
            if value >= MAX {
                wide.extend(value.to_le_bytes());
            }
        }
        if !wide.is_empty() {
            wide = extra(1, &wide);
        }
        let mut record = b"PK\x01\x02".to_vec();
        for field in [VERSION, VERSION, FLAGS, 0, 0, 0] {
            record.extend(field.to_le_bytes());
        }
        for field in [self.crc, narrow(self.size), narrow(self.size)] {
            record.extend(field.to_le_bytes());
        }
        record.extend((self.name.len() as u16).to_le_bytes());
        record.extend((wide.len() as u16).to_le_bytes());
        // No comment, first disk, no attributes.
        record.extend([0; 10]);
        record.extend(narrow(self.header).to_le_bytes());
        record.extend(self.name.as_bytes());
        record.extend(wide);
        record
    }
}

/// The 64-bit end record, and the locator that says it is at `at`.
fn wide_end(count: u64, size: u64, offset: u64, at: u64) -> Vec<u8> {
    let mut end = b"PK\x06\x06".to_vec();
    end.extend(44_u64.to_le_bytes());
    end.extend(VERSION.to_le_bytes());
    end.extend(VERSION.to_le_bytes());
    end.extend([0; 8]);
    for field in [count, count, size, offset] {
        end.extend(field.to_le_bytes());
    }
    end.extend(b"PK\x06\x07\0\0\0\0");
    end.extend(at.to_le_bytes());
    end.extend(1_u32.to_le_bytes());
    end
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn extra(id: u16, data: &[u8]) -> Vec<u8> {
    let mut field = id.to_le_bytes().to_vec();
    field.extend((data.len() as u16).to_le_bytes());
    field.extend(data);
    field
}
