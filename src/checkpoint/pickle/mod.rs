//! Pickles: read by a machine that executes nothing, and turned into tensors.

pub mod storage;
pub mod value;

use super::checkpoint::Contents;
use super::error::{Fault, Parse};
use super::source::Source;
use storage::Storages;
use value::Pickle;

/// Reads one pickle between `start` and `end` of `source`.
pub fn parse(source: &Source, start: u64, end: u64) -> Parse<Pickle> {
    let _ = (source, start, end);
    Err(Fault::unsupported("being written"))
}

/// The tensors and values a pickle describes; `storages` finds torch's.
pub fn contents(
    pickle: &Pickle,
    source: &Source,
    storages: Option<&dyn Storages>,
) -> Parse<Contents> {
    let _ = (pickle, source, storages);
    Err(Fault::unsupported("being written"))
}
