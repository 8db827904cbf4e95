//! From nested dicts to named tensors: which are the weights, what lies beside them.

use std::borrow::Cow;

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde_json::Value as Json;

use super::super::checkpoint::{Contents, Opaque};
use super::super::error::{Fault, Kind, Parse};
use super::super::limits::{MAX_DEPTH, MAX_NAME, MAX_TENSORS};
use super::super::source::Source;
use super::super::tensor::Tensor;
use super::interpret::{MAX_ITEMS, Meaning, Reader};
use super::storage::Storages;
use super::value::{Id, Pickle, Value};

/// Keys whose value is the weights, whatever stands beside it; the first one found counts.
const ROOTS: [&str; 2] = ["state_dict", "model_state_dict"];
/// Keys whose value is the weights unless tensors stand beside it: a model may call a part so.
const LOOSE_ROOTS: [&str; 6] = ["model", "module", "params", "weights", "net", "network"];
/// What a single array is called.
const BARE: &str = "arr_0";
/// Most bytes of names, values and notes.
const MAX_TEXT: usize = 12 << 20;

/// The tensors and values that `pickle` describes; `storages` finds torch's.
///
/// `source` is what the pickle was read from.
pub fn contents(
    pickle: &Pickle,
    source: &Source,
    storages: Option<&dyn Storages>,
) -> Parse<Contents> {
    let mut walk = Walk {
        reader: Reader::new(pickle, source, storages),
        frames: Vec::new(),
        path: String::new(),
        top: None,
        text: 0,
        found: Found::default(),
    };
    walk.run(pickle.root)?;
    walk.found.sort()
}

/// What the walk has met, by full path.
#[derive(Default)]
struct Found {
    tensors: Vec<Met<Tensor>>,
    unread: Vec<Met<(String, String)>>,
    values: serde_json::Map<String, Json>,
    opaque: Vec<Opaque>,
    /// Keys of the outermost dict whose values are dicts.
    maps: Vec<(usize, String)>,
}

/// Something met on the walk.
struct Met<T> {
    path: String,
    /// Which entry of the outermost container it is in; `None` when it is that itself.
    top: Option<usize>,
    /// Whether it is an entry of the outermost container, not inside one.
    direct: bool,
    what: T,
}

/// The children of a container, and how far the walk has come.
struct Frame<'a> {
    id: Id,
    /// Length of the path to it.
    path: usize,
    children: Children<'a>,
    next: usize,
}

enum Children<'a> {
    Named(IndexMap<String, Id>),
    Numbered(Cow<'a, [Id]>),
}

struct Walk<'a> {
    reader: Reader<'a>,
    frames: Vec<Frame<'a>>,
    path: String,
    top: Option<usize>,
    text: usize,
    found: Found,
}

impl<'a> Walk<'a> {
    fn run(&mut self, root: Id) -> Parse<()> {
        self.visit(root)?;
        loop {
            let below = self.frames.len() > 1;
            let Some(frame) = self.frames.last_mut() else {
                return Ok(());
            };
            self.path.truncate(frame.path);
            let index = frame.next;
            frame.next += 1;
            let child = match &frame.children {
                Children::Named(map) => map.get_index(index).map(|(name, &id)| {
                    join(&mut self.path, below, name);
                    id
                }),
                Children::Numbered(items) => items.get(index).map(|&id| {
                    join(&mut self.path, below, &index.to_string());
                    id
                }),
            };
            let Some(id) = child else {
                self.frames.pop();
                continue;
            };
            if self.path.len() > MAX_NAME {
                return Err(long_name(self.path.len()));
            }
            if self.frames.len() == 1 {
                self.top = Some(index);
            }
            self.visit(id)?;
        }
    }

    /// Takes in the value at the current path; a container is entered.
    fn visit(&mut self, id: Id) -> Parse<()> {
        self.reader.work(1)?;
        if self.frames.iter().any(|frame| frame.id == id) {
            return self.note("a reference to what it is in".into());
        }
        let place = |fault: Fault| fault.within(format_args!("{:?}", self.path));
        let children = match self.reader.meaning(id).map_err(place)? {
            Meaning::Tensor(tensor) => return self.tensor(tensor),
            Meaning::Plain(value) => return self.value(value),
            Meaning::Opaque(class) => return self.note(class),
            Meaning::Unread { class, why } => {
                let met = self.met((class, why))?;
                self.found.unread.push(met);
                return Ok(());
            }
            Meaning::Module { class, parts } => {
                self.note(class)?;
                Children::Named(self.named(&parts)?)
            }
            Meaning::Map(pairs) if pairs.is_empty() => {
                return self.value(Json::Object(<_>::default()));
            }
            Meaning::Map(pairs) => Children::Named(self.named(&pairs)?),
            Meaning::List(items) => match self.plain_list(&items)? {
                Some(list) => return self.value(list),
                None => Children::Numbered(items),
            },
        };
        self.enter(id, children)
    }

