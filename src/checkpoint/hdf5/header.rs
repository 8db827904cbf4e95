//! Object headers: the messages that describe a group or a dataset.

use super::bytes::Cursor;
use super::file::{File, verify};
use crate::checkpoint::error::{Fault, Parse};

/// More messages than any group in compact form has.
const MAX_MESSAGES: usize = 1 << 17;
/// More continuation blocks than one header ever needs.
const MAX_BLOCKS: usize = 4096;

/// What a message is about.
pub mod kind {
    pub const DATASPACE: u16 = 0x01;
    pub const LINK_INFO: u16 = 0x02;
    pub const DATATYPE: u16 = 0x03;
    pub const OLD_FILL: u16 = 0x04;
    pub const FILL: u16 = 0x05;
    pub const LINK: u16 = 0x06;
    pub const EXTERNAL_FILES: u16 = 0x07;
    pub const LAYOUT: u16 = 0x08;
    pub const FILTERS: u16 = 0x0b;
    pub const ATTRIBUTE: u16 = 0x0c;
    pub const CONTINUATION: u16 = 0x10;
    pub const SYMBOL_TABLE: u16 = 0x11;
    pub const ATTRIBUTE_INFO: u16 = 0x15;
}

const FLAG_SHARED: u8 = 0x02;
const FLAG_MUST_UNDERSTAND: u8 = 0x80;
/// The kinds defined by the format.
const KNOWN: std::ops::RangeInclusive<u16> = 0..=0x18;

/// One message.
pub struct Message {
    pub kind: u16,
    /// Its data is a pointer to another object's message.
    pub shared: bool,
    /// Position of `data` in the source.
    pub position: u64,
    pub data: Vec<u8>,
}

/// All messages of one object.
pub struct Header {
    pub messages: Vec<Message>,
}

impl Header {
    pub fn read(file: &File, address: u64) -> Parse<Self> {
        let start = file.block("an object header", address, 5)?;
        let mut messages = Vec::new();
        let place = |fault: Fault| fault.within(format_args!("object at {address}"));
        if start.starts_with(b"OHDR") {
            read_new(file, address, &mut messages).map_err(place)?;
        } else {
            read_old(file, address, &mut messages).map_err(place)?;
        }
        Ok(Self { messages })
    }

    pub fn find(&self, kind: u16) -> Option<&Message> {
        self.messages.iter().find(|message| message.kind == kind)
    }

    /// The data of the first message of a kind, fetched from where it is shared.
    pub fn get(&self, file: &File, kind: u16) -> Parse<Option<Vec<u8>>> {
        match self.find(kind) {
            None => Ok(None),
            Some(message) if message.shared => shared(file, kind, &message.data).map(Some),
            Some(message) => Ok(Some(message.data.clone())),
        }
    }
}

/// The message that a shared one points to.
pub fn shared(file: &File, kind: u16, pointer: &[u8]) -> Parse<Vec<u8>> {
    let mut c = Cursor::new("a shared message", pointer);
    match (c.version(&[1, 2, 3])?, c.u8()?) {
        (1, _) => c.skip(6)?,
        // In another object's header: a named datatype.
        (2, _) | (3, 2) => {}
        (_, _) => {
            return Err(Fault::unsupported(
                "an HDF5 message in the file's table of shared messages",
            ));
        }
    }
    let owner = Header::read(file, file.address(&mut c)?)?;
    match owner.find(kind) {
        Some(message) if !message.shared => Ok(message.data.clone()),
        _ => Err(Fault::corrupt(
            "a shared HDF5 message points to an object that does not hold it",
        )),
    }
}

/// A stretch of messages still to be read.
type Block = (u64, u64);

