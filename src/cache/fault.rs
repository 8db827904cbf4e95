//! What a look inside a file found wrong.

use crate::checkpoint::error::{CheckpointError, Kind};

use super::ledger::Wrong;

/// What a look inside found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub wrong: Wrong,
    pub why: String,
    /// The caller ended the work: nothing was found.
    pub cancelled: bool,
}

impl Fault {
    pub fn new(wrong: Wrong, why: impl Into<String>) -> Self {
        Self {
            wrong,
            why: why.into(),
            cancelled: false,
        }
    }
}

impl From<CheckpointError> for Fault {
    fn from(error: CheckpointError) -> Self {
        let wrong = match error.kind {
            Kind::Corrupt => Wrong::Corrupt,
            Kind::Hostile => Wrong::Hostile,
            Kind::Missing | Kind::Format => Wrong::Different,
            Kind::NotFound | Kind::Io | Kind::Unsupported | Kind::Cancelled => Wrong::Unreadable,
        };
        Self {
            wrong,
            cancelled: error.kind == Kind::Cancelled,
            why: error.message,
        }
    }
}
