//! Pickles: read by a machine that executes nothing, and turned into tensors.

mod arena;
mod dense;
mod flatten;
pub mod globals;
mod input;
mod interpret;
mod interpret_chumpy;
mod interpret_module;
mod interpret_numpy;
mod interpret_sparse;
mod interpret_torch;
pub mod machine;
mod machine_objects;
mod machine_values;
mod memo;
mod nested;
pub mod opcodes;
mod stdlib;
pub mod storage;
mod text;
pub mod value;

use super::checkpoint::Contents;
use super::error::{Fault, Parse};
use super::source::Source;

pub use flatten::contents;
pub use machine::parse;

/// Bytes after the pickle are looked at for another one up to here.
const MAX_SECOND: u64 = 1 << 20;

/// Reads a file that is one pickle: arrays of numpy (or of torch) in dicts, lists and objects.
pub fn read(source: &Source) -> Parse<Contents> {
    let end = source.len();
    let pickle = parse(source, 0, end)?;
    if pickle.end < end {
        return Err(trailing(source, pickle.end, end));
    }
    contents(&pickle, source, None)
}

/// What is wrong with a file that goes on after its pickle.
fn trailing(source: &Source, start: u64, end: u64) -> Fault {
    let left = end - start;
    let limit = end.min(start.saturating_add(MAX_SECOND));
    match parse(source, start, limit) {
        Ok(_) => Fault::unsupported(format!(
            "the file holds several pickles, one after another (the second begins at byte {start}); \
             save all of it as one"
        )),
        Err(_) => Fault::corrupt(format!(
            "{left} bytes follow the pickle's end at byte {start}; the file is damaged"
        )),
    }
}
