//! Compares an open checkpoint with what is known of the file, and lists everything that differs.

use std::collections::{BTreeMap, BTreeSet};

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::inspect::hex;
use pose4d::checkpoint::tensor::Tensor;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Everything that differs from the facts; empty when nothing does.
pub fn compare(checkpoint: &Checkpoint, facts: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let format = serde_json::to_value(checkpoint.format()).unwrap();
    if let Some(expected) = facts.get("format")
        && format != *expected
    {
        complaints.push(format!("format {format} instead of {expected}"));
    }
    if let Some(root) = facts.get("root")
        && *root != checkpoint.contents().root
    {
        complaints.push(format!(
            "root {:?} instead of {root}",
            checkpoint.contents().root
        ));
    }
    compare_tensors(checkpoint, facts, &mut complaints);
    compare_values(checkpoint, facts, &mut complaints);
    let met = &checkpoint.contents().opaque;
    let met: BTreeSet<&str> = met.iter().map(|o| o.class.as_str()).collect();
    for class in facts["opaque"].as_array().into_iter().flatten() {
        // What sort of array it is may follow the class.
        if !met.iter().any(|m| m.starts_with(class.as_str().unwrap())) {
            complaints.push(format!("opaque {class} not among {met:?}"));
        }
    }
    complaints
}

/// By full path, whether they are the weights or lie beside them.
fn compare_tensors(checkpoint: &Checkpoint, facts: &Value, complaints: &mut Vec<String>) {
    let root = &checkpoint.contents().root;
    // Lists of the weights alone name them as the network does.
    let below_root = facts.get("below_root").is_some();
    let full = |name: &String| match root.as_str() {
        "" => name.clone(),
        _ if below_root => name.clone(),
        root => format!("{root}.{name}"),
    };
    let weights: Vec<String> = checkpoint.tensors().keys().map(full).collect();
    let mut found: BTreeMap<String, &Tensor> = weights
        .iter()
        .cloned()
        .zip(checkpoint.tensors().values())
        .collect();
    for (name, tensor) in &checkpoint.contents().others {
        if below_root {
            break;
        }
        if found.insert(name.clone(), tensor).is_some() {
            complaints.push(format!("{name:?} is among the weights and beside them"));
        }
    }
    let mut order = Vec::new();
    for entry in facts["tensors"].as_array().unwrap() {
        let name = entry[0].as_str().unwrap();
        order.push(name);
        match found.remove(name) {
            // A list of the network's own names has more than a file of it need hold.
            None if below_root => {}
            None => complaints.push(format!("{name:?} is missing")),
            Some(tensor) => complaints.extend(
                difference(tensor, entry).map(|what| format!("{name:?} {what}")),
            ),
        }
    }
    // A module's constants and lists of tensors are in the archive, but not in its state_dict.
    if facts["format"] == "torch-script" {
        found.retain(|name, _| !checkpoint.contents().others.contains_key(name));
    }
    complaints.extend(
        found
            .keys()
            .map(|name| format!("{name:?} is not in the file")),
    );
    let order: Vec<&str> = order
        .into_iter()
        .filter(|name| weights.iter().any(|w| w == name))
        .collect();
    if facts.get("unordered").is_none() && order != weights {
        complaints.push(format!("order {weights:?} instead of {order:?}"));
    }
}

/// An entry is `[name, dtype, shape, sha256]`; the hash may be unknown.
fn difference(tensor: &Tensor, entry: &Value) -> Option<String> {
    if entry[1] != tensor.dtype.name() {
        return Some(format!("is {} instead of {}", tensor.dtype, entry[1]));
    }
    let shape: Vec<u64> = serde_json::from_value(entry[2].clone()).unwrap();
    if shape != tensor.shape {
        return Some(format!("has shape {:?} instead of {shape:?}", tensor.shape));
    }
    let bytes = match tensor.read() {
        Ok(bytes) => bytes,
        Err(fault) => return Some(format!("cannot be read: {fault}")),
    };
    let hash = hex(&Sha256::digest(&bytes));
    let known = entry[3].as_str()?;
    (known != hash).then(|| "holds other bytes".to_owned())
}

/// Leaf by leaf, so that it does not matter at which level a list or dictionary is one value.
fn compare_values(checkpoint: &Checkpoint, facts: &Value, complaints: &mut Vec<String>) {
    let Some(expected) = facts.get("values").and_then(Value::as_object) else {
        return;
    };
    let found = leaves(&checkpoint.contents().values);
    for (path, value) in expected {
        match found.get(path) {
            Some(found) if same(found, value) => {}
            Some(found) => complaints.push(format!("value {path:?} is {found} instead of {value}")),
            None => complaints.push(format!("value {path:?} is missing")),
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.as_f64().is_some() && a.is_f64() == b.is_f64() && a.as_f64() == b.as_f64())
}

fn leaves(values: &Map<String, Value>) -> BTreeMap<String, Value> {
    fn walk(path: String, value: &Value, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(items) => {
                for (key, item) in items {
                    walk(format!("{path}.{key}"), item, found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(format!("{path}.{index}"), item, found);
                }
            }
            leaf => {
                found.insert(path, leaf.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    for (key, value) in values {
        walk(key.clone(), value, &mut found);
    }
    found
}
