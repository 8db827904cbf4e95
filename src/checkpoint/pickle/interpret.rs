//! What the objects of a pickle mean: tensors, containers, plain values, or nothing we know.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::super::error::{Fault, Parse};
use super::super::limits::{self, MAX_DEPTH};
use super::super::source::{Source, read_vec};
use super::super::tensor::Tensor;
use super::storage::{Storage, Storages};
use super::text;
use super::value::{Global, Id, Object, Pickle, Value};

/// Most elements of one container: more cannot be shown.
pub(super) const MAX_ITEMS: usize = 2 * limits::MAX_TENSORS;
/// Most items looked at in all.
const MAX_WORK: usize = 1 << 22;
/// Most bytes read at opening only to check them.
const MAX_CHECKS: u64 = 32 << 20;
/// Deepest nesting of arrays made of arrays: a sparse matrix, a selection of a selection.
const MAX_PARTS: usize = 4;
/// Longest text shown, bytes: a configuration as YAML fits.
const MAX_TEXT: u64 = 64 << 10;

/// A value, understood as far as we understand it.
pub(super) enum Meaning<'a> {
    Tensor(Tensor),
    Map(Cow<'a, [(Id, Id)]>),
    List(Cow<'a, [Id]>),
    Plain(serde_json::Value),
    /// A model pickled whole: its class, and its parameters, buffers and parts by name.
    Module {
        class: String,
        parts: Vec<(Id, Id)>,
    },
    /// Something else, by its class.
    Opaque(String),
    /// A tensor of a kind that is not read: a fault where weights are wanted, else opaque.
    Unread {
        class: String,
        why: String,
    },
}

/// One step on the way to a meaning.
pub(super) enum Step<'a> {
    Is(Meaning<'a>),
    /// It means what that value means.
    Like(Id),
}

impl<'a> Step<'a> {
    pub fn opaque(class: impl ToString) -> Self {
        Self::Is(Meaning::Opaque(class.to_string()))
    }

    pub fn unread(class: &Global, why: impl Into<String>) -> Self {
        Self::Is(Meaning::Unread {
            class: class.to_string(),
            why: why.into(),
        })
    }

    pub fn list(items: &'a [Id]) -> Self {
        Self::Is(Meaning::List(Cow::Borrowed(items)))
    }
}

/// Reads the values of one pickle.
pub(super) struct Reader<'a> {
    pub pickle: &'a Pickle,
    pub source: &'a Source,
    pub storages: Option<&'a dyn Storages>,
    /// Storages inside the pickle, by where they begin.
    pub nested: RefCell<HashMap<u64, Storage>>,
    /// Bytes that may still be read just to check them.
    checks: Cell<u64>,
    /// Items that may still be looked at.
    work: Cell<usize>,
    /// Objects being understood within each other.
    depth: Cell<usize>,
}

/// A call of a class or function by name, however the pickle spells it.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub global: &'a Global,
    pub args: &'a [Id],
    pub object: &'a Object,
}

impl<'a> Reader<'a> {
    pub fn new(pickle: &'a Pickle, source: &'a Source, storages: Option<&'a dyn Storages>) -> Self {
        Self {
            pickle,
            source,
            storages,
            nested: RefCell::default(),
            checks: Cell::new(MAX_CHECKS),
            work: Cell::new(MAX_WORK),
            depth: Cell::new(0),
        }
    }

    /// Whether `bytes` may be read only to see that they are as they should be.
    pub fn may_check(&self, bytes: u64) -> bool {
        let left = self.checks.get().checked_sub(bytes);
        self.checks.set(left.unwrap_or(self.checks.get()));
        left.is_some()
    }

    /// Counts `items` looked at, since few bytes may name many of them again and again.
    pub fn work(&self, items: usize) -> Parse<()> {
        let left = self.work.get().checked_sub(items);
        self.work.set(left.ok_or_else(|| {
            Fault::hostile(format!(
                "its containers repeat each other to more than {MAX_WORK} items"
            ))
        })?);
        Ok(())
    }