fn read_old(file: &File, address: u64, messages: &mut Vec<Message>) -> Parse<()> {
    let prefix = file.block("an object header", address, 16)?;
    let mut c = Cursor::new("an object header", &prefix);
    c.version(&[1])?;
    c.skip(1)?;
    let count = usize::from(c.u16()?);
    c.skip(4)?;
    let size = u64::from(c.u32()?);
    let first = address.checked_add(16).ok_or_else(overflow)?;
    let mut blocks = vec![(first, size)];
    let mut at = 0;
    while let Some(&(address, len)) = blocks.get(at) {
        at += 1;
        let bytes = file.block("an object header", address, len)?;
        let mut c = Cursor::new("an object header", &bytes);
        while c.left() >= 8 && messages.len() < count {
            let kind = c.u16()?;
            let size = usize::from(c.u16()?);
            let flags = c.u8()?;
            c.skip(3)?;
            let position = file.base + address + c.position() as u64;
            let data = c.take(size)?;
            add(file, messages, &mut blocks, (kind, flags, position, data))?;
        }
    }
    Ok(())
}

fn read_new(file: &File, address: u64, messages: &mut Vec<Message>) -> Parse<()> {
    let prefix = file.block("an object header", address, 6)?;
    let mut c = Cursor::new("an object header", &prefix);
    c.expect(b"OHDR")?;
    c.version(&[2])?;
    let flags = c.u8()?;
    let times = if flags & 0x20 == 0 { 0 } else { 16 };
    let phases = if flags & 0x10 == 0 { 0 } else { 4 };
    let size_width = 1_u64 << (flags & 3);
    let before = 6 + times + phases + size_width;
    let prefix = file.block("an object header", address, before)?;
    let mut c = Cursor::new("an object header", &prefix);
    c.skip((before - size_width) as usize)?;
    let size = c.uint(size_width as usize)?;
    let whole = size.checked_add(before + 4).ok_or_else(overflow)?;

    let order = if flags & 4 == 0 { 0 } else { 2 };
    let mut blocks = vec![(address, whole)];
    let mut at = 0;
    while let Some(&(address, len)) = blocks.get(at) {
        let bytes = file.block("an object header", address, len)?;
        verify("an object header", &bytes)?;
        let mut c = Cursor::new("an object header", &bytes[..bytes.len() - 4]);
        if at == 0 {
            c.skip(before as usize)?;
        } else {
            c.expect(b"OCHK")?;
        }
        at += 1;
        while c.left() >= 4 + order {
            let kind = u16::from(c.u8()?);
            let size = usize::from(c.u16()?);
            let flags = c.u8()?;
            c.skip(order)?;
            let position = file.base + address + c.position() as u64;
            let data = c.take(size)?;
            add(file, messages, &mut blocks, (kind, flags, position, data))?;
        }
    }
    Ok(())
}

fn add(
    file: &File,
    messages: &mut Vec<Message>,
    blocks: &mut Vec<Block>,
    (kind, flags, position, data): (u16, u8, u64, &[u8]),
) -> Parse<()> {
    if flags & FLAG_MUST_UNDERSTAND != 0 && !KNOWN.contains(&kind) {
        return Err(Fault::unsupported(format!(
            "an HDF5 message of kind {kind}, which the file says must be understood"
        )));
    }
    if kind == kind::CONTINUATION {
        let mut c = Cursor::new("a continuation of an object header", data);
        let block = (file.address(&mut c)?, file.length(&mut c)?);
        if blocks.contains(&block) || blocks.len() >= MAX_BLOCKS {
            return Err(Fault::hostile(
                "an object header continues in itself or without end",
            ));
        }
        blocks.push(block);
    }
    if messages.len() >= MAX_MESSAGES {
        return Err(Fault::hostile(format!(
            "an object header of more than {MAX_MESSAGES} messages"
        )));
    }
    messages.push(Message {
        kind,
        shared: flags & FLAG_SHARED != 0,
        position,
        data: data.to_vec(),
    });
    Ok(())
}

fn overflow() -> Fault {
    Fault::corrupt("an object header reaches past the end of the file")
}