    fn enter(&mut self, id: Id, children: Children<'a>) -> Parse<()> {
        let (named, len) = match &children {
            Children::Named(map) => (true, map.len()),
            Children::Numbered(items) => (false, items.len()),
        };
        if len > MAX_ITEMS {
            let message = format!("a container of {len} items; at most {MAX_ITEMS} are read");
            return Err(Fault::hostile(message));
        }
        if self.frames.len() >= MAX_DEPTH {
            let message = format!("containers nested more than {MAX_DEPTH} deep");
            return Err(Fault::hostile(message));
        }
        if let (true, 1, Some(top)) = (named, self.frames.len(), self.top) {
            self.found.maps.push((top, self.path.clone()));
        }
        self.frames.push(Frame {
            id,
            path: self.path.len(),
            children,
            next: 0,
        });
        Ok(())
    }

    /// A dict's keys as names; a key set twice keeps its place and has its last value.
    fn named(&mut self, pairs: &[(Id, Id)]) -> Parse<IndexMap<String, Id>> {
        self.reader.work(pairs.len())?;
        let mut map: IndexMap<String, Id> = IndexMap::new();
        let mut kinds: Vec<bool> = Vec::new();
        for &(key, value) in pairs {
            let (name, is_text) = self.key(key)?;
            match map.entry(name) {
                Entry::Occupied(mut entry) => {
                    // 1 and '1' are two keys to Python, but would be one name.
                    if kinds.get(entry.index()) != Some(&is_text) {
                        return Err(Fault::corrupt(format!(
                            "two keys are called {:?} at {:?}",
                            entry.key(),
                            self.path
                        )));
                    }
                    entry.insert(value);
                }
                Entry::Vacant(entry) => {
                    self.text += 64 + entry.key().len();
                    entry.insert(value);
                    kinds.push(is_text);
                }
            }
            self.check_text()?;
        }
        Ok(map)
    }

