//! An HDF5 file's tensors by name: groups walked from the root, links resolved.

use std::collections::HashMap;
use std::sync::Arc;

use super::attributes;
use super::dataset::{self, Dataset};
use super::file::File;
use super::group::{self, Link, Target};
use super::header::Header;
use crate::checkpoint::checkpoint::{Contents, Opaque};
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::limits;
use crate::checkpoint::source::Source;
use crate::checkpoint::tensor::Tensor;

/// Soft links followed one after the other; HDF5's own limit.
const MAX_LINKS: usize = 16;
/// Links looked at in all: every tensor may have some groups above it.
const MAX_NODES: usize = 2 * limits::MAX_TENSORS;
/// Groups that hold the weights while others hold an optimizer's state; the last is Keras'.
///
/// Looser names (`model`) are left alone: here they may as well be a module's.
const ROOTS: [&str; 3] = ["state_dict", "model_state_dict", "model_weights"];

/// Whether a file begins as HDF5 files do (without a block of the user's).
pub fn looks_like(head: &[u8]) -> bool {
    head.starts_with(super::file::MAGIC)
}

pub fn read(source: &Source) -> Parse<Contents> {
    let file = Arc::new(File::open(source)?);
    let mut walk = Walk {
        groups: HashMap::new(),
        contents: Contents::default(),
        nodes: 0,
        file,
    };
    let root = walk.file.root.address;
    let attributes = attributes::attributes(&walk.file, &Header::read(&walk.file, root)?)?;
    walk.contents.values = attributes.values;
    for (path, class) in attributes.others {
        walk.contents.opaque.push(Opaque { path, class });
    }
    walk.run(root)?;
    let groups = walk.top_groups(root)?;
    let mut contents = walk.contents;
    if let Some(root) = ROOTS.iter().find(|root| groups.iter().any(|name| name == *root)) {
        take_root(&mut contents, root);
    }
    Ok(contents)
}

/// Strips the name of the group that holds the weights; what is elsewhere lies beside them.
fn take_root(contents: &mut Contents, root: &str) {
    let inside = |name: &str| {
        let rest = name.strip_prefix(root)?.strip_prefix('.')?;
        Some(rest.to_owned())
    };
    if !contents.tensors.keys().any(|name| inside(name).is_some()) {
        return;
    }
    for (name, tensor) in std::mem::take(&mut contents.tensors) {
        match inside(&name) {
            Some(name) => contents.tensors.insert(name, tensor),
            None => contents.others.insert(name, tensor),
        };
    }
    contents.root = root.to_owned();
}

/// What a link leads to.
enum Object {
    Group(Arc<Vec<Link>>),
    Dataset(Dataset),
    /// A named datatype: it has no data.
    Other,
}

/// A group being walked.
struct Level {
    address: u64,
    /// Names from the root, joined by dots.
    path: String,
    links: Arc<Vec<Link>>,
    next: usize,
}

struct Walk {
    file: Arc<File>,
    /// Groups by address: soft links ask for the same ones again and again.
    groups: HashMap<u64, Arc<Vec<Link>>>,
    contents: Contents,
    nodes: usize,
}

impl Walk {
    fn run(&mut self, root: u64) -> Parse<()> {
        let Object::Group(links) = self.object(root)? else {
            return Err(Fault::corrupt("the root of the HDF5 file is no group"));
        };
        let mut levels = vec![Level {
            address: root,
            path: String::new(),
            links,
            next: 0,
        }];
        while let Some(level) = levels.last_mut() {
            let links = level.links.clone();
            let Some(link) = links.get(level.next) else {
                levels.pop();
                continue;
            };
            level.next += 1;
            let (group, path) = (level.address, join(&level.path, &link.name)?);
            let place = |fault: Fault| fault.within(format_args!("HDF5 object {path:?}"));
            let below = self.visit(group, &path, link).map_err(place)?;
            if let Some((address, links)) = below {
                if levels.iter().any(|level| level.address == address) {
                    return Err(place(Fault::hostile("a group that contains itself")));
                }
                if levels.len() >= limits::MAX_DEPTH {
                    return Err(Fault::hostile(format!(
                        "HDF5 groups nested deeper than {}",
                        limits::MAX_DEPTH
                    )));
                }
                levels.push(Level {
                    address,
                    path,
                    links,
                    next: 0,
                });
            }
        }
        Ok(())
    }

