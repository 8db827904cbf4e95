//! What torch keeps outside the pickle: storages, by their persistent ids.

use super::super::blob::Blob;
use super::super::dtype::DType;
use super::super::error::{Fault, Parse};
use super::value::{Global, Id, Pickle};

/// `('storage', class, key, location, elements[, view])`: how torch names a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentId {
    /// `torch.FloatStorage`, `torch.storage.UntypedStorage`, …
    pub class: Global,
    /// Type of its elements; untyped ones count bytes ([`DType::U8`]).
    pub dtype: DType,
    pub key: String,
    /// `cpu`, `cuda:0`: where it was, which no longer matters.
    pub location: String,
    pub elements: u64,
    /// Legacy files only: this storage is part of that one.
    pub view: Option<StorageView>,
}

/// A part of a storage with a key of its own (PyTorch before 0.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageView {
    pub key: String,
    /// In elements.
    pub offset: u64,
    pub elements: u64,
}

/// A storage found.
#[derive(Clone)]
pub struct Storage {
    pub blob: Blob,
    pub dtype: DType,
    pub elements: u64,
    pub big_endian: bool,
}

/// Finds the storages of one file.
pub trait Storages {
    fn storage(&self, id: &PersistentId) -> Parse<Storage>;
}

/// Reads the value inside a [`super::value::Value::Persistent`].
pub fn persistent_id(pickle: &Pickle, id: Id) -> Parse<PersistentId> {
    read(pickle, id).ok_or_else(|| {
        Fault::corrupt(
            "a persistent id that is not ('storage', class, key, location, elements) as torch writes it",
        )
    })
}

fn read(pickle: &Pickle, id: Id) -> Option<PersistentId> {
    let (&[tag, class, key, location, elements], rest) =
        pickle.items(id)?.split_first_chunk::<5>()?;
    if pickle.text(tag)? != "storage" {
        return None;
    }
    let class = pickle.global(class)?;
    let view = match rest {
        [] => None,
        &[view] => view_of(pickle, view)?,
        _ => return None,
    };
    Some(PersistentId {
        dtype: storage_dtype(class)?,
        class: class.clone(),
        key: key_of(pickle, key)?,
        location: pickle.text(location)?.into_owned(),
        elements: pickle.unsigned(elements)?,
        view,
    })
}

/// The ids of everything that is kept outside the pickle, reachable or not, in the order met.
pub fn persistent_ids(pickle: &Pickle) -> impl Iterator<Item = Id> {
    pickle.values.iter().filter_map(|value| match value {
        super::value::Value::Persistent(id) => Some(*id),
        _ => None,
    })
}

/// Keys are text, also where they are numbers.
pub fn key_of(pickle: &Pickle, id: Id) -> Option<String> {
    match pickle.int(id) {
        Some(n) => Some(n.to_string()),
        None => pickle.text(id).map(|text| text.into_owned()),
    }
}

/// `None` or `(key, offset, elements)`.
fn view_of(pickle: &Pickle, id: Id) -> Option<Option<StorageView>> {
    if matches!(pickle.value(id), super::value::Value::None) {
        return Some(None);
    }
    let &[key, offset, elements] = pickle.items(id)? else {
        return None;
    };
    Some(Some(StorageView {
        key: key_of(pickle, key)?,
        offset: pickle.unsigned(offset)?,
        elements: pickle.unsigned(elements)?,
    }))
}

/// The type of a storage class's elements; `None` when it is none that we read.
pub fn storage_dtype(class: &Global) -> Option<DType> {
    let known = matches!(
        class.module.as_str(),
        "torch" | "torch.storage" | "torch.cuda" | "torch.sparse"
    );
    let kind = class.name.strip_suffix("Storage").filter(|_| known)?;
    Some(match kind {
        "Double" => DType::F64,
        "Float" => DType::F32,
        "Half" => DType::F16,
        "BFloat16" => DType::BF16,
        "Long" => DType::I64,
        "Int" => DType::I32,
        "Short" => DType::I16,
        "Char" => DType::I8,
        "Byte" | "Untyped" => DType::U8,
        "Bool" => DType::Bool,
        "ComplexFloat" => DType::C64,
        "ComplexDouble" => DType::C128,
        _ => return None,
    })
}
