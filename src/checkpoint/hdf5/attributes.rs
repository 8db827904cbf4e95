//! Attributes of an object, as plain values.

use serde_json::{Map, Value};

use super::bytes::Cursor;
use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::file::File;
use super::header::{self, Header, kind};
use super::heap::FractalHeap;
use super::tree::NewTree;
use super::values;
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;

const ATTRIBUTES_BY_NAME: u8 = 8;

/// Attributes that are plain values; and the names of the others, each with what it is.
#[derive(Debug, Default, PartialEq)]
pub struct Attributes {
    pub values: Map<String, Value>,
    pub others: Vec<(String, String)>,
}

pub fn attributes(file: &File, header: &Header) -> Parse<Attributes> {
    let mut found = Attributes::default();
    for message in &header.messages {
        match message.kind {
            kind::ATTRIBUTE if message.shared => {
                let data = header::shared(file, kind::ATTRIBUTE, &message.data)?;
                attribute(file, &data, &mut found)?;
            }
            kind::ATTRIBUTE => attribute(file, &message.data, &mut found)?,
            kind::ATTRIBUTE_INFO => dense(file, &message.data, &mut found)?,
            _ => {}
        }
    }
    Ok(found)
}

fn attribute(file: &File, message: &[u8], found: &mut Attributes) -> Parse<()> {
    let mut c = Cursor::new("an attribute", message);
    let version = c.version(&[1, 2, 3])?;
    let flags = c.u8()?;
    let [name_len, type_len, space_len] = [c.u16()?, c.u16()?, c.u16()?].map(usize::from);
    if version == 3 {
        c.skip(1)?;
    }
    let mut part = |len: usize| {
        let padding = match version {
            1 => len.next_multiple_of(8) - len,
            _ => 0,
        };
        let bytes = c.take(len)?;
        c.skip(padding)?;
        Parse::Ok(bytes)
    };
    let (name, datatype, space) = (part(name_len)?, part(type_len)?, part(space_len)?);
    let shared = |bit: u8| version > 1 && flags & bit != 0;
    let datatype = if shared(1) {
        Datatype::parse(&header::shared(file, kind::DATATYPE, datatype)?)?
    } else {
        Datatype::parse(datatype)?
    };
    if shared(2) {
        return Err(Fault::unsupported("an attribute of a shared dataspace"));
    }
    let space = Dataspace::parse(space, file.length_size)?;
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    let name = String::from_utf8_lossy(name).into_owned();
    if found.values.len() + found.others.len() >= limits::MAX_TENSORS {
        return Err(Fault::hostile("attributes without end"));
    }
    let value = match &space.shape {
        None => Some(Value::Null),
        Some(shape) => values::value(file, &datatype, shape, c.take(c.left())?)?,
    };
    match value {
        Some(value) => {
            found.values.insert(name, value);
        }
        None => found.others.push((name, datatype.class.name())),
    }
    Ok(())
}

/// Attributes kept in a heap, because there are many or large ones.
fn dense(file: &File, message: &[u8], found: &mut Attributes) -> Parse<()> {
    let mut c = Cursor::new("an attribute info message", message);
    c.version(&[0])?;
    if c.u8()? & 1 != 0 {
        c.skip(2)?;
    }
    let heap = file.address_if_any(&mut c)?;
    let tree = file.address_if_any(&mut c)?;
    let (Some(heap), Some(tree)) = (heap, tree) else {
        return Ok(());
    };
    let heap = FractalHeap::read(file, heap)?;
    let tree = NewTree::open(file, tree, &[ATTRIBUTES_BY_NAME])?;
    tree.walk(&mut |record| {
        match heap.object(record.get(..heap.id_len()).unwrap_or_default())? {
            Some(message) => attribute(file, &message, found),
            None => {
                let what = "an attribute too large for its heap".to_owned();
                found.others.push((String::new(), what));
                Ok(())
            }
        }
    })
}
