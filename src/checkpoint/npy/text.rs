//! Arrays of text as plain values.

use serde_json::Value;

use super::array::{self, Array};
use super::layout::{Kind, Layout};
use crate::checkpoint::error::Parse;

/// What a text in a list costs besides its characters, bytes.
const OVERHEAD: u64 = 64;

/// Memory that the texts of an array take as values, and the lists they are in, at most.
pub fn cost(array: &Array) -> u64 {
    // Lists of empty lists cost something too.
    let count = array
        .shape
        .iter()
        .fold(1_u64, |n, &d| n.saturating_mul(d.max(1)));
    count
        .saturating_mul(1 + array.shape.len() as u64)
        .saturating_mul(OVERHEAD)
        .saturating_add(array.blob.len)
}

/// The texts, in lists as deep as the array has dimensions; one without dimensions is the text.
pub fn value(array: &Array, layout: &Layout) -> Parse<Value> {
    let bytes = array.blob.read(u64::MAX)?;
    let bytes = bytes.get(array.head.len()..).unwrap_or_default();
    let size = layout.size as usize;
    let texts: Vec<Value> = match size {
        // Empty texts take no bytes.
        0 => vec![Value::from(""); array.shape.iter().product::<u64>() as usize],
        _ => bytes
            .chunks_exact(size)
            .map(|item| text(item, layout).into())
            .collect(),
    };
    let strides = match array.fortran {
        true => array::column_major(&array.shape),
        false => array::row_major(&array.shape),
    };
    Ok(nest(&array.shape, &strides, 0, &texts))
}

fn nest(shape: &[u64], strides: &[u64], at: u64, texts: &[Value]) -> Value {
    let (Some((&size, shape)), Some((&stride, strides))) =
        (shape.split_first(), strides.split_first())
    else {
        return texts.get(at as usize).cloned().unwrap_or_default();
    };
    (0..size)
        .map(|i| nest(shape, strides, at + i * stride, texts))
        .collect()
}

fn text(item: &[u8], layout: &Layout) -> String {
    if layout.kind == Kind::Unicode {
        let code = |&four: &[u8; 4]| match layout.big_endian {
            true => u32::from_be_bytes(four),
            false => u32::from_le_bytes(four),
        };
        let (codes, _) = item.as_chunks::<4>();
        let text: String = codes
            .iter()
            .map(|four| char::from_u32(code(four)).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        return text.trim_end_matches('\0').to_owned();
    }
    let end = item
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    let item = item.get(..end).unwrap_or_default();
    match std::str::from_utf8(item) {
        Ok(text) => text.to_owned(),
        Err(_) => item.iter().map(|&b| char::from(b)).collect(),
    }
}
