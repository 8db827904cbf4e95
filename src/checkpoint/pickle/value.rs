//! What a pickle says, as a graph of values: nothing in it has been made or run.

use std::borrow::Cow;

use indexmap::IndexSet;

/// Index of a value in [`Pickle::values`].
pub type Id = u32;

/// How a run of bytes in the file spells bytes or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// The bytes themselves.
    Raw,
    /// UTF-8 text (lone surrogates may occur).
    Utf8,
    /// Python's raw-unicode-escape: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
    RawUnicode,
    /// The inside of a Python 2 string literal: `\n`, `\\`, `\x00`, `\000`.
    Escaped,
}

/// Bytes or text in the file; short ones are held in memory too, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// From the start of the source.
    pub offset: u64,
    /// Bytes in the file.
    pub len: u64,
    /// Where the pool holds the decoded bytes; 0: it does not.
    pub(super) held: u32,
    pub(super) held_len: u16,
    pub coding: Coding,
}

/// One object of the pickle.
#[derive(Clone, Debug)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits: two's complement, little-endian ([`Pickle::big`]).
    Big(Run),
    Float(f64),
    /// Text: Python 3's `str`, Python 2's `unicode`.
    Text(Run),
    /// Python 2's `str`: bytes or Latin-1 text, as its reader likes.
    Str(Run),
    /// `bytes` or `bytearray`.
    Bytes(Run),
    List(Vec<Id>),
    Tuple(Box<[Id]>),
    /// In the order set; a key may come again, the last one counts.
    Dict(Vec<(Id, Id)>),
    Set(Vec<Id>),
    FrozenSet(Box<[Id]>),
    /// A class or function by name: index into [`Pickle::globals`].
    Global(u32),
    /// What the program that wrote the file kept elsewhere (torch: a storage), by its id.
    Persistent(Id),
    /// What a call would make.
    Object(Box<Object>),
}

impl Value {
    /// What it is, in words for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Big(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) | Self::Str(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dict",
            Self::Set(_) => "a set",
            Self::FrozenSet(_) => "a frozenset",
            Self::Global(_) => "a class or function",
            Self::Persistent(_) => "a persistent id",
            Self::Object(_) => "an object",
        }
    }
}

/// Which kind of call makes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `callable(*args)`
    Reduce,
    /// `callable.__new__(callable, *args, **kwargs)`
    New,
    /// A class called with arguments, as protocol 0 and 1 do (INST, OBJ).
    Instance,
}

/// A call that is not made: its callable, its arguments, and what is done to the result.
#[derive(Clone, Debug)]
pub struct Object {
    pub call: Call,
    pub callable: Id,
    /// A tuple.
    pub args: Id,
    pub more: Option<Box<More>>,
}

/// What a pickle does to an object after making it.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Keyword arguments (NEWOBJ_EX).
    pub kwargs: Option<Id>,
    /// Arguments of `__setstate__`, in order (BUILD).
    pub states: Vec<Id>,
    /// Appended or added items.
    pub items: Vec<Id>,
    /// Set keys and values.
    pub pairs: Vec<(Id, Id)>,
}

impl Object {
    /// The last state it was given.
    pub fn state(&self) -> Option<Id> {
        self.more.as_ref()?.states.last().copied()
    }

    pub fn kwargs(&self) -> Option<Id> {
        self.more.as_ref()?.kwargs
    }

    pub fn items(&self) -> &[Id] {
        self.more.as_ref().map_or(&[], |more| &more.items)
    }

    pub fn pairs(&self) -> &[(Id, Id)] {
        self.more.as_ref().map_or(&[], |more| &more.pairs)
    }
}

/// A class or function by name, as the file spells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Global {
    pub module: String,
    pub name: String,
}

impl std::fmt::Display for Global {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

/// A pickle read to its STOP.
pub struct Pickle {
    pub(super) values: Vec<Value>,
    /// Short strings, decoded, one after another; the first byte is never used.
    pub(super) pool: Vec<u8>,
    /// Every class and function named, reachable or not, in the order met.
    pub globals: IndexSet<Global>,
    pub root: Id,
    /// First byte after STOP, from the start of the source.
    pub end: u64,
}

impl Pickle {
    pub fn value(&self, id: Id) -> &Value {
        self.values.get(id as usize).unwrap_or(&Value::None)
    }

    fn held(&self, run: &Run) -> Option<&[u8]> {
        let start = run.held as usize;
        (start > 0).then(|| self.pool.get(start..start + run.held_len as usize))?
    }

    /// Short text. Python 2's `str` is taken as Latin-1.
    pub fn text(&self, id: Id) -> Option<Cow<'_, str>> {
        match self.value(id) {
            Value::Text(run) => Some(String::from_utf8_lossy(self.held(run)?)),
            Value::Str(run) => Some(latin1(self.held(run)?)),
            _ => None,
        }
    }

    /// Short `bytes`, or Python 2's `str`.
    pub fn bytes(&self, id: Id) -> Option<&[u8]> {
        match self.value(id) {
            Value::Bytes(run) | Value::Str(run) => self.held(run),
            _ => None,
        }
    }

    /// Where text or bytes of any length are in the file.
    pub fn run(&self, id: Id) -> Option<&Run> {
        match self.value(id) {
            Value::Text(run) | Value::Str(run) | Value::Bytes(run) => Some(run),
            _ => None,
        }
    }

    pub fn int(&self, id: Id) -> Option<i64> {
        match self.value(id) {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// An integer that must not be negative.
    pub fn unsigned(&self, id: Id) -> Option<u64> {
        self.int(id).and_then(|n| u64::try_from(n).ok())
    }

    /// An integer beyond 64 bits: two's complement, little-endian.
    pub fn big(&self, id: Id) -> Option<&[u8]> {
        match self.value(id) {
            Value::Big(run) => self.held(run),
            _ => None,
        }
    }

    /// The elements of a tuple or list.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::Tuple(items) => Some(items),
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn global(&self, id: Id) -> Option<&Global> {
        match self.value(id) {
            Value::Global(index) => self.globals.get_index(*index as usize),
            _ => None,
        }
    }

    pub fn object(&self, id: Id) -> Option<&Object> {
        match self.value(id) {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }
}

fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}
