//! A run of bytes inside a source, decoded piece by piece on the way out.

use std::io::Read;

use flate2::read::DeflateDecoder;

use super::error::{Fault, Parse};
use super::escapes;
use super::latin1;
use super::limits::{self, PIECE};
use super::source::Source;

/// Takes bytes piece by piece.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Parse<()> + 'a;

/// How the bytes are written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Raw,
    /// A deflate stream without a wrapper, as zip members are.
    Deflate,
    /// UTF-8 text whose code points below 256 are the bytes: pickle protocols 0 to 2 write
    /// `bytes` as `_codecs.encode(text, 'latin1')`.
    Latin1,
    /// The inside of a Python 2 string literal: pickle protocol 0 of Python 2.
    Escaped,
    /// Raw-unicode-escaped text whose code points are the bytes: pickle protocol 0 of Python 3.
    RawUnicode,
}

/// Decodes a piece of text: takes the piece, whether it is the last one and where to append what
/// it says; returns the bytes used. See [`escapes`].
pub type Decode = fn(&[u8], bool, &mut Vec<u8>) -> Parse<usize>;

impl Encoding {
    /// For bytes spelt as text: how they are read.
    pub fn decoder(self) -> Option<Decode> {
        match self {
            Self::Raw | Self::Deflate => None,
            Self::Latin1 => Some(latin1::decode),
            Self::Escaped => Some(escapes::unescape),
            Self::RawUnicode => Some(raw_unicode),
        }
    }
}

/// Bytes on demand. Cheap to clone; holds no data.
#[derive(Clone)]
pub struct Blob {
    pub source: Source,
    pub offset: u64,
    /// Bytes in the file.
    pub stored: u64,
    /// Bytes when decoded.
    pub len: u64,
    pub encoding: Encoding,
    /// CRC-32 of the decoded bytes, checked whenever all of them are read.
    pub crc: Option<u32>,
}

impl Blob {
    /// `len` bytes as they are. A fault when they are not all inside `source`.
    pub fn raw(source: &Source, offset: u64, len: u64) -> Parse<Self> {
        Self::encoded(source, offset, len, len, Encoding::Raw)
    }

    /// `stored` bytes that decode to `len`. A fault when they are not all inside `source`, or
    /// when `len` is out of proportion.
    pub fn encoded(
        source: &Source,
        offset: u64,
        stored: u64,
        len: u64,
        encoding: Encoding,
    ) -> Parse<Self> {
        let size = source.len();
        if offset.checked_add(stored).is_none_or(|end| end > size) {
            return Err(Fault::corrupt(format!(
                "{stored} bytes at {offset} reach past the end at {size}; the file is cut off or damaged"
            )));
        }
        limits::check_expansion(stored, len)?;
        Ok(Self {
            source: source.clone(),
            offset,
            stored,
            len,
            encoding,
            crc: None,
        })
    }

    /// Whether `start..start + len` lies in the file just as it is.
    pub fn extent(&self, start: u64, len: u64) -> Option<(u64, u64)> {
        let inside = start.checked_add(len)? <= self.len;
        (inside && self.encoding == Encoding::Raw).then(|| (self.offset + start, len))
    }

    /// All bytes, for small blobs. A fault above `limit`.
    pub fn read(&self, limit: u64) -> Parse<Vec<u8>> {
        if self.len > limit {
            let len = self.len;
            return Err(Fault::hostile(format!(
                "{len} bytes where at most {limit} are expected"
            )));
        }
        let mut bytes = Vec::new();
        self.stream(0, self.len, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Passes `len` bytes from `start` on to `sink`, in pieces.
    pub fn stream(&self, start: u64, len: u64, sink: &mut Sink) -> Parse<()> {
        if start.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Fault::corrupt(format!(
                "{len} bytes at {start} reach past the end of a storage of {}",
                self.len
            )));
        }
        let whole = start == 0 && len == self.len;
        let mut crc = self.crc.filter(|_| whole).map(|_| crc32fast::Hasher::new());
        let mut checked = |piece: &[u8]| {
            if let Some(crc) = &mut crc {
                crc.update(piece);
            }
            sink(piece)
        };
        match (self.encoding, self.encoding.decoder()) {
            (_, Some(decode)) => self.stream_text(start, len, decode, &mut checked)?,
            (Encoding::Deflate, None) => self.stream_deflate(start, len, &mut checked)?,
            (_, None) => self.stream_raw(start, len, &mut checked)?,
        }
        match (crc.map(crc32fast::Hasher::finalize), self.crc) {
            (Some(found), Some(expected)) => check_sum(found, expected),
            _ => Ok(()),
        }
    }

    fn stream_raw(&self, start: u64, len: u64, sink: &mut Sink) -> Parse<()> {
        let mut piece = vec![0; len.min(PIECE as u64) as usize];
        let (mut offset, mut left) = (self.offset + start, len);
        while left > 0 {
            let n = left.min(PIECE as u64) as usize;
            self.source.read_exact_at(&mut piece[..n], offset)?;
            sink(&piece[..n])?;
            offset += n as u64;
            left -= n as u64;
        }
        Ok(())
    }

