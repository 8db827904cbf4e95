//! YAML configurations as plain values: nothing is made, nothing is looked up.
//!
//! Read as PyYAML with OmegaConf's loader reads them; `${…}` stays text. Tags that would make
//! Python objects are refused.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use super::checkpoint::Contents;
use super::error::{Fault, Kind, Parse};
use super::limits;
use super::source::{Source, read_vec};
use super::yaml_scalar;

/// Largest file; real configurations have a few kilobytes. The scanner takes up to 180 bytes of
/// memory for each of the file's.
const MAX_FILE: u64 = 256 << 10;
/// Most that aliases may multiply a file to: the memory of its values, roughly, in bytes.
const MAX_WEIGHT: usize = 8 << 20;
/// Of a value beside its text.
const NODE: usize = 48;
const CORE: &str = "tag:yaml.org,2002:";

/// Reads a configuration: a mapping (or a list, whose items are called `0`, `1`, …).
pub fn read(source: &Source) -> Parse<Contents> {
    if source.len() > MAX_FILE {
        return Err(Fault::hostile(format!(
            "a YAML file of {} bytes; at most {MAX_FILE} are read",
            source.len()
        )));
    }
    let bytes = read_vec(source.as_ref(), 0, source.len() as usize)?;
    let values = match parse(&bytes)? {
        Value::Object(map) => map,
        Value::Array(items) => {
            let numbered = |(i, item): (usize, Value)| (i.to_string(), item);
            items.into_iter().enumerate().map(numbered).collect()
        }
        Value::Null => Map::new(),
        _ => {
            return Err(Fault::new(
                Kind::Format,
                "a single value; expected a YAML file of settings",
            ));
        }
    };
    Ok(Contents {
        values,
        ..Contents::default()
    })
}

/// The one document of a YAML text.
pub fn parse(bytes: &[u8]) -> Parse<Value> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Fault::new(Kind::Format, "not YAML: the file is not UTF-8 text"))?;
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    if let Some(found) = text.chars().find(|&c| control(c)) {
        let found = found.escape_default();
        return Err(Fault::new(
            Kind::Format,
            format!("not YAML: it holds the control character {found}"),
        ));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Fault::corrupt(format!("bad YAML: {error}")))?;
        let line = span.start.line();
        let place = |fault: Fault| fault.within(format_args!("line {line}"));
        builder.event(event).map_err(place)?;
    }
    Ok(builder.document.unwrap_or_default())
}

/// A value and what it takes.
#[derive(Clone)]
struct Node {
    value: Value,
    weight: usize,
    /// Levels of lists and mappings, 0 for a scalar.
    depth: usize,
    /// Where it was the plain text `<<`.
    merges: bool,
}

/// A list or mapping under way.
struct Open {
    anchor: usize,
    weight: usize,
    depth: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Value>),
    Mapping {
        map: Map<String, Value>,
        /// A key that waits for its value.
        key: Option<Key>,
        /// Mappings merged in by `<<`, the first the strongest.
        merged: Vec<Map<String, Value>>,
    },
}

enum Key {
    Name(String),
    Merge,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    document: Option<Value>,
    /// Memory of all values made so far.
    weight: usize,
}

