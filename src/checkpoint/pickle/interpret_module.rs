//! Models pickled whole: what `state_dict()` would give of them, without making them.
//!
//! Source: PyTorch 0.4 to 2.11, `torch/nn/modules/module.py` (`_save_to_state_dict`).

use super::super::error::Parse;
use super::interpret::{Made, Meaning, Reader, Step};
use super::value::{Id, Value};

/// The attributes of every module, in the order of its `state_dict()`.
const PARTS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

impl<'a> Reader<'a> {
    /// A module of whatever class: an object whose attributes are those of `torch.nn.Module`.
    pub(super) fn module(&self, made: Made<'a>) -> Parse<Option<Step<'a>>> {
        let mut parts = Vec::new();
        for name in PARTS {
            let Some(part) = self.field(made, name)? else {
                return Ok(None);
            };
            let Meaning::Map(pairs) = self.meaning(part)? else {
                return Ok(None);
            };
            self.work(pairs.len())?;
            parts.extend(pairs.iter().filter(|(_, value)| !self.is_none(*value)));
        }
        let left_out = self.field(made, "_non_persistent_buffers_set")?;
        let left_out = left_out.map(|set| self.names(set)).unwrap_or_default();
        self.work(parts.len().saturating_mul(left_out.len()))?;
        parts.retain(|(name, _)| {
            let name = self.pickle.text(*name);
            !left_out.iter().any(|out| self.pickle.text(*out) == name)
        });
        Ok(Some(Step::Is(Meaning::Module {
            class: made.global.to_string(),
            parts,
        })))
    }

    fn is_none(&self, id: Id) -> bool {
        matches!(self.pickle.value(id), Value::None)
    }

    /// The items of a set, however the protocol spells it.
    fn names(&self, set: Id) -> Vec<Id> {
        match self.pickle.value(set) {
            Value::Set(items) => items.clone(),
            Value::Object(object) => self
                .made(object)
                .and_then(|made| self.pickle.items(*made.args.first()?))
                .map(<[Id]>::to_vec)
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}
