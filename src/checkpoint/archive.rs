//! Archives of checkpoints: `.gz` of one file, `.tar` and `.tar.gz` of several.
//!
//! Members of a plain archive are read where they lie. Compressed data are unpacked once, to a
//! file without a name that vanishes with the last reader; nothing in an archive ever decides
//! where anything is written.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::checkpoint::{Contents, Opaque};
use super::error::{Fault, Kind, Parse};
use super::limits;
use super::source::{FileSource, Source, Window, read_vec};
use super::tar_index;
use super::tensor::Tensor;

/// Up to here what is unpacked stays in memory.
const IN_MEMORY: usize = 256 << 10;
/// Most compressed members of one archive: each of them stays open in memory or as a file.
const MAX_GZIPS: usize = 64;
/// Members of no more than this together are read before the archive's size is asked about.
const FREE_MEMBERS: u64 = 16 << 20;
/// Compressed bytes that may unpack to nothing much before the proportion is looked at.
const AHEAD: u64 = 1 << 20;
/// Where the members that are no checkpoints are listed.
const MEMBERS: &str = "members";

/// Whether a file begins as gzip files do.
pub fn looks_like_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b")
}

/// Whether a file begins as tar archives do.
pub fn looks_like_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// Unpacks a `.gz` file, to memory or to a file without a name in `scratch` (the system's
/// folder for temporary files when not given).
pub fn gunzip(source: &Source, scratch: Option<&Path>) -> Parse<Source> {
    let folder = scratch.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let mut out = tempfile::spooled_tempfile_in(IN_MEMORY, &folder);
    let mut input = BufReader::with_capacity(1 << 16, Bytes::new(source));
    let mut unpacked = 0_u64;
    loop {
        let mut decoder = GzDecoder::new(input);
        unpack(&mut decoder, source, &mut unpacked, &mut |piece| {
            out.write_all(piece)
                .map_err(|error| no_room(&folder, &error))
        })?;
        input = decoder.into_inner();
        if is_over(&mut input)? {
            break;
        }
    }
    match out.into_inner() {
        tempfile::SpooledData::InMemory(bytes) => Ok(Arc::new(bytes.into_inner())),
        tempfile::SpooledData::OnDisk(file) => Ok(Arc::new(FileSource::new(file)?)),
    }
}

/// Passes on what one member of a gzip file unpacks to; its checksum and length are right.
fn unpack(
    decoder: &mut GzDecoder<BufReader<Bytes>>,
    source: &Source,
    unpacked: &mut u64,
    sink: &mut dyn FnMut(&[u8]) -> Parse<()>,
) -> Parse<()> {
    let mut piece = vec![0; 1 << 18];
    loop {
        let n = match decoder.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(bad_gzip(&error)),
        };
        *unpacked += n as u64;
        // A stretch of zeros in large weights is fine, as long as little is unpacked ahead.
        let read = decoder.get_ref().get_ref().at;
        let stored = read.max(source.len().min(AHEAD));
        limits::check_expansion(stored, *unpacked)?;
        sink(&piece[..n])?;
    }
}

fn bad_gzip(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::corrupt("the gzip data end too early: cut off"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            Fault::corrupt(format!("bad gzip data: {error}"))
        }
        _ => Fault::new(Kind::Io, error.to_string()),
    }
}

fn no_room(folder: &Path, error: &io::Error) -> Fault {
    Fault::new(
        Kind::Io,
        format!(
            "cannot unpack to {}: {error}; make room there",
            folder.display()
        ),
    )
}

/// Whether nothing follows but padding; false: another gzip member.
fn is_over(input: &mut BufReader<Bytes>) -> Parse<bool> {
    loop {
        let rest = input.fill_buf()?;
        match rest.first() {
            None => return Ok(true),
            Some(0x1f) => return Ok(false),
            Some(_) if rest.iter().any(|&byte| byte != 0) => {
                return Err(Fault::corrupt("other data behind the end of the gzip data"));
            }
            Some(_) => {}
        }
        let len = rest.len();
        input.consume(len);
    }
}