    pub fn meaning(&self, mut id: Id) -> Parse<Meaning<'a>> {
        let depth = self.depth.get();
        if depth > MAX_PARTS {
            return Err(too_deep(MAX_PARTS));
        }
        self.depth.set(depth + 1);
        for _ in 0..MAX_DEPTH {
            match self.step(id)? {
                Step::Is(meaning) => {
                    self.depth.set(depth);
                    return Ok(meaning);
                }
                Step::Like(next) => id = next,
            }
        }
        Err(too_deep(MAX_DEPTH))
    }

    fn step(&self, id: Id) -> Parse<Step<'a>> {
        let plain = |value: serde_json::Value| Ok(Step::Is(Meaning::Plain(value)));
        match self.pickle.value(id) {
            Value::None => plain(serde_json::Value::Null),
            Value::Bool(value) => plain((*value).into()),
            Value::Int(value) => plain((*value).into()),
            Value::Float(value) => plain(float(*value)),
            Value::Big(_) => plain(
                self.pickle
                    .big(id)
                    .map_or_else(|| "a long integer".into(), big),
            ),
            Value::Text(_) | Value::Str(_) => match self.text(id)? {
                Some(text) => plain(text.into()),
                None => Ok(Step::opaque("a long string")),
            },
            Value::Bytes(_) => Ok(Step::opaque("builtins.bytes")),
            Value::List(items) | Value::Set(items) => Ok(Step::list(items)),
            Value::Tuple(items) | Value::FrozenSet(items) => Ok(Step::list(items)),
            Value::Dict(pairs) => Ok(Step::Is(Meaning::Map(Cow::Borrowed(pairs)))),
            Value::Global(_) => match self.pickle.global(id) {
                Some(global) if is_torch_constant(global) => plain(global.to_string().into()),
                Some(global) => Ok(Step::opaque(global)),
                None => Ok(Step::opaque("a class")),
            },
            Value::Persistent(_) => Ok(Step::opaque("a storage")),
            Value::Object(object) => match self.made(object) {
                Some(made) => self.call(made),
                None => Ok(Step::opaque("the result of a call")),
            },
        }
    }

    /// Text that is not too long to be shown.
    fn text(&self, id: Id) -> Parse<Option<String>> {
        if let Some(text) = self.pickle.text(id) {
            return Ok(Some(text.into_owned()));
        }
        let Some(run) = self.pickle.run(id).filter(|run| run.len <= MAX_TEXT) else {
            return Ok(None);
        };
        let bytes = read_vec(self.source.as_ref(), run.offset, run.len as usize)?;
        let decoded = text::decode(bytes, run.coding)?;
        Ok(Some(match self.pickle.value(id) {
            Value::Str(_) => decoded.iter().map(|&byte| char::from(byte)).collect(),
            _ => String::from_utf8_lossy(&decoded).into_owned(),
        }))
    }

    /// A call as class and arguments; `None` when what is called is not named.
    pub fn made(&self, object: &'a Object) -> Option<Made<'a>> {
        let args = self.pickle.items(object.args).unwrap_or_default();
        let global = self.pickle.global(object.callable)?;
        let helper = matches!(global.module.as_str(), "copyreg" | "copy_reg");
        if !helper {
            return Some(Made {
                global,
                args,
                object,
            });
        }
        // copyreg's helpers make an object of the class given first.
        let (&class, rest) = args.split_first()?;
        let args = match global.name.as_str() {
            "_reconstructor" => &[],
            _ => rest,
        };
        Some(Made {
            global: self.pickle.global(class)?,
            args,
            object,
        })
    }

    fn call(&self, made: Made<'a>) -> Parse<Step<'a>> {
        if let Some(module) = self.module(made)? {
            return Ok(module);
        }
        let Global { module, name } = made.global;
        let top = module.split('.').next().unwrap_or(module);
        match top {
            "builtins" | "__builtin__" => self.builtin(made),
            "collections" | "_collections" => self.collection(made),
            "numpy" => self.numpy(made),
            "torch" => self.torch(made),
            "scipy" => self.scipy(made),
            "chumpy" => self.chumpy(made),
            "__torch__" => Ok(self
                .fields(made)
                .unwrap_or_else(|| Step::opaque(made.global))),
            "argparse" | "types" if matches!(name.as_str(), "Namespace" | "SimpleNamespace") => {
                Ok(self
                    .fields(made)
                    .unwrap_or_else(|| Step::opaque(made.global)))
            }
            _ => Ok(Step::opaque(made.global)),
        }
    }

    /// An object that is nothing but its attributes.
    fn fields(&self, made: Made<'a>) -> Option<Step<'a>> {
        match self.pickle.value(made.object.state()?) {
            Value::Dict(pairs) => Some(Step::Is(Meaning::Map(Cow::Borrowed(pairs)))),
            _ => None,
        }
    }

    /// The attribute `name` of an object, from its state.
    pub fn field(&self, made: Made<'a>, name: &str) -> Parse<Option<Id>> {
        let Some(state) = made.object.state() else {
            return Ok(None);
        };
        let single = [state];
        // A class with slots has the pair (attributes, slots) as its state.
        let dicts: &[Id] = match self.pickle.value(state) {
            Value::Tuple(pair) => pair,
            _ => &single,
        };
        let mut found = None;
        for &dict in dicts {
            if let Value::Dict(pairs) = self.pickle.value(dict) {
                self.work(pairs.len())?;
                let is_name = |key: Id| self.pickle.text(key).is_some_and(|key| key == name);
                let last = pairs.iter().rev().find(|(key, _)| is_name(*key));
                found = last.map(|&(_, value)| value).or(found);
            }
        }
        Ok(found)
    }

    fn builtin(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let first = made.args.first().copied();
        Ok(match (made.global.name.as_str(), first) {
            ("dict", _) => self.map(first, made.object)?,
            ("list" | "set" | "frozenset" | "tuple", _) => self.grown(first, made.object)?,
            _ => Step::opaque(made.global),
        })
    }

    fn collection(&self, made: Made<'a>) -> Parse<Step<'a>> {
        let first = made.args.first().copied();
        Ok(match made.global.name.as_str() {
            "OrderedDict" | "Counter" => self.map(first, made.object)?,
            // The first argument makes missing values.
            "defaultdict" => self.map(made.args.get(1).copied(), made.object)?,
            "deque" => self.grown(first, made.object)?,
            _ => Step::opaque(made.global),
        })
    }

    /// A list made from another one, and what was appended to it later.
    fn grown(&self, first: Option<Id>, object: &'a Object) -> Parse<Step<'a>> {
        let more = object.items();
        let Some(first) = first else {
            return Ok(Step::list(more));
        };
        let items: &[Id] = match self.pickle.value(first) {
            _ if more.is_empty() => return Ok(Step::Like(first)),
            Value::List(items) | Value::Set(items) => items,
            Value::Tuple(items) | Value::FrozenSet(items) => items,
            _ => return Ok(Step::opaque("a list")),
        };
        self.work(items.len() + more.len())?;
        Ok(Step::Is(Meaning::List([items, more].concat().into())))
    }

    /// A dict made from another one, or from a list of pairs, and what was set in it later.
    fn map(&self, first: Option<Id>, object: &'a Object) -> Parse<Step<'a>> {
        let more = object.pairs();
        let map = |pairs: Cow<'a, [(Id, Id)]>| Ok(Step::Is(Meaning::Map(pairs)));
        let Some(first) = first else {
            return map(Cow::Borrowed(more));
        };
        match self.pickle.value(first) {
            Value::Object(_) if more.is_empty() => Ok(Step::Like(first)),
            Value::Dict(pairs) if more.is_empty() => map(Cow::Borrowed(pairs)),
            Value::Dict(pairs) => {
                self.work(pairs.len() + more.len())?;
                map([pairs, more].concat().into())
            }
            Value::List(items) => {
                self.work(items.len() + more.len())?;
                let pair = |&id: &Id| match self.pickle.items(id) {
                    Some(&[key, value]) => Some((key, value)),
                    _ => None,
                };
                let Some(mut pairs) = items.iter().map(pair).collect::<Option<Vec<_>>>() else {
                    return Ok(Step::opaque("a dict"));
                };
                pairs.extend_from_slice(more);
                map(pairs.into())
            }
            _ => Ok(Step::opaque("a dict")),
        }
    }
}

fn too_deep(limit: usize) -> Fault {
    Fault::hostile(format!("objects made of each other more than {limit} deep"))
}

/// `torch.float32`, `torch.strided`, `torch.channels_last`: values, not classes.
fn is_torch_constant(global: &Global) -> bool {
    let lower = |text: &str| text.starts_with(|first: char| first.is_ascii_lowercase());
    global.module == "torch" && lower(&global.name)
}

/// An integer beyond 64 bits: in JSON's own numbers when it fits, else its digits as text.
fn big(bytes: &[u8]) -> serde_json::Value {
    if let [low @ .., 0] = bytes
        && let Ok(low) = <[u8; 8]>::try_from(low)
    {
        return u64::from_le_bytes(low).into();
    }
    let negative = bytes.last().is_some_and(|&top| top >= 0x80);
    let mut magnitude: Vec<u8> = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|&byte| byte > 0) {
        let mut rest = 0_u32;
        for byte in magnitude.iter_mut().rev() {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 10) as u8;
            rest = value % 10;
        }
        digits.push(b'0' + rest as u8);
    }
    digits.extend(negative.then_some(b'-'));
    digits.reverse();
    String::from_utf8_lossy(&digits).into_owned().into()
}

/// JSON knows no infinities.
fn float(value: f64) -> serde_json::Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => number.into(),
        None if value.is_nan() => "nan".into(),
        None if value > 0.0 => "inf".into(),
        None => "-inf".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_integers_are_shown() {
        assert_eq!(
            big(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
            u64::MAX
        );
        let magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
        assert_eq!(big(&magic), "119547037146038801333356");
        assert_eq!(
            big(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff]),
            "-18446744073709551616"
        );
    }

    #[test]
    fn floats_beyond_json() {
        assert_eq!(float(0.5), 0.5);
        assert_eq!(float(f64::NAN), "nan");
        assert_eq!(float(f64::NEG_INFINITY), "-inf");
    }
}
