//! The bytes of a pickle, read in order through a small window.

use super::super::error::{Fault, Parse};
use super::super::source::Source;

/// Bytes read at once: large arrays are skipped, so little of a window is wasted.
const WINDOW: u64 = 32 << 10;

/// A position in a stretch of a source.
pub struct Input {
    source: Source,
    at: u64,
    end: u64,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    from: u64,
}

impl Input {
    /// A fault when `start..end` is not inside `source`.
    pub fn new(source: &Source, start: u64, end: u64) -> Parse<Self> {
        if start > end || end > source.len() {
            return Err(Fault::corrupt(format!(
                "a pickle from byte {start} to {end} of a file of {}",
                source.len()
            )));
        }
        Ok(Self {
            source: source.clone(),
            at: start,
            end,
            window: Vec::new(),
            from: start,
        })
    }

    /// Offset of the next byte, from the start of the source.
    pub fn position(&self) -> u64 {
        self.at
    }

    fn cut_off(&self) -> Fault {
        Fault::corrupt(format!(
            "the pickle ends at byte {} before its STOP; the file is cut off or damaged",
            self.end
        ))
    }

    /// What the window holds from here on; reads on when that is nothing.
    fn ahead(&mut self) -> Parse<&[u8]> {
        let inside = self.at >= self.from && self.at - self.from < self.window.len() as u64;
        if !inside {
            if self.at >= self.end {
                return Err(self.cut_off());
            }
            let len = (self.end - self.at).min(WINDOW) as usize;
            self.window.resize(len, 0);
            self.source.read_exact_at(&mut self.window, self.at)?;
            self.from = self.at;
        }
        let start = (self.at - self.from) as usize;
        Ok(self.window.get(start..).unwrap_or_default())
    }

    pub fn byte(&mut self) -> Parse<u8> {
        let byte = self.ahead()?.first().copied();
        self.at += 1;
        byte.ok_or_else(|| self.cut_off())
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Parse<[u8; N]> {
        if let Some(bytes) = self.ahead()?.first_chunk::<N>() {
            let bytes = *bytes;
            self.at += N as u64;
            return Ok(bytes);
        }
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next bytes, as many as `out` holds. The caller has bounded it.
    pub fn fill(&mut self, mut out: &mut [u8]) -> Parse<()> {
        while !out.is_empty() {
            let ahead = self.ahead()?;
            let n = ahead.len().min(out.len());
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(ahead.get(..n).unwrap_or_default());
            out = later;
            self.at += n as u64;
        }
        Ok(())
    }

    /// Passes over `len` bytes and says where they began.
    pub fn skip(&mut self, len: u64) -> Parse<u64> {
        let start = self.at;
        if len > self.end - start {
            return Err(Fault::corrupt(format!(
                "{len} bytes are claimed where {} are left; the file is cut off or damaged",
                self.end - start
            )));
        }
        self.at += len;
        Ok(start)
    }

    /// A fault unless `len` bytes are left.
    pub fn expect(&self, len: u64) -> Parse<()> {
        if len > self.end - self.at {
            return Err(Fault::corrupt(format!(
                "a frame of {len} bytes where {} are left; the file is cut off or damaged",
                self.end - self.at
            )));
        }
        Ok(())
    }

    /// Passes over a line; its start and length without the newline.
    pub fn line(&mut self) -> Parse<(u64, u64)> {
        let start = self.at;
        loop {
            let ahead = self.ahead()?;
            match ahead.iter().position(|&byte| byte == b'\n') {
                Some(n) => {
                    self.at += n as u64 + 1;
                    return Ok((start, self.at - 1 - start));
                }
                None => self.at += ahead.len() as u64,
            }
        }
    }

    /// Bytes passed already, read again. The caller has bounded `len`.
    pub fn again(&mut self, offset: u64, len: usize) -> Parse<Vec<u8>> {
        let mut bytes = vec![0; len];
        let held = offset
            .checked_sub(self.from)
            .and_then(|start| self.window.get(start as usize..)?.get(..len));
        match held {
            Some(held) => bytes.copy_from_slice(held),
            None => self.source.read_exact_at(&mut bytes, offset)?,
        }
        Ok(bytes)
    }

    /// A short line, whole: a number, a module's or a class's name.
    pub fn short_line(&mut self, limit: u64) -> Parse<Vec<u8>> {
        let (start, len) = self.line()?;
        if len > limit {
            return Err(Fault::hostile(format!(
                "a line of {len} bytes where at most {limit} are expected"
            )));
        }
        self.again(start, len as usize)
    }
}