/// A source from its start to its end.
struct Bytes {
    source: Source,
    at: u64,
}

impl Bytes {
    fn new(source: &Source) -> Self {
        let source = source.clone();
        Self { source, at: 0 }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (self.source.len() - self.at).min(buffer.len() as u64) as usize;
        self.source.read_exact_at(&mut buffer[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// The files of a plain tar archive by their paths.
pub fn members(source: &Source) -> Parse<Vec<(String, Source)>> {
    let entries = tar_index::entries(source)?;
    let member = |entry: tar_index::Entry| {
        let window = Window::new(source.clone(), entry.offset, entry.size)
            .ok_or_else(|| Fault::corrupt("a member past the end of its archive"))?;
        Ok((entry.name, Arc::new(window) as Source))
    };
    entries.into_iter().map(member).collect()
}

/// Reads a plain tar archive: tensors are called `<member>:<name>`.
///
/// `open` reads one member, and gives nothing for what is no checkpoint.
pub fn read(
    source: &Source,
    open: &mut dyn FnMut(&str, Source) -> Parse<Option<Contents>>,
) -> Parse<Contents> {
    let mut all = Contents::default();
    let mut unknown = Vec::new();
    let mut spent = Spent::default();
    for (name, member) in members(source)? {
        let place = |fault: Fault| fault.within(format_args!("member {name:?}"));
        spent.enter(source, &member).map_err(place)?;
        match open(&name, member).map_err(place)? {
            Some(contents) => {
                spent.name(source, &name, &contents)?;
                add(&mut all, &name, contents)?;
            }
            None => unknown.push(Value::from(name)),
        }
    }
    if !unknown.is_empty() {
        all.values.insert(MEMBERS.to_owned(), unknown.into());
    }
    Ok(all)
}

/// What reading the members took so far: links let one file be many members.
#[derive(Default)]
struct Spent {
    bytes: u64,
    gzips: usize,
    names: u64,
}

impl Spent {
    fn enter(&mut self, archive: &Source, member: &Source) -> Parse<()> {
        self.bytes = self.bytes.saturating_add(member.len());
        if self.bytes > FREE_MEMBERS && self.bytes / 2 > archive.len() {
            return Err(Fault::hostile(
                "links to one file that are read over and over",
            ));
        }
        let head = read_vec(member.as_ref(), 0, member.len().min(2) as usize)?;
        self.gzips += usize::from(looks_like_gzip(&head));
        if self.gzips > MAX_GZIPS {
            return Err(Fault::hostile(format!(
                "more than {MAX_GZIPS} compressed files in one archive; unpack it first"
            )));
        }
        Ok(())
    }

    fn name(&mut self, archive: &Source, member: &str, found: &Contents) -> Parse<()> {
        let count = found.tensors.len() + found.others.len() + found.opaque.len();
        self.names += (member.len() * count) as u64;
        limits::check_names(archive.len(), self.names)
    }
}

fn add(all: &mut Contents, member: &str, found: Contents) -> Parse<()> {
    let count = all.tensors.len() + all.others.len() + found.tensors.len() + found.others.len();
    if count > limits::MAX_TENSORS {
        return Err(Fault::hostile(format!(
            "an archive of more than {} tensors",
            limits::MAX_TENSORS
        )));
    }
    rename(&mut all.tensors, member, found.tensors);
    rename(&mut all.others, member, found.others);
    if all.tensors.len() + all.others.len() < count {
        return Err(Fault::corrupt(format!(
            "a tensor of {member:?} has the name of another member's"
        )));
    }
    if !found.values.is_empty() {
        all.values
            .insert(member.to_owned(), Map::into(found.values));
    }
    let inside = |Opaque { path, class }| Opaque {
        path: format!("{member}:{path}"),
        class,
    };
    all.opaque.extend(found.opaque.into_iter().map(inside));
    Ok(())
}

fn rename(all: &mut IndexMap<String, Tensor>, member: &str, found: IndexMap<String, Tensor>) {
    let inside = |(name, tensor)| (format!("{member}:{name}"), tensor);
    all.extend(found.into_iter().map(inside));
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
