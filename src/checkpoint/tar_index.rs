//! Where the members of a tar archive lie: strict, and without reading their data.
//!
//! The header's fields are read as [`super::tar_stream`] does; what is laxer there (its callers
//! pick single files by name) is refused here.

use std::collections::HashMap;

use super::error::{Fault, Parse};
use super::limits;
use super::source::{Source, read_vec};
use super::tar_stream::{check_sum, decimal, name, number, record};

const BLOCK: u64 = 512;
/// Longest block of extended headers; real ones hold a path and a few times.
const MAX_EXTENSION: u64 = 1 << 16;
/// From here on a size does not fit the header's digits, and stands in an extended header alone.
const LARGE: u64 = 1 << 33;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// A relative path without `.` and `..`.
    pub name: String,
    /// Of its data in the archive.
    pub offset: u64,
    pub size: u64,
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

/// All files of the archive; links are the files they point to.
pub fn entries(source: &Source) -> Parse<Vec<Entry>> {
    let mut index = Index {
        source,
        entries: Vec::new(),
        by_name: HashMap::new(),
        links: Vec::new(),
    };
    let mut extension = Extension::default();
    let mut at = 0;
    while let Some(header) = header(source, at)? {
        at = index.member(&header, at + BLOCK, &mut extension)?;
    }
    index.follow_links()?;
    Ok(index.entries)
}

fn header(source: &Source, at: u64) -> Parse<Option<[u8; BLOCK as usize]>> {
    let mut block = [0; BLOCK as usize];
    if at.checked_add(BLOCK).is_none_or(|end| end > source.len()) {
        return Err(Fault::corrupt(format!(
            "the tar archive ends at {} without its end mark; it was cut off",
            source.len()
        )));
    }
    source.read_exact_at(&mut block, at)?;
    if block.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    check_sum(&block)?;
    Ok(Some(block))
}

struct Index<'a> {
    source: &'a Source,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Name and target of each link.
    links: Vec<(String, String)>,
}

impl Index<'_> {
    /// Takes the member whose data begin at `data`; where the next header is.
    fn member(
        &mut self,
        header: &[u8; BLOCK as usize],
        data: u64,
        extension: &mut Extension,
    ) -> Parse<u64> {
        let stored = number(&header[124..136])?;
        let kind = header[156];
        if matches!(kind, b'x' | b'g' | b'L' | b'K') {
            let bytes = self.extension(data, stored)?;
            match kind {
                b'L' => extension.name = Some(to_zero(bytes)),
                b'K' => extension.target = Some(to_zero(bytes)),
                // What a global header says of all members must not change what they are.
                b'g' => records(&bytes, &mut Extension::default(), true)?,
                _ => records(&bytes, extension, false)?,
            }
            return next(data, stored);
        }
        let Extension {
            name: long,
            target,
            size,
        } = std::mem::take(extension);
        let size = agreed(stored, size)?;
        let raw = long.unwrap_or_else(|| name(header).into_bytes());
        let place =
            |fault: Fault| fault.within(format_args!("member {:?}", String::from_utf8_lossy(&raw)));
        let target = target.unwrap_or_else(|| to_zero(header[157..257].to_vec()));
        self.take(kind, &raw, &target, data, size).map_err(place)?;
        next(data, size)
    }

    fn take(&mut self, kind: u8, raw: &[u8], target: &[u8], data: u64, size: u64) -> Parse<()> {
        let what = match kind {
            b'0' | 0 | b'7' if raw.ends_with(b"/") => b'5',
            kind => kind,
        };
        let name = safe_name(raw)?;
        match what {
            b'0' | 0 | b'7' => self.file(name, data, size),
            _ if size != 0 => Err(Fault::hostile(format!(
                "{size} bytes of data for what is no file"
            ))),
            b'5' => Ok(()),
            // A hard link's target counts from the top, a soft one's from where the link is.
            b'1' => self.link(name, safe_name(target)?),
            b'2' => {
                let target = resolve(&name, target)?;
                self.link(name, target)
            }
            b'3' | b'4' | b'6' => Err(Fault::hostile("a device or pipe in an archive of files")),
            b'S' => Err(Fault::unsupported(
                "a sparse file; pack it again without --sparse",
            )),
            other => Err(Fault::unsupported(format!(
                "a member of the unknown kind {:?}",
                char::from(other)
            ))),
        }
    }

    fn extension(&self, data: u64, size: u64) -> Parse<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(Fault::hostile(format!(
                "an extended header of {size} bytes; at most {MAX_EXTENSION} are read"
            )));
        }
        Ok(read_vec(self.source.as_ref(), data, size as usize)?)
    }

    fn file(&mut self, name: String, offset: u64, size: u64) -> Parse<()> {
        if offset
            .checked_add(size)
            .is_none_or(|end| end > self.source.len())
        {
            return Err(Fault::corrupt(format!(
                "{size} bytes at {offset} reach past the end of the archive at {}; it was cut off",
                self.source.len()
            )));
        }
        if name.is_empty() {
            return Err(Fault::corrupt("a file without a name"));
        }
        if self.entries.len() + self.links.len() >= limits::MAX_TENSORS {
            return Err(Fault::hostile(format!(
                "an archive of more than {} files",
                limits::MAX_TENSORS
            )));
        }
        if self
            .by_name
            .insert(name.clone(), self.entries.len())
            .is_some()
        {
            return Err(Fault::hostile("two members of that name"));
        }
        self.entries.push(Entry { name, offset, size });
        Ok(())
    }

    fn link(&mut self, name: String, target: String) -> Parse<()> {
        if self.entries.len() + self.links.len() >= limits::MAX_TENSORS {
            return Err(Fault::hostile("links without end"));
        }
        self.links.push((name, target));
        Ok(())
    }

    /// Turns links into entries of their own; a link to a link is followed once it is one.
    fn follow_links(&mut self) -> Parse<()> {
        for (name, target) in std::mem::take(&mut self.links) {
            let place = |fault: Fault| fault.within(format_args!("member {name:?}"));
            let Some(&at) = self.by_name.get(&target) else {
                return Err(place(Fault::hostile(format!(
                    "a link to {target:?}, which is no file of this archive"
                ))));
            };
            let Entry { offset, size, .. } = self.entries[at];
            self.file(name.clone(), offset, size).map_err(place)?;
        }
        Ok(())
    }
}

