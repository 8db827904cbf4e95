//! Where the values of a pickle live, and what they may cost.

use indexmap::IndexSet;

use super::super::error::{Fault, Parse};
use super::globals;
use super::value::{Coding, Global, Id, More, Object, Pickle, Run, Value};

/// Most memory the values of one pickle may take, bytes. Real checkpoints need a few MB.
pub const MAX_MEMORY: usize = 20 << 20;
/// Longest text held in memory, bytes: names are no longer.
const HELD_TEXT: u64 = 1024;
/// Longest bytes held in memory: type codes, small numbers.
const HELD_BYTES: u64 = 64;
/// What an allocation costs beyond its bytes.
const OVERHEAD: usize = 16;

pub const NONE: Id = 0;
pub const FALSE: Id = 1;
pub const TRUE: Id = 2;
pub const EMPTY_TUPLE: Id = 3;
/// The integers 0 to 255 follow.
const FIRST_INT: Id = 4;

/// Values, short strings and names, all counted.
pub struct Arena {
    /// What is being read; `root` and `end` are not known yet.
    pub pickle: Pickle,
    /// Ids of the globals' values, by their index.
    global_ids: Vec<Id>,
    spent: usize,
}

impl Arena {
    pub fn new() -> Self {
        let mut values = vec![
            Value::None,
            Value::Bool(false),
            Value::Bool(true),
            Value::Tuple(Box::new([])),
        ];
        values.extend((0..256).map(Value::Int));
        Self {
            pickle: Pickle {
                values,
                pool: vec![0],
                globals: IndexSet::new(),
                root: NONE,
                end: 0,
            },
            global_ids: Vec::new(),
            spent: 0,
        }
    }

    /// Counts memory that is about to be, or has just been, taken.
    pub fn spend(&mut self, bytes: usize) -> Parse<()> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > MAX_MEMORY {
            return Err(Fault::hostile(format!(
                "its objects would take more than {} MB of memory beside the arrays",
                MAX_MEMORY >> 20
            )));
        }
        Ok(())
    }

    pub fn push(&mut self, value: Value) -> Parse<Id> {
        self.spend(size_of::<Value>() + heap(&value))?;
        let id = self.pickle.values.len() as Id;
        if self.pickle.values.len() == self.pickle.values.capacity() {
            self.pickle
                .values
                .reserve_exact((self.pickle.values.len() / 4).max(1024));
        }
        self.pickle.values.push(value);
        Ok(id)
    }

    pub fn int(&mut self, n: i64) -> Parse<Id> {
        match u8::try_from(n) {
            Ok(n) => Ok(FIRST_INT + Id::from(n)),
            Err(_) => self.push(Value::Int(n)),
        }
    }

    /// The value of a class or function. A fault when nothing but an attack names it.
    pub fn global(&mut self, global: Global) -> Parse<Id> {
        if let Some(index) = self.pickle.globals.get_index_of(&global)
            && let Some(&id) = self.global_ids.get(index)
        {
            return Ok(id);
        }
        globals::check(&global)?;
        self.spend(size_of::<Global>() + global.module.len() + global.name.len() + 4 * OVERHEAD)?;
        let (index, _) = self.pickle.globals.insert_full(global);
        let id = self.push(Value::Global(index as u32))?;
        self.global_ids.push(id);
        Ok(id)
    }

    /// A run of the file; `decoded` is what it says when it is short enough to be held.
    pub fn run(
        &mut self,
        offset: u64,
        len: u64,
        coding: Coding,
        decoded: Option<&[u8]>,
    ) -> Parse<Run> {
        let mut run = Run {
            offset,
            len,
            held: 0,
            held_len: 0,
            coding,
        };
        if let Some(decoded) = decoded
            && let Ok(len) = u16::try_from(decoded.len())
        {
            self.spend(decoded.len())?;
            run.held = self.pickle.pool.len() as u32;
            run.held_len = len;
            self.pickle.pool.extend_from_slice(decoded);
        }
        Ok(run)
    }

    /// Appends to a list, a set, or an object that may be one.
    pub fn extend(&mut self, id: Id, items: &[Id]) -> Parse<()> {
        let grown = match self.pickle.values.get_mut(id as usize) {
            Some(Value::List(list) | Value::Set(list)) => grow(list, items),
            Some(Value::Object(object)) => grow(&mut more(object).items, items),
            other => return Err(misfit("items are added to", other)),
        };
        self.spend(grown)
    }

    /// Sets keys of a dict, or of an object that may be one.
    pub fn set(&mut self, id: Id, pairs: &[(Id, Id)]) -> Parse<()> {
        let grown = match self.pickle.values.get_mut(id as usize) {
            Some(Value::Dict(dict)) => grow(dict, pairs),
            Some(Value::Object(object)) => grow(&mut more(object).pairs, pairs),
            other => return Err(misfit("keys are set in", other)),
        };
        self.spend(grown)
    }

    /// Gives an object its state.
    pub fn build(&mut self, id: Id, state: Id) -> Parse<()> {
        let grown = match self.pickle.values.get_mut(id as usize) {
            Some(Value::Object(object)) => grow(&mut more(object).states, &[state]),
            Some(Value::Global(index)) => {
                let index = *index as usize;
                let class = self.pickle.globals.get_index(index);
                let class = class.map(ToString::to_string).unwrap_or_default();
                return Err(Fault::hostile(format!(
                    "the attributes of {class} itself are to be changed; no checkpoint needs that"
                )));
            }
            other => return Err(misfit("a state is given to", other)),
        };
        self.spend(grown)
    }
}

/// What an object was given after it was made; room for it when it had nothing.
fn more(object: &mut Object) -> &mut More {
    object.more.get_or_insert_default()
}

/// Appends and says what that cost. A new list is charged for its first room, an object for its
/// [`More`] too.
fn grow<T: Copy>(list: &mut Vec<T>, items: &[T]) -> usize {
    let before = list.capacity();
    list.extend_from_slice(items);
    let grown = (list.capacity() - before) * size_of::<T>();
    match before {
        0 => grown + OVERHEAD + size_of::<More>(),
        _ => grown,
    }
}

fn misfit(what: &str, value: Option<&mut Value>) -> Fault {
    let found = value.map_or("nothing", |value| value.kind());
    Fault::corrupt(format!("{what} {found}, which Python refuses"))
}

/// Memory beside the value itself.
fn heap(value: &Value) -> usize {
    let list = |items: usize, size: usize| match items {
        0 => 0,
        _ => items * size + OVERHEAD,
    };
    match value {
        Value::List(items) | Value::Set(items) => list(items.capacity(), size_of::<Id>()),
        Value::Tuple(items) | Value::FrozenSet(items) => list(items.len(), size_of::<Id>()),
        Value::Dict(pairs) => list(pairs.capacity(), size_of::<(Id, Id)>()),
        Value::Object(object) => {
            let more = object.more.as_ref().map_or(0, |_| size_of::<More>());
            size_of::<Object>() + more + 2 * OVERHEAD
        }
        _ => 0,
    }
}

/// Whether text (or bytes) of `len` bytes is held in memory.
pub fn is_held(text: bool, len: u64) -> bool {
    len <= if text { HELD_TEXT } else { HELD_BYTES }
}
