//! Filters of chunked datasets: deflate, shuffle, Fletcher's checksum, LZF.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::bytes::Cursor;
use crate::checkpoint::error::{Fault, Parse};

/// More filters than a chunk ever went through.
const MAX_FILTERS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Deflate,
    /// The bytes of `size`-byte elements sorted by their place.
    Shuffle {
        size: usize,
    },
    Fletcher32,
    Lzf,
}

/// The filters of a dataset in the order they were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    filters: Vec<Filter>,
}

impl Pipeline {
    pub fn parse(message: &[u8]) -> Parse<Self> {
        let mut c = Cursor::new("a filter pipeline", message);
        let version = c.version(&[1, 2])?;
        let count = usize::from(c.u8()?);
        if version == 1 {
            c.skip(6)?;
        }
        if count > MAX_FILTERS {
            return Err(Fault::hostile(format!(
                "{count} filters on one dataset; at most {MAX_FILTERS} are applied"
            )));
        }
        let mut filters = Vec::with_capacity(count);
        for _ in 0..count {
            let filter = filter(&mut c, version)?;
            if filters.contains(&filter) {
                return Err(Fault::hostile(format!(
                    "the filter {filter:?} twice on one dataset"
                )));
            }
            filters.push(filter);
        }
        Ok(Self { filters })
    }

    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Undoes the filters; the result has `len` bytes. Bit i of `mask`: filter i was left out.
    pub fn decode(&self, mut bytes: Vec<u8>, mask: u32, len: usize) -> Parse<Vec<u8>> {
        // A checksum made before the compression is part of what was compressed.
        let most = len.saturating_add(4);
        let applied = self.filters.iter().enumerate();
        let applied = applied.filter(|(i, _)| mask & (1 << i) == 0);
        for (_, filter) in applied.rev() {
            bytes = match filter {
                Filter::Deflate => inflate(&bytes, most)?,
                Filter::Lzf => lzf(&bytes, most)?,
                Filter::Shuffle { size } => unshuffle(&bytes, *size),
                Filter::Fletcher32 => check_fletcher(bytes)?,
            };
        }
        if bytes.len() == len {
            return Ok(bytes);
        }
        Err(Fault::corrupt(format!(
            "a chunk unpacks to {} bytes instead of {len}",
            bytes.len()
        )))
    }
}

fn filter(c: &mut Cursor, version: u8) -> Parse<Filter> {
    let id = c.u16()?;
    let name_len = match version {
        2 if id < 256 => 0,
        _ => usize::from(c.u16()?),
    };
    // Whether the writer could do without; a reader cannot.
    c.skip(2)?;
    let count = usize::from(c.u16()?);
    let padded = match version {
        1 => name_len.next_multiple_of(8),
        _ => name_len,
    };
    let name = c.take(padded)?;
    let values = (0..count).map(|_| c.u32()).collect::<Parse<Vec<_>>>()?;
    if version == 1 && count % 2 == 1 {
        c.skip(4)?;
    }
    match id {
        1 => Ok(Filter::Deflate),
        2 => match values.first() {
            Some(&size) if size > 0 => Ok(Filter::Shuffle {
                size: size as usize,
            }),
            _ => Err(Fault::corrupt("a shuffle filter of elements of no bytes")),
        },
        3 => Ok(Filter::Fletcher32),
        32000 => Ok(Filter::Lzf),
        _ => Err(unsupported(id, name)),
    }
}

fn unsupported(id: u16, name: &[u8]) -> Fault {
    let name = String::from_utf8_lossy(name);
    let name = match (id, name.trim_end_matches('\0')) {
        (4, _) => "szip",
        (5, _) => "n-bit",
        (6, _) => "scale-offset",
        (_, "") => "no name",
        (_, name) => name,
    };
    Fault::unsupported(format!(
        "the HDF5 filter {id} ({name}); gzip, lzf, shuffle and fletcher32 are read: \
         write the file again with one of these"
    ))
}

fn inflate(bytes: &[u8], most: usize) -> Parse<Vec<u8>> {
    let mut out = Vec::new();
    let mut decoder = ZlibDecoder::new(bytes).take(most as u64 + 1);
    decoder
        .read_to_end(&mut out)
        .map_err(|error| Fault::corrupt(format!("bad deflate stream: {error}")))?;
    if out.len() > most {
        return Err(Fault::corrupt(format!(
            "a chunk unpacks to more than {most} bytes"
        )));
    }
    Ok(out)
}