impl Builder {
    fn event(&mut self, event: Event) -> Parse<()> {
        match event {
            Event::DocumentStart(_) if self.document.is_some() => Err(Fault::unsupported(
                "a second document; a configuration is one",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(&text, style, tag.as_deref())?;
                self.finish(anchor, node)
            }
            Event::SequenceStart(anchor, tag) => {
                known_tag(tag.as_deref(), &["seq", "python/list", "python/tuple"])?;
                self.begin(anchor, Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                known_tag(tag.as_deref(), &["map", "python/dict"])?;
                self.begin(
                    anchor,
                    Inside::Mapping {
                        map: Map::new(),
                        key: None,
                        merged: Vec::new(),
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or_else(|| {
                    Fault::hostile("an alias inside of what it stands for: it has no end")
                })?;
                // Before the copy is made.
                if self.weight + node.weight > MAX_WEIGHT {
                    return Err(too_large());
                }
                let node = node.clone();
                self.finish(0, node)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, inside: Inside) -> Parse<()> {
        if self.open.len() >= limits::MAX_DEPTH {
            return Err(too_deep());
        }
        self.open.push(Open {
            anchor,
            weight: NODE,
            depth: 0,
            inside,
        });
        Ok(())
    }

    fn end(&mut self) -> Parse<()> {
        let Some(open) = self.open.pop() else {
            return Err(Fault::corrupt("an end without a start"));
        };
        let value = match open.inside {
            Inside::List(items) => Value::Array(items),
            Inside::Mapping {
                mut map, merged, ..
            } => {
                // What the mapping says itself is stronger than what is merged in.
                for (key, value) in merged.into_iter().flatten() {
                    map.entry(key).or_insert(value);
                }
                Value::Object(map)
            }
        };
        // Its parts were counted when they were made.
        self.weight = self.weight.saturating_sub(open.weight - NODE);
        let node = Node {
            value,
            weight: open.weight,
            depth: open.depth + 1,
            merges: false,
        };
        self.finish(open.anchor, node)
    }

    /// Puts a value where it belongs.
    fn finish(&mut self, anchor: usize, node: Node) -> Parse<()> {
        // An anchor has a copy of its own.
        self.weight += if anchor == 0 {
            node.weight
        } else {
            2 * node.weight
        };
        if self.weight > MAX_WEIGHT {
            return Err(too_large());
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        if self.open.len() + node.depth > limits::MAX_DEPTH {
            return Err(too_deep());
        }
        let Some(open) = self.open.last_mut() else {
            self.document = Some(node.value);
            return Ok(());
        };
        open.weight += node.weight;
        open.depth = open.depth.max(node.depth);
        match &mut open.inside {
            Inside::List(items) => items.push(node.value),
            Inside::Mapping { map, key, merged } => match key.take() {
                None => *key = Some(key_of(node, map)?),
                Some(Key::Merge) => merge(node.value, merged)?,
                Some(Key::Name(name)) => {
                    map.insert(name, node.value);
                }
            },
        }
        Ok(())
    }
}

fn too_large() -> Fault {
    Fault::hostile("YAML aliases that multiply the file without measure")
}

fn too_deep() -> Fault {
    let most = limits::MAX_DEPTH;
    Fault::hostile(format!("YAML nested deeper than {most}"))
}

/// A key as text: numbers, booleans and null become what they are written as in JSON.
fn key_of(node: Node, map: &Map<String, Value>) -> Parse<Key> {
    if node.merges {
        return Ok(Key::Merge);
    }
    let name = match node.value {
        Value::String(text) => text,
        value @ (Value::Null | Value::Bool(_) | Value::Number(_)) => value.to_string(),
        Value::Array(_) | Value::Object(_) => {
            return Err(Fault::unsupported("a list or mapping as a key"));
        }
    };
    if map.contains_key(&name) {
        return Err(Fault::corrupt(format!("the key {name:?} twice")));
    }
    Ok(Key::Name(name))
}

fn merge(value: Value, merged: &mut Vec<Map<String, Value>>) -> Parse<()> {
    let items = match value {
        Value::Array(items) => items,
        value => vec![value],
    };
    for item in items {
        let Value::Object(map) = item else {
            return Err(Fault::corrupt("`<<` with what is no mapping"));
        };
        merged.push(map);
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Parse<Node> {
    let plain = style == ScalarStyle::Plain;
    let value = match tag.map(tag_name).filter(|tag| tag != "!") {
        None if plain => yaml_scalar::resolve(text),
        None => text.into(),
        Some(tag) => tagged(&tag, text)?,
    };
    Ok(Node {
        value,
        weight: NODE + text.len(),
        depth: 0,
        merges: plain && tag.is_none() && text == "<<",
    })
}

/// The value of a scalar whose type is told.
fn tagged(tag: &str, text: &str) -> Parse<Value> {
    let number = |value: Option<Value>| {
        value.ok_or_else(|| Fault::corrupt(format!("{text:?}, tagged as !!{tag}, is none")))
    };
    match tag.strip_prefix(CORE).unwrap_or(tag) {
        "str" | "python/str" | "python/unicode" | "timestamp" => Ok(text.into()),
        "null" | "python/none" => Ok(Value::Null),
        "bool" | "python/bool" => match yaml_scalar::resolve(text) {
            Value::Bool(value) => Ok(value.into()),
            _ => number(None),
        },
        "int" | "python/int" | "python/long" => number(yaml_scalar::integer(text)),
        "float" | "python/float" => {
            let whole = || {
                yaml_scalar::integer(text)
                    .and_then(|n| n.as_f64())
                    .map(Value::from)
            };
            number(yaml_scalar::float(text).or_else(whole))
        }
        _ => Err(refused(tag)),
    }
}

fn known_tag(tag: Option<&Tag>, known: &[&str]) -> Parse<()> {
    let Some(tag) = tag.map(tag_name) else {
        return Ok(());
    };
    let short = tag.strip_prefix(CORE).unwrap_or(&tag);
    if short == "!" || known.contains(&short) {
        return Ok(());
    }
    Err(refused(&tag))
}

/// The whole name of a tag.
fn tag_name(tag: &Tag) -> String {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "") | ("", "!") => "!".to_owned(),
        (handle, suffix) => format!("{handle}{suffix}"),
    }
}

fn refused(tag: &str) -> Fault {
    match tag.strip_prefix(CORE) {
        Some(name) if name.starts_with("python/") => Fault::hostile(format!(
            "the tag !!{name}: in Python the file would make objects or run code"
        )),
        Some(name) => Fault::unsupported(format!("the YAML tag !!{name}")),
        None if tag.contains("python/") => Fault::hostile(format!(
            "the tag {tag}: in Python the file would make objects or run code"
        )),
        None => Fault::unsupported(format!("the YAML tag {tag}")),
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