    /// The groups right below the root that are there by name.
    fn top_groups(&mut self, root: u64) -> Parse<Vec<String>> {
        let mut groups = Vec::new();
        if let Object::Group(links) = self.object(root)? {
            for link in links.iter().filter(|link| ROOTS.contains(&link.name.as_str())) {
                let address = self.resolve(root, &link.target)?;
                let object = address.map(|address| self.object(address)).transpose()?;
                if matches!(object, Some(Object::Group(_))) {
                    groups.push(link.name.clone());
                }
            }
        }
        Ok(groups)
    }

    /// Takes what a link of `group` leads to; the address and links of a group to be walked.
    fn visit(
        &mut self,
        group: u64,
        path: &str,
        link: &Link,
    ) -> Parse<Option<(u64, Arc<Vec<Link>>)>> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Fault::hostile(format!(
                "more than {MAX_NODES} links in an HDF5 file"
            )));
        }
        let Some(address) = self.resolve(group, &link.target)? else {
            let Target::Soft(target) = &link.target else {
                return self.opaque(path, "HDF5 link of a program's own kind".to_owned());
            };
            return self.opaque(path, format!("HDF5 soft link to {target:?}, where nothing is"));
        };
        match self.object(address)? {
            Object::Group(links) => return Ok(Some((address, links))),
            Object::Dataset(Dataset::Tensor(tensor)) => self.insert(path, tensor)?,
            Object::Dataset(Dataset::Value(value)) => {
                self.contents.values.insert(path.to_owned(), value);
            }
            Object::Dataset(Dataset::Opaque(class)) => return self.opaque(path, class),
            Object::Other => return self.opaque(path, "HDF5 named datatype".to_owned()),
        }
        Ok(None)
    }

    fn insert(&mut self, path: &str, tensor: Tensor) -> Parse<()> {
        let tensors = &mut self.contents.tensors;
        if tensors.insert(path.to_owned(), tensor).is_some() {
            return Err(Fault::corrupt(
                "two datasets get the same name once groups are joined by dots",
            ));
        }
        Ok(())
    }

    fn opaque<T>(&mut self, path: &str, class: String) -> Parse<Option<T>> {
        let path = path.to_owned();
        self.contents.opaque.push(Opaque { path, class });
        Ok(None)
    }

    fn object(&mut self, address: u64) -> Parse<Object> {
        if let Some(links) = self.groups.get(&address) {
            return Ok(Object::Group(links.clone()));
        }
        let header = Header::read(&self.file, address)?;
        if let Some(links) = group::links(&self.file, &header)? {
            let links = Arc::new(links);
            self.groups.insert(address, links.clone());
            return Ok(Object::Group(links));
        }
        let dataset = dataset::dataset(&self.file, &header)?;
        Ok(dataset.map_or(Object::Other, Object::Dataset))
    }

    /// The object header a link of `group` leads to; `None` where it leads nowhere.
    fn resolve(&mut self, group: u64, target: &Target) -> Parse<Option<u64>> {
        let path = match target {
            Target::Hard(address) => return Ok(Some(*address)),
            Target::Soft(path) => path,
            Target::User(_) => return Ok(None),
            Target::External => {
                return Err(Fault::hostile(
                    "an HDF5 link to another file; copy what it points to into this one",
                ));
            }
        };
        // Parts of the path still to be followed, the next one last.
        let mut parts: Vec<String> = split(path);
        let mut at = if path.starts_with('/') { self.file.root.address } else { group };
        let mut followed = 1;
        while let Some(part) = parts.pop() {
            self.file.charge("soft links", 0)?;
            let Object::Group(links) = self.object(at)? else {
                return Ok(None);
            };
            let link = links.iter().find(|link| link.name == part);
            match link.map(|link| &link.target) {
                None | Some(Target::User(_)) => return Ok(None),
                Some(Target::Hard(address)) => at = *address,
                Some(Target::External) => return self.resolve(at, &Target::External),
                Some(Target::Soft(path)) => {
                    followed += 1;
                    if followed > MAX_LINKS {
                        return Err(Fault::hostile("soft links that lead to each other"));
                    }
                    if path.starts_with('/') {
                        at = self.file.root.address;
                    }
                    parts.extend(split(path));
                }
            }
        }
        Ok(Some(at))
    }
}

/// The parts of a path, the last one first.
fn split(path: &str) -> Vec<String> {
    let named = |part: &&str| !part.is_empty() && *part != ".";
    path.split('/').filter(named).rev().map(str::to_owned).collect()
}

fn join(path: &str, name: &str) -> Parse<String> {
    let joined = match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    if joined.len() > limits::MAX_NAME {
        return Err(Fault::hostile(format!(
            "a name of {} bytes; at most {} are read",
            joined.len(),
            limits::MAX_NAME
        )));
    }
    Ok(joined)
}
