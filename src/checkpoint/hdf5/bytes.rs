//! A cursor over a block of HDF5 metadata: every step is checked.

use crate::checkpoint::error::{Fault, Parse};

/// Little-endian fields one after another; a fault where the block ends too early.
#[derive(Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the block is, for the fault's message.
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, what }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn take(&mut self, n: usize) -> Parse<&'a [u8]> {
        let end = self.at.checked_add(n);
        let bytes = end.and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.short(n))?;
        self.at += n;
        Ok(bytes)
    }

    pub fn skip(&mut self, n: usize) -> Parse<()> {
        self.take(n).map(|_| ())
    }

    /// Skips to the next multiple of `n` bytes from the block's start.
    pub fn align(&mut self, n: usize) -> Parse<()> {
        self.skip(self.at.next_multiple_of(n) - self.at)
    }

    /// An unsigned number of `size` bytes, at most 8.
    pub fn uint(&mut self, size: usize) -> Parse<u64> {
        debug_assert!(size <= 8);
        let bytes = self.take(size)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    pub fn u8(&mut self) -> Parse<u8> {
        self.uint(1).map(|n| n as u8)
    }

    pub fn u16(&mut self) -> Parse<u16> {
        self.uint(2).map(|n| n as u16)
    }

    pub fn u32(&mut self) -> Parse<u32> {
        self.uint(4).map(|n| n as u32)
    }

    /// Text up to a zero byte, which is passed over.
    pub fn text(&mut self) -> Parse<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == 0);
        let end = end.ok_or_else(|| self.short(rest.len() + 1))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    pub fn expect(&mut self, magic: &[u8]) -> Parse<()> {
        let found = self.take(magic.len())?;
        if found == magic {
            return Ok(());
        }
        Err(Fault::corrupt(format!(
            "{} begins with {:?} instead of {:?}",
            self.what,
            String::from_utf8_lossy(found),
            String::from_utf8_lossy(magic)
        )))
    }

    /// A version byte that must be among `known`.
    pub fn version(&mut self, known: &[u8]) -> Parse<u8> {
        let version = self.u8()?;
        if known.contains(&version) {
            return Ok(version);
        }
        Err(Fault::unsupported(format!(
            "{} of version {version}; versions {known:?} are read",
            self.what
        )))
    }

    fn short(&self, n: usize) -> Fault {
        Fault::corrupt(format!(
            "{} ends at byte {}, but {n} more are expected at {}",
            self.what,
            self.bytes.len(),
            self.at
        ))
    }
}

/// Bytes that hold any number up to `limit` (`H5VM_limit_enc_size` of the HDF5 library).
pub fn width(limit: u64) -> usize {
    (64 - limit.max(1).leading_zeros() as usize).div_ceil(8)
}

/// Bob Jenkins' `lookup3` hash (`hashlittle`, initial value 0): the checksum of HDF5 metadata.
pub fn checksum(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let mut s = [start; 3];
    let mut rest = bytes;
    while rest.len() > 12 {
        add(&mut s, &rest[..12]);
        mix(&mut s);
        rest = &rest[12..];
    }
    if !rest.is_empty() {
        add(&mut s, rest);
        last_mix(&mut s);
    }
    s[2]
}

fn add(s: &mut [u32; 3], bytes: &[u8]) {
    for (i, &b) in bytes.iter().enumerate() {
        s[i / 4] = s[i / 4].wrapping_add(u32::from(b) << (8 * (i % 4)));
    }
}

fn mix(s: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *s;
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    *s = [a, b, c];
}

fn last_mix(s: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *s;
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    *s = [a, b, c];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_lookup3() {
        // The values that lookup3.c's own driver prints.
        assert_eq!(checksum(b""), 0xdead_beef);
        assert_eq!(checksum(b"Four score and seven years ago"), 0x1777_0551);
    }

    #[test]
    fn width_is_the_fewest_bytes() {
        for (limit, bytes) in [(0, 1), (1, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 3)] {
            assert_eq!(width(limit), bytes, "{limit}");
        }
        assert_eq!(width(u64::MAX), 8);
    }

    #[test]
    fn a_block_that_ends_too_early_is_a_fault() {
        let mut cursor = Cursor::new("a block", &[1, 2, 3]);
        assert_eq!(cursor.u16().unwrap(), 0x0201);
        assert!(cursor.u16().unwrap_err().message.contains("a block ends at byte 3"));
        assert!(cursor.take(usize::MAX).is_err());
        assert!(cursor.text().is_err());
    }
}
