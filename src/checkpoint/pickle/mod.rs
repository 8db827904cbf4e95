//! Pickles: read by a machine that executes nothing, and turned into tensors.

mod arena;
pub mod globals;
mod input;
pub mod machine;
mod machine_objects;
mod machine_values;
mod memo;
pub mod opcodes;
mod stdlib;
pub mod storage;
mod text;
pub mod value;

use super::checkpoint::Contents;
use super::error::{Fault, Parse};
use super::source::Source;
use storage::Storages;
use value::Pickle;

pub use machine::parse;

/// The tensors and values a pickle describes; `storages` finds torch's.
pub fn contents(
    pickle: &Pickle,
    source: &Source,
    storages: Option<&dyn Storages>,
) -> Parse<Contents> {
    let _ = (pickle, source, storages);
    Err(Fault::unsupported("being written"))
}
