//! What a pickle's walk has met, sorted into the weights and what lies beside them.

use indexmap::map::Entry;
use serde_json::Value as Json;

use super::super::checkpoint::{Contents, Opaque};
use super::super::error::{Fault, Kind, Parse};
use super::super::tensor::Tensor;

/// Keys whose value is the weights, whatever stands beside it; the first one found counts.
const ROOTS: [&str; 2] = ["state_dict", "model_state_dict"];
/// Keys whose value is the weights unless tensors stand beside it: a model may call a part so.
const LOOSE_ROOTS: [&str; 6] = ["model", "module", "params", "weights", "net", "network"];
/// What a single array is called.
const BARE: &str = "arr_0";

/// What the walk has met, by full path.
#[derive(Default)]
pub(super) struct Found {
    pub tensors: Vec<Met<Tensor>>,
    pub unread: Vec<Met<(String, String)>>,
    pub values: serde_json::Map<String, Json>,
    pub opaque: Vec<Opaque>,
    /// Keys of the outermost dict whose values are dicts.
    pub maps: Vec<(usize, String)>,
}

/// Something met on the walk.
pub(super) struct Met<T> {
    pub path: String,
    /// Which entry of the outermost container it is in; `None` when it is that itself.
    pub top: Option<usize>,
    /// Whether it is an entry of the outermost container, not inside one.
    pub direct: bool,
    pub what: T,
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
    pub fn sort(self) -> Parse<Contents> {
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