/// LibLZF: runs of literals and references back.
fn lzf(bytes: &[u8], most: usize) -> Parse<Vec<u8>> {
    let bad = || Fault::corrupt("bad LZF stream");
    let mut c = Cursor::new("an LZF stream", bytes);
    let mut out = Vec::new();
    while c.left() > 0 {
        let control = usize::from(c.u8()?);
        if control < 32 {
            out.extend_from_slice(c.take(control + 1)?);
        } else {
            let mut len = control >> 5;
            if len == 7 {
                len += usize::from(c.u8()?);
            }
            let back = (control & 31) << 8 | usize::from(c.u8()?);
            let from = out.len().checked_sub(back + 1).ok_or_else(bad)?;
            // It may run into what it writes itself: a repeated pattern.
            for at in from..from + len + 2 {
                out.push(out[at]);
            }
        }
        if out.len() > most {
            return Err(bad());
        }
    }
    Ok(out)
}

fn unshuffle(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    if size == 1 || count <= 1 {
        return bytes.to_vec();
    }
    let mut out = vec![0; bytes.len()];
    let (whole, rest) = bytes.split_at(count * size);
    for (place, column) in whole.chunks_exact(count).enumerate() {
        for (element, &byte) in out.chunks_exact_mut(size).zip(column) {
            element[place] = byte;
        }
    }
    // What is left over of a last element is stored as it is.
    out[count * size..].copy_from_slice(rest);
    out
}

fn check_fletcher(mut bytes: Vec<u8>) -> Parse<Vec<u8>> {
    let Some((data, stored)) = bytes.split_last_chunk::<4>() else {
        return Err(Fault::corrupt("a chunk without its Fletcher checksum"));
    };
    let (found, stored) = (fletcher32(data), u32::from_le_bytes(*stored));
    if found != stored {
        return Err(Fault::corrupt(format!(
            "a chunk with the Fletcher checksum {found:08x} instead of {stored:08x}: its bytes were damaged"
        )));
    }
    bytes.truncate(bytes.len() - 4);
    Ok(bytes)
}

/// Fletcher's checksum over 16-bit big-endian words, as `H5_checksum_fletcher32` computes it.
pub fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut one, mut two) = (0_u32, 0_u32);
    // 360 words cannot overflow the sums.
    for block in bytes.chunks(720) {
        for word in block.chunks(2) {
            let low = word.get(1).map_or(0, |&b| u32::from(b));
            one += u32::from(word[0]) << 8 | low;
            two += one;
        }
        (one, two) = (fold(one), fold(two));
    }
    (one, two) = (fold(one), fold(two));
    two << 16 | one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fletcher_of_known_words() {
        // Two words, by hand: 0x0102, then 0x0102 + 0x0304.
        assert_eq!(fletcher32(&[1, 2, 3, 4]), (0x0102 + 0x0406) << 16 | 0x0406);
        // An odd last byte is the upper half of a word.
        assert_eq!(fletcher32(&[1]), 0x0100_0100);
    }

    #[test]
    fn lzf_repeats_what_it_just_wrote() {
        // Literal "ab", then seven bytes from two back.
        assert_eq!(lzf(&[1, b'a', b'b', 5 << 5, 1], 100).unwrap(), b"ababababa");
        assert!(lzf(&[5 << 5, 1], 100).is_err());
        assert!(lzf(&[1, b'a', b'b', 7 << 5, 255, 1], 100).is_err());
        assert!(lzf(&[31, 0], 100).is_err());
    }

    #[test]
    fn unshuffle_keeps_what_is_left_over() {
        assert_eq!(unshuffle(&[1, 3, 2, 4, 9], 2), [1, 2, 3, 4, 9]);
    }

    #[test]
    fn a_filter_may_be_masked_out() {
        let pipeline = Pipeline {
            filters: vec![Filter::Shuffle { size: 2 }, Filter::Deflate],
        };
        let plain = vec![1, 3, 2, 4];
        assert_eq!(pipeline.decode(plain.clone(), 0b11, 4).unwrap(), plain);
        assert_eq!(pipeline.decode(plain.clone(), 0b10, 4).unwrap(), [1, 2, 3, 4]);
        assert!(pipeline.decode(plain, 0b01, 4).is_err());
    }
}
