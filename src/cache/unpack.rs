//! Takes single files out of a `.tar` or `.tar.gz`, by name, as a stream.
//!
//! Nothing in the archive decides where anything is written: every file gets a name of ours.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use super::error::CacheError;
use super::place;
use super::progress::{Progress, Watch};
use crate::checkpoint::error::Fault;
use crate::checkpoint::limits;
use crate::checkpoint::tar_stream::{Member, Sort, TarStream};

const PIECE: usize = 1 << 18;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Unpacks the first file that each pattern names into `folder`; gives each pattern's file.
///
/// `*` stands for anything within one component of the path, `**` for any number of components.
/// `model` and `file` name the archive in progress and messages.
pub fn unpack(
    archive: &Path,
    patterns: &[&str],
    folder: &Path,
    (model, file): (&str, &str),
    watch: Watch,
) -> Result<BTreeMap<String, PathBuf>, CacheError> {
    let failed = |fault: Fault| {
        // Whatever it stumbled over when it was told to stop, the stop was the reason.
        watch.check().err().unwrap_or_else(|| fault.at(archive).into())
    };
    let input = Guarded::open(archive, (model, file), watch).map_err(|e| failed(e.into()))?;
    let mut tar = TarStream::new(input);
    let mut found = BTreeMap::new();
    while found.len() < patterns.len() {
        let Some(member) = tar.advance().map_err(failed)? else {
            break;
        };
        let wanted = |pattern: &&&str| !found.contains_key(**pattern) && fits(pattern, &member);
        let Some(pattern) = patterns.iter().find(wanted) else {
            continue;
        };
        let path = folder.join(found.len().to_string());
        write(&mut tar, &path, &failed)?;
        found.insert((*pattern).to_string(), path);
    }
    Ok(found)
}

fn write(
    tar: &mut impl Read,
    path: &Path,
    failed: &dyn Fn(Fault) -> CacheError,
) -> Result<(), CacheError> {
    let refused = |error: io::Error| place::refusal(path, &error);
    let mut out = File::create(path).map_err(refused)?;
    let mut piece = vec![0; PIECE];
    loop {
        match tar.read(&mut piece).map_err(|error| failed(error.into()))? {
            0 => return out.sync_all().map_err(refused),
            n => out.write_all(&piece[..n]).map_err(refused)?,
        }
    }
}

/// Whether `member` is a file whose path the pattern names. A leading `./` means nothing.
fn fits(pattern: &str, member: &Member) -> bool {
    let parts: Vec<&str> = member.name.split('/').filter(|part| *part != ".").collect();
    let wanted: Vec<&str> = pattern.split('/').collect();
    member.sort == Sort::File && !parts.contains(&"..") && path_fits(&wanted, &parts)
}

fn path_fits(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| path_fits(rest, &path[skip..])),
        ([part, rest @ ..], [name, names @ ..]) => part_fits(part, name) && path_fits(rest, names),
        _ => false,
    }
}

/// One `*` at most.
fn part_fits(part: &str, name: &str) -> bool {
    match part.split_once('*') {
        None => part == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

/// The archive's bytes, unpacked where they are compressed: counted, bounded, and told of.
struct Guarded<'a> {
    input: Box<dyn Read>,
    /// Bytes of the file, and how many of them are read.
    stored: u64,
    read: Rc<Cell<u64>>,
    expanded: u64,
    told: u64,
    name: (&'a str, &'a str),
    watch: Watch<'a>,
}

impl<'a> Guarded<'a> {
    fn open(path: &Path, name: (&'a str, &'a str), watch: Watch<'a>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let stored = file.metadata()?.len();
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(2).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let read = Rc::new(Cell::new(0));
        let counted = io::BufReader::with_capacity(
            PIECE,
            Counted {
                file,
                read: Rc::clone(&read),
            },
        );
        let input: Box<dyn Read> = if magic == GZIP {
            Box::new(MultiGzDecoder::new(counted))
        } else {
            Box::new(counted)
        };
        Ok(Self {
            input,
            stored,
            read,
            expanded: 0,
            told: 0,
            name,
            watch,
        })
    }
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.expanded += n as u64;
        limits::check_expansion(self.stored, self.expanded)
            .map_err(|fault| io::Error::other(fault.message))?;
        if n == 0 || self.expanded - self.told >= PIECE as u64 {
            self.told = self.expanded;
            let progress = Progress {
                phase: "unpack",
                model: self.name.0,
                file: self.name.1,
                loaded: self.read.get(),
                total: Some(self.stored),
            };
            if !self.watch.step(&progress) {
                return Err(io::Error::other("cancelled"));
            }
        }
        Ok(n)
    }
}

struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
