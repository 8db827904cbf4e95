//! The members of a tar archive in the order they come, from any stream, with bounded memory.
//!
//! Format: POSIX.1-1988 (ustar), POSIX.1-2001 (pax), GNU tar's long names and large sizes.

use std::io::{self, Read};

use super::error::{Fault, Kind, Parse};
use super::limits;

const BLOCK: usize = 512;
/// Most members of one archive.
const MAX_MEMBERS: usize = 100_000;
/// Longest block of extended headers; real ones hold a path and a few times.
const MAX_EXTENSION: u64 = 1 << 16;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    File,
    Folder,
    /// A link, to a name inside or outside the archive.
    Link,
    /// A device, a pipe, or something we do not know.
    Other,
}

/// One member: its data is read from the archive before the next member is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As written in the archive; not to be trusted as a path.
    pub name: String,
    pub sort: Sort,
    pub size: u64,
}

/// Walks an archive.
pub struct TarStream<R> {
    input: R,
    /// Bytes of the current member's data not yet read, and of the padding after it.
    data: u64,
    padding: u64,
    members: usize,
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extension {
    name: Option<String>,
    size: Option<u64>,
}

impl<R: Read> TarStream<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            data: 0,
            padding: 0,
            members: 0,
        }
    }

    /// The next member, or none at the end; what was not read of the last one is passed over.
    ///
    /// Not an iterator: the data of a member is read from `self`.
    pub fn advance(&mut self) -> Parse<Option<Member>> {
        let mut extension = Extension::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            self.members += 1;
            if self.members > MAX_MEMBERS {
                return Err(Fault::hostile(format!(
                    "an archive of more than {MAX_MEMBERS} members"
                )));
            }
            let size = number(&header[124..136])?;
            self.enter(size)?;
            match header[156] {
                b'L' => extension.name = Some(text(&self.extension(size)?)),
                b'x' => self.extended(size, &mut extension)?,
                // Global headers and long link targets say nothing we need.
                b'g' | b'K' => {
                    self.extension(size)?;
                }
                kind => {
                    let size = extension.size.unwrap_or(size);
                    let sort = sort(kind);
                    self.enter(if sort == Sort::File { size } else { 0 })?;
                    let name = extension.name.take().unwrap_or_else(|| name(&header));
                    return Ok(Some(Member { name, sort, size }));
                }
            }
        }
    }

    /// Sets out on a member's data.
    fn enter(&mut self, size: u64) -> Parse<()> {
        let rounded = size
            .checked_next_multiple_of(BLOCK as u64)
            .filter(|&end| end <= i64::MAX as u64)
            .ok_or_else(|| Fault::hostile(format!("a member of {size} bytes")))?;
        self.data = size;
        self.padding = rounded - size;
        Ok(())
    }

    fn skip_rest(&mut self) -> Parse<()> {
        let rest = self.data.saturating_add(self.padding);
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        (self.data, self.padding) = (0, 0);
        if skipped < rest {
            return Err(cut_off());
        }
        Ok(())
    }

    /// The next header; none at the two empty blocks of the end, or where the bytes end.
    fn header(&mut self) -> Parse<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if filled == 0 {
            return Ok(None);
        }
        if filled < BLOCK {
            return Err(cut_off());
        }
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        check_sum(&block)?;
        Ok(Some(block))
    }

    /// The data of an extended header.
    fn extension(&mut self, size: u64) -> Parse<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(Fault::hostile(format!(
                "an extended header of {size} bytes; at most {MAX_EXTENSION} are read"
            )));
        }
        let mut bytes = vec![0; size as usize];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Records of the form `length key=value\n`.
    fn extended(&mut self, size: u64, extension: &mut Extension) -> Parse<()> {
        let bytes = self.extension(size)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (record, after) = record(rest).ok_or_else(|| {
                Fault::corrupt("an extended header whose records do not fit together")
            })?;
            match record {
                (b"path", value) => extension.name = Some(text(value)),
                (b"size", value) => extension.size = Some(decimal(value)?),
                _ => {}
            }
            rest = after;
        }
        Ok(())
    }
}

/// The current member's data.
impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.data).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data -= n as u64;
        Ok(n)
    }
}

fn cut_off() -> Fault {
    Fault::corrupt("the archive is cut off")
}

fn sort(kind: u8) -> Sort {
    match kind {
        0 | b'0' | b'7' => Sort::File,
        b'1' | b'2' => Sort::Link,
        b'5' => Sort::Folder,
        _ => Sort::Other,
    }
}

/// The sum of all bytes with the field of the sum itself as spaces.
fn check_sum(block: &[u8; BLOCK]) -> Parse<()> {
    let own = 148..156;
    let at = |(i, &byte): (usize, &u8)| u64::from(if own.contains(&i) { b' ' } else { byte });
    let sum: u64 = block.iter().enumerate().map(at).sum();
    if number(&block[148..156])? == sum {
        return Ok(());
    }
    Err(Fault::new(
        Kind::Corrupt,
        "a header whose check sum is wrong: not a tar archive, or damaged",
    ))
}

/// Octal digits between spaces and zeros, or GNU's big-endian binary with the top bit set.
fn number(field: &[u8]) -> Parse<u64> {
    let bad = || Fault::corrupt("a header with a number that is none");
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let (high, low) = rest.split_at(rest.len().saturating_sub(8));
        if first & 0x7f != 0 || high.iter().any(|&byte| byte != 0) {
            return Err(Fault::hostile("a header with a number beyond all sizes"));
        }
        return Ok(low.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)));
    }
    let digits = field
        .iter()
        .copied()
        .skip_while(|&byte| byte == b' ')
        .take_while(|&byte| byte != b' ' && byte != 0);
    digits.into_iter().try_fold(0_u64, |n, byte| match byte {
        b'0'..=b'7' => n
            .checked_mul(8)
            .map(|n| n + u64::from(byte - b'0'))
            .ok_or_else(bad),
        _ => Err(bad()),
    })
}

fn decimal(value: &[u8]) -> Parse<u64> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Fault::corrupt("an extended header with a size that is no number"))
}

/// One record of an extended header, and what follows it.
#[allow(
    clippy::type_complexity,
    reason = "key, value and rest are only ever taken apart at once"
)]
fn record(bytes: &[u8]) -> Option<((&[u8], &[u8]), &[u8])> {
    let space = bytes.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(bytes.get(..space)?).ok()?.parse().ok()?;
    let body = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (body.get(..equals)?, body.get(equals + 1..)?);
    Some(((key, value), bytes.get(length..)?))
}

/// Bytes to the first zero; what is no UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let end = end.min(limits::MAX_NAME);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Prefix and name of a ustar header; other headers have no prefix.
fn name(header: &[u8; BLOCK]) -> String {
    let own = text(&header[..100]);
    if &header[257..262] != b"ustar" || header[345] == 0 || &header[257..265] == b"ustar  \0" {
        return own;
    }
    format!("{}/{own}", text(&header[345..500]))
}

#[cfg(test)]
#[path = "tar_stream_tests.rs"]
mod tests;