/// Where the header after `size` bytes of data is.
fn next(data: u64, size: u64) -> Parse<u64> {
    size.checked_next_multiple_of(BLOCK)
        .and_then(|rounded| data.checked_add(rounded))
        .filter(|&next| next <= i64::MAX as u64)
        .ok_or_else(|| Fault::hostile(format!("a member of {size} bytes")))
}

/// The size that both headers tell.
fn agreed(header: u64, extended: Option<u64>) -> Parse<u64> {
    match extended {
        Some(size) if size != header && size < LARGE => Err(Fault::hostile(format!(
            "a member of {header} bytes by its header and {size} by its extended header"
        ))),
        Some(size) => Ok(size),
        None => Ok(header),
    }
}

/// Reads the records `length key=value\n` of an extended header.
fn records(bytes: &[u8], extension: &mut Extension, global: bool) -> Parse<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((found, after)) = record(rest) else {
            return Err(Fault::corrupt(
                "an extended header whose records do not fit together",
            ));
        };
        match found {
            (b"path" | b"linkpath" | b"size", _) if global => {
                return Err(Fault::hostile(
                    "a global header that gives all members one name or size",
                ));
            }
            (b"path", value) => extension.name = Some(value.to_vec()),
            (b"linkpath", value) => extension.target = Some(value.to_vec()),
            (b"size", value) => extension.size = Some(decimal(value)?),
            (key, _) if key.starts_with(b"GNU.sparse") => {
                return Err(Fault::unsupported(
                    "a sparse file; pack the archive again without --sparse",
                ));
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

fn to_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    bytes
}

/// A name as a relative path; refused when it could lead out of a folder on any system.
fn safe_name(raw: &[u8]) -> Parse<String> {
    let text = std::str::from_utf8(raw)
        .map_err(|_| Fault::unsupported("a member whose name is not UTF-8"))?;
    if text.len() > limits::MAX_NAME || text.split('/').count() > limits::MAX_DEPTH {
        return Err(Fault::hostile(
            "a member's name that is too long or too deep",
        ));
    }
    let drive = text.as_bytes().get(1) == Some(&b':');
    if text.starts_with('/') || drive || text.contains('\\') {
        return Err(Fault::hostile("an absolute path in an archive"));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::hostile(
            "a name with control characters in an archive",
        ));
    }
    let parts: Vec<&str> = text
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    if parts.contains(&"..") {
        return Err(Fault::hostile("a path that leads out of its archive"));
    }
    Ok(parts.join("/"))
}

/// The path a soft link at `name` points to.
fn resolve(name: &str, target: &[u8]) -> Parse<String> {
    let text = String::from_utf8_lossy(target);
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    if text.starts_with('/') {
        return Err(Fault::hostile(format!(
            "a link to {text:?}, outside the archive"
        )));
    }
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => {
                return Err(Fault::hostile(format!(
                    "a link to {text:?}, outside the archive"
                )));
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    safe_name(parts.join("/").as_bytes())
}

#[cfg(test)]
#[path = "tar_index_tests.rs"]
mod tests;