    /// A key as a name, and whether it is text.
    fn key(&self, id: Id) -> Parse<(String, bool)> {
        let pickle = self.reader.pickle;
        if let Some(text) = pickle.text(id) {
            return Ok((text.into_owned(), true));
        }
        let name = match pickle.value(id) {
            Value::Text(run) | Value::Str(run) => return Err(long_name(run.len as usize)),
            Value::Int(n) => n.to_string(),
            Value::Float(n) => n.to_string(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::None => "None".into(),
            Value::Bytes(_) => match pickle.bytes(id) {
                Some(bytes) => bytes.iter().map(|&byte| char::from(byte)).collect(),
                None => return Err(long_name(MAX_NAME + 1)),
            },
            Value::Global(_) => pickle
                .global(id)
                .map(ToString::to_string)
                .unwrap_or_default(),
            other => format!("<{} {id}>", other.kind()),
        };
        Ok((name, false))
    }

    /// A list of nothing but plain values, and of such lists.
    fn plain_list(&mut self, items: &[Id]) -> Parse<Option<Json>> {
        self.plain_items(items, self.frames.len())
    }

    fn plain_items(&mut self, items: &[Id], depth: usize) -> Parse<Option<Json>> {
        self.reader.work(items.len())?;
        if depth >= MAX_DEPTH || items.len() > MAX_ITEMS {
            return Ok(None);
        }
        let mut list = Vec::new();
        for &id in items {
            let value = match self.reader.pickle.value(id) {
                Value::List(items) => self.plain_items(items, depth + 1)?,
                Value::Tuple(items) => self.plain_items(items, depth + 1)?,
                Value::Dict(_) | Value::Object(_) | Value::Persistent(_) => None,
                _ => match self.reader.meaning(id)? {
                    Meaning::Plain(value) => Some(value),
                    _ => None,
                },
            };
            let Some(value) = value else {
                return Ok(None);
            };
            self.text += 32 + value.as_str().map_or(0, str::len);
            self.check_text()?;
            list.push(value);
        }
        Ok(Some(Json::Array(list)))
    }

    fn check_text(&self) -> Parse<()> {
        if self.text > MAX_TEXT {
            return Err(Fault::hostile(format!(
                "its names and values take more than {} MB",
                MAX_TEXT >> 20
            )));
        }
        Ok(())
    }

    /// Something at the current path.
    fn met<T>(&mut self, what: T) -> Parse<Met<T>> {
        self.text += self.path.len();
        self.check_text()?;
        Ok(Met {
            path: self.path.clone(),
            top: self.top,
            direct: self.frames.len() == 1,
            what,
        })
    }

    fn tensor(&mut self, tensor: Tensor) -> Parse<()> {
        if self.found.tensors.len() >= MAX_TENSORS {
            let message = format!("more than {MAX_TENSORS} tensors");
            return Err(Fault::hostile(message));
        }
        let met = self.met(tensor)?;
        self.found.tensors.push(met);
        Ok(())
    }

    fn value(&mut self, value: Json) -> Parse<()> {
        self.text += 64 + value.as_str().map_or(0, str::len);
        let met = self.met(value)?;
        self.found.values.insert(met.path, met.what);
        Ok(())
    }

    fn note(&mut self, class: String) -> Parse<()> {
        self.text += 64 + class.len();
        let Met { path, what, .. } = self.met(class)?;
        self.found.opaque.push(Opaque { path, class: what });
        Ok(())
    }
}

fn join(path: &mut String, below: bool, name: &str) {
    if below {
        path.push('.');
    }
    path.push_str(name);
}

fn long_name(len: usize) -> Fault {
    Fault::hostile(format!(
        "a name of {len} bytes; at most {MAX_NAME} are read"
    ))
}

impl Found {
    /// The entry of the outermost dict that is the weights.
    fn root(&self) -> Option<(usize, String)> {
        let holds = |top: usize| {
            let inside = |met_top: Option<usize>, direct: bool| met_top == Some(top) && !direct;
            self.tensors.iter().any(|met| inside(met.top, met.direct))
                || self.unread.iter().any(|met| inside(met.top, met.direct))
        };
        let named = |name: &&str| {
            let found = self.maps.iter().find(|(_, key)| key == name)?;
            holds(found.0).then(|| found.clone())
        };
        let alone = !self.tensors.iter().any(|met| met.direct);
        let loose = LOOSE_ROOTS.iter().filter(|_| alone);
        ROOTS.iter().chain(loose).find_map(named)
    }

    /// Sorts into weights and what lies beside them.
    fn sort(self) -> Parse<Contents> {
        let root = self.root();
        let is_weight = |top: Option<usize>| match &root {
            Some((index, _)) => top == Some(*index),
            None => true,
        };
        let mut contents = Contents {
            values: self.values,
            opaque: self.opaque,
            ..Contents::default()
        };
        for met in self.unread {
            let (class, why) = met.what;
            if is_weight(met.top) {
                let Met { path, .. } = met;
                return Err(Fault::unsupported(format!("{path:?} ({class}): {why}")));
            }
            contents.opaque.push(Opaque {
                path: met.path,
                class,
            });
        }
        for met in self.tensors {
            let (map, name) = match &root {
                Some((_, key)) if is_weight(met.top) => {
                    let name = met.path.get(key.len() + 1..).unwrap_or_default();
                    (&mut contents.tensors, name.to_owned())
                }
                Some(_) => (&mut contents.others, met.path),
                None if met.top.is_none() => (&mut contents.tensors, BARE.to_owned()),
                None => (&mut contents.tensors, met.path),
            };
            match map.entry(name) {
                Entry::Vacant(entry) => entry.insert(met.what),
                Entry::Occupied(entry) => {
                    let name = entry.key();
                    return Err(Fault::corrupt(format!("two tensors are called {name:?}")));
                }
            };
        }
        contents.root = root.map(|(_, key)| key).unwrap_or_default();
        match contents.opaque.first() {
            Some(first) if contents.tensors.is_empty() => Err(no_tensors(first, &contents)),
            _ => Ok(contents),
        }
    }
}

fn no_tensors(first: &Opaque, contents: &Contents) -> Fault {
    let more = match contents.opaque.len() {
        1 => String::new(),
        n => format!(" and {} more objects", n - 1),
    };
    Fault::new(
        Kind::Unsupported,
        format!(
            "it holds no tensors that can be read; met {}{more}, which only Python code could make",
            first.class
        ),
    )
}
