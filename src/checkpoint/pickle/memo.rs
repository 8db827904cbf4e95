//! The memo: numbers a pickle gives to values, to name them again.

use std::collections::HashMap;

use super::value::Id;

/// No value has this number.
const EMPTY: Id = Id::MAX;
/// Gaps up to this are filled: Python 2 begins at 1.
const GAP: u64 = 64;

/// Values by number. Numbers come in order from every real pickler; others cost no more.
#[derive(Default)]
pub struct Memo {
    dense: Vec<Id>,
    sparse: HashMap<u64, Id>,
    len: u64,
}

impl Memo {
    /// Numbers given so far: what MEMOIZE gives next.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn get(&self, index: u64) -> Option<Id> {
        let dense = usize::try_from(index).ok().and_then(|i| self.dense.get(i));
        match dense {
            Some(&EMPTY) | None => self.sparse.get(&index).copied(),
            Some(&id) => Some(id),
        }
    }

    pub fn put(&mut self, index: u64, id: Id) {
        if self.get(index).is_none() {
            self.len += 1;
        }
        let end = self.dense.len() as u64;
        if index < end + GAP {
            if index >= end {
                self.dense.resize(index as usize + 1, EMPTY);
            }
            if let Some(slot) = self.dense.get_mut(index as usize) {
                *slot = id;
            }
        } else {
            self.sparse.insert(index, id);
        }
    }

    /// Bytes of memory it takes, to a good guess from above.
    pub fn bytes(&self) -> usize {
        self.dense.len() * 4 + self.sparse.capacity() * 24
    }
}