    fn stream_deflate(&self, start: u64, len: u64, sink: &mut Sink) -> Parse<()> {
        let mut decoder = DeflateDecoder::new(self.reader());
        let mut cut = Cut::new(start, len, sink);
        let mut piece = vec![0; self.len.clamp(1, PIECE as u64) as usize];
        let mut total = 0_u64;
        loop {
            let n = decoder
                .read(&mut piece)
                .map_err(|error| Fault::corrupt(format!("bad deflate stream: {error}")))?;
            total += n as u64;
            if n == 0 || total > self.len {
                break;
            }
            cut.push(&piece[..n])?;
            if cut.done() && start + len < self.len {
                return Ok(());
            }
        }
        check_length(total, self.len)
    }

    fn stream_text(&self, start: u64, len: u64, decode: Decode, sink: &mut Sink) -> Parse<()> {
        let mut cut = Cut::new(start, len, sink);
        let mut decoded = Vec::with_capacity(self.len.min(PIECE as u64) as usize + 64);
        let mut kept: Vec<u8> = Vec::new();
        let (mut seen, mut total) = (0, 0);
        self.stream_raw(0, self.stored, &mut |piece| {
            seen += piece.len() as u64;
            decoded.clear();
            // An escape may begin in one piece and end in the next.
            let joined;
            let text = if kept.is_empty() {
                piece
            } else {
                joined = [&kept, piece].concat();
                &joined
            };
            let used = decode(text, seen == self.stored, &mut decoded)?;
            kept = text.get(used..).unwrap_or_default().to_vec();
            total += decoded.len() as u64;
            if total > self.len {
                return check_length(total, self.len);
            }
            cut.push(&decoded)
        })?;
        check_length(total, self.len)
    }

    /// The stored bytes as a sequential reader.
    fn reader(&self) -> impl Read {
        Sequential {
            source: self.source.clone(),
            offset: self.offset,
            end: self.offset + self.stored,
        }
    }
}

fn raw_unicode(text: &[u8], last: bool, out: &mut Vec<u8>) -> Parse<usize> {
    escapes::raw_unicode(text, last, &mut |code| {
        out.push(u8::try_from(code).map_err(|_| latin1::not_bytes())?);
        Ok(())
    })
}

/// A fault when two CRC-32 sums differ.
pub(super) fn check_sum(found: u32, expected: u32) -> Parse<()> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::corrupt(format!(
        "checksum {found:08x} instead of {expected:08x}: the bytes were damaged"
    )))
}

fn check_length(found: u64, expected: u64) -> Parse<()> {
    if found == expected {
        return Ok(());
    }
    let more = if found > expected { "at least " } else { "" };
    Err(Fault::corrupt(format!(
        "decodes to {more}{found} bytes instead of {expected}"
    )))
}

/// Reads a source from one offset to another; buffered, since decoders ask for little at a time.
struct Sequential {
    source: Source,
    offset: u64,
    end: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = (self.end - self.offset).min(buffer.len() as u64) as usize;
        self.source.read_exact_at(&mut buffer[..n], self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// Passes on only the bytes from `skip` to `skip + left`.
struct Cut<'a, 'b> {
    skip: u64,
    left: u64,
    sink: &'a mut Sink<'b>,
}

impl<'a, 'b> Cut<'a, 'b> {
    fn new(skip: u64, left: u64, sink: &'a mut Sink<'b>) -> Self {
        Self { skip, left, sink }
    }

    fn done(&self) -> bool {
        self.left == 0
    }

    fn push(&mut self, piece: &[u8]) -> Parse<()> {
        let skipped = self.skip.min(piece.len() as u64);
        self.skip -= skipped;
        let rest = &piece[skipped as usize..];
        let taken = self.left.min(rest.len() as u64);
        self.left -= taken;
        if taken == 0 {
            return Ok(());
        }
        (self.sink)(&rest[..taken as usize])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn latin1(text: &[u8], len: u64) -> Parse<Vec<u8>> {
        let source: Source = Arc::new(text.to_vec());
        Blob::encoded(&source, 0, text.len() as u64, len, Encoding::Latin1)?.read(u64::MAX)
    }

    #[test]
    fn every_byte_survives_being_written_as_text() {
        let bytes: Vec<u8> = (0..3_000_000_u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        let text: String = bytes.iter().map(|&b| char::from(b)).collect();
        assert!(latin1(text.as_bytes(), bytes.len() as u64).unwrap() == bytes);
    }

    #[test]
    fn text_that_is_not_bytes_is_refused() {
        let cases: [&[u8]; 8] = [
            b"\xc4\x80",
            b"a\x80",
            b"\xc3a",
            b"\xc2",
            b"\xc2\xc2\x80",
            b"\xc1\x81",
            b"\xe2\x82\xac",
            b"\xff",
        ];
        for case in cases {
            for len in [1, 2] {
                assert!(latin1(case, len).is_err(), "{case:?} as {len}");
            }
        }
    }

    #[test]
    fn parts_of_encoded_bytes_are_cut_out() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text: String = bytes.iter().map(|&b| char::from(b)).collect();
        let source: Source = Arc::new(text.into_bytes());
        let blob = Blob::encoded(&source, 0, source.len(), 256, Encoding::Latin1).unwrap();
        let mut found = Vec::new();
        let mut sink = |piece: &[u8]| {
            found.extend_from_slice(piece);
            Ok(())
        };
        blob.stream(100, 60, &mut sink).unwrap();
        assert_eq!(found, bytes[100..160]);
        assert!(blob.stream(200, 57, &mut |_| Ok(())).is_err());
    }
}
