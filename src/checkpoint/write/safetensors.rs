//! Writes `.safetensors` files.
//!
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};

use serde_json::Value;

use super::{Entry, Feed, Output};
use crate::checkpoint::error::{Fault, Parse};
use crate::checkpoint::safetensors::dtype_name;

/// The header is filled up with spaces to a multiple of this, so that memory maps are aligned.
const ALIGNMENT: usize = 8;
const METADATA: &str = "__metadata__";

/// Writes `tensors` and the texts of `metadata`.
///
/// The header keeps the given order; the data are laid out widest type first, as the format's
/// own library does, so that every tensor is aligned to its elements.
pub fn write(
    out: &mut File,
    tensors: &[Entry],
    metadata: &[(String, String)],
    feed: &mut Feed,
) -> Parse<()> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(tensors[index].dtype.word()));
    let header = header(tensors, metadata, &order)?;
    let mut out = BufWriter::new(out);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for index in order {
        let mut output = Output::new(&mut out, tensors[index].bytes());
        feed(index, &mut |piece| output.push(piece))?;
        output.finish()?;
    }
    out.flush()?;
    Ok(())
}

fn header(tensors: &[Entry], metadata: &[(String, String)], order: &[usize]) -> Parse<String> {
    let mut spans = vec![(0, 0); tensors.len()];
    let mut end = 0_u64;
    for &index in order {
        let start = end;
        end = tensors[index]
            .bytes()
            .checked_add(start)
            .ok_or_else(|| Fault::unsupported("more bytes of tensors than a file can hold"))?;
        spans[index] = (start, end);
    }
    let mut names = HashSet::from([METADATA]);
    let mut items = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        let texts: serde_json::Map<_, _> = metadata
            .iter()
            .map(|(key, text)| (key.clone(), text.as_str().into()))
            .collect();
        items.push(format!("{:?}:{}", METADATA, Value::from(texts)));
    }
    for (entry, (start, end)) in tensors.iter().zip(spans) {
        let Entry { name, dtype, shape } = entry;
        let dtype = dtype_name(*dtype).ok_or_else(|| {
            Fault::unsupported(format!(
                "safetensors has no type for {dtype} (tensor {name:?}); write .pt, .pkl or .h5 instead"
            ))
        })?;
        if !names.insert(name.as_str()) {
            return Err(Fault::unsupported(format!(
                "the name {name:?} is already taken"
            )));
        }
        let name = Value::from(name.as_str());
        items.push(format!(
            r#"{name}:{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let mut text = format!("{{{}}}", items.join(","));
    let padded = text.len().next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', padded - text.len()));
    Ok(text)
}
