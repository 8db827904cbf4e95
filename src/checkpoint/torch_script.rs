//! TorchScript archives: the parameters and buffers of a module, never its code.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::checkpoint::{Contents, Opaque};
use super::error::{Fault, Kind, Parse};
use super::limits::{MAX_DEPTH, MAX_NAME, MAX_TENSORS};
use super::pickle::value::{Id, Pickle, Value};
use super::source::Source;
use super::torch_zip::TorchArchive;

/// Whether an archive with members of these names is a scripted module.
pub fn looks_like<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut names = names;
    names.any(|name| name.rsplit('/').next() == Some("constants.pkl"))
}

/// Whether it is a scripted module of PyTorch 1.0 to 1.3, which kept its structure in JSON.
pub fn looks_old<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.rsplit('/').next() == Some("model.json"))
}

/// What to say of such an archive.
pub fn old_fault() -> Fault {
    Fault::unsupported(
        "a TorchScript archive of PyTorch 1.3 or before; load it with torch.jit.load and save its \
         state_dict with torch.save",
    )
}

/// Reads the tensors that are attributes of modules, by their paths; those in lists and dicts and
/// the code's constants lie beside them.
pub fn read(source: &Source) -> Parse<Contents> {
    let archive = TorchArchive::open(source)?;
    let (pickle, source) = archive.pickle("data.pkl")?;
    let mut contents = archive.contents_of(&pickle, &source, "data/")?;
    // That has been through all of it, so that this is known not to go on for ever.
    let modules = modules(&pickle)?;
    let of_module = |name: &str| match name.rsplit_once('.') {
        Some((module, _)) => modules.contains(module),
        None => modules.contains(""),
    };
    let (tensors, others): (IndexMap<_, _>, IndexMap<_, _>) = std::mem::take(&mut contents.tensors)
        .into_iter()
        .partition(|(name, _)| of_module(name));
    contents.tensors = tensors;
    contents.others.extend(others);
    constants(&archive, &mut contents)?;
    archive.check_unused()?;
    Ok(contents)
}

fn constants(archive: &TorchArchive, contents: &mut Contents) -> Parse<()> {
    let constants = match archive.contents("constants.pkl", "constants/") {
        Ok(constants) => constants,
        // Nothing but objects, which the code would use.
        Err(fault) if fault.kind == Kind::Unsupported => {
            contents.opaque.push(Opaque {
                path: "constants".into(),
                class: fault.message,
            });
            return Ok(());
        }
        Err(fault) => return Err(fault),
    };
    for (name, tensor) in constants.tensors.into_iter().chain(constants.others) {
        contents.others.insert(format!("constants.{name}"), tensor);
    }
    contents.opaque.extend(constants.opaque);
    Ok(())
}

/// The paths of all modules; the outermost one's is empty.
fn modules(pickle: &Pickle) -> Parse<HashSet<String>> {
    let mut paths = HashSet::new();
    let mut open = vec![(String::new(), pickle.root, 0)];
    while let Some((path, id, depth)) = open.pop() {
        let Some(found) = attributes(pickle, id) else {
            continue;
        };
        if depth > MAX_DEPTH || paths.len() > MAX_TENSORS || path.len() > MAX_NAME {
            return Err(Fault::hostile(
                "modules nested too deep, too many of them, or with too long a name",
            ));
        }
        for &(name, value) in found {
            let name = pickle.text(name).unwrap_or_default();
            let inner = match path.as_str() {
                "" => name.into_owned(),
                path => format!("{path}.{name}"),
            };
            if attributes(pickle, value).is_some() {
                open.push((inner, value, depth + 1));
            }
        }
        paths.insert(path);
    }
    Ok(paths)
}

/// The attributes of a module; `None` for every other value.
fn attributes(pickle: &Pickle, id: Id) -> Option<&[(Id, Id)]> {
    let object = pickle.object(id)?;
    let class = pickle.global(object.callable)?;
    let own = class.module == "__torch__" || class.module.starts_with("__torch__.");
    match pickle.value(object.state().filter(|_| own)?) {
        Value::Dict(pairs) => Some(pairs),
        _ => None,
    }
}
