//! Why a checkpoint cannot be read: a fault inside a file, and the file's name around it.

use std::io;
use std::path::{Path, PathBuf};

/// What sort of trouble it is; decides the code the user sees and whether a file may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file is not there.
    NotFound,
    /// The operating system could not read (or write) it.
    Io,
    /// It is none of the formats we know.
    Format,
    /// It is cut off or contradicts itself.
    Corrupt,
    /// It asks for something no checkpoint of weights needs: code to run, memory out of proportion.
    Hostile,
    /// It is valid, but uses something we do not read.
    Unsupported,
    /// It has no tensor of that name.
    Missing,
    /// The caller ended the work.
    Cancelled,
}

/// A fault found while reading, before it is known in which file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: Kind,
    pub message: String,
}

pub type Parse<T> = Result<T, Fault>;

impl Fault {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    pub fn hostile(message: impl Into<String>) -> Self {
        Self::new(Kind::Hostile, message)
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// Says where inside the file it happened: `within("member \"a.npy\"")`.
    pub fn within(mut self, place: impl std::fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    pub fn at(self, path: &Path) -> CheckpointError {
        CheckpointError {
            path: path.to_path_buf(),
            kind: self.kind,
            message: self.message,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::UnexpectedEof => Kind::Corrupt,
            _ => Kind::Io,
        };
        Self::new(kind, error.to_string())
    }
}

/// A fault and the file it is in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct CheckpointError {
    pub path: PathBuf,
    pub kind: Kind,
    pub message: String,
}
